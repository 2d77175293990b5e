/* the reason phrases of the statuses of HTTP (RFC 9110 15, RFC 6585) */
#ifndef STATUS_H
#define STATUS_H

/* Returns the phrase of a status, in static memory. One that is not in the table has the name of
 * its class, "Client Error" or "Server Error", or "" if it is neither of 4xx nor of 5xx. */
const char *status_phrase(int status);

#endif
