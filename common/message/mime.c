/*
 * mime.c: the structure of a message, followed while its bytes come by.
 *
 * What is open is a stack: multiparts, each with its boundary, and messages within. The line in front of which a part ends is known only
 * once it is there, and the line end in front of a boundary belongs to the boundary (RFC 2046 5.1.1): so a line that begins with "--" is
 * collected until it is complete, and one line end is held back. All else passes through in runs as long as they come. A header is
 * collected line by line, of which only three kinds of fields are kept.
 *
 * Malformed messages are read as mail readers do: a boundary of an outer multipart ends the inner ones; a missing end boundary is the end
 * of the message; a line that is no header field is passed over; a multipart without boundary is a part of its own; an encoded message
 * (RFC 2046 5.2.1 forbids it) is decoded and read.
 */
#include "common/base/limits.h"
#include "common/message/message_internal.h"

enum { PIECE = 1024 }; /* decoded at once */

typedef enum ReadState {
  READ_HEADER,
  READ_CONTENT, /* of a leaf */
  READ_NOTHING, /* a preamble, an epilogue */
} ReadState;

typedef enum LineEnd { LINE_END_NONE, LINE_END_LF, LINE_END_CRLF, LINE_END_CR } LineEnd;

typedef struct Level {
  char *boundary; /* NULL: a message */
  size_t boundary_length;
  bool is_digest;
  gssize attachment; /* whose size its content is; -1: none */
  uint64_t start;    /* of its content */
} Level;

/* What is done with the content that comes. */
typedef struct Leaf {
  bool is_open, is_text;
  GMimeEncoding decoder;
  bool is_encoded;
  bool is_counted;    /* base64 whose bytes nobody reads: they are only counted */
  unsigned places;    /* of the four letters of three bytes that have come */
  GString *collected; /* of a uuencoded line: GMime wants "begin" in one piece. NULL: another encoding */
  gssize attachment;
  int64_t size;
  MimeReader *message; /* an encoded message within */
} Leaf;

struct MimeReader {
  MimeFindings *findings;
  ReadState state;
  GArray *levels;     /* of Level */
  size_t multiparts;  /* of them */
  uint64_t position;  /* of the first byte that is not read yet */
  bool in_line;       /* part of this line is read already */
  bool line_kept;     /* in `line`, from its beginning */
  bool line_too_long; /* `line` is not all of it */
  GString *line;
  LineEnd held;      /* the line end of the content before, not passed on yet */
  unsigned last_end; /* bytes of the last line end */
  Leaf leaf;
  /* The header that is being read. */
  bool has_fields;
  PartField field; /* that the last line belongs to */
  GString *fields[PART_FIELD_COUNT];
  bool field_seen[PART_FIELD_COUNT];
};

static void fail(MimeReader *reader, const char *what, size_t limit, const char *of) {
  if (reader->findings->problem == NULL) {
    reader->findings->problem = arena_printf(reader->findings->arena, "%s%zu %s", what, limit, of);
  }
}

bool mime_findings_want_more(const MimeFindings *findings) {
  return findings->problem == NULL && (findings->want_attachments || (findings->want_text && !findings->text->truncated));
}

static MimeReader *reader_new(MimeFindings *findings, ReadState state) {
  MimeReader *reader = g_new0(MimeReader, 1);
  reader->findings = findings;
  reader->state = state;
  reader->levels = g_array_new(FALSE, FALSE, sizeof(Level));
  reader->line = g_string_new(NULL);
  reader->field = PART_FIELD_COUNT;
  return reader;
}

static Level *innermost(MimeReader *reader) {
  return reader->levels->len > 0 ? &g_array_index(reader->levels, Level, reader->levels->len - 1) : NULL;
}

/* Content */

static void content_decoded(MimeReader *reader, const char *data, size_t length) {
  Leaf *leaf = &reader->leaf;
  leaf->size += (int64_t)length;
  if (leaf->is_text) {
    body_text_write(reader->findings->text, data, length);
  }
  if (leaf->message) {
    mime_reader_feed(leaf->message, slice_make(data, length));
  }
}

