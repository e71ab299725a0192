/*
 * redis_spec.h: what is asked of a Redis server, as the rules write it:
 *
 *     SERVER [database=N] [user=NAME] [password_file=PATH]: COMMAND WORD ...
 *
 * SERVER is HOST, HOST:PORT, [IPV6]:PORT or unix:/PATH. COMMAND is one of the table in redis_spec.c; its words are the arguments, with a ? where the key stands, or each of its parts
 * in order. Words are what blanks separate: neither a word nor what goes in for a ? is ever taken apart again. Pure.
 */
#ifndef COMMON_LOOKUP_REDIS_SPEC_H
#define COMMON_LOOKUP_REDIS_SPEC_H

#include "common/ask/keyset.h"
#include "common/lookup/peer.h"

typedef enum RedisReplyForm {
  REDIS_REPLY_IS_VALUE, /* a text, or nil when there is none */
  REDIS_REPLY_IS_COUNT, /* a number: 0 when there is none */
} RedisReplyForm;

typedef struct RedisCommand {
  const char *name;
  size_t words; /* arguments behind it */
  RedisReplyForm form;
  const char *synopsis;
} RedisCommand;

enum { REDIS_WORDS_MAX = 2 };

typedef struct RedisSpec {
  PeerAddress server;
  int64_t database;
  char *user;          /* NULL: none */
  char *password_file; /* as it is written; NULL: none */
  const RedisCommand *command;
  char *words[REDIS_WORDS_MAX];
} RedisSpec;

/* NULL when it is well, else what is wrong with it (transfer full), and there is nothing to clear. */
char *redis_spec_parse(const char *text, const KeysetShape *shape, RedisSpec *spec);
void redis_spec_clear(RedisSpec *spec);
/* Server and command, without user and file: for the log. Transfer full. */
char *redis_spec_title(const RedisSpec *spec);
/* Appends the command for the parts of a key, in the protocol of Redis. */
void redis_spec_append(const RedisSpec *spec, const Slice *parts, GString *out);
/* Appends any command. */
void redis_append_command(GString *out, const Slice *words, size_t count);

#endif
