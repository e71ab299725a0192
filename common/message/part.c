/*
 * part.c: what the header of a part says: its type, its name, how its content is encoded.
 *
 * GMime reads the fields, with all that RFC 2231, RFC 2047 and the mail programs of thirty years make of parameters. Nearly all fields are
 * simpler: ASCII, each parameter a word or a plain quoted text. These are read here, since GMime makes some ten objects of a field; a test
 * holds that it is the same.
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

/* What is wanted of Content-Type and Content-Disposition. */
typedef enum Parameter { PARAMETER_BOUNDARY, PARAMETER_CHARSET, PARAMETER_NAME, PARAMETER_FILENAME, PARAMETER_COUNT } Parameter;

typedef struct Field {
  char *value; /* in lower case: "text/plain", "attachment" */
  char *parameters[PARAMETER_COUNT];
} Field;

static const char *const parameter_names[PARAMETER_COUNT] = {"boundary", "charset", "name", "filename"};

static void field_clear(Field *field) {
  g_free(field->value);
  for (Parameter which = 0; which < PARAMETER_COUNT; which++) {
    g_free(field->parameters[which]);
  }
  *field = (Field){0};
}

/* Simple fields */

static bool is_word_byte(char byte) {
  return g_ascii_isalnum(byte) || (byte > ' ' && byte < 0x7f && strchr("()<>@,;:\\\"/[]?=", byte) == NULL);
}

static void skip_blanks(Slice *text) {
  size_t blanks = 0;
  while (blanks < text->length && is_white(text->data[blanks])) {
    blanks++;
  }
  *text = slice_from_offset(*text, blanks);
}

static Slice take_word(Slice *text) {
  size_t length = 0;
  while (length < text->length && is_word_byte(text->data[length])) {
    length++;
  }
  Slice word = slice_make(text->data, length);
  *text = slice_from_offset(*text, length);
  return word;
}

static bool take_byte(Slice *text, char byte) {
  bool is_there = text->length > 0 && text->data[0] == byte;
  *text = slice_from_offset(*text, is_there);
  return is_there;
}

/* Within quotes: no escape, no fold, no encoded word, nothing that a reader might trim. */
static bool take_quoted(Slice *text, Slice *value) {
  ptrdiff_t end = slice_find(*text, '"');
  if (end <= 0) {
    return false;
  }
  *value = slice_make(text->data, (size_t)end);
  *text = slice_from_offset(*text, (size_t)end + 1);
  for (size_t i = 0; i < value->length; i++) {
    char byte = value->data[i];
    if (byte < ' ' || byte == 0x7f || byte == '\\' || (byte == '=' && i + 1 < value->length && value->data[i + 1] == '?')) {
      return false;
    }
  }
  return value->data[0] != ' ' && value->data[value->length - 1] != ' ';
}

static bool take_simple_parameter(Slice *text, Field *field) {
  skip_blanks(text);
  Slice name = take_word(text), value;
  if (name.length == 0 || slice_find(name, '*') >= 0) {
    return false;
  }
  skip_blanks(text);
  if (!take_byte(text, '=')) {
    return false;
  }
  skip_blanks(text);
  if (!take_byte(text, '"')) {
    value = take_word(text);
    if (value.length == 0) {
      return false;
    }
  } else if (!take_quoted(text, &value)) {
    return false;
  }
  for (Parameter which = 0; which < PARAMETER_COUNT; which++) {
    if (((name.data[0] ^ parameter_names[which][0]) & ~0x20) == 0 && slice_equal_fold(name, slice_from(parameter_names[which]))) {
      if (field->parameters[which]) {
        return false;
      }
      field->parameters[which] = g_strndup(value.data, value.length);
    }
  }
  return true;
}

/* False: more than we know to read. */
static bool read_simple(Slice text, PartField kind, Field *field) {
  skip_blanks(&text);
  Slice value = take_word(&text), subtype;
  bool is_type = kind == PART_TYPE;
  if (value.length == 0 || (is_type && (!take_byte(&text, '/') || (subtype = take_word(&text)).length == 0))) {
    return false;
  }
  value.length = (size_t)(text.data - value.data);
  field->value = g_ascii_strdown(value.data, (gssize)value.length);
  for (skip_blanks(&text); text.length > 0; skip_blanks(&text)) {
    if (!take_byte(&text, ';') || !take_simple_parameter(&text, field)) {
      return false;
    }
  }
  return true;
}

