/* the CGI gateway, RFC 3875 */
#ifndef CGI_H
#define CGI_H

#include "route.h"

/*
 * Answers the one request that the environment and standard input have, on
 * standard output. Returns the exit status: 0, or 1 if standard output failed,
 * which a line on standard error tells.
 */
int cgi_serve(struct site *site);

#endif
