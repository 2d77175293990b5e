/*
 * Runs a fuzz target once for each file of its corpus, without libFuzzer: a
 * regression test for any compiler. With arguments it runs the target for those files, such as
 * a finding of "make fuzz".
 */
#include "fuzz.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>

/* runs the target, which aborts after the file's name was printed if something does not hold */
static void replay(const char *path)
{
	enum { LARGEST = 1048576 };
	char *bytes = malloc(LARGEST);
	FILE *file = fopen(path, "r");

	printf("# %s\n", path);
	fflush(stdout);
	if (!ok(bytes && file, "%s can be read", path))
		return;
	size_t length = fread(bytes, 1, LARGEST, file);
	fclose(file);
	char *exact = fuzz_copy(bytes, length);
	ok(LLVMFuzzerTestOneInput((const uint8_t *)exact, length) == 0, "the target accepts %s",
	   path);
	free(exact);
	free(bytes);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_directory(const char *directory)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_visible, alphasort);

	ok(count > 0, "%s has %d inputs", directory, count);
	for (int i = 0; i < count; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		replay(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

int main(int argc, char **argv)
{
	char directory[256];

	snprintf(directory, sizeof directory, "tests/fuzz/corpus/%s",
		 program_invocation_short_name);
	if (argc == 1)
		replay_directory(directory);
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	return done();
}
