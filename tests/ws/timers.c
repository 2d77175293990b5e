/* timers.c against a list that is searched: random timers are set, moved and cleared */
#include "resident/timers.h"
#include "tap.h"

#include <stdlib.h>

enum { TIMERS = 300, STEPS = 200000, LATEST = 1000 };

static struct timer list[TIMERS];

static struct timer *earliest(void)
{
	struct timer *first = NULL;

	for (size_t i = 0; i < TIMERS; i++)
		if (list[i].place > 0 && (first == NULL || list[i].due < first->due))
			first = &list[i];
	return first;
}

static size_t count_set(void)
{
	size_t count = 0;

	for (size_t i = 0; i < TIMERS; i++)
		count += list[i].place > 0;
	return count;
}

/* true if the heap's first is as early as the list's, and it has as many */
static bool agrees(const struct timers *timers)
{
	struct timer *first = timers_first(timers);
	struct timer *wanted = earliest();

	return timers->count == count_set() &&
	       (first && wanted ? first->due == wanted->due : first == wanted);
}

static void check_random(unsigned seed)
{
	struct timers timers = {0};
	int wrong = 0;

	srandom(seed);
	ok(timers_reserve(&timers, TIMERS) == 0, "there is room for %d timers", TIMERS);
	for (int i = 0; i < STEPS; i++) {
		struct timer *timer = &list[random() % TIMERS];
		if (random() % 3 == 0)
			timers_clear(&timers, timer);
		else
			timers_set(&timers, timer, random() % LATEST);
		if (i % 16 == 0)
			wrong += !agrees(&timers);
	}
	ok(wrong == 0, "random timers of seed %u: the first is always the one that is due first",
	   seed);

	long long last = 0;
	for (struct timer *first; (first = timers_first(&timers)) != NULL; last = first->due) {
		wrong += first->due < last;
		timers_clear(&timers, first);
	}
	ok(wrong == 0 && count_set() == 0, "seed %u: taken one by one they come in order", seed);
	timers_free(&timers);
	ok(timers.heap == NULL && timers_first(&timers) == NULL,
	   "no timer is left when all are freed");
}

int main(void)
{
	struct timers timers = {0};
	struct timer one = {0};

	ok(timers_first(&timers) == NULL, "without a timer there is no first");
	timers_clear(&timers, &one);
	ok(timers.count == 0, "a timer that is not set may be cleared");
	ok(timers_reserve(&timers, 1) == 0 && timers_reserve(&timers, 65) == 0 &&
		   timers.capacity >= 65,
	   "room for more is made");
	timers_set(&timers, &one, 5);
	timers_set(&timers, &one, 7);
	ok(timers.count == 1 && timers_first(&timers) == &one && one.due == 7,
	   "a timer that is set again is moved");
	timers_free(&timers);
	for (unsigned seed = 1; seed <= 3; seed++)
		check_random(seed);
	return done();
}
