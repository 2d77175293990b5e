#include "redis-settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARIABLE "DUPLEX_REDIS"
#define FILE_VARIABLE "DUPLEX_REDIS_FILE"
#define DEFAULT "/run/duplex-redis/redis.sock"

/* the first line of a file, to be freed; NULL with errno set */
static char *read_line(const char *name)
{
	FILE *file = fopen(name, "re");
	char *line = NULL;
	size_t size = 0;

	if (file == NULL)
		return NULL;
	errno = ENODATA;
	if (getline(&line, &size, file) < 0) {
		free(line);
		line = NULL;
	}
	int error = errno;
	fclose(file);
	errno = error;
	if (line)
		line[strcspn(line, "\r\n")] = '\0';
	return line;
}

/* what a variable of the environment has, if it is set and not empty */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

static int fail(int error, const char **reason, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(int error, const char **reason, const char *format, ...)
{
	static char text[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	*reason = text;
	errno = error;
	return -1;
}

int redis_settings_read(struct redis_address *address, const char **reason)
{
	const char *file = variable(FILE_VARIABLE);
	const char *text = variable(VARIABLE);
	char *line = file ? read_line(file) : NULL;

	*address = (struct redis_address){0};
	if (file && line == NULL)
		return fail(errno, reason, FILE_VARIABLE ": %s: %s", file, strerror(errno));
	const char *why = redis_address_parse(address, line ? line : text ? text : DEFAULT);
	if (line)
		explicit_bzero(line, strlen(line));
	free(line);
	if (why == NULL && address->is_tls)
		why = "this build has no TLS for Redis";
	if (why == NULL)
		return 0;
	return fail(address->memory ? EINVAL : ENOMEM, reason, "%s is not a valid address: %s",
		    file ? FILE_VARIABLE : VARIABLE, why);
}

int redis_settings_check(const char **reason)
{
	struct redis_address address;
	int result = redis_settings_read(&address, reason);
	int error = errno;

	redis_address_free(&address);
	errno = error;
	return result;
}

const char *redis_settings_describe(const struct redis_address *address, const char *why)
{
	static char text[512];

	if (address->path)
		snprintf(text, sizeof text, "Redis at %s: %s", address->path, why);
	else
		snprintf(text, sizeof text,
			 strchr(address->host, ':') ? "Redis at [%s]:%d: %s" : "Redis at %s:%d: %s",
			 address->host, address->port, why);
	return text;
}
