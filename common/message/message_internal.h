/*
 * message_internal.h: what the files of the message's room share. Not for others.
 */
#ifndef COMMON_MESSAGE_MESSAGE_INTERNAL_H
#define COMMON_MESSAGE_MESSAGE_INTERNAL_H

#include <gmime/gmime.h>

#include "common/message/message.h"

/* The bytes that a message may still keep. */
typedef struct Budget {
  size_t limit, used;
} Budget;

static inline bool budget_take(Budget *budget, size_t bytes) {
  if (bytes > budget->limit - budget->used) {
    return false;
  }
  budget->used += bytes;
  return true;
}

/* Of blanks and folds. */
static inline bool is_white(char byte) {
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* GMime's options for header fields: bytes that are no UTF-8 are no other charset's either. Of the process, never freed. */
GMimeParserOptions *message_parser_options(void);

/* headers.c */

typedef enum AddressField {
  ADDRESS_FROM,
  ADDRESS_SENDER,
  ADDRESS_REPLY_TO,
  ADDRESS_TO,
  ADDRESS_CC,
  ADDRESS_FIELD_COUNT,
  ADDRESS_NONE
} AddressField;

typedef struct HeaderField {
  Slice name, raw;
  bool listed;          /* of the fact `header` */
  AddressField address; /* whose addresses are asked for */
} HeaderField;

typedef struct Headers {
  Arena *arena;        /* texts of fields */
  GArray *fields;      /* of HeaderField */
  const char *problem; /* of the list, when it could not be kept: static or in the arena */
  const char *address_problem[ADDRESS_FIELD_COUNT];
} Headers;

/* Text as UTF-8 without NUL: itself, or a copy in the arena with U+FFFD for what is none. */
Slice text_as_utf8(Arena *arena, Slice text);
/* A field's text as one line of valid UTF-8, for GMime: with an empty word between encoded words that it would run together. Transfer full. */
char *header_unfold(Slice raw);
/* A field's raw text as rules read it: unfolded, decoded. In the arena, or `raw` itself. */
Slice header_decode(Arena *arena, Slice raw);
/* Keeps a field of which something is asked. */
void headers_take(Headers *headers, const MessageNeeds *needs, Budget *budget, Slice name, Slice raw);
/* Unset where there are none. In `arena`, with slices of the fields. */
Value headers_list(const Headers *headers, Arena *arena, Budget *budget);
Value headers_addresses(const Headers *headers, AddressField which, Arena *arena, Budget *budget);
/* VALUE_UNKNOWN for that reason, which is copied. */
Value message_unknown(Arena *arena, ValueType type, const char *reason);

/* simple_text.c */

/* The addresses of a field, as slices of it. False: more than it knows to read, or than there is room for. */
bool simple_addresses(Slice raw, Slice *addresses, size_t room, size_t *count);
/* Text with words of RFC 2047, decoded, in the arena. False: more than it knows to read. */
bool simple_encoded_words(Arena *arena, Slice raw, Slice *result);

/* part.c */

typedef enum PartField { PART_TYPE, PART_DISPOSITION, PART_ENCODING, PART_FIELD_COUNT } PartField;

/* The header of a part, as far as it matters: the first field of each name; data NULL where there is none. */
typedef struct PartHeader {
  Slice fields[PART_FIELD_COUNT];
} PartHeader;

/* PART_FIELD_COUNT: another name. */
PartField part_field_from_name(Slice name);

/* What a part's header says. */
typedef struct Part {
  GMimeContentEncoding encoding;
  char *type;     /* "application/zip" */
  char *name;     /* decoded; NULL: it has none */
  char *boundary; /* NULL: no multipart, or one without a boundary */
  char *charset;  /* NULL: none */
  bool is_multipart, is_message, is_text;
  bool is_attachment; /* by its name or its disposition */
  bool is_put_aside;  /* by its disposition alone: its text is not the message's */
} Part;

void part_read(Part *part, const PartHeader *header, bool in_digest);
void part_clear(Part *part);

/* text.c */

/* The message's text, part by part, as long as there is room. */
typedef struct BodyText {
  GString *text; /* NULL: nothing yet */
  size_t limit;
  Budget *budget;
  bool truncated;
  GMimeFilter *charset; /* of the part: NULL where it is UTF-8 or unknown */
  size_t part_start;
  bool after_cr;
} BodyText;

void body_text_begin_part(BodyText *body, const char *charset);
void body_text_write(BodyText *body, const char *data, size_t length);
void body_text_end_part(BodyText *body);
void body_text_clear(BodyText *body);

/* mime.c */

typedef struct Attachment {
  Slice name; /* data NULL: none */
  Slice type;
  int64_t size;
} Attachment;

/* What is found of a message's structure, by the reader of the message and those of encoded messages within. */
typedef struct MimeFindings {
  bool want_attachments, want_text;
  Arena *arena; /* texts of attachments */
  Budget *budget;
  GArray *attachments; /* of Attachment; made when first needed */
  BodyText *text;
  size_t parts, depth, encoded; /* encoded: messages that are open */
  const char *problem;          /* in the structure: there are no attachments to be told; static or in the arena */
} MimeFindings;

/*
 * Follows the structure of the bytes behind one header. A part ends at the line in front of a boundary of an enclosing multipart, at the
 * end, or when the structure has a problem: then nothing is read any more.
 */
typedef struct MimeReader MimeReader;

/* `findings` is borrowed. The header is the one in front of what will be fed. */
MimeReader *mime_reader_new(MimeFindings *findings, const PartHeader *header);
/* The same for bytes that begin with a header: a message within a message. */
MimeReader *mime_reader_new_message(MimeFindings *findings);
void mime_reader_feed(MimeReader *reader, Slice chunk);
void mime_reader_end(MimeReader *reader);
void mime_reader_free(MimeReader *reader); /* takes NULL */
/* Whether what comes may still change the findings. */
bool mime_findings_want_more(const MimeFindings *findings);

#endif
