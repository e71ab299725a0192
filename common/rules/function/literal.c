/*
 * literal.c: the address inside an address literal (RFC 5321 4.1.3), as clients say it in HELO.
 */
#include "common/rules/function.h"

extern const Function function_literal;

static Value apply(Arena *arena, const Value *input) {
  (void)arena;
  IpAddress ip;
  return ip_parse_literal(input->as.text, &ip) ? (Value){VALUE_SET, TYPE_IP, {.ip = ip}} : VALUE_NONE;
}

const Function function_literal = {
    .name = "literal",
    .input = TYPE_DOMAIN,
    .output = TYPE_IP,
    .sentence = "the address of an address literal: [192.0.2.1], [IPv6:2001:db8::1]; unset for a name",
    .example = "helo_name.literal",
    .apply = apply,
};
