/*
 * Messages of a channel as frames for its subscribers: each is encoded once,
 * however many get it. There is one batch for the process, which is empty but while
 * somebody puts messages into it and sends them; nobody waits in between.
 */
#ifndef BATCH_H
#define BATCH_H

#include "message.h"

/* Adds a message, or a gap before one. It is a message_function, which needs no context and has
 * enough after a few hundred KiB. */
bool batch_add(void *context, const char *id, const char *text, size_t length);

/* true if a message was not added because memory is short */
bool batch_is_incomplete(void);

/* The frames of all, or of those whose ids come after the one given, and in *length how many bytes
 * they are. */
const char *batch_frames(size_t *length);
const char *batch_frames_after(const char *id, size_t *length);

void batch_clear(void);

#endif
