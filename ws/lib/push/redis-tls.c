#include "redis-tls.h"

#include <dlfcn.h>
#include <stddef.h>

enum {
	VERIFY_PEER = 1,   /* SSL_VERIFY_PEER */
	SET_HOST_NAME = 55 /* SSL_CTRL_SET_TLSEXT_HOSTNAME */
};

/* what is called of the libraries, by their names there */
static struct {
	int (*redisInitiateSSL)(struct redisContext *context, void *ssl);
	const void *(*TLS_client_method)(void);
	void *(*SSL_CTX_new)(const void *method);
	void (*SSL_CTX_free)(void *ctx);
	int (*SSL_CTX_set_default_verify_paths)(void *ctx);
	void (*SSL_CTX_set_verify)(void *ctx, int mode, void *callback);
	void *(*SSL_new)(void *ctx);
	void (*SSL_free)(void *ssl);
	long (*SSL_ctrl)(void *ssl, int command, long number, const void *pointer);
	int (*SSL_set1_host)(void *ssl, const char *host);
	void *(*SSL_get0_param)(void *ssl);
	int (*X509_VERIFY_PARAM_set1_ip_asc)(void *param, const char *address);
	long (*SSL_get_verify_result)(const void *ssl);
	const char *(*X509_verify_cert_error_string)(long result);
	unsigned long (*ERR_peek_last_error)(void);
	const char *(*ERR_reason_error_string)(unsigned long error);
} tls;

#define FUNCTION(name) #name, (void **)(void *)&tls.name

static const struct {
	const char *name;
	void **place;
} functions[] = {
	{FUNCTION(redisInitiateSSL)},
	{FUNCTION(TLS_client_method)},
	{FUNCTION(SSL_CTX_new)},
	{FUNCTION(SSL_CTX_free)},
	{FUNCTION(SSL_CTX_set_default_verify_paths)},
	{FUNCTION(SSL_CTX_set_verify)},
	{FUNCTION(SSL_new)},
	{FUNCTION(SSL_free)},
	{FUNCTION(SSL_ctrl)},
	{FUNCTION(SSL_set1_host)},
	{FUNCTION(SSL_get0_param)},
	{FUNCTION(X509_VERIFY_PARAM_set1_ip_asc)},
	{FUNCTION(SSL_get_verify_result)},
	{FUNCTION(X509_verify_cert_error_string)},
	{FUNCTION(ERR_peek_last_error)},
	{FUNCTION(ERR_reason_error_string)},
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

/* what a connection to the host needs; NULL if memory is short */
static void *make(const char *host)
{
	void *ctx = tls.SSL_CTX_new(tls.TLS_client_method());
	void *ssl = NULL;

	if (ctx && tls.SSL_CTX_set_default_verify_paths(ctx) == 1) {
		tls.SSL_CTX_set_verify(ctx, VERIFY_PEER, NULL);
		ssl = tls.SSL_new(ctx);
	}
	tls.SSL_CTX_free(ctx); /* ssl holds it */
	if (ssl == NULL || tls.X509_VERIFY_PARAM_set1_ip_asc(tls.SSL_get0_param(ssl), host) == 1)
		return ssl;
	if (tls.SSL_set1_host(ssl, host) == 1 && tls.SSL_ctrl(ssl, SET_HOST_NAME, 0, host) == 1)
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
