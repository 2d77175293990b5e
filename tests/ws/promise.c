/* What ws/README.md promises of the API: each function of 0.2.0 has the type that it had then, and
 * so has what a source can name of the structs and values. A line here changes with the first
 * number of the version alone. */
#include "push.h"
#include "tap.h"

/* Versions of clang-format disagree on _Generic, and on types of functions. */
/* clang-format off */
#define CHECK_TYPE(function, type) \
	ok(_Generic(&(function), type: true, default: false), \
	   #function " has the type that it has had since 0.2.0")

typedef struct websocket *ws_pointer;
typedef struct websocket_message *message_pointer;

static void check_functions(void)
{
	CHECK_TYPE(is_websocket, bool (*)(void));
	CHECK_TYPE(websocket_run, int (*)(void (*)(ws_pointer)));
	CHECK_TYPE(websocket_variable, const char *(*)(ws_pointer, const char *));
	CHECK_TYPE(websocket_parameter, ptrdiff_t (*)(ws_pointer, const char *, char *, size_t));
	CHECK_TYPE(websocket_accept, int (*)(ws_pointer, const char *));
	CHECK_TYPE(websocket_refuse, int (*)(ws_pointer, int));
	CHECK_TYPE(websocket_wait,
		   enum websocket_event (*)(ws_pointer, message_pointer, int));
	CHECK_TYPE(websocket_read, enum websocket_event (*)(ws_pointer, message_pointer));
	CHECK_TYPE(websocket_count_messages, size_t (*)(ws_pointer));
	CHECK_TYPE(websocket_has_messages, bool (*)(ws_pointer));
	CHECK_TYPE(websocket_poll, int (*)(ws_pointer, struct pollfd *, size_t, int));
	CHECK_TYPE(websocket_send, int (*)(ws_pointer, const char *, size_t));
	CHECK_TYPE(websocket_send_binary, int (*)(ws_pointer, const void *, size_t));
	CHECK_TYPE(websocket_is_closed, bool (*)(ws_pointer));
	CHECK_TYPE(websocket_close, void (*)(ws_pointer));
	CHECK_TYPE(websocket_close_with, int (*)(ws_pointer, int, const char *));
	CHECK_TYPE(websocket_close_code, int (*)(ws_pointer));
	CHECK_TYPE(websocket_reason, const char *(*)(ws_pointer));
	CHECK_TYPE(websocket_fd, int (*)(ws_pointer));
	CHECK_TYPE(websocket_open, ws_pointer(*)(int, int, size_t));
	CHECK_TYPE(websocket_free, void (*)(ws_pointer));
}

static void check_push(void)
{
	CHECK_TYPE(websocket_is_channel, bool (*)(const char *));
	CHECK_TYPE(websocket_subscribe, int (*)(ws_pointer, const char *, const char *));
	CHECK_TYPE(websocket_publish, int (*)(const char *, const char *, size_t));
	CHECK_TYPE(websocket_publish_from, int (*)(ws_pointer, const char *, const char *, size_t));
}

static void check_values(void)
{
	struct websocket_message message = {0};

	CHECK_TYPE(message.text, const char **);
	CHECK_TYPE(message.length, size_t *);
	CHECK_TYPE(message.is_binary, bool *);
	ok(offsetof(struct websocket_message, text) == 0 &&
		   offsetof(struct websocket_message, length) == sizeof(char *),
	   "a message begins with its text and its length");
	ok(WEBSOCKET_ERROR == -1 && WEBSOCKET_NONE == 0 && WEBSOCKET_MESSAGE == 1 &&
		   WEBSOCKET_CLOSED == 2,
	   "the events have the values that they have had since 0.1.0");
	ok(WEBSOCKET_FOREVER == -1, "WEBSOCKET_FOREVER is -1");
}
/* clang-format on */

int main(void)
{
	check_functions();
	check_push();
	check_values();
	return done();
}
