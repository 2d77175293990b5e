#include "timers.h"

#include <stdlib.h>

/* the heap counts from 1, so that the parent of i is i / 2 */
static void put(struct timers *timers, size_t place, struct timer *timer)
{
	timers->heap[place - 1] = timer;
	timer->place = place;
}

static struct timer *at(const struct timers *timers, size_t place)
{
	return timers->heap[place - 1];
}

static void sift_up(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;

	for (; place > 1 && at(timers, place / 2)->due > timer->due; place /= 2)
		put(timers, place, at(timers, place / 2));
	put(timers, place, timer);
}

static void sift_down(struct timers *timers, struct timer *timer)
{
	size_t place = timer->place;

	for (size_t child; (child = 2 * place) <= timers->count; place = child) {
		if (child < timers->count && at(timers, child + 1)->due < at(timers, child)->due)
			child++;
		if (at(timers, child)->due >= timer->due)
			break;
		put(timers, place, at(timers, child));
	}
	put(timers, place, timer);
}

int timers_reserve(struct timers *timers, size_t count)
{
	if (count <= timers->capacity)
		return 0;

	size_t capacity = count < 64 ? 64 : 2 * count;
	size_t size = capacity * sizeof(void *);
	struct timer **heap = realloc(timers->heap, size);
	if (heap == NULL)
		return -1;
	timers->heap = heap;
	timers->capacity = capacity;
	return 0;
}

void timers_set(struct timers *timers, struct timer *timer, long long due)
{
	timer->due = due;
	if (timer->place == 0)
		put(timers, ++timers->count, timer);
	sift_up(timers, timer);
	sift_down(timers, timer);
}

void timers_clear(struct timers *timers, struct timer *timer)
{
	if (timer->place == 0)
		return;

	struct timer *last = at(timers, timers->count--);
	size_t place = timer->place;
	timer->place = 0;
	if (last == timer)
		return;
	put(timers, place, last);
	sift_up(timers, last);
	sift_down(timers, last);
}

struct timer *timers_first(const struct timers *timers)
{
	return timers->count > 0 ? timers->heap[0] : NULL;
}

void timers_free(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}
