/*
 * TLS for the connection to Redis, by libhiredis_ssl and libssl. They are loaded
 * when an address asks for them: an endpoint of one client would otherwise pay
 * for them at each start.
 *
 * The certificate of Redis must be valid for the host in the address, and signed
 * by an authority that the system knows, or that SSL_CERT_FILE has.
 */
#ifndef REDIS_TLS_H
#define REDIS_TLS_H

struct redisContext; /* of hiredis */

/* Loads the library with this name. Returns NULL, or why that fails, in static memory. */
const char *redis_tls_load(const char *library);

/* Begins TLS on a new connection that does not block; the handshake goes on when something is sent.
 * Stores what redis_tls_explain needs, which belongs to the connection, in *ssl. Returns NULL, or
 * why that fails, in static memory. */
const char *redis_tls_begin(struct redisContext *context, const char *host, void **ssl);

/* why the handshake failed, in static memory */
const char *redis_tls_explain(void *ssl);

#endif
