/* How many whole messages wait in what a client has sent: frames_count, whole and cut anywhere. */
#include "client_frames.h"
#include "edge.h"
#include "tap.h"

static const char mask[4] = {1, 2, 3, 4};

struct part {
	unsigned first; /* byte of the frame */
	size_t length;
};

enum { TEXT = 0x81, BINARY = 0x82, PART = 0x01, CONTINUATION = 0x00, LAST = 0x80 };
enum { CLOSE = 0x88, PING = 0x89, PONG = 0x8A };

static const struct {
	const char *name;
	struct part parts[6]; /* up to one whose first byte is END */
	size_t wanted;
} table[] = {
#define END 0xFF, 0
	{"no bytes", {{END}}, 0},
	{"one message", {{TEXT, 5}, {END}}, 1},
	{"an empty message", {{TEXT, 0}, {END}}, 1},
	{"messages of both kinds", {{TEXT, 5}, {BINARY, 7}, {TEXT, 1}, {END}}, 3},
	{"messages whose lengths take two bytes and eight", {{TEXT, 126}, {TEXT, 65536}, {END}}, 2},
	{"pings and pongs between messages",
	 {{PING, 3}, {TEXT, 1}, {PONG, 0}, {TEXT, 2}, {END}},
	 2},
	{"a message in three fragments", {{PART, 1}, {CONTINUATION, 2}, {LAST, 3}, {END}}, 1},
	{"fragments without the last one", {{PART, 1}, {CONTINUATION, 2}, {END}}, 0},
	{"a message before a close frame and one after it",
	 {{TEXT, 1}, {CLOSE, 2}, {TEXT, 1}, {END}},
	 1},
};

static void check(size_t number)
{
	struct client_bytes all = {0};
	size_t last = 0;

	for (const struct part *part = table[number].parts; part->first != 0xFF; part++) {
		char *payload = calloc(1, part->length + 1);
		last = all.length;
		client_frame(&all, part->first, payload, part->length, mask);
		free(payload);
	}
	char *bytes = edge_copy(all.bytes, all.length);
	ok(frames_count(bytes, all.length) == table[number].wanted, "%s: %zu", table[number].name,
	   table[number].wanted);
	edge_free(bytes, all.length);

	size_t whole = frames_count(all.bytes, last);
	bool is_steady = true;
	for (size_t length = last; length < all.length; length++) {
		bytes = edge_copy(all.bytes, length);
		is_steady = is_steady && frames_count(bytes, length) == whole;
		edge_free(bytes, length);
		if (length > last + 20 && length + 20 < all.length)
			length = all.length - 20;
	}
	ok(is_steady, "%s: a last frame that is not whole is not counted", table[number].name);
	free(all.bytes);
}

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		check(i);
	return done();
}
