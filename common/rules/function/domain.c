/*
 * domain.c: the domain of an address.
 */
#include "common/rules/function.h"

extern const Function function_domain;

static Value apply(Arena *arena, const Value *input) {
  (void)arena;
  Slice domain = input->as.address->domain;
  return slice_is_empty(domain) ? VALUE_NONE : (Value){VALUE_SET, TYPE_DOMAIN, {.text = domain}};
}

const Function function_domain = {
    .name = "domain",
    .input = TYPE_ADDRESS,
    .output = TYPE_DOMAIN,
    .sentence = "what follows the @; unset for the null sender and for an address without domain",
    .example = "sender.domain",
    .apply = apply,
};
