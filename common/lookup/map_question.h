/*
 * map_question.h: questions to tables that others keep and that answer text for text: what sqlite and socketmap share.
 *
 * A question's key is a text to show, "TITLE [KEY]", a NUL, and the texts to ask, each with a NUL behind it: as many as a key of the table has parts, and then the same again for what is
 * tried next. Which texts those are says map_key.h, but strings are asked letter by letter and the parts of a key of several values whole. The payload of the answer is the text that
 * was found (the parts of several with ", " between), a NUL, and the value. Pure.
 */
#ifndef COMMON_LOOKUP_MAP_QUESTION_H
#define COMMON_LOOKUP_MAP_QUESTION_H

#include "common/ask/resource.h"

/* NULL, or why there can be no keys of this shape. Transfer full. */
char *map_question_problem(const KeysetShape *shape);
/* The question, in the arena (transfer full), of the resource `title`; NULL when a part of the key has a NUL inside: that is in no table. */
Question *map_question_new(const LookupBackend *backend, void *backend_self, const char *title, const KeysetShape *shape, const Value *keys,
                           Arena *arena);

/* The texts of a question, to be read with map_question_next. */
Slice map_question_texts(const Question *question);
/* The texts of one try, `count` of them, which are in front of *texts and end in NUL. False: there is none any more. */
bool map_question_next(Slice *texts, Slice *parts, size_t count);
/* Transfer full. */
GBytes *map_question_payload(const Slice *parts, size_t count, Slice value);

/* The rest of a descriptor's `read`. */
void map_question_read(const KeysetShape *shape, const Answer *raw, Arena *arena, ResourceAnswer *answer);

#endif
