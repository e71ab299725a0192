/*
 * index_access.h: the access tests of a condition (index.h): which part of it is tested, and by what. Inside the index only.
 */
#ifndef COMMON_RULES_INDEX_ACCESS_H
#define COMMON_RULES_INDEX_ACCESS_H

#include "common/rules/program.h"

typedef enum AccessKind { ACCESS_EQUAL, ACCESS_SET, ACCESS_NETWORK, ACCESS_UNDER, ACCESS_LITERALS, ACCESS_REGEX } AccessKind;

/* A comparison that an index can answer. */
typedef struct Access {
  AccessKind kind;
  const Expression *field; /* the fact, or what is made of it */
  const Value *value;      /* EQUAL, UNDER */
  const Keyset *keyset;    /* SET */
  const IpNetwork *network;
  const Literals *literals;
  const Regex *regex; /* REGEX: one that a set takes (regex_set.h) */
} Access;

/* False, and why not (static text), when the expression is no such comparison. */
bool access_read(const Expression *expression, Access *access, const char **reason);

/* The same number for accesses that say the same. */
uint64_t access_hash(const Access *access);
/* Of a value that is a number of any type. */
double access_number(const Value *value);

/* The text that tells fields apart: equal for equal ones. False when the expression is none. */
enum { ACCESS_NAME_MAX = 160 };
bool access_field_name(const Expression *expression, char name[ACCESS_NAME_MAX]);

/* The same as rules write it: "sender.domain". */
const char *access_field_text(const Expression *expression, Arena *arena);

/*
 * True when deciding it changes nothing: what stands left of a test in an `and` must be so, since it is not read when the test says no. Looking up changes nothing but what is
 * stateful; and what fails, or is not there yet, does not count beside what is false (the log does not tell it either).
 */
bool access_is_silent(const Expression *expression);

#endif
