/*
 * mailaddress.h: mail addresses (RFC 5321 4.1.2) and domains in normal form.
 *
 * Normal form: no angle brackets, localpart unquoted where quoting was not needed, domain in lower case with A-labels
 * (IDNA 2008, by libidn2) and no trailing dot. The null sender <> is an address of its own: both parts empty. Two addresses are equal when their normal
 * forms are equal without case. Pure; thread-safe.
 */
#ifndef COMMON_BASE_MAILADDRESS_H
#define COMMON_BASE_MAILADDRESS_H

#include <stdbool.h>

#include "common/base/slice.h"

typedef struct MailAddress {
  Slice text;      /* the whole in normal form: "user@example.org", "" for <> */
  Slice localpart; /* unquoted, case as written; may hold any byte that was quoted */
  Slice domain;    /* lower case, A-labels; "" when there is none (a local user); an address literal keeps its brackets */
} MailAddress;

/*
 * Reads what an MTA hands over: with or without <>, quoted or not, source route removed. Anything with a localpart is an address, even
 * without domain (Postfix accepts it); "" and "<>" are the null sender. Postfix's policy client sends addresses without their quotes, so a
 * localpart may hold blanks, '@', '<' and all else; `""@x`, sent as "@x", is an address with an empty localpart (its text is `""@x`).
 * A backslash outside quotes is removed only between <>, where the text is as the client wrote it.
 * False for bytes that cannot be one (controls, NUL, longer than LIMIT_ADDRESS, '<' without '>' around the whole or the reverse);
 * *address is then untouched. Slices live in the arena or in `text`.
 */
bool mail_address_parse(Arena *arena, Slice text, MailAddress *address);
bool mail_address_is_null(const MailAddress *address);
bool mail_address_equal(const MailAddress *a, const MailAddress *b);
/* The part of the localpart behind the first '+'; false when there is none or nothing stands before it. *user is what stands before it. */
bool mail_address_extension(const MailAddress *address, Slice *user, Slice *extension);

/* Normal form of a domain or host name: lower case, A-labels, without trailing dot. What cannot be converted is kept in lower case. */
Slice domain_normalize(Arena *arena, Slice text);
/* True when `text` has the shape of a host name in normal form (letters, digits, '-', '_', dots, labels of 1..63, at most 255). */
bool domain_is_valid(Slice text);
/* `domain` is `parent` or below it; both in normal form. An empty parent is never above anything. */
bool domain_is_under(Slice domain, Slice parent);

#endif
