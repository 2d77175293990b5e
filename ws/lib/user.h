/* who the web server has let in, by the header in which it tells an endpoint */
#ifndef USER_H
#define USER_H

#include "field.h"

#include <stdbool.h>

enum { USER_NAME_SIZE = 256 }; /* of the longest name that is taken, with a NUL */

/*
 * Writes the user's name (RFC 3875 4.1.11), from the values of X-Remote-User and Forwarded, which
 * have to be the web server's own and are empty if they are not there. That of Forwarded counts if
 * the other is not there, and only if remote_user="..." is all of it: lighttpd has no other way to
 * tell. False if nobody has logged in, or the name is too long; name is then not to be used.
 */
bool user_name(struct span remote_user, struct span forwarded, char name[USER_NAME_SIZE]);

#endif
