#include "endpoints.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_plain(const char *path)
{
	return path[0] == '/' && path[1] != '\0' && strstr(path, "/.") == NULL &&
	       strstr(path, "//") == NULL;
}

bool endpoints_has(const char *directory, const char *path)
{
	char file[PATH_MAX];
	struct stat status;

	if (directory == NULL || !is_plain(path))
		return false;
	for (const char *end = path; *end;) {
		end += 1 + strcspn(end + 1, "/");
		int length = snprintf(file, sizeof file, "%s%.*s", directory, (int)(end - path),
				      path);
		if (length < 0 || (size_t)length >= sizeof file || stat(file, &status) < 0)
			return false;
		if (!S_ISDIR(status.st_mode))
			return S_ISREG(status.st_mode) && access(file, X_OK) == 0;
	}
	return false;
}
