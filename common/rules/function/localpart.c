/*
 * localpart.c: the part of an address before the @.
 */
#include "common/rules/function.h"

extern const Function function_localpart;

static Value apply(Arena *arena, const Value *input) {
  (void)arena;
  Slice localpart = input->as.address->localpart;
  return slice_is_empty(localpart) ? VALUE_NONE : value_text(localpart);
}

const Function function_localpart = {
    .name = "localpart",
    .input = TYPE_ADDRESS,
    .output = TYPE_STRING,
    .sentence = "what stands before the @, unquoted; unset for the null sender",
    .example = "sender.localpart",
    .apply = apply,
};
