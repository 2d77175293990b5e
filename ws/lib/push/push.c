#include "push.h"
#include "aside.h"
#include "channel.h"
#include "frames.h"
#include "limit.h"
#include "redis-pool.h"
#include "resident/helper.h"
#include "subscription.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* room for what is said of a message that cannot be published */
enum { REASON_SIZE = 160 };

bool websocket_is_channel(const char *name)
{
	return channel_is_name(name);
}

int websocket_subscribe(struct websocket *ws, const char *channel, const char *after)
{
	if (ws->feed || ws->ended) {
		errno = ws->feed ? EALREADY : EPIPE;
		return -1;
	}
	if (!channel_is_name(channel) || (after && !channel_is_start(after))) {
		errno = EINVAL;
		return -1;
	}
	helper_prepare();
	return ws->carrier->append ? subscription_begin_shared(ws, channel, after)
				   : subscription_begin_alone(ws, channel, after);
}

/* what is done aside, on the stack of whoever publishes */
struct step {
	const struct publication *publication;
	int error; /* 0 if it was done */
	char *why; /* of EIO; room for REASON_SIZE */
};

static void publish_aside(void *argument)
{
	struct step *step = argument;
	const char *why;
	char id[MESSAGE_ID_SIZE];
	struct redis *redis = redis_pool_take(&why);

	if (redis == NULL) {
		snprintf(step->why, REASON_SIZE, "%s", why);
		return;
	}
	step->error = channel_publish(redis, step->publication, id) < 0 ? errno : 0;
	snprintf(step->why, REASON_SIZE, "Redis: %s", redis_why(redis));
	redis_pool_give(redis);
}

/* Publishes over a connection that is kept from one message to the next. *why tells of EIO. */
static int publish(const struct publication *publication, char why[REASON_SIZE])
{
	struct step step = {publication, EIO, why};

	helper_prepare();
	if (aside_call(publish_aside, &step) < 0)
		snprintf(why, REASON_SIZE, "too many others wait for Redis");
	errno = step.error;
	return step.error ? -1 : 0;
}

int websocket_publish(const char *channel, const char *text, size_t length)
{
	char why[REASON_SIZE];

	return publish(&(struct publication){channel, text, length, NULL}, why);
}

/* the close code of RFC 6455 7.4 for a message that cannot be published */
static int code_for(int error)
{
	switch (error) {
	case EMSGSIZE:
		return FRAMES_CODE_TOO_LONG;
	case EIO:
		return FRAMES_CODE_TRY_AGAIN;
	default:
		return FRAMES_CODE_POLICY;
	}
}

int websocket_publish_from(struct websocket *ws, const char *channel, const char *text,
			   size_t length)
{
	char why[REASON_SIZE];
	char reason[sizeof ws->reason];

	if (publish(&(struct publication){channel, text, length, ws->carrier->address(ws)}, why) ==
	    0)
		return 0;
	int error = errno;
	if (error == EDQUOT)
		snprintf(why, sizeof why, "more than %zu a second (DUPLEX_MAX_PUBLISH)",
			 limit_rate());
	snprintf(reason, sizeof reason, "a message is not published: %s",
		 error == EIO || error == EDQUOT ? why : strerror(error));
	connection_end(ws, error, reason);
	websocket_close_with(ws, code_for(error), "the message is not published");
	errno = error;
	return -1;
}
