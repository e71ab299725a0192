/*
 * extension.c: the address extension: what follows the first + of the localpart.
 */
#include "common/rules/function.h"

extern const Function function_extension;

static Value apply(Arena *arena, const Value *input) {
  (void)arena;
  Slice user, extension;
  return mail_address_extension(input->as.address, &user, &extension) ? value_text(extension) : VALUE_NONE;
}

const Function function_extension = {
    .name = "extension",
    .input = TYPE_ADDRESS,
    .output = TYPE_STRING,
    .sentence = "what follows the first + of the localpart; unset without one",
    .example = "recipient.extension",
    .apply = apply,
};
