#include "chat.h"
#include "network.h"
#include "origin.h"
#include "push/channel.h"
#include "query.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PATH "/chat"
#define CHANNEL "chat"
#define FORM "application/x-www-form-urlencoded"
enum { WORKER_LOOKUP_MS = 20 };
enum { BODY_SIZE = 3 * MESSAGE_MAX + 1024 }; /* each byte may be escaped */
_Static_assert((int)BODY_SIZE < (int)HTTP_BODY_MAX, "one byte too many can still be read");

/* true if there is a connection */
static bool has_redis(struct chat *chat)
{
	const char *reason;

	if (redis_keep(&chat->redis, chat->lookup_ms, &reason) == 0) {
		trouble_end(&chat->reach, "Redis can be reached again");
		return true;
	}
	trouble_begin(&chat->reach, "%s", reason);
	return false;
}

/* answers that Redis did not do what it was asked to */
static void fail(struct chat *chat, struct trouble *refusal, const char *what,
		 const struct request *request, struct response *response)
{
	bool lost = redis_is_lost(chat->redis);

	trouble_begin(lost ? &chat->reach : refusal, "%s: %s: Redis: %s",
		      network_for_log(request->address), what, redis_why(chat->redis));
	http_status(response, 503);
}

/* so many bytes a web server takes at once, so that no slow client keeps a worker */
enum { ENOUGH = 131072 };
struct lines {
	size_t length;
	char text[ENOUGH + MESSAGE_LINE_SIZE];
};

static bool write_line(void *context, const char *id, const char *text, size_t length)
{
	struct lines *lines = context;

	lines->length += message_json(id, text, length, lines->text + lines->length);
	lines->text[lines->length++] = '\n';
	return lines->length < ENOUGH;
}

static void read_after(struct chat *chat, const char *channel, const char *after,
		       const struct request *request, struct response *response)
{
	static struct lines lines;

	if (!channel_is_start(after)) {
		http_status(response, 400);
		return;
	}
	lines.length = 0;
	if (!has_redis(chat)) {
		http_status(response, 503);
		return;
	}
	if (channel_read(chat->redis, channel, after, write_line, &lines) < 0) {
		fail(chat, &chat->read, "messages are not read", request, response);
		return;
	}
	trouble_end(&chat->read, "Redis can be read again");
	http_status(response, 200);
	response->content_type = "application/x-ndjson; charset=utf-8";
	response->body = lines.text;
	response->length = lines.length;
}

/* the channel that the path names; NULL if that is not a name */
static const char *channel_of(const struct request *request)
{
	const char *end = request->path + strlen(PATH);
	const char *name = end[0] == '/' && end[1] ? end + 1 : CHANNEL;

	return channel_is_name(name) ? name : NULL;
}

void chat_get(struct site *site, struct request *request, struct response *response)
{
	const char *channel = channel_of(request);
	char *after;
	size_t length;

	if (channel == NULL) {
		http_status(response, 404);
		return;
	}
	if (!query_value(request->query, strlen(request->query), "after", &after, &length)) {
		files_respond(&site->files, "chat.html", request, response);
		return;
	}
	after[length] = '\0';
	read_after(&site->chat, channel, strlen(after) == length ? after : "", request, response);
}

/* A page of another site must not publish in its visitors' name, as it may not open a WebSocket.
 * A program such as curl sends no Origin. */
static bool is_same_site(const struct request *request)
{
	return request->origin == NULL || origin_is_of_host(request->origin, request->host);
}

static bool is_form(const char *type)
{
	size_t length = strlen(FORM);

	return type && strncasecmp(type, FORM, length) == 0 &&
	       (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

/* answers that a message is not published */
static void refuse(struct chat *chat, int error, const struct request *request,
		   struct response *response)
{
	if (error == EIO)
		fail(chat, &chat->publish, "a message is not published", request, response);
	else if (error == EDQUOT)
		http_status(response, 429);
	else
		http_status(response, error == EMSGSIZE ? 413 : 400);
	if (error == EDQUOT)
		response->headers = "Retry-After: 1\r\n";
}

static void publish(struct chat *chat, const struct publication *publication,
		    const struct request *request, struct response *response)
{
	char id[MESSAGE_ID_SIZE];

	if (!has_redis(chat)) {
		http_status(response, 503);
		return;
	}
	if (channel_publish(chat->redis, publication, id) < 0) {
		refuse(chat, errno, request, response);
		return;
	}
	trouble_end(&chat->publish, "Redis takes messages again");
	http_print(response, 202, "%s\n", id);
}

/* Reads the body. Returns 0, or the status to answer with. More than the body may be there to be
 * read, or less if the client has gone (RFC 3875 4.2). */
static int read_form(const struct request *request, char body[BODY_SIZE + 1], size_t *size)
{
	size_t told;
	int refused = http_content_length(request->content_length, BODY_SIZE, &told);

	if (refused)
		return refused;
	*size = request->read_body(request->body, body, told);
	if (*size > BODY_SIZE)
		return 413;
	return told <= BODY_SIZE && *size < told ? 400 : 0;
}

/* Returns the status to answer with, or 0 if the request may publish. */
static int check_post(const struct request *request, const char *channel)
{
	if (channel == NULL)
		return 404;
	if (!is_same_site(request))
		return 403;
	return is_form(request->content_type) ? 0 : 415;
}

void chat_post(struct site *site, struct request *request, struct response *response)
{
	static char body[BODY_SIZE + 1];
	const char *channel = channel_of(request);
	char *message;
	size_t size;
	size_t length;
	int refused = check_post(request, channel);

	if (refused == 0)
		refused = read_form(request, body, &size);
	if (refused)
		http_status(response, refused);
	else if (!query_value(body, size, "message", &message, &length))
		http_status(response, 400);
	else
		publish(&site->chat,
			&(struct publication){channel, message, length, request->address}, request,
			response);
}

void chat_open(struct chat *chat, bool is_worker)
{
	*chat = (struct chat){.lookup_ms = is_worker ? WORKER_LOOKUP_MS : REDIS_OPERATION_MS};
	redis_prepare();
}

void chat_close(struct chat *chat)
{
	redis_free(chat->redis);
	*chat = (struct chat){0};
}
