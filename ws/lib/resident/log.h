/*
 * What a resident process writes to the log about its clients: a line for each event worth an
 * operator's time, but no more of them in a second than somebody could read. So a client that
 * breaks the rules thousands of times a second does not fill a disk.
 */
#ifndef LOG_H
#define LOG_H

#include "timers.h"

#include <stdbool.h>
#include <stddef.h>

struct worker;

/* why a handshake was refused */
enum refusal {
	REFUSED_MALFORMED,
	REFUSED_LATE,
	REFUSED_FULL,
	REFUSED_MEMORY,
	REFUSED_ADDRESS,
	REFUSED_BY_VIEW,
	REFUSALS,
};

enum {
	LOG_LINES_PER_SECOND = 20,
	LOG_QUIET_MS = 60000, /* a reason that has not come for so long is logged again */
};

/* begins as {0} */
struct log {
	struct timer timer; /* tells how many lines were left out */
	long long since;    /* when the second began */
	size_t lines;       /* in this second */
	size_t left_out;
	long long refused_at[REFUSALS]; /* when each was the reason last; 0 for never */
	long long paused_at;            /* when accepting was last paused; 0 for never */
};

/* True if a line may be written now. If not, it is counted, and a line gives their number when the
 * second is over. */
bool log_may_add(struct worker *worker);

/* True if an event that may repeat is to be logged: *last, when it came last, is LOG_QUIET_MS ago
 * or more, or 0. Sets *last to now. */
bool log_is_new(const struct worker *worker, long long *last);

/* writes how many lines were left out, if there are some */
void log_tell_left_out(struct worker *worker);

#endif
