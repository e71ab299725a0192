/*
 * table_text.h: the text of a table's file, as a keyset.
 *
 *     # a comment: the whole line, or behind a blank
 *     192.0.2.0/24                      a set: one entry a line
 *     user@example.org  REJECT spam     a map: key, blanks, value to the end of the line, or "quoted" (\" \\ \n inside)
 *     "two words"  x                    keys with blanks are quoted
 *     a@b.example  c@d.example          a tuple: its parts with blanks between
 *
 * With `keys postfix` it is what postmap takes: a line that begins with a blank goes on with the one before, quotes belong to the key, and the rest of the line is the value, comments
 * and all. With `keys sendmail` it is what makemap takes, without the lines that have a tag of their own which is not the table's. Both give a keyset of texts in lower case, to be asked for
 * the texts of map_key.h.
 *
 * Pure: bytes in, keyset and faults out.
 */
#ifndef COMMON_LOOKUP_TABLE_TEXT_H
#define COMMON_LOOKUP_TABLE_TEXT_H

#include "common/ask/resource.h"

/* The good lines. Those that cannot be read are left out and stand in *faults (resource_faults_clear); `name` is the file's, for them. */
Keyset *table_text_read(const KeysetShape *shape, const char *name, Slice text, ResourceFaults *faults);

/* The shape of what is read: that of the table, or one of texts. */
KeysetShape table_text_shape(const KeysetShape *shape);

#endif