static void decode(MimeReader *reader, const char *data, size_t length) {
  char decoded[2 * PIECE];
  while (length > 0) {
    size_t piece = MIN(length, (size_t)PIECE);
    g_assert(g_mime_encoding_outlen(&reader->leaf.decoder, piece) <= sizeof decoded);
    size_t count = g_mime_encoding_step(&reader->leaf.decoder, data, piece, decoded);
    content_decoded(reader, decoded, count);
    data += piece;
    length -= piece;
  }
}

static void decode_collected(MimeReader *reader) {
  decode(reader, reader->leaf.collected->str, reader->leaf.collected->len);
  g_string_truncate(reader->leaf.collected, 0);
}

/* Byte by byte: nobody uuencodes any more. */
static void decode_lines(MimeReader *reader, const char *data, size_t length) {
  GString *collected = reader->leaf.collected;
  for (size_t i = 0; i < length; i++) {
    g_string_append_c(collected, data[i]);
    if (data[i] == '\n' || collected->len == PIECE) {
      decode_collected(reader);
    }
  }
}

static void end_base64_group(Leaf *leaf) {
  leaf->size += leaf->places * 3 / 4;
  leaf->places = 0;
}

/* In blocks of fixed size without a branch: compilers make vectors of it. */
static size_t count_base64_letters(const char *data, size_t length) {
  enum { BLOCK = 32 };
  size_t count = 0;
  while (length >= BLOCK) {
    unsigned char found[BLOCK] = {0};
    for (size_t blocks = 0; blocks < 255 && length >= BLOCK; blocks++) {
      for (size_t i = 0; i < BLOCK; i++) {
        unsigned char byte = (unsigned char)data[i], folded = byte | 0x20;
        found[i] += (unsigned char)((unsigned char)(folded - 'a') < 26) | (unsigned char)((unsigned char)(byte - '0') < 10) |
                    (byte == '+') | (byte == '/');
      }
      data += BLOCK;
      length -= BLOCK;
    }
    for (size_t i = 0; i < BLOCK; i++) {
      count += found[i];
    }
  }
  for (size_t i = 0; i < length; i++) {
    count += g_ascii_isalnum(data[i]) || data[i] == '+' || data[i] == '/';
  }
  return count;
}

/* Four letters are three bytes; "=" ends a group of fewer; other bytes are passed over. */
static void count_base64(Leaf *leaf, const char *data, size_t length) {
  while (length > 0) {
    const char *pad = memchr(data, '=', length);
    size_t run = pad ? (size_t)(pad - data) : length, count = leaf->places + count_base64_letters(data, run);
    leaf->size += (int64_t)(count / 4 * 3);
    leaf->places = count % 4;
    if (pad) {
      end_base64_group(leaf);
      run++;
    }
    data += run;
    length -= run;
  }
}

static void content(MimeReader *reader, const char *data, size_t length) {
  if (reader->state != READ_CONTENT || length == 0) {
    return;
  }
  if (reader->leaf.is_counted) {
    count_base64(&reader->leaf, data, length);
  } else if (reader->leaf.collected) {
    decode_lines(reader, data, length);
  } else if (reader->leaf.is_encoded) {
    decode(reader, data, length);
  } else {
    content_decoded(reader, data, length);
  }
}

static void pass_held_line_end(MimeReader *reader) {
  static const Slice texts[] = {{"", 0}, {"\n", 1}, {"\r\n", 2}, {"\r", 1}};
  content(reader, texts[reader->held].data, texts[reader->held].length);
  reader->held = LINE_END_NONE;
}

static Attachment *attachment_at(MimeFindings *findings, gssize place) {
  return &g_array_index(findings->attachments, Attachment, place);
}

