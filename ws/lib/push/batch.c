#include "batch.h"
#include "frames.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

enum {
	ENOUGH = 262144,        /* bytes; less than the sockets of a client that keeps up take */
	MOST = STREAM_BATCH + 2 /* messages, and gaps between */
};

static struct {
	char *bytes;
	size_t capacity;
	size_t length;
	size_t count;
	bool is_incomplete;
	struct {
		size_t start;
		char id[MESSAGE_ID_SIZE];
	} messages[MOST];
} batch;

/* makes room for one more frame */
static bool make_room(size_t length)
{
	size_t wanted = batch.length + FRAMES_HEAD_SIZE + length;

	if (wanted <= batch.capacity)
		return true;
	char *bytes = realloc(batch.bytes, 2 * wanted);
	if (bytes == NULL)
		return false;
	batch.bytes = bytes;
	batch.capacity = 2 * wanted;
	return true;
}

bool batch_add(void *context, const char *id, const char *text, size_t length)
{
	static char line[MESSAGE_LINE_SIZE];
	size_t line_length = message_json(id, text, length, line);

	(void)context;
	if (batch.count == MOST || !make_room(line_length)) {
		batch.is_incomplete = true;
		return false;
	}
	batch.messages[batch.count].start = batch.length;
	message_copy_id(batch.messages[batch.count].id, id);
	batch.count++;
	batch.length += frames_head(batch.bytes + batch.length, FRAMES_OPCODE_TEXT, line_length);
	memcpy(batch.bytes + batch.length, line, line_length);
	batch.length += line_length;
	return batch.length < ENOUGH && batch.count < MOST;
}

bool batch_is_incomplete(void)
{
	return batch.is_incomplete;
}

const char *batch_frames(size_t *length)
{
	*length = batch.length;
	return batch.bytes;
}

const char *batch_frames_after(const char *id, size_t *length)
{
	size_t i = 0;

	while (i < batch.count && !message_is_after(batch.messages[i].id, id))
		i++;
	size_t start = i < batch.count ? batch.messages[i].start : batch.length;
	*length = batch.length - start;
	return batch.bytes + start;
}

void batch_clear(void)
{
	batch.length = batch.count = 0;
	batch.is_incomplete = false;
}
