/* who the web server has let in, by the header in which it tells an endpoint */
#ifndef USER_H
#define USER_H

#include "field.h"

#include <stdbool.h>

enum { USER_NAME_SIZE = 256 }; /* of the longest name that is taken, with a NUL */

/*
 * Writes the user's name (RFC 3875 4.1.11). It comes from the values of X-Remote-User and
 * Forwarded, which must be the web server's own; each is empty if the header is missing. Forwarded
 * counts only without X-Remote-User, and only if remote_user="..." is all of it: lighttpd has no
 * other way to tell. Returns false if nobody has logged in, or the name is too long: then name has
 * no meaning.
 */
bool user_name(struct span remote_user, struct span forwarded, char name[USER_NAME_SIZE]);

#endif
