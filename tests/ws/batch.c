/* The messages of a channel as frames: all of them, those after an id, and how many there can be.
 */
#include "push/batch.h"
#include "frames.h"
#include "push/stream.h"
#include "tap.h"

#include <stdlib.h>

enum { MOST = STREAM_BATCH + 2, ENOUGH = 262144 };

/* the frame of a short line of text, as a server sends it */
static size_t put_frame(char *to, const char *line)
{
	size_t head = frames_head(to, FRAMES_OPCODE_TEXT, strlen(line));

	memcpy(to + head, line, strlen(line));
	return head + strlen(line);
}

static void has_frames(const char *got, size_t length, const char *const *lines, const char *name)
{
	char wanted[1024];
	size_t size = 0;

	for (; *lines; lines++)
		size += put_frame(wanted + size, *lines);
	is(got, length, wanted, size, name);
}

static void check_frames(void)
{
	static const char *const all[] = {"{\"id\":\"1-0\",\"text\":\"one\"}", "{\"gap\":\"1-0\"}",
					  "{\"id\":\"2-0\",\"text\":\"\"}",
					  "{\"id\":\"10-1\",\"text\":\"three\"}", NULL};
	size_t length;

	batch_clear();
	batch_frames(&length);
	ok(length == 0, "an empty batch has no frames");
	ok(batch_add(NULL, "1-0", "one", 3) && batch_add(NULL, "1-0", NULL, 0) &&
		   batch_add(NULL, "2-0", "", 0) && batch_add(NULL, "10-1", "three", 5),
	   "after three messages and a gap a batch takes more");
	const char *frames = batch_frames(&length);
	has_frames(frames, length, all, "three messages and a gap are a frame each");
	frames = batch_frames_after("0-0", &length);
	has_frames(frames, length, all, "after an id before the first come all frames");
	frames = batch_frames_after("1-0", &length);
	has_frames(frames, length, all + 2, "after the first id come the frames of the others");
	frames = batch_frames_after("9-5", &length);
	has_frames(frames, length, all + 3, "ids are compared as numbers");
	frames = batch_frames_after("10-1", &length);
	has_frames(frames, length, all + 4, "after the last id comes nothing");
	ok(!batch_is_incomplete(), "nothing was left out of a batch that had room");
}

static void check_count(void)
{
	size_t before;
	size_t after;
	int count = 1;

	batch_clear();
	while (batch_add(NULL, "1-0", "x", 1) && count < 2 * MOST)
		count++;
	ok(count == MOST && !batch_is_incomplete(), "a batch has enough after %d messages", MOST);
	batch_frames(&before);
	ok(!batch_add(NULL, "1-0", "x", 1) && batch_is_incomplete(),
	   "a message more is left out, and the batch says so");
	batch_frames(&after);
	ok(before == after, "a message that is left out changes no frame");
	batch_clear();
	ok(!batch_is_incomplete() && batch_add(NULL, "1-0", "x", 1),
	   "a batch that was cleared takes messages again");
}

static void check_size(void)
{
	static char text[MESSAGE_MAX];
	size_t length = 0;
	int count = 1;

	memset(text, 'x', sizeof text);
	batch_clear();
	while (batch_add(NULL, "1-0", text, sizeof text) && count < MOST)
		count++;
	batch_frames(&length);
	ok(count == ENOUGH / MESSAGE_MAX && length >= ENOUGH && length < ENOUGH + MESSAGE_LINE_SIZE,
	   "a batch has enough after %d of the longest messages", ENOUGH / MESSAGE_MAX);
	ok(!batch_is_incomplete(), "the message that made it enough is in it");
	batch_clear();
}

int main(void)
{
	check_frames();
	check_count();
	check_size();
	return done();
}
