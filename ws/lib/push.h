/*
 * Messages from one endpoint to many: an endpoint that includes this header is
 * linked with hiredis, and needs Redis, whose address is in DUPLEX_REDIS (a
 * path, or host:port, with "password@" before it if one is needed; default
 * /run/duplex-redis/redis.sock).
 *
 * A channel has a name of 1 to 64 letters, digits, "-" and "_". Its newest
 * 10,000 messages are kept. A message is valid UTF-8 of up to 16384 bytes
 * without a newline.
 */
#ifndef PUSH_H
#define PUSH_H

#include "websocket.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * From now on the client gets what is published on the channel, in order and
 * each message once, while this program waits or reads. Each is one message, a
 * line of JSON: {"id":"1700000000000-0","text":"hello"}.
 *   after  an id: what was published after that message and is still kept, for a client that
 *          comes back;
 *          "-20": the last 20, and so on, to 100; NULL, "" or anything else: only what comes
 * Returns 0, or -1 with errno set:
 *   EINVAL   channel is no name
 *   EALREADY this client has subscribed before
 *   EIO      Redis cannot be reached; the connection is over, websocket_reason tells why
 *   ENOMEM   memory is short; the connection is over
 * If Redis goes, the connection ends with WEBSOCKET_ERROR and EIO. One whose
 * client takes nothing for 30 seconds ends with ETIMEDOUT, and one that is behind
 * by more than is kept with ENOBUFS. From now on websocket_read and websocket_wait
 * may wait for the client, as websocket_send does, whatever the timeout.
 */
int websocket_subscribe(struct websocket *ws, const char *channel, const char *after);

/*
 * Publishes length bytes at text on the channel, over a connection that is kept
 * from one call to the next: one thread may call it, and SIGPIPE must be ignored,
 * as it is under websocket_run. It waits for a second at each step, to connect and
 * to be answered, if Redis does not answer. Returns 0, or -1 with errno set:
 *   EINVAL    channel is no name
 *   EMSGSIZE  the text is longer than 16384 bytes
 *   EILSEQ    it is not valid UTF-8, or contains a newline
 *   EIO       Redis cannot be reached, or did not say that it took the message
 */
int websocket_publish(const char *channel, const char *text, size_t length);

#ifdef __cplusplus
}
#endif

#endif
