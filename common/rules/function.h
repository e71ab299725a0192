/*
 * function.h: functions of values, written as properties: sender.domain, helo_name.literal. One descriptor a function, at the end of its
 * file in common/rules/function/; the list is function/functions.def.
 */
#ifndef COMMON_RULES_FUNCTION_H
#define COMMON_RULES_FUNCTION_H

#include "common/base/arena.h"
#include "common/smtp/value.h"

typedef struct Function {
  const char *name;     /* "domain" */
  ValueType input;
  ValueType output;
  const char *sentence;
  const char *example;  /* "sender.domain" */
  /* `input` is VALUE_SET and of the input type. The result is set or unset; texts may point into the input or the arena. */
  Value (*apply)(Arena *arena, const Value *input);
} Function;

const Function *const *functions_all(void); /* NULL-terminated */
/* NULL: no function of that name takes that type. */
const Function *function_find(Slice name, ValueType input);

#endif
