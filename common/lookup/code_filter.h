/*
 * code_filter.h: which of a DNS list's answers count: Postfix's filter syntax, verbatim (postconf(5), postscreen_dnsbl_sites).
 *
 * A filter is d.d.d.d where each d is a number 0..255 or, in brackets, numbers and ranges with ';' between them: 127.0.[0..255].[2;4..8]. Without
 * a filter all of 127.0.0.0/8 counts. 127.255.255.0/24 never does: lists say there that they refuse the resolver. Pure.
 */
#ifndef COMMON_LOOKUP_CODE_FILTER_H
#define COMMON_LOOKUP_CODE_FILTER_H

#include "common/base/ip.h"

typedef struct CodeFilter {
  uint8_t octets[4][32]; /* a bit for each number that the octet may be */
} CodeFilter;

/* False: *problem (static) says what is wrong at byte *position of `text`. */
bool code_filter_parse(Slice text, CodeFilter *filter, const char **problem, size_t *position);
/* The filter of a list without one. */
void code_filter_any(CodeFilter *filter);
bool code_filter_matches(const CodeFilter *filter, const IpAddress *address);
/* In 127.255.255.0/24. */
bool code_is_refusal(const IpAddress *address);

#endif
