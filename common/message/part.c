/*
 * part.c: what the header of a part says: its type, its name, how its content is encoded.
 */
#include "common/message/message_internal.h"

PartField part_field_from_name(Slice name) {
  static const char *const names[PART_FIELD_COUNT] = {"Content-Type", "Content-Disposition", "Content-Transfer-Encoding"};
  PartField field = 0;
  while (field < PART_FIELD_COUNT && !slice_equal_fold(name, slice_from(names[field]))) {
    field++;
  }
  return field;
}

/* For GMime: one line, valid UTF-8. NULL where there is none. */
static char *field_text(const PartHeader *header, PartField field) {
  Slice raw = header->fields[field];
  return raw.data ? header_unfold(slice_trim(raw)) : NULL;
}

static const char *known(const char *text) {
  return text && *text ? text : NULL;
}

/* The name that the sender's program gave: Content-Disposition's first, as mail readers have it. */
static char *part_name(const Part *part) {
  const char *name = part->disposition ? known(g_mime_content_disposition_get_parameter(part->disposition, "filename")) : NULL;
  if (name == NULL) {
    name = known(g_mime_content_type_get_parameter(part->content_type, "name"));
  }
  return name ? g_utf8_make_valid(name, -1) : NULL;
}

void part_read(Part *part, const PartHeader *header, bool in_digest) {
  g_autofree char *type = field_text(header, PART_TYPE);
  g_autofree char *disposition = field_text(header, PART_DISPOSITION);
  g_autofree char *encoding = field_text(header, PART_ENCODING);
  GMimeParserOptions *options = message_parser_options();
  *part = (Part){.encoding = encoding ? g_mime_content_encoding_from_string(encoding) : GMIME_CONTENT_ENCODING_DEFAULT};
  part->content_type = known(type) ? g_mime_content_type_parse(options, type)
                       : in_digest ? g_mime_content_type_new("message", "rfc822")
                                   : g_mime_content_type_new("text", "plain");
  part->disposition = known(disposition) ? g_mime_content_disposition_parse(options, disposition) : NULL;
  g_autofree char *mime_type = g_mime_content_type_get_mime_type(part->content_type);
  part->type = g_ascii_strdown(mime_type, -1);
  part->is_multipart = g_mime_content_type_is_type(part->content_type, "multipart", "*");
  part->is_text = g_mime_content_type_is_type(part->content_type, "text", "*");
  static const char *const messages[] = {"rfc822", "rfc2822", "global", "news"};
  for (size_t i = 0; i < G_N_ELEMENTS(messages); i++) {
    part->is_message = part->is_message || g_mime_content_type_is_type(part->content_type, "message", messages[i]);
  }
  part->boundary = part->is_multipart ? known(g_mime_content_type_get_parameter(part->content_type, "boundary")) : NULL;
  part->charset = known(g_mime_content_type_get_parameter(part->content_type, "charset"));
  part->name = part_name(part);
  part->is_put_aside = part->disposition && g_mime_content_disposition_is_attachment(part->disposition);
  part->is_attachment = part->is_put_aside || part->name;
}

void part_clear(Part *part) {
  g_clear_object(&part->content_type);
  g_clear_object(&part->disposition);
  g_clear_pointer(&part->type, g_free);
  g_clear_pointer(&part->name, g_free);
}
