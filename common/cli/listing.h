/*
 * listing.h: what the commands that print tables share: fields of text, pieces of JSON.
 */
#ifndef COMMON_CLI_LISTING_H
#define COMMON_CLI_LISTING_H

#include <jansson.h>

#include "common/smtp/door.h"
#include "common/smtp/phase.h"

/* "    name     text" on stdout; nothing for an empty or NULL text. */
void listing_field(const char *name, const char *text);
/* The same with the phases' names, or `none` when there are none. */
void listing_field_phases(const char *name, PhaseSet phases, const char *none);
/* The same with the doors' names. */
void listing_field_doors(const char *name, DoorSet doors);

/* Arrays of names. */
json_t *listing_json_phases(PhaseSet phases);
json_t *listing_json_doors(DoorSet doors);
/* The text, or null for NULL. Bytes that are not UTF-8 are replaced. */
json_t *listing_json_text(const char *text);
/* Prints it, with a line end, and gives it up; returns EXIT_GOOD. */
int listing_json_print(json_t *json);

#endif
