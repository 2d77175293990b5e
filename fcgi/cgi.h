/* the CGI gateway, RFC 3875 */
#ifndef CGI_H
#define CGI_H

#include "route.h"

/*
 * Answers one request on standard output: its variables are in the environment,
 * its body is standard input. Returns the exit status: 0, or 1 after a line on
 * standard error if standard output failed.
 */
int cgi_serve(struct site *site);

#endif