static void end_leaf(MimeReader *reader) {
  Leaf *leaf = &reader->leaf;
  if (!leaf->is_open) {
    return;
  }
  if (leaf->collected) {
    decode_collected(reader);
    g_string_free(leaf->collected, TRUE);
  }
  if (leaf->is_counted) {
    end_base64_group(leaf);
  } else if (leaf->is_encoded) {
    char decoded[PIECE];
    size_t count = g_mime_encoding_flush(&leaf->decoder, "", 0, decoded);
    content_decoded(reader, decoded, count);
  }
  if (leaf->message) {
    mime_reader_end(leaf->message);
    mime_reader_free(leaf->message);
    reader->findings->depth--;
    reader->findings->encoded--;
  }
  if (leaf->is_text) {
    body_text_end_part(reader->findings->text);
  }
  if (leaf->attachment >= 0) {
    attachment_at(reader->findings, leaf->attachment)->size = leaf->size;
  }
  *leaf = (Leaf){.attachment = -1};
}

/* Parts */

/* Its place, or -1. */
static gssize add_attachment(MimeReader *reader, const Part *part) {
  MimeFindings *findings = reader->findings;
  if (!findings->want_attachments || !part->is_attachment) {
    return -1;
  }
  size_t name_length = part->name ? strlen(part->name) : 0, type_length = strlen(part->type);
  if (!budget_take(findings->budget, sizeof(Attachment) + sizeof(ValueRecord) + 4 * sizeof(Value) + name_length + type_length)) {
    fail(reader, "attachments' names past the limit of ", findings->budget->limit, "bytes");
    return -1;
  }
  if (findings->attachments == NULL) {
    findings->attachments = g_array_new(FALSE, FALSE, sizeof(Attachment));
  }
  Attachment attachment = {.type = slice_copy(findings->arena, slice_make(part->type, type_length))};
  if (part->name) {
    attachment.name = slice_copy(findings->arena, slice_make(part->name, name_length));
  }
  g_array_append_val(findings->attachments, attachment);
  return (gssize)findings->attachments->len - 1;
}

static bool push_level(MimeReader *reader, Level level) {
  if (reader->findings->depth >= LIMIT_MIME_DEPTH) {
    fail(reader, "parts within parts, more than ", LIMIT_MIME_DEPTH, "deep");
    g_free(level.boundary);
    return false;
  }
  reader->findings->depth++;
  reader->multiparts += level.boundary != NULL;
  g_array_append_val(reader->levels, level);
  return true;
}

/* Content ends at `end`. */
static void pop_level(MimeReader *reader, uint64_t end) {
  Level *level = innermost(reader);
  if (level->attachment >= 0) {
    attachment_at(reader->findings, level->attachment)->size = (int64_t)(end > level->start ? end - level->start : 0);
  }
  reader->findings->depth--;
  reader->multiparts -= level->boundary != NULL;
  g_free(level->boundary);
  g_array_set_size(reader->levels, reader->levels->len - 1);
}

static void begin_header(MimeReader *reader) {
  reader->state = READ_HEADER;
  reader->held = LINE_END_NONE;
  reader->has_fields = false;
  reader->field = PART_FIELD_COUNT;
  memset(reader->field_seen, 0, sizeof reader->field_seen);
}

static bool is_encoding(GMimeContentEncoding encoding) {
  return encoding == GMIME_CONTENT_ENCODING_BASE64 || encoding == GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE ||
         encoding == GMIME_CONTENT_ENCODING_UUENCODE;
}

static void begin_leaf(MimeReader *reader, const Part *part) {
  MimeFindings *findings = reader->findings;
  Leaf *leaf = &reader->leaf;
  *leaf = (Leaf){.is_open = true, .is_encoded = is_encoding(part->encoding), .attachment = add_attachment(reader, part)};
  leaf->is_text = findings->want_text && part->is_text && !part->is_put_aside;
  if (leaf->is_encoded) {
    g_mime_encoding_init_decode(&leaf->decoder, part->encoding);
    leaf->collected = part->encoding == GMIME_CONTENT_ENCODING_UUENCODE ? g_string_new(NULL) : NULL;
  }
  if (leaf->is_text) {
    body_text_begin_part(findings->text, part->charset);
  }
  if (part->is_message && findings->depth >= LIMIT_MIME_DEPTH) {
    fail(reader, "parts within parts, more than ", LIMIT_MIME_DEPTH, "deep");
  } else if (part->is_message && findings->encoded >= LIMIT_MIME_ENCODED) {
    fail(reader, "encoded messages within each other, more than ", LIMIT_MIME_ENCODED, "deep");
  } else if (part->is_message) {
    findings->depth++;
    findings->encoded++;
    leaf->message = mime_reader_new_message(findings);
  }
  leaf->is_counted = part->encoding == GMIME_CONTENT_ENCODING_BASE64 && !leaf->is_text && leaf->message == NULL;
  reader->state = leaf->is_text || leaf->message || leaf->attachment >= 0 ? READ_CONTENT : READ_NOTHING;
}

