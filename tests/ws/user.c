/* user.c: the user's name from the headers of a web server, and from nothing that looks nearly like
 * them */
#include "user.h"
#include "edge.h"
#include "tap.h"

#define NAME_255 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const struct {
	const char *remote_user;
	const char *forwarded;
	const char *name; /* NULL: nobody */
	int line;
} table[] = {
	{"", "", NULL, __LINE__},
	{"alice", "", "alice", __LINE__},
	{"a b", "", "a b", __LINE__},
	{"alice", "remote_user=\"bob\"", "alice", __LINE__},
	{NAME_255, "", NAME_255, __LINE__},
	{NAME_255 "a", "", NULL, __LINE__},
	{NAME_255 "a", "remote_user=\"bob\"", NULL, __LINE__},
	{"", "remote_user=\"bob\"", "bob", __LINE__},
	{"", "remote_user=\"b \\\"o\\\\b\"", "b \"o\\b", __LINE__},
	{"", "remote_user=\"" NAME_255 "\"", NAME_255, __LINE__},
	{"", "remote_user=\"" NAME_255 "a\"", NULL, __LINE__},
	{"", "remote_user=\"\"", NULL, __LINE__},
	{"", "remote_user=\"", NULL, __LINE__},
	{"", "remote_user=", NULL, __LINE__},
	{"", "remote_user=bob", NULL, __LINE__},
	{"", "remote_user=\"bob", NULL, __LINE__},
	{"", "remote_user=\"bob\\\"", NULL, __LINE__},
	{"", "remote_user=\"\\\"", NULL, __LINE__},
	{"", "remote_user=\"bob\"x\"", NULL, __LINE__},
	{"", "remote_user=\"bob\", for=192.0.2.1", NULL, __LINE__},
	{"", "for=192.0.2.1, remote_user=\"bob\"", NULL, __LINE__},
	{"", "for=192.0.2.1;remote_user=\"bob\"", NULL, __LINE__},
	{"", "Remote_User=\"bob\"", NULL, __LINE__},
};

static void check(size_t i)
{
	size_t lengths[] = {strlen(table[i].remote_user), strlen(table[i].forwarded)};
	char *values[] = {edge_copy(table[i].remote_user, lengths[0]),
			  edge_copy(table[i].forwarded, lengths[1])};
	char name[USER_NAME_SIZE];
	bool has_user = user_name((struct span){values[0], lengths[0]},
				  (struct span){values[1], lengths[1]}, name);

	ok(has_user ? table[i].name && strcmp(name, table[i].name) == 0 : table[i].name == NULL,
	   "line %d: the user is %.20s", table[i].line, table[i].name ? table[i].name : "nobody");
	edge_free(values[0], lengths[0]);
	edge_free(values[1], lengths[1]);
}

int main(void)
{
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		check(i);
	return done();
}
