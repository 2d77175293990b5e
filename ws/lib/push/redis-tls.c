#include "redis-tls.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The functions are loaded by their names. Where a library's headers are installed, the compiler
 * takes the types of its functions from them, else from here: Debian 12's hiredis has no TLS, and
 * the build does not ask for the headers of OpenSSL.
 */
#if __has_include(<hiredis/hiredis_ssl.h>)
typedef struct redisContext redisContext; /* the header needs it, and does not include it */
#include <hiredis/hiredis_ssl.h>
#define HIREDIS(result, name, parameters) __typeof__(&(name)) name
#else
#define HIREDIS(result, name, parameters) result(*(name)) parameters
#endif
#if __has_include(<openssl/ssl.h>)
#include <openssl/err.h>
#include <openssl/ssl.h>
#define OPENSSL(result, name, parameters) __typeof__(&(name)) name
#else
enum { SSL_VERIFY_PEER = 1, SSL_CTRL_SET_TLSEXT_HOSTNAME = 55, TLSEXT_NAMETYPE_host_name = 0 };
#define OPENSSL(result, name, parameters) result(*(name)) parameters
#endif

/* what is called of the libraries, by their names there */
static struct {
	HIREDIS(int, redisInitiateSSL, (void *context, void *ssl));
	OPENSSL(const void *, TLS_client_method, (void));
	OPENSSL(void *, SSL_CTX_new, (const void *method));
	OPENSSL(void, SSL_CTX_free, (void *ctx));
	OPENSSL(int, SSL_CTX_set_default_verify_paths, (void *ctx));
	OPENSSL(void, SSL_CTX_set_verify, (void *ctx, int mode, void *callback));
	OPENSSL(void *, SSL_new, (void *ctx));
	OPENSSL(void, SSL_free, (void *ssl));
	OPENSSL(long, SSL_ctrl, (void *ssl, int command, long number, void *pointer));
	OPENSSL(int, SSL_set1_host, (void *ssl, const char *host));
	OPENSSL(void *, SSL_get0_param, (void *ssl));
	OPENSSL(int, X509_VERIFY_PARAM_set1_ip_asc, (void *param, const char *address));
	OPENSSL(long, SSL_get_verify_result, (const void *ssl));
	OPENSSL(const char *, X509_verify_cert_error_string, (long result));
	OPENSSL(unsigned long, ERR_peek_last_error, (void));
	OPENSSL(const char *, ERR_reason_error_string, (unsigned long error));
} tls;

#define NAME_AND_PLACE(name) #name, (void **)(void *)&tls.name

static const struct {
	const char *name;
	void **place;
} functions[] = {
	{NAME_AND_PLACE(redisInitiateSSL)},
	{NAME_AND_PLACE(TLS_client_method)},
	{NAME_AND_PLACE(SSL_CTX_new)},
	{NAME_AND_PLACE(SSL_CTX_free)},
	{NAME_AND_PLACE(SSL_CTX_set_default_verify_paths)},
	{NAME_AND_PLACE(SSL_CTX_set_verify)},
	{NAME_AND_PLACE(SSL_new)},
	{NAME_AND_PLACE(SSL_free)},
	{NAME_AND_PLACE(SSL_ctrl)},
	{NAME_AND_PLACE(SSL_set1_host)},
	{NAME_AND_PLACE(SSL_get0_param)},
	{NAME_AND_PLACE(X509_VERIFY_PARAM_set1_ip_asc)},
	{NAME_AND_PLACE(SSL_get_verify_result)},
	{NAME_AND_PLACE(X509_verify_cert_error_string)},
	{NAME_AND_PLACE(ERR_peek_last_error)},
	{NAME_AND_PLACE(ERR_reason_error_string)},
};

const char *redis_tls_load(const char *library)
{
	static void *handle;

	if (handle)
		return NULL;
	void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (loaded == NULL)
		return dlerror();
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
		*functions[i].place = dlsym(loaded, functions[i].name);
		if (*functions[i].place == NULL)
			return dlerror();
	}
	handle = loaded;
	return NULL;
}

/* Server Name Indication (RFC 6066 3). The call copies the name, though its type does not say so.
 */
static bool set_server_name(void *ssl, const char *host)
{
	return tls.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			    (void *)host) == 1;
}

/* what a connection to the host needs; NULL if memory is short */
static void *make(const char *host)
{
	void *ctx = tls.SSL_CTX_new(tls.TLS_client_method());
	void *ssl = NULL;

	if (ctx && tls.SSL_CTX_set_default_verify_paths(ctx) == 1) {
		tls.SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		ssl = tls.SSL_new(ctx);
	}
	tls.SSL_CTX_free(ctx); /* ssl holds it */
	if (ssl == NULL || tls.X509_VERIFY_PARAM_set1_ip_asc(tls.SSL_get0_param(ssl), host) == 1)
		return ssl;
	if (tls.SSL_set1_host(ssl, host) == 1 && set_server_name(ssl, host))
		return ssl;
	tls.SSL_free(ssl);
	return NULL;
}

const char *redis_tls_begin(struct redisContext *context, const char *host, void **ssl)
{
	*ssl = make(host);
	if (*ssl == NULL)
		return "TLS cannot be set up";
	if (tls.redisInitiateSSL(context, *ssl) == 0)
		return NULL;
	const char *why = redis_tls_explain(*ssl);
	tls.SSL_free(*ssl);
	*ssl = NULL;
	return why;
}

const char *redis_tls_explain(void *ssl)
{
	long result = tls.SSL_get_verify_result(ssl);
	const char *reason = tls.ERR_reason_error_string(tls.ERR_peek_last_error());

	if (result != 0)
		return tls.X509_verify_cert_error_string(result);
	return reason ? reason : "the TLS handshake failed";
}
