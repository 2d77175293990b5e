/* The smallest FastCGI program: the answer of fcgi/duplex to "Hello, World!", and no look at the
 * request. */
#include <fcgiapp.h>

static const char answer[] = "Status: 200 OK\r\n"
			     "Cache-Control: no-store\r\n"
			     "X-Content-Type-Options: nosniff\r\n"
			     "Content-Type: text/plain; charset=utf-8\r\n"
			     "Content-Length: 13\r\n\r\n"
			     "Hello, World!";

int main(void)
{
	FCGX_Request request;

	FCGX_Init();
	FCGX_InitRequest(&request, 0, 0);
	while (FCGX_Accept_r(&request) == 0) {
		FCGX_PutStr(answer, sizeof answer - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return 1;
}
