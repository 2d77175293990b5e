/* Whether a path is that of an endpoint: what endpoints_has makes of paths and of files. */
#include "fcgi/endpoints.h"
#include "tap.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
	const char *path;
	bool wanted;
} table[] = {
	{"/echo", true},
	{"/echo/", true},
	{"/echo/more/of/it", true},
	{"/room/chat", true},
	{"/room/chat/x", true},
	{"/room", false},
	{"/room/", false},
	{"/room/none", false},
	{"/none", false},
	{"/notes", false},
	{"/notes/x", false},
	{"/fifo", false},
	{"/", false},
	{"", false},
	{"echo", false},
	{"//echo", false},
	{"/room//chat", false},
	{"/../echo", false},
	{"/room/../echo", false},
	{"/./echo", false},
	{"/.hidden", false},
};

static void make_file(const char *name, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT, mode);

	if (fd < 0 || fchmod(fd, mode) < 0)
		exit(1);
	close(fd);
}

int main(void)
{
	char directory[] = "/tmp/endpoints-XXXXXX";
	char long_path[PATH_MAX + 16];

	if (mkdtemp(directory) == NULL || chdir(directory) < 0 || mkdir("room", 0755) < 0 ||
	    mkfifo("fifo", 0755) < 0)
		return 1;
	make_file("echo", 0755);
	make_file("room/chat", 0755);
	make_file("notes", 0644);
	make_file(".hidden", 0755);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		ok(endpoints_has(directory, table[i].path) == table[i].wanted, "\"%s\" is %s",
		   table[i].path, table[i].wanted ? "that of an endpoint" : "not");
	memset(long_path, 'x', sizeof long_path);
	long_path[0] = '/';
	long_path[sizeof long_path - 1] = '\0';
	ok(!endpoints_has(directory, long_path),
	   "a path that is too long for a file is not one of an endpoint");
	ok(!endpoints_has(NULL, "/echo"), "without a directory no path is one of an endpoint");
	unlink("echo");
	unlink("room/chat");
	unlink("notes");
	unlink(".hidden");
	unlink("fifo");
	rmdir("room");
	rmdir(directory);
	return done();
}
