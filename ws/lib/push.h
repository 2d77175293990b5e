/*
 * Messages from one endpoint to many clients. An endpoint that includes this
 * header is linked with hiredis and needs Redis. DUPLEX_REDIS says where that is:
 *
 *   /path                                         a UNIX socket; the path may have any characters
 *   host:port, [IPv6]:port                        over TCP
 *   password@ before one of these                 to log in; the password may have any characters
 *   redis://[[user]:password@]host[:port][/db]    the same as a URL, by default with port 6379
 *   rediss://...                                  the same over TLS, if hiredis has it (version 1)
 *   unix://[[user]:password@]/path[?db=db]        a UNIX socket as a URL
 *
 * Over TLS the certificate must be valid for the host, and signed by an authority
 * that the system knows or that SSL_CERT_FILE has. In a URL the user, the password
 * and the path are percent-encoded. DUPLEX_REDIS_FILE may name a file whose first
 * line is the address. The default is /run/duplex-redis/redis.sock.
 *
 * The name of a channel is 1 to 64 letters, digits, "-" and "_". The newest
 * 10,000 messages of a channel are kept, or 32 MiB of them in Redis; where Redis is
 * full, the oldest of the largest channel give way. A message is valid UTF-8 of at
 * most 16384 bytes without a newline. All lengths are in bytes; no function keeps a
 * string that it was given.
 */
#ifndef PUSH_H
#define PUSH_H

#include "websocket.h"

#ifdef __cplusplus
extern "C" {
#endif

/* true if name can be the name of a channel */
bool websocket_is_channel(const char *name);

/*
 * Subscribes the client to a channel. While this program waits or reads, the
 * client gets what is published on the channel, in order and each message once. In a
 * resident process all subscribers of a channel share one connection to Redis, and
 * this call and those below hold up no other client.
 * Each is one message to the client, a line of JSON:
 * {"id":"1700000000000-0","text":"hello"}. Where messages may be missing, the line
 * {"gap":"1700000000000-0"} comes before the next one, with the id of the message
 * that the client has seen last: all that is kept follows, some of which it may
 * have seen. That is so if that id is newer than all of the channel, as after a
 * failover to a Redis that was behind, or if a slow client was overtaken by the
 * end of what is kept.
 *   after  says where to begin:
 *          an id: after that message, with all that is still kept, for a client that comes back;
 *          "-20": with the last 20, and so on, to 100;
 *          NULL: with what is still to come
 * Returns 0, or -1 with errno set:
 *   EINVAL   channel is not a valid name, or after is none of these
 *   EALREADY this client has subscribed before
 *   EPIPE    the connection is over
 *   EIO      Redis cannot be reached, or refuses
 *   ENOMEM   memory is short
 *   another  a system call failed with it
 * After the last three the connection is over, and websocket_reason tells why.
 * Later the connection ends with WEBSOCKET_ERROR and
 *   EIO        if Redis is lost, or hangs: that is noticed within 2 seconds in a resident
 *              process, and within 11 in one that serves one client;
 *   ENOBUFS    in a resident process, if the client is behind by more than a MiB, or
 *              memory for all clients is short;
 *   ETIMEDOUT  if the client takes nothing for 30 seconds.
 * Resident, the close code is then 1013 but for the last: the client may come back
 * with the id of the last message that it got.
 * After this call websocket_read and websocket_wait may wait for the client as
 * websocket_send does, whatever the timeout.
 */
int websocket_subscribe(struct websocket *ws, const char *channel,
			const char *after) WEBSOCKET_CHECKED;

/*
 * Publishes length bytes at text on the channel. The connection to Redis is
 * kept from one call to the next, so only one thread may call this. SIGPIPE must
 * be ignored, as it is under websocket_run. If Redis does not answer, it waits for a
 * second, and for another second all calls fail at once. Returns 0, or -1 with errno
 * set:
 *   EINVAL    channel is not a valid name
 *   EMSGSIZE  the text is longer than 16384 bytes
 *   EILSEQ    the text is not valid UTF-8, or contains a newline
 *   EIO       Redis cannot be reached, or did not confirm that it took the message
 */
int websocket_publish(const char *channel, const char *text, size_t length) WEBSOCKET_CHECKED;

/*
 * The same for a message that the client of ws has sent. DUPLEX_MAX_PUBLISH limits
 * how many an address may publish in a second, over HTTP and WebSocket together,
 * by default 20, and twice as many at once after a pause; 0 switches it off. IPv6
 * addresses of one network of /64 count as one. Returns 0, or -1 with errno set to one
 * of the above, or to
 *   EDQUOT    the client has published too many
 * After -1 the connection is over, and websocket_reason tells why. The close code is 1009
 * for EMSGSIZE, 1013 for EIO, and 1008 for the others.
 */
int websocket_publish_from(struct websocket *ws, const char *channel, const char *text,
			   size_t length);

#ifdef __cplusplus
}
#endif

#endif
