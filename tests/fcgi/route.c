/* The HTTP table without a server: CGI variables in, header block and body out. Each response is
 * made twice, as GET and as HEAD, whose head must be the same. */
#include "fcgi/route.h"
#include "fcgi/files.h"
#include "fcgi/fill.h"
#include "fcgi/http.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"
#define PAGE "Cache-Control: no-cache\r\nContent-Security-Policy: default-src 'none'; "

static const struct {
	const char *script_name;
	const char *path_info;
	const char *query; /* NULL: unset */
	const char *status;
	const char *header; /* which must be in the head */
	const char *body;
	size_t length;
	int line;
} table[] = {
/* clang-format off */
#define T(script, info, query, status, header, body) \
	{script, info, query, status, header, body, sizeof(body) - 1, __LINE__}
	/* clang-format on */
	T("/echo", "", "message=Hello%2C+World%21", "200 OK", TEXT "Content-Length: 13\r\n",
	  "Hello, World!"),
	T("/echo", "", "message=hi", "200 OK",
	  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n", "hi"),
	T("", "/echo", "message=hi", "200 OK", TEXT, "hi"),
	T("/echo", NULL, "message=hi", "200 OK", TEXT, "hi"),
	T("/serialize/echo/", "", "message=hi", "200 OK", TEXT, "hi"),
	T("/serialize", "/echo/", "message=hi", "200 OK", TEXT, "hi"),
	T("/echo", "", "message=", "200 OK", "Content-Length: 0\r\n", ""),
	T("/echo", "", "message", "200 OK", "Content-Length: 0\r\n", ""),
	T("/echo", "", "message=%0A%0D%0A%00%22%3Cb%3E", "200 OK", "Content-Length: 8\r\n",
	  "\n\r\n\0\"<b>"),
	T("/echo", "", "message=%F0%9F%98%80", "200 OK", "Content-Length: 4\r\n",
	  "\xF0\x9F\x98\x80"),
	T("/echo", "", "message=%ff", "400 Bad Request", TEXT,
	  "message is not valid UTF-8 at byte 0\n"),
	T("/echo", "", "message=ab%ED%A0%80", "400 Bad Request", TEXT,
	  "message is not valid UTF-8 at byte 2\n"),
	T("/echo", "", "other=%ff", "200 OK", PAGE, "<p>index\n"),
	T("/echo", "", "", "200 OK", PAGE, "<p>index\n"),
	T("/echo", "", NULL, "200 OK",
	  "Content-Type: text/html; charset=utf-8\r\nContent-Length: 9\r\n", "<p>index\n"),
	T("/", "", "message=hi", "200 OK", PAGE, "<p>index\n"),
	T("", "/", NULL, "200 OK", PAGE, "<p>index\n"),
	T("/serialize/echo/", "", NULL, "200 OK", PAGE, "<p>index\n"),
	T("/echo", "/echo.js", NULL, "200 OK", "Content-Type: text/javascript; charset=utf-8\r\n",
	  "js\n"),
	T("/echo", "/words.js", NULL, "200 OK", "Content-Type: text/javascript; charset=utf-8\r\n",
	  "js\n"),
	T("/echo", "/reconnecting-socket.js", NULL, "200 OK",
	  "Content-Type: text/javascript; charset=utf-8\r\n", "js\n"),
	T("/echo", "/echo.css", NULL, "200 OK", "Content-Type: text/css; charset=utf-8\r\n",
	  "css\n"),
	T("/echo", "/echo.svg", NULL, "200 OK", "Content-Type: image/svg+xml\r\n", "svg\n"),
	T("/echo", "/chat.js", NULL, "200 OK", "Content-Type: text/javascript; charset=utf-8\r\n",
	  "js\n"),
	T("/chat", "", NULL, "200 OK", PAGE, "<p>chat\n"),
	T("/chat", "", "message=hi", "200 OK", PAGE, "<p>chat\n"),
	T("/chat", "/room-1_A", NULL, "200 OK", PAGE, "<p>chat\n"),
	T("/chat/room", "", "message=hi", "200 OK", PAGE, "<p>chat\n"),
	T("/chat", "/", NULL, "200 OK", PAGE, "<p>chat\n"),
	T("/chat", "//", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/chat", "/room/", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/chat", "/a/b", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/chat", "/a b", "after=-1", "404 Not Found", TEXT, "Not Found\n"),
	T("/chats", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echo", "/chat.html", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echo", "/echo.html", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echo", "/secret", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echo", "/../secret", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echo", "/", NULL, "200 OK", PAGE, "<p>index\n"),
	T("/echo/", "", "message=hi", "200 OK", TEXT, "hi"),
	T("/echo", "/language.js", NULL, "200 OK",
	  "Content-Type: text/javascript; charset=utf-8\r\n", "js\n"),
	T("/ech", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/echoo", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T(NULL, NULL, NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/%3Cb%3E", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	/* endpoints: ws/tool is one, ws/sub/tool too, ws/text is not executable, ws/.hidden must
	   not be found */
	T("/tool", "", NULL, "426 Upgrade Required", "Upgrade: websocket\r\n",
	  "Upgrade Required\n"),
	T("/tool", "/x/y", NULL, "426 Upgrade Required", "Upgrade: websocket\r\n",
	  "Upgrade Required\n"),
	T("/tool/", "", NULL, "426 Upgrade Required", "Upgrade: websocket\r\n",
	  "Upgrade Required\n"),
	T("/sub/tool", "", NULL, "426 Upgrade Required", "Upgrade: websocket\r\n",
	  "Upgrade Required\n"),
	T("/sub", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/sub/", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/text", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/.hidden", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/../outside", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("/sub/../tool", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("//tool", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
	T("tool", "", NULL, "404 Not Found", TEXT, "Not Found\n"),
#undef T
};

/* builds an environment, answers it, and writes head and body one after the other to out */
static size_t answer(struct site *site, char **envp, char *out, size_t *body_length)
{
	struct request request;
	struct response response;

	http_request(envp, &request);
	route(site, &request, &response);
	size_t length = http_head(&response, out);
	*body_length = http_has_body(&request, &response) ? response.length : 0;
	memcpy(out + length, response.body, *body_length);
	return length;
}

static char *variable(char *buffer, const char *name, const char *value)
{
	if (value)
		sprintf(buffer, "%s=%s", name, value);
	else
		sprintf(buffer, "X=");
	return buffer;
}

static void check_entry(struct site *site, size_t i)
{
	char script[300];
	char info[300];
	char query[300];
	char get[] = "REQUEST_METHOD=GET";
	char head[] = "REQUEST_METHOD=HEAD";
	char out[2][4096];
	char start[64];
	size_t body;

	char *envp[] = {variable(script, "SCRIPT_NAME", table[i].script_name),
			variable(info, "PATH_INFO", table[i].path_info),
			variable(query, "QUERY_STRING", table[i].query), get, NULL};
	size_t length = answer(site, envp, out[0], &body);
	snprintf(start, sizeof start, "Status: %s\r\n", table[i].status);
	ok(strncmp(out[0], start, strlen(start)) == 0, "line %d: %s", table[i].line,
	   table[i].status);
	is(out[0] + length, body, table[i].body, table[i].length,
	   "the body of an entry of the table");
	out[0][length] = '\0';
	ok(strstr(out[0], table[i].header) != NULL, "line %d: the headers", table[i].line);

	variable(query, "QUERY_STRING", table[i].query);
	envp[3] = head;
	length = answer(site, envp, out[1], &body);
	out[1][length] = '\0';
	ok(body == 0 && strcmp(out[0], out[1]) == 0, "line %d: HEAD has the same head and no body",
	   table[i].line);
}

static void check_methods(struct site *site)
{
	static const char *const methods[] = {"POST",  "PUT", "DELETE", "OPTIONS", "TRACE",
					      "PATCH", "FOO", "get",    ""};
	static const struct {
		const char *path;
		const char *status;
	} paths[] = {
		{"/echo", "Status: 405 "},         {"/", "Status: 405 "},
		{"/echo/echo.js", "Status: 405 "}, {"/nothing", "Status: 404 "},
		{"/echo/nothing", "Status: 404 "}, {"/tool", "Status: 426 "},
	};
	char out[4096];
	size_t body;

	for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
		for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
			char method[64];
			char script[64];
			char *envp[] = {variable(method, "REQUEST_METHOD", methods[m]),
					variable(script, "SCRIPT_NAME", paths[p].path), NULL};
			out[answer(site, envp, out, &body)] = '\0';
			ok(strncmp(out, paths[p].status, strlen(paths[p].status)) == 0, "%s %s: %s",
			   methods[m], paths[p].path, paths[p].status);
			ok(!!strstr(out, "Allow: GET, HEAD\r\n") ==
				   !!strstr(paths[p].status, "405"),
			   "%s %s: 405 has Allow, and no other status has", methods[m],
			   paths[p].path);
		}
}

/* A web server may have made another path of a control character, or it ends there. */
static void check_control_characters(struct site *site)
{
	static const struct {
		const char *uri;
		const char *status;
	} uris[] = {
		{"/echo%00/x?message=%00", "404"},
		{"/ech%0Ao?message=%00", "404"},
		{"/echo%1f", "404"},
		{"/%7Fecho", "404"},
		{"/echo%7f", "404"},
		{"/echo%09%20", "404"},
		{"/echo?message=%00", "200"},
		{"/echo?%0a%7f", "200"},
		{"/ech%6f", "200"},
		{"/echo%7", "200"},
		{"/echo%0", "200"},
		{"/ec%68o%7E%20%", "200"},
	};
	char get[] = "REQUEST_METHOD=GET";
	char script[] = "SCRIPT_NAME=/echo";
	char query[] = "QUERY_STRING=message=%00";
	char uri[64];
	char out[4096];
	size_t body;

	for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
		char *envp[] = {get, script, query, variable(uri, "REQUEST_URI", uris[i].uri),
				NULL};
		answer(site, envp, out, &body);
		ok(strncmp(out + strlen("Status: "), uris[i].status, 3) == 0,
		   "SCRIPT_NAME=/echo of %s is answered %s", uris[i].uri, uris[i].status);
	}
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		perror(name);
}

/* the answer to GET of the path with the query */
static const char *get(struct site *site, const char *path, const char *query, char *out)
{
	char script[128];
	char string[128];
	char method[] = "REQUEST_METHOD=GET";
	char *envp[] = {method, variable(script, "SCRIPT_NAME", path),
			variable(string, "QUERY_STRING", query), NULL};
	size_t body;
	size_t length = answer(site, envp, out, &body);

	out[length + body] = '\0';
	return out;
}

static void check_way(void)
{
	static const struct {
		const char *path;
		const char *way;
	} ways[] = {
		{"/", ""},
		{"/echo", ""},
		{"/echo/", "../"},
		{"/chat/room", "../"},
		{"/serialize/echo/", "../../"},
		{"", ""},
		{"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21", /* 20 are 60 bytes */
		 "../../../../../../../../../../../../../../../../../../../../"},
		{"/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23", ""},
	};
	char way[FILL_WAY_SIZE];

	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		fill_way(ways[i].path, way);
		ok(strcmp(way, ways[i].way) == 0, "the way back from \"%s\" is \"%s\"",
		   ways[i].path, ways[i].way);
	}
}

/* FNV-1a of "js\n" */
#define HASH "4554fc193a4ffc80"

static void check_filled_page(struct site *site)
{
	static const struct {
		const char *page;
		const char *path;
		const char *filled;
	} pages[] = {
		{"<a href=\"{root}chat\">", "/echo", "\r\n\r\n<a href=\"chat\">"},
		{"<a href=\"{root}chat\">", "/echo/", "\r\n\r\n<a href=\"../chat\">"},
		{"<a href=\"{root}chat\">", "/serialize/echo/", "<a href=\"../../chat\">"},
		{"?v={echo.js}", "/", "\r\n\r\n?v=" HASH},
		{"{echo.js}{echo.js}", "/", "\r\n\r\n" HASH HASH},
		{"{}{other}{ root}{echo.html}{root", "/echo/",
		 "\r\n\r\n{}{other}{ root}{echo.html}{root"},
		{"{{root}}", "/echo/", "\r\n\r\n{../}"},
		{"[{source}]", "/", "\r\n\r\n[]"},
	};
	char out[4096];

	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		write_file("page/echo.html", pages[i].page);
		get(site, pages[i].path, NULL, out);
		ok(strstr(out, pages[i].filled) &&
			   strlen(strstr(out, pages[i].filled)) == strlen(pages[i].filled),
		   "%s at %s is filled", pages[i].page, pages[i].path);
	}
	write_file("page/echo.html", "{root}{echo.js}");
	get(site, "/echo", NULL, out);
	char *etag = strstr(out, "ETag: ");
	char first[32];
	memcpy(first, etag, sizeof first - 1);
	first[sizeof first - 1] = '\0';
	get(site, "/echo/", NULL, out);
	ok(strstr(out, first) == NULL, "the same page at another depth has another ETag");
	write_file("page/echo.js", "edited js\n");
	get(site, "/echo", NULL, out);
	ok(strstr(out, HASH) == NULL && strstr(out, first) == NULL,
	   "a file that was edited has another hash, and the page another ETag");
	write_file("page/echo.js", "js\n");
	write_file("page/echo.html", "<p>index\n");
}

#define YEAR "Cache-Control: public, max-age=31536000, immutable\r\n"

static void check_versions(struct site *site)
{
	static const char *const others[] = {
		NULL,     "", "v=", "v", "v=4554fc193a4ffc8", "v=" HASH "0", "v=0000000000000000",
		"w=" HASH};
	char out[4096];

	ok(strstr(get(site, "/echo/echo.js", "v=" HASH, out), YEAR) && strstr(out, "js\n"),
	   "a file asked for by its hash may be kept for a year");
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		ok(strstr(get(site, "/echo/echo.js", others[i], out),
			  "Cache-Control: no-cache\r\n") &&
			   strstr(out, "js\n"),
		   "one asked for by %s is asked for again", others[i] ? others[i] : "its name");
	write_file("page/echo.html", "js\n");
	ok(strstr(get(site, "/echo", "v=" HASH, out), "Cache-Control: no-cache\r\n") != NULL,
	   "a page never is");
	write_file("page/echo.html", "<p>index\n");
}

static const char *status_with(struct site *site, const char *if_none_match, char *out)
{
	char tag[128];
	char get[] = "REQUEST_METHOD=GET";
	char script[] = "SCRIPT_NAME=/echo";
	char *envp[] = {get, script, variable(tag, "HTTP_IF_NONE_MATCH", if_none_match), NULL};
	size_t body;
	size_t length = answer(site, envp, out, &body);

	out[length + body] = '\0';
	return out;
}

static void check_etag(struct site *site)
{
	char out[4096];
	char etag[64];
	char list[128];

	sscanf(strstr(status_with(site, NULL, out), "ETag: "), "ETag: %63s", etag);
	ok(strstr(status_with(site, etag, out), "Status: 304 Not Modified\r\n") != NULL,
	   "If-None-Match with the page's ETag is answered 304");
	ok(strstr(out, etag) && !strstr(out, "Content-Length") && !strstr(out, "index"),
	   "a 304 has the ETag, and neither a body nor its length");
	snprintf(list, sizeof list, "\"x\", W/%s", etag);
	ok(strstr(status_with(site, list, out), "Status: 304 ") != NULL,
	   "a weak ETag in a list is answered 304");
	ok(strstr(status_with(site, "*", out), "Status: 304 ") != NULL,
	   "If-None-Match: * is answered 304");
	ok(strstr(status_with(site, "\"x\"", out), "Status: 200 ") != NULL,
	   "another ETag is answered 200");

	write_file("page/echo.html", "<p>edited index\n");
	ok(strstr(status_with(site, etag, out), "Status: 200 ") && strstr(out, "<p>edited index\n"),
	   "an edited page is served");
	ok(strstr(out, etag) == NULL, "an edited page has another ETag");

	rename("page/echo.html", "page/away");
	int stderr_fd = dup(STDERR_FILENO);
	if (freopen("warnings", "w", stderr) == NULL)
		exit(1);
	ok(strstr(status_with(site, NULL, out), "<p>edited index\n") != NULL,
	   "a page that is gone is served from its last copy");
	status_with(site, NULL, out);
	fflush(stderr);
	dup2(stderr_fd, STDERR_FILENO);
	char warning[256] = "";
	FILE *warnings = fopen("warnings", "r");
	size_t length = fread(warning, 1, sizeof warning - 1, warnings);
	fclose(warnings);
	ok(length > 0 && strstr(warning, "echo.html: serving the last copy") &&
		   strchr(warning, '\n') == warning + length - 1,
	   "a page that is gone is told in the log, once");
	write_file("page/echo.html", "<p>index\n");
	ok(strstr(status_with(site, NULL, out), "<p>index\n") != NULL,
	   "a page that is back is served as it is");
}

static void check_missing(void)
{
	struct files files;
	const char *name;

	unlink("page/echo.css");
	ok(files_open(&files, "page", &name) < 0 && errno == ENOENT &&
		   strcmp(name, "echo.css") == 0,
	   "a page without one of its files cannot be opened");
	files_close(&files);
	mkdir("page/echo.css", 0700);
	ok(files_open(&files, "page", &name) < 0 && errno == EISDIR,
	   "a page with a directory in place of one of its files cannot be opened");
	files_close(&files);
}

/* the user that the web server has let in is the request's, and an empty name is nobody's */
static void check_user(void)
{
	char *alice[] = {(char[]){"REMOTE_USER=alice"}, NULL};
	char *empty[] = {(char[]){"REMOTE_USER="}, NULL};
	char *forged[] = {(char[]){"HTTP_REMOTE_USER=alice"}, (char[]){"HTTP_X_REMOTE_USER=alice"},
			  NULL};
	struct request request;

	http_request(alice, &request);
	ok(request.user && strcmp(request.user, "alice") == 0, "REMOTE_USER is the request's user");
	http_request(empty, &request);
	ok(request.user == NULL, "with an empty REMOTE_USER nobody has logged in");
	http_request(forged, &request);
	ok(request.user == NULL, "a header of the client's does not name the user");
}

int main(void)
{
	char directory[] = "/tmp/duplex-route.XXXXXX";
	struct site site = {.endpoints = "ws"};
	const char *name;

	check_user();
	if (mkdtemp(directory) == NULL || chdir(directory) < 0 || mkdir("page", 0700) < 0 ||
	    mkdir("ws", 0700) < 0 || mkdir("ws/sub", 0700) < 0)
		return 1;
	write_file("page/echo.html", "<p>index\n");
	write_file("page/echo.js", "js\n");
	write_file("page/cost.js", "js\n");
	write_file("page/words.js", "js\n");
	write_file("page/language.js", "js\n");
	write_file("page/reconnecting-socket.js", "js\n");
	write_file("page/echo.css", "css\n");
	write_file("page/echo.svg", "svg\n");
	write_file("page/chat.html", "<p>chat\n");
	write_file("page/chat.js", "js\n");
	write_file("page/chat-words.js", "js\n");
	write_file("page/chat.css", "css\n");
	write_file("page/secret", "secret\n");
	static const char *const programs[] = {"ws/tool", "ws/sub/tool", "ws/.hidden", "outside",
					       "ws/text"};
	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		write_file(programs[i], "");
		chmod(programs[i], i < 4 ? 0700 : 0600);
	}
	if (!ok(files_open(&site.files, "page", &name) == 0, "the page opens"))
		return done();
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		check_entry(&site, i);
	check_methods(&site);
	check_control_characters(&site);
	check_etag(&site);
	check_way();
	check_filled_page(&site);
	check_versions(&site);
	files_close(&site.files);
	check_missing();
	char command[64];
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command) != 0 || done();
}
