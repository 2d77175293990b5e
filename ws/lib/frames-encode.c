/* what a server sends: heads of frames without a mask, and close frames (RFC 6455 5.2, 5.5.1) */
#include "frames.h"

#include <string.h>

enum { FIN = 0x80, LENGTH_16 = 126, LENGTH_64 = 127 };

bool frames_is_close_code(int code)
{
	bool is_defined = code >= 1000 && code <= 1014 && code != 1004 &&
			  code != FRAMES_CODE_NONE && code != FRAMES_CODE_LOST;

	return is_defined || (code >= 3000 && code <= 4999);
}

size_t frames_head(char head[FRAMES_HEAD_SIZE], enum frames_opcode opcode, size_t length)
{
	size_t bytes = length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;

	head[0] = (char)(FIN | opcode);
	head[1] = (char)(bytes == 0 ? length : bytes == 2 ? LENGTH_16 : LENGTH_64);
	for (size_t i = 0; i < bytes; i++)
		head[2 + i] = (char)((uint64_t)length >> 8 * (bytes - 1 - i));
	return 2 + bytes;
}

size_t frames_close(char frame[FRAMES_CLOSE_SIZE], int code, const char *reason, size_t length)
{
	size_t size = 2;

	if (code == FRAMES_CODE_NONE)
		return frames_head(frame, FRAMES_OPCODE_CLOSE, 0);
	if (length > FRAMES_MAX_REASON)
		length = utf8_valid_prefix(reason, FRAMES_MAX_REASON);
	size = frames_head(frame, FRAMES_OPCODE_CLOSE, 2 + length);
	frame[size] = (char)(code >> 8);
	frame[size + 1] = (char)code;
	if (length > 0)
		memcpy(frame + size + 2, reason, length);
	return size + 2 + length;
}
