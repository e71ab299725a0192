/*
 * reply_internal.h: between the files of the reply compiler.
 */
#ifndef COMMON_DOOR_REPLY_INTERNAL_H
#define COMMON_DOOR_REPLY_INTERNAL_H

#include "common/door/reply_compiler.h"

/* A reply taken apart. */
typedef struct ReplyParts {
  char code[4];
  char enhanced[12];  /* "" for none */
  const char **lines; /* as the client would see them */
  size_t count;
} ReplyParts;

/* One compilation. */
typedef struct ReplyWork {
  Arena *arena;
  const Verdict *verdict;
  const ReplyContext *context;
  Mta mta;
  Door door;
  Phase phase;      /* where the mail server puts the reply to use */
  ReplyParts parts; /* what the encoder said */
  CompiledReply result;
} ReplyWork;

void reply_note(ReplyWork *work, ReplyNoteKind kind, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The client sees these parts, or this one line, at the phase. */
void reply_see(ReplyWork *work, Phase phase, const ReplyParts *parts, bool closes);
void reply_see_server(ReplyWork *work, Phase phase, const char *line, bool closes);

/* What the mail server makes of work->parts. */
void reply_model_policy(ReplyWork *work);
void reply_model_postfix_milter(ReplyWork *work);
void reply_model_sendmail_milter(ReplyWork *work);
void reply_model_socketmap(ReplyWork *work);

#endif
