#include "inbox.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
	BLOCK_SIZE = 16384, /* usual size of a block */
	KEPT_SIZE = 65536,  /* larger blocks are freed when empty */
	LEAST_SPACE = 4096, /* with less room than this, start a new block */
};

struct inbox_block {
	struct inbox_block *next;
	size_t size;
	size_t head; /* the first message that waits */
	size_t tail; /* the end of what came in */
	char bytes[];
};

void inbox_init(struct inbox *inbox, size_t max_message, size_t max_queue)
{
	*inbox = (struct inbox){
		.max_message = max_message, .max_queue = max_queue, .last = &inbox->first};
}

/* bytes of the message that is not yet whole */
static size_t partial(const struct inbox *inbox)
{
	return *inbox->last ? (*inbox->last)->tail - inbox->line : 0;
}

size_t inbox_waiting(const struct inbox *inbox)
{
	return inbox->whole + partial(inbox);
}

/* Enlarges the last block, which holds only the message that is not yet whole. NULL if memory is
 * short. */
static struct inbox_block *grow(struct inbox *inbox, size_t size)
{
	struct inbox_block *block = realloc(*inbox->last, sizeof *block + size);

	if (block) {
		block->size = size;
		*inbox->last = block;
	}
	return block;
}

/* Adds a block and moves the message that is not yet whole into it. NULL if memory is short. */
static struct inbox_block *append(struct inbox *inbox, size_t size)
{
	struct inbox_block *last = *inbox->last;
	struct inbox_block *block = malloc(sizeof *block + size);

	if (block == NULL)
		return NULL;
	*block = (struct inbox_block){.size = size, .tail = partial(inbox)};
	if (last) {
		memcpy(block->bytes, last->bytes + inbox->line, block->tail);
		last->tail = inbox->line;
		last->next = block;
		inbox->last = &last->next;
	} else {
		inbox->first = block;
	}
	inbox->line = 0;
	return block;
}

/* A large block is used for one large message only. A second message in it would soon reach the end
 * and have to be copied away, and its place would be wasted. */
static bool is_used_up(const struct inbox *inbox, const struct inbox_block *block)
{
	return block->size - block->tail < LEAST_SPACE ||
	       (block->size > KEPT_SIZE && inbox->line > 0);
}

char *inbox_space(struct inbox *inbox, size_t *size)
{
	struct inbox_block *last = *inbox->last;

	if (last == NULL || is_used_up(inbox, last)) {
		size_t wanted = partial(inbox) * 2 > BLOCK_SIZE ? partial(inbox) * 2 : BLOCK_SIZE;
		last = last && inbox->line == 0 ? grow(inbox, wanted) : append(inbox, wanted);
		if (last == NULL)
			return NULL;
	}
	*size = last->size - last->tail;
	return last->bytes + last->tail;
}

/* the state after a message of this length, whether it is whole or has only begun */
static enum inbox_state judge(const struct inbox *inbox, const char *text, size_t length,
			      bool is_whole)
{
	if (length > inbox->max_message)
		return INBOX_TOO_LONG;
	if (inbox->whole + length + is_whole > inbox->max_queue)
		return INBOX_FULL;
	if (is_whole && utf8_valid_prefix(text, length) < length)
		return INBOX_NOT_UTF8;
	return INBOX_OPEN;
}

enum inbox_state inbox_commit(struct inbox *inbox, size_t size)
{
	struct inbox_block *block = *inbox->last;
	size_t at = block->tail;
	size_t end = at + size;

	while (inbox->state == INBOX_OPEN && at < end) {
		char *newline = memchr(block->bytes + at, '\n', end - at);
		at = newline ? (size_t)(newline - block->bytes) : end;
		inbox->state = judge(inbox, block->bytes + inbox->line, at - inbox->line,
				     newline != NULL);
		if (inbox->state == INBOX_OPEN && newline) {
			inbox->whole += ++at - inbox->line;
			inbox->line = at;
			inbox->count++;
		}
	}
	block->tail = inbox->state == INBOX_OPEN ? end : inbox->line;
	return inbox->state;
}

bool inbox_is_partial(const struct inbox *inbox)
{
	return partial(inbox) > 0;
}

enum inbox_state inbox_pause(struct inbox *inbox)
{
	if (inbox->state == INBOX_OPEN && inbox_is_partial(inbox)) {
		inbox->state = INBOX_BINARY;
		(*inbox->last)->tail = inbox->line;
	}
	return inbox->state;
}

/* gives back the first block once all that was in it has been taken out */
static void release(struct inbox *inbox)
{
	struct inbox_block *block = inbox->first;

	if (block == NULL || block->head < block->tail)
		return;
	if (block->next == NULL)
		inbox->line = 0;
	if (block->next == NULL && block->size <= KEPT_SIZE) {
		block->head = block->tail = 0;
		return;
	}
	if (inbox->last == &block->next)
		inbox->last = &inbox->first;
	inbox->first = block->next;
	free(block);
}

bool inbox_take(struct inbox *inbox, const char **text, size_t *length)
{
	release(inbox);
	if (inbox->count == 0)
		return false;

	struct inbox_block *block = inbox->first;
	char *start = block->bytes + block->head;
	char *newline = memchr(start, '\n', block->tail - block->head);
	*newline = '\0';
	*text = start;
	*length = (size_t)(newline - start);
	block->head += *length + 1;
	inbox->whole -= *length + 1;
	inbox->count--;
	return true;
}

void inbox_free(struct inbox *inbox)
{
	for (struct inbox_block *block = inbox->first, *next; block; block = next) {
		next = block->next;
		free(block);
	}
	inbox->first = NULL;
	inbox->last = &inbox->first;
	inbox->line = inbox->whole = inbox->count = 0;
}
