/*
 * table_text.h: the text of a table's file, as a keyset.
 *
 *     # a comment: the whole line, or behind a blank
 *     192.0.2.0/24                      a set: one entry a line
 *     user@example.org  REJECT spam     a map: key, blanks, value to the end of the line, or "quoted" (\" \\ \n inside)
 *     "two words"  x                    keys with blanks are quoted
 *     a@b.example  c@d.example          a tuple: its parts with blanks between
 *
 * Pure: bytes in, keyset and faults out.
 */
#ifndef COMMON_LOOKUP_TABLE_TEXT_H
#define COMMON_LOOKUP_TABLE_TEXT_H

#include "common/ask/resource.h"

/* The good lines. Those that cannot be read are left out and stand in *faults (resource_faults_clear); `name` is the file's, for them. */
Keyset *table_text_read(const KeysetShape *shape, const char *name, Slice text, ResourceFaults *faults);

#endif
