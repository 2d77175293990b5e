#include "client.h"
#include "latency.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* One buffer serves all clients: bytes that a socket does not take at once are put aside. */
enum { BUFFER_SIZE = 65536 };
static char buffer[BUFFER_SIZE];
static size_t buffered;

/* of the key in CLIENT_REQUEST, by RFC 6455 4.2.2 */
static const char accept_header[] = "\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n";

static void end(struct client *client, enum client_end why)
{
	if (client->state == CLIENT_GONE)
		return;
	client->state = CLIENT_GONE;
	epoll_ctl(client->use->epoll, EPOLL_CTL_DEL, client->fd, NULL);
	shutdown(client->fd, SHUT_RDWR); /* so that the server does not wait for it */
	client->use->ended(client, why);
}

static void wait_to_write(struct client *client, bool armed)
{
	struct epoll_event event = {.events = EPOLLIN | (armed ? (uint32_t)EPOLLOUT : 0),
				    .data.ptr = client};

	if (client->armed != armed)
		epoll_ctl(client->use->epoll, EPOLL_CTL_MOD, client->fd, &event);
	client->armed = armed;
}

/* how many of the bytes the socket took, -1 if it is broken */
static ssize_t give(struct client *client, const char *bytes, size_t length)
{
	ssize_t n = send(client->fd, bytes, length, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return -1;
	n = n < 0 ? 0 : n;
	client->use->bytes_out += (uint64_t)n;
	return n;
}

/* empties the buffer: what the socket does not take is the client's rest */
static int flush(struct client *client)
{
	ssize_t n = buffered ? give(client, buffer, buffered) : 0;

	if (n < 0) {
		buffered = 0;
		return -1;
	}
	if ((size_t)n < buffered) {
		client->rest_length = buffered - (size_t)n;
		client->rest = malloc(client->rest_length);
		if (client->rest == NULL)
			return -1;
		memcpy(client->rest, buffer + n, client->rest_length);
	}
	buffered = 0;
	return 0;
}

static int flush_rest(struct client *client)
{
	ssize_t n = give(client, client->rest, client->rest_length);

	if (n < 0)
		return -1;
	client->rest_length -= (size_t)n;
	memmove(client->rest, client->rest + n, client->rest_length);
	if (client->rest_length == 0) {
		free(client->rest);
		client->rest = NULL;
	}
	return 0;
}

static ssize_t on_send(wslay_event_context_ptr ws, const uint8_t *data, size_t length, int flags,
		       void *user)
{
	struct client *client = user;

	(void)flags;
	if (buffered == BUFFER_SIZE && flush(client) < 0) {
		wslay_event_set_error(ws, WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	if (client->rest) {
		wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	size_t n = length < BUFFER_SIZE - buffered ? length : BUFFER_SIZE - buffered;
	memcpy(buffer + buffered, data, n);
	buffered += n;
	return (ssize_t)n;
}

static ssize_t on_receive(wslay_event_context_ptr ws, uint8_t *data, size_t length, int flags,
			  void *user)
{
	struct client *client = user;
	ssize_t n = -1;

	(void)flags;
	errno = EAGAIN;
	if (!client->drained)
		n = recv(client->fd, data, length, 0);
	if (n <= 0) {
		bool later = n < 0 && errno == EAGAIN;
		wslay_event_set_error(ws,
				      later ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
		return -1;
	}
	client->drained = (size_t)n < length;
	client->use->bytes_in += (uint64_t)n;
	return n;
}

/* any mask will do (RFC 6455 5.3), since no browser's page chooses the bytes */
static int on_mask(wslay_event_context_ptr ws, uint8_t *mask, size_t length, void *user)
{
	static uint32_t state = 2463534242U;

	(void)ws, (void)user;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	memcpy(mask, &state, length < sizeof state ? length : sizeof state);
	return 0;
}

static void on_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *got,
		       void *user)
{
	struct client *client = user;
	const char *text = (const char *)got->msg;

	(void)ws;
	if (client->state != CLIENT_OPEN || got->opcode >= WSLAY_CONNECTION_CLOSE)
		return;
	if (got->opcode == WSLAY_TEXT_FRAME && client->use->received(client, text, got->msg_length))
		return;
	fprintf(stderr, "%s: client %u: a message of %zu bytes is wrong: \"%.*s\"\n",
		program_invocation_short_name, client->number, got->msg_length,
		(int)(got->msg_length < 60 ? got->msg_length : 60), text);
	end(client, CLIENT_WRONG);
}

void client_queue(struct client *client, const char *text, size_t length)
{
	struct wslay_event_msg msg = {WSLAY_TEXT_FRAME, (const uint8_t *)text, length};

	if (client->state == CLIENT_OPEN && wslay_event_queue_msg(client->ws, &msg) != 0)
		end(client, CLIENT_CLOSED);
}

void client_flush(struct client *client)
{
	if (client->state != CLIENT_OPEN)
		return;
	if ((client->rest && flush_rest(client) < 0) ||
	    (client->rest == NULL && (wslay_event_send(client->ws) != 0 || flush(client) < 0))) {
		buffered = 0;
		end(client, CLIENT_CLOSED);
		return;
	}
	wait_to_write(client, client->rest != NULL);
}

static void receive(struct client *client)
{
	client->drained = false;
	if (wslay_event_recv(client->ws) != 0 || !wslay_event_want_read(client->ws))
		end(client, CLIENT_CLOSED);
}

static void open_up(struct client *client)
{
	static const struct wslay_event_callbacks callbacks = {.recv_callback = on_receive,
							       .send_callback = on_send,
							       .genmask_callback = on_mask,
							       .on_msg_recv_callback = on_message};

	if (wslay_event_context_client_init(&client->ws, &callbacks, client) != 0) {
		end(client, CLIENT_CLOSED);
		return;
	}
	client->state = CLIENT_OPEN;
	client->use->opened(client);
}

/* Reads the answer to the handshake, and leaves what a server sends right after it. Returns -1 at
 * the end of the connection, 0 if the answer is not complete yet. */
static int take_head(struct client *client)
{
	char *at = client->head + client->head_length;
	size_t room = sizeof client->head - 1 - client->head_length;
	ssize_t n = recv(client->fd, at, room, MSG_PEEK);

	if (n <= 0)
		return n < 0 && errno == EAGAIN ? 0 : -1;
	at[n] = '\0';
	const char *blank = strstr(client->head, "\r\n\r\n");
	size_t wanted = blank ? (size_t)(blank + 4 - at) : (size_t)n;
	if (recv(client->fd, at, wanted, 0) != (ssize_t)wanted)
		return -1;
	at[wanted] = '\0';
	client->use->bytes_in += wanted;
	client->head_length += wanted;
	return blank != NULL;
}

static void read_answer(struct client *client)
{
	int taken = take_head(client);

	if (taken == 0)
		return;
	if (taken > 0 && strncmp(client->head, "HTTP/1.1 101 ", 13) == 0 &&
	    strcasestr(client->head, accept_header))
		open_up(client);
	else
		end(client, CLIENT_REFUSED);
}

/* a request of some hundred bytes fits into a new socket */
static void shake(struct client *client)
{
	size_t length = strlen(client->use->request);

	if (give(client, client->use->request, length) != (ssize_t)length) {
		end(client, CLIENT_REFUSED);
		return;
	}
	client->state = CLIENT_SHAKING;
	wait_to_write(client, false);
}

void client_connect(struct client *client, struct client_use *use, unsigned int number)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};

	*client = (struct client){.use = use, .number = number, .state = CLIENT_CONNECTING};
	client->started = latency_now();
	client->armed = true;
	client->fd = socket(use->address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (client->fd < 0 || epoll_ctl(use->epoll, EPOLL_CTL_ADD, client->fd, &event) < 0 ||
	    (connect(client->fd, use->address, use->address_length) < 0 && errno != EINPROGRESS)) {
		fprintf(stderr, "%s: connect: %s\n", program_invocation_short_name,
			strerror(errno));
		end(client, CLIENT_REFUSED);
	}
}

void client_handle(struct client *client, uint32_t events)
{
	if (client->state == CLIENT_CONNECTING && events & (EPOLLERR | EPOLLHUP))
		end(client, CLIENT_REFUSED);
	else if (client->state == CLIENT_CONNECTING && events & EPOLLOUT)
		shake(client);
	else if (client->state == CLIENT_SHAKING)
		read_answer(client);
	else if (client->state == CLIENT_OPEN && events & ~(uint32_t)EPOLLOUT)
		receive(client);
	client_flush(client);
}

void client_close(struct client *client)
{
	if (client->state == CLIENT_OPEN && client->rest == NULL &&
	    wslay_event_queue_close(client->ws, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0) == 0 &&
	    wslay_event_send(client->ws) == 0)
		flush(client);
	buffered = 0;
	if (client->ws)
		wslay_event_context_free(client->ws);
	if (client->fd >= 0 && client->state != CLIENT_NEW)
		close(client->fd);
	free(client->rest);
	*client = (struct client){.state = CLIENT_GONE, .fd = -1};
}