/* The header is complete. */
static void begin_part(MimeReader *reader, const PartHeader *header) {
  if (++reader->findings->parts > LIMIT_MIME_PARTS) {
    fail(reader, "more than ", LIMIT_MIME_PARTS, "parts");
    return;
  }
  Level *around = innermost(reader);
  Part part;
  part_read(&part, header, around && around->is_digest);
  reader->state = READ_NOTHING;
  size_t boundary_length = part.boundary ? strlen(part.boundary) : 0;
  while (boundary_length > 0 && part.boundary[boundary_length - 1] == ' ') {
    boundary_length--; /* as blanks behind a boundary's line */
  }
  if (part.boundary && boundary_length > LIMIT_MIME_BOUNDARY) {
    fail(reader, "a boundary of more than ", LIMIT_MIME_BOUNDARY, "bytes");
  } else if (part.boundary) {
    (void)push_level(reader, (Level){.boundary = g_strndup(part.boundary, boundary_length),
                                     .boundary_length = boundary_length,
                                     .is_digest = strcmp(part.type, "multipart/digest") == 0,
                                     .attachment = -1});
  } else if (part.is_message && !is_encoding(part.encoding)) {
    if (push_level(reader, (Level){.attachment = add_attachment(reader, &part), .start = reader->position})) {
      begin_header(reader);
    }
  } else {
    begin_leaf(reader, &part);
  }
  part_clear(&part);
}

static void end_header(MimeReader *reader) {
  PartHeader header = {0};
  for (PartField field = 0; field < PART_FIELD_COUNT; field++) {
    if (reader->field_seen[field]) {
      header.fields[field] = slice_make(reader->fields[field]->str, reader->fields[field]->len);
    }
  }
  begin_part(reader, &header);
}

/* Header lines */

static void append_field(MimeReader *reader, Slice text) {
  GString *field = reader->fields[reader->field];
  if (field->len + text.length > LIMIT_MIME_FIELD || reader->line_too_long) {
    fail(reader, "a header field of a part of more than ", LIMIT_MIME_FIELD, "bytes");
    return;
  }
  g_string_append_len(field, text.data, (gssize)text.length);
}

static void read_header_line(MimeReader *reader, Slice line) {
  if (line.length == 0) {
    end_header(reader);
    return;
  }
  if (line.data[0] == ' ' || line.data[0] == '\t') {
    if (reader->field != PART_FIELD_COUNT) {
      append_field(reader, line);
    }
    return;
  }
  Slice value;
  bool found;
  Slice name = slice_trim(slice_split(line, ':', &value, &found));
  reader->field = found ? part_field_from_name(name) : PART_FIELD_COUNT;
  reader->has_fields = reader->has_fields || found;
  if (reader->field != PART_FIELD_COUNT && reader->field_seen[reader->field]) {
    reader->field = PART_FIELD_COUNT; /* the first one counts */
  }
  if (reader->field != PART_FIELD_COUNT) {
    reader->field_seen[reader->field] = true;
    if (reader->fields[reader->field] == NULL) {
      reader->fields[reader->field] = g_string_new(NULL);
    }
    g_string_truncate(reader->fields[reader->field], 0);
    append_field(reader, value);
  }
}

/* Boundaries */

