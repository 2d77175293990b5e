/* libwebsockets, after its minimal echo server: what came in waits in a list for the socket to be
 * writable */
#include <libwebsockets.h>
#include <stdlib.h>
#include <string.h>

struct piece {
	struct piece *next;
	size_t length;
	int flags;
	unsigned char bytes[];
};

struct session {
	struct piece *first, **last;
};

static int keep(struct session *session, struct lws *wsi, const void *in, size_t length)
{
	struct piece *piece = malloc(sizeof *piece + LWS_PRE + length);

	if (piece == NULL)
		return -1;
	piece->next = NULL;
	piece->length = length;
	piece->flags = lws_write_ws_flags(LWS_WRITE_TEXT, lws_is_first_fragment(wsi),
					  lws_is_final_fragment(wsi));
	memcpy(piece->bytes + LWS_PRE, in, length);
	*session->last = piece;
	session->last = &piece->next;
	lws_callback_on_writable(wsi);
	return 0;
}

static void drop_first(struct session *session)
{
	struct piece *piece = session->first;

	session->first = piece->next;
	if (session->first == NULL)
		session->last = &session->first;
	free(piece);
}

static int write_first(struct session *session, struct lws *wsi)
{
	struct piece *piece = session->first;

	if (piece == NULL)
		return 0;
	if (lws_write(wsi, piece->bytes + LWS_PRE, piece->length,
		      (enum lws_write_protocol)piece->flags) < 0)
		return -1;
	drop_first(session);
	if (session->first)
		lws_callback_on_writable(wsi);
	return 0;
}

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
			size_t length)
{
	struct session *session = user;

	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		session->first = NULL;
		session->last = &session->first;
		return 0;
	case LWS_CALLBACK_RECEIVE:
		return keep(session, wsi, in, length);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return write_first(session, wsi);
	case LWS_CALLBACK_CLOSED:
		while (session->first)
			drop_first(session);
		return 0;
	default:
		return 0;
	}
}

static int answer(struct lws *wsi)
{
	unsigned char head[LWS_PRE + 512], body[LWS_PRE + 2048];
	unsigned char *start = head + LWS_PRE, *at = start, *end = head + sizeof head - 1;
	char *text = (char *)body + LWS_PRE;
	const char *value = lws_get_urlarg_by_name(wsi, "message=", text, sizeof body - LWS_PRE);
	size_t length = value ? strlen(value) : 0;

	memmove(text, value ? value : "", length);
	if (lws_add_http_common_headers(wsi, HTTP_STATUS_OK, "text/plain; charset=utf-8", length,
					&at, end) ||
	    lws_finalize_write_http_header(wsi, start, &at, end) ||
	    lws_write(wsi, (unsigned char *)text, length, LWS_WRITE_HTTP_FINAL) != (int)length)
		return -1;
	return lws_http_transaction_completed(wsi);
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		   size_t length)
{
	return reason == LWS_CALLBACK_HTTP ? answer(wsi)
					   : lws_callback_http_dummy(wsi, reason, user, in, length);
}

int main(int argc, char **argv)
{
	static const struct lws_protocols protocols[] = {
		{.name = "http", .callback = on_http},
		{.name = "echo",
		 .callback = on_websocket,
		 .per_session_data_size = sizeof(struct session),
		 .rx_buffer_size = 65536},
		{0}};
	static const struct lws_protocol_vhost_options as_default = {
		.options = NULL, .name = "default", .value = "1"};
	static const struct lws_protocol_vhost_options options = {
		.options = &as_default, .name = "echo", .value = ""};
	struct lws_context_creation_info info = {
		.iface = "127.0.0.1", .protocols = protocols, .pvo = &options};

	info.port = argc > 1 ? atoi(argv[1]) : 0;
	lws_set_log_level(LLL_ERR, NULL);
	struct lws_context *context = lws_create_context(&info);
	while (context && lws_service(context, 0) >= 0)
		;
	return 1;
}
