#include "log.h"
#include "worker.h"

#include <stdio.h>

enum { SECOND_MS = 1000 };

void log_tell_left_out(struct worker *worker)
{
	struct log *log = &worker->log;

	timers_clear(&worker->loop.timers, &log->timer);
	if (log->left_out > 0)
		fprintf(stderr, "%s: %zu more lines were left out within a second\n", worker->name,
			log->left_out);
	log->left_out = 0;
}

static void expire(struct timer *timer)
{
	log_tell_left_out((struct worker *)((char *)timer - offsetof(struct worker, log.timer)));
}

bool log_may_add(struct worker *worker)
{
	struct log *log = &worker->log;

	if (worker->loop.now - log->since >= SECOND_MS) {
		log->since = worker->loop.now;
		log->lines = 0;
	}
	if (log->lines++ < LOG_LINES_PER_SECOND)
		return true;
	if (log->left_out++ == 0) {
		log->timer.expire = expire;
		timers_set(&worker->loop.timers, &log->timer, log->since + SECOND_MS);
	}
	return false;
}

bool log_is_new(const struct worker *worker, long long *last)
{
	bool is_new = *last == 0 || worker->loop.now - *last >= LOG_QUIET_MS;

	*last = worker->loop.now;
	return is_new;
}