/* The multipart whose boundary the line is: its place; -1: none's. */
static gssize find_boundary(const MimeReader *reader, Slice line, bool *is_end) {
  if (line.length < 3 || line.data[0] != '-' || line.data[1] != '-') {
    return -1;
  }
  while (line.length > 2 && (line.data[line.length - 1] == ' ' || line.data[line.length - 1] == '\t')) {
    line.length--;
  }
  Slice text = slice_from_offset(line, 2);
  for (gssize i = (gssize)reader->levels->len - 1; i >= 0; i--) {
    const Level *level = &g_array_index(reader->levels, Level, i);
    size_t length = level->boundary_length;
    if (level->boundary == NULL || text.length < length || memcmp(text.data, level->boundary, length) != 0) {
      continue;
    }
    *is_end = text.length == length + 2 && text.data[length] == '-' && text.data[length + 1] == '-';
    if (*is_end || text.length == length) {
      return i;
    }
  }
  return -1;
}

/* What is open within level `place` ends; `begin` is where the boundary's line begins. */
static void at_boundary(MimeReader *reader, gssize place, bool is_end, uint64_t begin) {
  if (reader->state == READ_HEADER && reader->has_fields) {
    end_header(reader); /* a part without content */
  }
  end_leaf(reader);
  reader->held = LINE_END_NONE;
  uint64_t end = begin > reader->last_end ? begin - reader->last_end : 0;
  while ((gssize)reader->levels->len > place + (is_end ? 0 : 1)) {
    pop_level(reader, end);
  }
  if (is_end) {
    reader->state = READ_NOTHING;
  } else {
    begin_header(reader);
  }
}

/* Lines */

/* `line` is complete, without its end. False: it is content, to be passed on. */
static bool read_kept_line(MimeReader *reader, LineEnd line_end) {
  Slice line = slice_make(reader->line->str, reader->line->len);
  bool is_end;
  gssize place = reader->multiparts > 0 ? find_boundary(reader, line, &is_end) : -1;
  unsigned end_length = line_end == LINE_END_CRLF ? 2 : line_end == LINE_END_LF ? 1 : 0;
  if (place >= 0) {
    at_boundary(reader, place, is_end, reader->position - end_length - line.length);
  } else if (reader->state == READ_HEADER) {
    read_header_line(reader, line);
  } else {
    return false;
  }
  reader->last_end = end_length;
  return true;
}

/* A line that might have been a boundary is none. */
static void pass_kept_line(MimeReader *reader) {
  pass_held_line_end(reader);
  content(reader, reader->line->str, reader->line->len);
  reader->line_kept = false;
}

/* More of a line that is kept. Returns how much of it was taken. */
static size_t keep(MimeReader *reader, const char *data, size_t length) {
  const size_t most = reader->state == READ_HEADER ? LIMIT_MIME_FIELD : LIMIT_MIME_BOUNDARY + 64;
  const char *lf = memchr(data, '\n', length);
  size_t count = lf ? (size_t)(lf - data) : length;
  GString *line = reader->line;
  size_t room = most > line->len ? most - line->len : 0;
  g_string_append_len(line, data, (gssize)MIN(count, room));
  reader->line_too_long = reader->line_too_long || count > room;
  bool is_end;
  bool is_content = reader->line_too_long ? find_boundary(reader, slice_make(line->str, line->len), &is_end) < 0
                                          : lf == NULL && line->len >= 2 && line->str[1] != '-';
  if (is_content && reader->state != READ_HEADER) {
    /* What was kept goes on, and the rest behind it. */
    bool cr = line->str[line->len - 1] == '\r';
    g_string_truncate(line, line->len - cr);
    pass_kept_line(reader);
    reader->held = cr ? LINE_END_CR : LINE_END_NONE;
    reader->in_line = true;
    reader->position += MIN(count, room);
    return MIN(count, room);
  }
  reader->position += count;
  if (lf == NULL) {
    return count;
  }
  reader->position++;
  LineEnd line_end = LINE_END_LF;
  if (line->len > 0 && line->str[line->len - 1] == '\r' && !reader->line_too_long) {
    g_string_truncate(line, line->len - 1);
    line_end = LINE_END_CRLF;
  }
  if (!read_kept_line(reader, line_end)) {
    pass_kept_line(reader);
    reader->held = line_end;
    reader->last_end = line_end == LINE_END_CRLF ? 2 : 1;
  }
  reader->line_kept = reader->in_line = false;
  return count + 1;
}

