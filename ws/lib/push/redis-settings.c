#include "redis-settings.h"
#include "redis.h"

#include <errno.h>
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

/* the value of a variable of the environment; NULL if it is not set or empty */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

int redis_settings_read(struct redis_address *address, const char **reason)
{
	static char text[512];
	const char *file = variable(FILE_VARIABLE);
	const char *plain = variable(VARIABLE);
	char *line = file ? read_line(file) : NULL;
	int error = errno;

	*address = (struct redis_address){0};
	if (file && line == NULL) {
		snprintf(text, sizeof text, FILE_VARIABLE ": %s: %s", file, strerror(error));
		*reason = text;
		errno = error;
		return -1;
	}
	const char *why = redis_address_parse(address, line ? line : plain ? plain : DEFAULT);
	if (line)
		explicit_bzero(line, strlen(line));
	free(line);
	if (why == NULL && address->is_tls)
		why = redis_prepare_tls();
	if (why == NULL)
		return 0;
	snprintf(text, sizeof text, "%s is not a valid address: %s",
		 file ? FILE_VARIABLE : VARIABLE, why);
	*reason = text;
	errno = address->memory ? EINVAL : ENOMEM;
	return -1;
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
