/*
 * reply.h: SMTP replies, and the documented table of codes (reply.def).
 */
#ifndef COMMON_SMTP_REPLY_H
#define COMMON_SMTP_REPLY_H

#include "common/base/slice.h"
#include "common/smtp/phase.h"
#include "common/smtp/value.h"

typedef struct Reply {
  uint16_t code;         /* 400..599 */
  EnhancedCode enhanced; /* class 0: none */
  const Slice *lines;    /* expanded text, may hold anything: encoders clean it */
  size_t line_count;     /* at least 1 */
} Reply;

typedef enum ReplySender {
  REPLY_BY_MTA,    /* 2xx, 3xx and what belongs to commands that policy never answers */
  REPLY_BY_POLICY, /* a rule may say it */
} ReplySender;

typedef struct ReplyInfo {
  uint16_t code;
  const char *meaning;   /* as documented */
  const char *source;    /* "table" for the project's source table, or the RFC that defines a later one */
  ReplySender sender;
  PhaseSet legal;        /* where RFC 5321 4.3.2 (and the later RFC) lists it, among the phases; 0 for none */
  const char *commands;  /* the commands that the RFCs list it at, for print */
} ReplyInfo;

/* In order of code. */
size_t reply_info_count(void);
const ReplyInfo *reply_info_at(size_t index);
/* NULL when the code is not in the table. */
const ReplyInfo *reply_info(uint16_t code);

typedef struct EnhancedInfo {
  uint16_t subject, detail; /* X.subject.detail */
  const char *meaning;
  const char *codes; /* registered basic codes (RFC 5248 and later), "550 551", "any" or "" */
  const char *source;
} EnhancedInfo;

size_t enhanced_info_count(void);
const EnhancedInfo *enhanced_info_at(size_t index);
const EnhancedInfo *enhanced_info(EnhancedCode code);
/* True when the registry pairs them, or says nothing about the enhanced code. */
bool enhanced_pairs_with(EnhancedCode enhanced, uint16_t code);

/* "5.7.1"; false for anything else. */
bool enhanced_parse(Slice text, EnhancedCode *code);
/* "5.7.1" or "" for class 0. */
Slice enhanced_format(Arena *arena, EnhancedCode code);

#endif