/* The line end that is the last byte or stands in front of a dash. Dashes are rarer than lines. */
static const char *find_line_of_dash(const char *data, size_t length) {
  const char *end = data + length;
  for (const char *at = data + 1; at < end;) {
    const char *dash = memchr(at, '-', (size_t)(end - at));
    if (dash == NULL) {
      break;
    }
    if (dash[-1] == '\n') {
      return dash - 1;
    }
    /* A row of dashes is one line. */
    const char *lf = memchr(dash, '\n', (size_t)(end - dash));
    if (lf == NULL || lf + 1 == end || lf[1] == '-') {
      return lf;
    }
    at = lf + 1;
  }
  return end[-1] == '\n' ? end - 1 : NULL;
}

/* A run of content up to a line end behind which a boundary may stand. Returns how much of it was taken. */
static size_t pass_run(MimeReader *reader, const char *data, size_t length) {
  const char *end = data + length, *lf = find_line_of_dash(data, length);
  bool ends_here = lf != NULL;
  const char *stop = ends_here ? lf : end;
  bool cr_was_held = reader->held == LINE_END_CR;
  if (cr_was_held && stop == data && ends_here) {
    reader->held = LINE_END_NONE;
  } else {
    pass_held_line_end(reader);
    cr_was_held = false;
  }
  bool cr = stop > data && stop[-1] == '\r';
  content(reader, data, (size_t)(stop - data) - cr);
  reader->in_line = !ends_here;
  if (ends_here) {
    reader->held = cr || cr_was_held ? LINE_END_CRLF : LINE_END_LF;
    reader->last_end = reader->held == LINE_END_CRLF ? 2 : 1;
    reader->position += (size_t)(stop + 1 - data);
    return (size_t)(stop + 1 - data);
  }
  if (cr) {
    reader->held = LINE_END_CR;
  }
  reader->position += length;
  return length;
}

void mime_reader_feed(MimeReader *reader, Slice chunk) {
  const char *data = chunk.data;
  size_t length = chunk.length;
  while (length > 0 && mime_findings_want_more(reader->findings)) {
    if (!reader->in_line && !reader->line_kept && (reader->state == READ_HEADER || (data[0] == '-' && reader->multiparts > 0))) {
      reader->line_kept = true;
      reader->line_too_long = false;
      g_string_truncate(reader->line, 0);
    }
    size_t taken = reader->line_kept ? keep(reader, data, length) : pass_run(reader, data, length);
    data += taken;
    length -= taken;
  }
}

void mime_reader_end(MimeReader *reader) {
  if (reader->findings->problem == NULL) {
    if (reader->line_kept && !read_kept_line(reader, LINE_END_NONE)) {
      pass_kept_line(reader);
    }
    if (reader->state == READ_HEADER && reader->has_fields) {
      end_header(reader);
    }
    pass_held_line_end(reader);
  }
  end_leaf(reader);
  while (reader->levels->len > 0) {
    pop_level(reader, reader->position);
  }
}

void mime_reader_free(MimeReader *reader) {
  if (reader == NULL) {
    return;
  }
  mime_reader_free(reader->leaf.message);
  if (reader->leaf.collected) {
    g_string_free(reader->leaf.collected, TRUE);
  }
  while (reader->levels->len > 0) {
    pop_level(reader, 0);
  }
  g_array_free(reader->levels, TRUE);
  g_string_free(reader->line, TRUE);
  for (PartField field = 0; field < PART_FIELD_COUNT; field++) {
    if (reader->fields[field]) {
      g_string_free(reader->fields[field], TRUE);
    }
  }
  g_free(reader);
}

MimeReader *mime_reader_new(MimeFindings *findings, const PartHeader *header) {
  MimeReader *reader = reader_new(findings, READ_NOTHING);
  reader->leaf.attachment = -1;
  begin_part(reader, header);
  return reader;
}

MimeReader *mime_reader_new_message(MimeFindings *findings) {
  MimeReader *reader = reader_new(findings, READ_HEADER);
  reader->leaf.attachment = -1;
  return reader;
}
