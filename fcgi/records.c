#include "records.h"
#include "http.h"

/* FastCGI Specification 1.0, 8 */
enum { VERSION = 1, BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5, GET_VALUES = 9 };
enum { BEGIN_SIZE = 8, ROLE_SIZE = 2, AUTHORIZER = 2 };

/* The size of FCGI_GET_VALUES with each of its three names once. libfcgi has room for the answer to
 * these, and writes beyond that room for more (CVE-2025-23016 is about lengths in the same
 * function).
 */
enum { GET_VALUES_MAX = 48 };

/* how many other records libfcgi may answer, since nobody reads its answers meanwhile */
enum { OTHERS_MAX = 64 };

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* reads the length that begins at *at, and moves *at behind it; false if it is not all there */
static bool read_length(const struct records_pairs *pairs, size_t *at, size_t *length)
{
	const unsigned char *bytes = pairs->lengths + *at;
	size_t there = pairs->gathered - *at;

	if (there == 0 || ((bytes[0] & 0x80) && there < 4))
		return false;
	*length = bytes[0];
	*at += 1;
	if (bytes[0] & 0x80) {
		*length = (size_t)(bytes[0] & 0x7f) << 24 | (size_t)bytes[1] << 16 |
			  (size_t)bytes[2] << 8 | bytes[3];
		*at += 3;
	}
	return true;
}

/* false if a pair is longer than a request may be: libfcgi allocates what the lengths say, and
 * asserts that it got it */
static bool take_length_byte(struct records_pairs *pairs, unsigned char byte)
{
	size_t at = 0;
	size_t name;
	size_t value;

	pairs->lengths[pairs->gathered++] = byte;
	if (!read_length(pairs, &at, &name) || !read_length(pairs, &at, &value))
		return true;
	pairs->gathered = 0;
	pairs->left = name + value;
	return pairs->left <= RECORDS_SIZE_MAX;
}

static bool take_pairs(struct records_pairs *pairs, const unsigned char *bytes, size_t length)
{
	while (length > 0) {
		size_t n = smaller(length, pairs->left);
		if (n == 0 && !take_length_byte(pairs, *bytes))
			return false;
		pairs->left -= n;
		n += n == 0;
		bytes += n;
		length -= n;
	}
	return true;
}

static bool are_open(const struct records_pairs *pairs)
{
	return pairs->gathered > 0 || pairs->left > 0;
}

/*
 * Begins FCGI_GET_VALUES, or a second request while ours comes, which libfcgi declines. libfcgi
 * would handle other records wrongly: it keeps memory for an unknown management record and takes
 * its content for another record, and it confuses empty records of other requests with ours.
 */
static enum records_state begin_other(struct records *records, unsigned int id, unsigned int type)
{
	bool is_question = id == 0 && type == GET_VALUES;

	if (!is_question && type != BEGIN_REQUEST)
		return RECORDS_REFUSED;
	if (is_question && records->content > GET_VALUES_MAX)
		return RECORDS_REFUSED;
	records->kind = is_question ? RECORDS_VALUES : RECORDS_SKIPPED;
	return ++records->others > OTHERS_MAX ? RECORDS_REFUSED : RECORDS_MORE;
}

static enum records_state begin_record(struct records *records)
{
	const unsigned char *header = records->header;
	unsigned int type = header[1];
	unsigned int id = (unsigned int)header[2] << 8 | header[3];

	records->content = (size_t)header[4] << 8 | header[5];
	records->padding = header[6];
	records->kind = RECORDS_SKIPPED;
	if (header[0] != VERSION)
		return RECORDS_REFUSED;
	if (type == BEGIN_REQUEST && (id == 0 || records->content != BEGIN_SIZE))
		return RECORDS_REFUSED;
	if (type == BEGIN_REQUEST && records->id == 0) {
		records->id = id;
		records->kind = RECORDS_BEGIN;
		return RECORDS_MORE;
	}
	if (id == 0 || type == BEGIN_REQUEST || (records->id && id != records->id))
		return begin_other(records, id, type);
	if (records->id == 0 || type != (records->has_params ? STDIN : PARAMS))
		return RECORDS_REFUSED;
	records->kind = records->has_params ? RECORDS_STDIN : RECORDS_PARAMS;
	return RECORDS_MORE;
}

/* the role is what the content begins with */
static void take_begin(struct records *records, const unsigned char *bytes, size_t length)
{
	size_t at = BEGIN_SIZE - records->content - length;

	for (size_t i = 0; i < length && at + i < ROLE_SIZE; i++)
		records->role = records->role << 8 | bytes[i];
}

static enum records_state take_content(struct records *records, const unsigned char *bytes,
				       size_t length)
{
	switch (records->kind) {
	case RECORDS_BEGIN:
		take_begin(records, bytes, length);
		break;
	case RECORDS_PARAMS:
		return take_pairs(&records->params, bytes, length) ? RECORDS_MORE : RECORDS_REFUSED;
	case RECORDS_VALUES:
		return take_pairs(&records->values, bytes, length) ? RECORDS_MORE : RECORDS_REFUSED;
	case RECORDS_STDIN:
		records->body += length;
		return records->body < HTTP_BODY_MAX ? RECORDS_MORE : RECORDS_ENOUGH;
	case RECORDS_SKIPPED:
		break;
	}
	return RECORDS_MORE;
}

/* an empty record ends its stream, and an authorizer is sent no FCGI_STDIN (6.3) */
static enum records_state end_record(struct records *records)
{
	bool is_empty = records->header[4] == 0 && records->header[5] == 0;

	records->header_length = 0;
	if (records->kind == RECORDS_STDIN && is_empty)
		return RECORDS_WHOLE;
	if (records->kind == RECORDS_PARAMS && is_empty)
		records->has_params = true;
	if (are_open(&records->values) || (records->has_params && are_open(&records->params)))
		return RECORDS_REFUSED;
	return records->has_params && records->role == AUTHORIZER ? RECORDS_WHOLE : RECORDS_MORE;
}

/* takes a part of the header, of the content or of the padding, and returns its length */
static size_t take_part(struct records *records, const unsigned char *bytes, size_t length)
{
	size_t n = 1;

	if (records->header_length < sizeof records->header) {
		records->header[records->header_length++] = *bytes;
		if (records->header_length == sizeof records->header)
			records->state = begin_record(records);
	} else if (records->content > 0) {
		n = smaller(length, records->content);
		records->content -= n;
		records->state = take_content(records, bytes, n);
	} else {
		n = smaller(length, records->padding);
		records->padding -= n;
	}
	if (records->state == RECORDS_MORE && records->header_length == sizeof records->header &&
	    records->content == 0 && records->padding == 0)
		records->state = end_record(records);
	return n;
}

enum records_state records_take(struct records *records, const void *bytes, size_t length)
{
	const unsigned char *next = bytes;

	while (length > 0 && records->state == RECORDS_MORE) {
		size_t n = take_part(records, next, length);
		next += n;
		length -= n;
		records->size += n;
		if (records->state == RECORDS_MORE && records->size > RECORDS_SIZE_MAX)
			records->state = RECORDS_TOO_LARGE;
	}
	return records->state;
}
