#include "chat.h"
#include "channel.h"
#include "query.h"
#include "view.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define CHANNEL "chat"
#define FORM "application/x-www-form-urlencoded"
enum { BODY_SIZE = 3 * CHANNEL_MESSAGE_MAX + 1024 }; /* each byte may be escaped */

static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static void tell_once(bool *told, const char *what, const char *why)
{
	if (!*told)
		warnx("%s%s", what, why);
	*told = true;
}

/* Whether there is a connection. A Redis that does not answer is left alone until the next
 * second, lest every request for it keeps a worker from the others that long. */
static bool has_redis(struct chat *chat)
{
	const char *reason;

	if (chat->lost == seconds())
		return false;
	if (channel_keep(&chat->redis, &reason) == 0) {
		chat->told = false;
		return true;
	}
	tell_once(&chat->told, "", reason);
	chat->lost = seconds();
	return false;
}

/* Redis was there and did not do what it was asked to */
static void fail(struct chat *chat, struct response *response)
{
	bool lost = chat->redis->err != 0;

	if (lost)
		chat->lost = seconds();
	tell_once(lost ? &chat->told : &chat->refused, "Redis: ", chat->redis->errstr);
	http_status(response, 503);
}

/* as many lines as fit into what a web server takes at once, so that no slow client keeps a worker
 */
enum { ENOUGH = 131072 };
struct lines {
	size_t length;
	char text[ENOUGH + CHANNEL_LINE_SIZE];
};

static void write_line(void *context, const char *id, const char *text, size_t length)
{
	struct lines *lines = context;

	if (lines->length >= ENOUGH)
		return;
	lines->length += channel_json(id, text, length, lines->text + lines->length);
	lines->text[lines->length++] = '\n';
}

/* what comes after an id: 0, or -1 if Redis does not tell */
static int read_lines(redisContext *redis, const char *after, struct lines *lines)
{
	char id[CHANNEL_ID_SIZE];
	void *reply = NULL;

	if (channel_start(redis, CHANNEL, after, id) < 0 ||
	    channel_ask(redis, CHANNEL, id, false) < 0 || redisGetReply(redis, &reply) != REDIS_OK)
		return -1;
	int taken = channel_take(redis, reply, write_line, lines, id);
	freeReplyObject(reply);
	return taken < 0 ? -1 : 0;
}

static void read_after(struct chat *chat, const char *after, struct response *response)
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
	if (read_lines(chat->redis, after, &lines) < 0) {
		fail(chat, response);
		return;
	}
	http_status(response, 200);
	response->content_type = "application/x-ndjson; charset=utf-8";
	response->body = lines.text;
	response->length = lines.length;
}

void chat_get(struct site *site, struct request *request, struct response *response)
{
	char *after;
	size_t length;

	if (!query_value(request->query, strlen(request->query), "after", &after, &length)) {
		files_respond(&site->files, "chat.html", request, response);
		return;
	}
	after[length] = '\0';
	read_after(&site->chat, strlen(after) == length ? after : "", response);
}

/* The rule for WebSockets holds here as well: a page of another site may not speak in its visitors'
 * name. A program, such as curl, sends no Origin. */
static bool is_same_site(const struct request *request)
{
	const char *origin = request->origin;
	const char *host = origin ? strstr(origin, "://") : NULL;

	return origin == NULL ||
	       (host && request->host && strcasecmp(host + 3, request->host) == 0);
}

static bool is_form(const char *type)
{
	size_t length = strlen(FORM);

	return type && strncasecmp(type, FORM, length) == 0 &&
	       (type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

static void publish(struct chat *chat, const char *message, size_t length,
		    struct response *response)
{
	char id[CHANNEL_ID_SIZE];

	if (!has_redis(chat)) {
		http_status(response, 503);
		return;
	}
	if (channel_publish(chat->redis, CHANNEL, message, length, id) < 0) {
		if (errno == EIO)
			fail(chat, response);
		else
			http_status(response, errno == EMSGSIZE ? 413 : 400);
		return;
	}
	chat->refused = false;
	http_print(response, 202, "%s\n", id);
}

/* The body: 0, or the status that refuses it. There may be more to read than belongs to it, and
 * less if the client is gone (RFC 3875 4.2). */
static int read_form(const struct request *request, char body[BODY_SIZE + 1], size_t *size)
{
	const char *length = request->content_length;
	bool is_told = length && length[0];
	size_t told = is_told ? strtoul(length, NULL, 10) : BODY_SIZE + 1;

	if (is_told && told > BODY_SIZE)
		return 413;
	*size = request->read_body(request->body, body, told);
	if (*size > BODY_SIZE)
		return 413;
	return is_told && *size < told ? 400 : 0;
}

void chat_post(struct site *site, struct request *request, struct response *response)
{
	static char body[BODY_SIZE + 1];
	char *message;
	size_t size;
	size_t length;

	if (!is_same_site(request)) {
		http_status(response, 403);
		return;
	}
	if (!is_form(request->content_type)) {
		http_status(response, 415);
		return;
	}
	int refused = read_form(request, body, &size);
	if (refused)
		http_status(response, refused);
	else if (!query_value(body, size, "message", &message, &length))
		http_status(response, 400);
	else
		publish(&site->chat, message, length, response);
}

void chat_close(struct chat *chat)
{
	redisFree(chat->redis);
	*chat = (struct chat){0};
}
