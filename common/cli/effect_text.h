/*
 * effect_text.h: effects as words, the same in scenarios, in what is told of a failed one, and in explain.
 */
#ifndef COMMON_CLI_EFFECT_TEXT_H
#define COMMON_CLI_EFFECT_TEXT_H

#include <glib.h>

#include "common/smtp/verdict.h"

/* `prepend header "X" "v"`, `quarantine "why"`, `log "text"`, `delay 2s`, `observed LABEL`; in the arena. */
const char *effect_text(Arena *arena, const Effect *effect);
/* `delay 2s`, `delay 1500ms`. */
const char *effect_text_delay(Arena *arena, int64_t milliseconds);
/* Appends a blank and the text in quotes, with \" and \\ inside. */
void effect_text_quote(GString *out, Slice text);
/* `failed "dnslist zen"`. */
const char *failure_text(Arena *arena, const Failure *failure);

#endif
