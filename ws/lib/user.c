#include "user.h"

#include <string.h>

/* Takes the text of a quoted string (RFC 9110 5.6.4): true if that is all of the span. */
static bool unquote(struct span quoted, char name[USER_NAME_SIZE])
{
	size_t length = 0;
	size_t at = 1;

	if (quoted.length < 2 || *quoted.bytes != '"')
		return false;
	for (; at < quoted.length - 1 && quoted.bytes[at] != '"'; at++) {
		if (quoted.bytes[at] == '\\')
			at++;
		if (at == quoted.length - 1 || length == USER_NAME_SIZE - 1)
			return false;
		name[length++] = quoted.bytes[at];
	}
	name[length] = '\0';
	return length > 0 && at == quoted.length - 1 && quoted.bytes[at] == '"';
}

bool user_name(struct span remote_user, struct span forwarded, char name[USER_NAME_SIZE])
{
	static const char parameter[] = "remote_user=";
	const size_t length = sizeof parameter - 1;

	if (remote_user.length >= USER_NAME_SIZE)
		return false;
	if (remote_user.length > 0) {
		memcpy(name, remote_user.bytes, remote_user.length);
		name[remote_user.length] = '\0';
		return true;
	}
	return forwarded.length > length && memcmp(forwarded.bytes, parameter, length) == 0 &&
	       unquote((struct span){forwarded.bytes + length, forwarded.length - length}, name);
}
