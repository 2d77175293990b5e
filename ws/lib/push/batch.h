/*
 * Messages of a channel as frames for its subscribers: each is encoded once,
 * however many get it. The process has one batch. It is empty except while somebody fills
 * and sends it, and that happens without waiting in between.
 */
#ifndef BATCH_H
#define BATCH_H

#include "message.h"

/* Adds a message, or a gap before one. It is a message_function that needs no context and has
 * enough after a few hundred KiB. */
bool batch_add(void *context, const char *id, const char *text, size_t length);

/* true if a message was not added because memory is short */
bool batch_is_incomplete(void);

/* The frames of all, or of those whose ids come after the one given, and in *length how many bytes
 * they are. */
const char *batch_frames(size_t *length);
const char *batch_frames_after(const char *id, size_t *length);

/* empties the batch */
void batch_clear(void);

#endif
