/*
 * index_access.h: the access tests of a condition (index.h): which part of it is tested, and by what. Inside the index only.
 */
#ifndef COMMON_RULES_INDEX_ACCESS_H
#define COMMON_RULES_INDEX_ACCESS_H

#include "common/rules/program.h"

typedef enum AccessKind { ACCESS_EQUAL, ACCESS_SET, ACCESS_NETWORK, ACCESS_UNDER, ACCESS_LITERALS } AccessKind;

/* A comparison that an index can answer. */
typedef struct Access {
  AccessKind kind;
  const Expression *field; /* the fact, or what is made of it */
  const Value *value;      /* EQUAL, UNDER */
  const Keyset *keyset;    /* SET */
  const IpNetwork *network;
  const Literals *literals;
} Access;

/* False, and why not (static text), when the expression is no such comparison. */
bool access_read(const Expression *expression, Access *access, const char **reason);

/* The text that tells fields apart: equal for equal ones. False when the expression is none. */
enum { ACCESS_NAME_MAX = 160 };
bool access_field_name(const Expression *expression, char name[ACCESS_NAME_MAX]);

/*
 * True when deciding it has no effect but its truth: it asks nobody, nothing in it can fail, and all that it reads is there. What stands left of a test in an
 * `and` must be so: it is not read when the test says no.
 */
bool access_is_silent(const Expression *expression);

#endif
