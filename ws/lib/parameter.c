/* a parameter of the handshake, which the HTTP side decodes by the same code */
#include "query.h"
#include "websocket.h"

#include <string.h>

ptrdiff_t websocket_parameter(struct websocket *ws, const char *name, char *value, size_t size)
{
	const char *query = websocket_variable(ws, "QUERY_STRING");
	const char *encoded;
	size_t length;

	if (query == NULL || !query_find(query, strlen(query), name, &encoded, &length))
		return -1;
	length = query_decode(encoded, length, value, size - 1);
	value[length < size ? length : size - 1] = '\0';
	return (ptrdiff_t)length;
}