/* The others */

static char *known_copy(const char *text) {
  return text && *text ? g_strdup(text) : NULL;
}

static void read_type(const char *text, Field *field) {
  g_autoptr(GObject) object = G_OBJECT(g_mime_content_type_parse(message_parser_options(), text));
  GMimeContentType *type = (GMimeContentType *)(void *)object;
  g_autofree char *mime_type = g_mime_content_type_get_mime_type(type);
  field->value = g_ascii_strdown(mime_type, -1);
  for (Parameter which = 0; which < PARAMETER_COUNT; which++) {
    field->parameters[which] = known_copy(g_mime_content_type_get_parameter(type, parameter_names[which]));
  }
}

static void read_disposition(const char *text, Field *field) {
  g_autoptr(GObject) object = G_OBJECT(g_mime_content_disposition_parse(message_parser_options(), text));
  GMimeContentDisposition *disposition = (GMimeContentDisposition *)(void *)object;
  const char *value = g_mime_content_disposition_get_disposition(disposition);
  field->value = g_ascii_strdown(value ? value : "", -1);
  field->parameters[PARAMETER_FILENAME] = known_copy(g_mime_content_disposition_get_parameter(disposition, "filename"));
}

/* value NULL: there is no such field, or an empty one. */
static void read_field(Slice raw, PartField kind, Field *field) {
  *field = (Field){0};
  if (slice_is_empty(slice_trim(raw)) || read_simple(raw, kind, field)) {
    return;
  }
  field_clear(field);
  g_autofree char *text = header_unfold(slice_trim(raw));
  if (kind == PART_TYPE) {
    read_type(text, field);
  } else {
    read_disposition(text, field);
  }
}

/* Parts */

static bool is_message_type(const char *type) {
  static const char *const types[] = {"message/rfc822", "message/rfc2822", "message/global", "message/news"};
  for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
    if (strcmp(type, types[i]) == 0) {
      return true;
    }
  }
  return false;
}

static GMimeContentEncoding read_encoding(Slice raw) {
  g_autofree char *text = raw.data ? header_unfold(slice_trim(raw)) : NULL;
  return text ? g_mime_content_encoding_from_string(text) : GMIME_CONTENT_ENCODING_DEFAULT;
}

void part_read(Part *part, const PartHeader *header, bool in_digest) {
  Field type, disposition;
  read_field(header->fields[PART_TYPE], PART_TYPE, &type);
  read_field(header->fields[PART_DISPOSITION], PART_DISPOSITION, &disposition);
  *part = (Part){.encoding = read_encoding(header->fields[PART_ENCODING])};
  part->type = type.value ? g_steal_pointer(&type.value) : g_strdup(in_digest ? "message/rfc822" : "text/plain");
  part->is_multipart = g_str_has_prefix(part->type, "multipart/");
  part->is_text = g_str_has_prefix(part->type, "text/");
  part->is_message = is_message_type(part->type);
  part->boundary = part->is_multipart ? g_steal_pointer(&type.parameters[PARAMETER_BOUNDARY]) : NULL;
  part->charset = g_steal_pointer(&type.parameters[PARAMETER_CHARSET]);
  /* The name that the sender's program gave: Content-Disposition's first, as mail readers have it. */
  const char *filename = disposition.parameters[PARAMETER_FILENAME];
  const char *name = filename ? filename : type.parameters[PARAMETER_NAME];
  part->name = name ? g_utf8_make_valid(name, -1) : NULL;
  part->is_put_aside = g_strcmp0(disposition.value, "attachment") == 0;
  part->is_attachment = part->is_put_aside || part->name;
  field_clear(&type);
  field_clear(&disposition);
}

void part_clear(Part *part) {
  g_free(part->type);
  g_free(part->name);
  g_free(part->boundary);
  g_free(part->charset);
}
