/*
 * message.c: one message from its first header field to its end: what is kept of it, and its facts.
 */
#include "common/message/message.h"

#include "common/base/limits.h"
#include "common/message/message_internal.h"
#include "common/smtp/record.h"

/* The fields that RFC 5322 3.6 allows once, as header_duplicates names them. */
static const Slice single_fields[] = {{"date", 4}, {"from", 4},        {"sender", 6},       {"reply-to", 8},    {"to", 2},     {"cc", 2},
                                      {"bcc", 3},  {"message-id", 10}, {"in-reply-to", 11}, {"references", 10}, {"subject", 7}};

/* What is kept of a usual message fits. */
enum { MESSAGE_ARENA_SIZE = 4096 };

struct Message {
  MessageLimits limits;
  const MessageNeeds *needs; /* NULL between messages */
  Arena *arena;              /* what is kept: made when first needed */
  Budget budget;
  Headers headers;
  PartHeader mime_header;
  bool mime_field_too_long;
  int64_t header_count, received_count, size;
  unsigned char times[G_N_ELEMENTS(single_fields)]; /* that a single field came, 2 for more */
  bool headers_over, header_facts_set, body_is_skipped;
  MimeFindings findings;
  BodyText text;
  MimeReader *reader; /* NULL: not needed, or over */
};

GMimeParserOptions *message_parser_options(void) {
  static gsize options = 0;
  if (g_once_init_enter(&options)) {
    g_mime_init();
    GMimeParserOptions *made = g_mime_parser_options_new();
    const char *charsets[] = {"utf-8", NULL};
    g_mime_parser_options_set_fallback_charsets(made, charsets);
    g_mime_parser_options_set_allow_addresses_without_domain(made, TRUE);
    g_once_init_leave(&options, (gsize)made);
  }
  return (GMimeParserOptions *)options;
}

static bool needs_mime(const MessageNeeds *needs) {
  return needs->attachment || needs->body;
}

bool message_needs_body(const MessageNeeds *needs) {
  return needs->message_size || needs_mime(needs);
}

bool message_needs_headers(const MessageNeeds *needs) {
  return needs->all_headers || (needs->header_names && needs->header_names[0]) || needs->header_count || needs->header_duplicates ||
         needs->header_from || needs->header_sender || needs->header_reply_to || needs->header_to || needs->header_cc ||
         needs->received_count || message_needs_body(needs);
}

Message *message_new(const MessageLimits *limits) {
  (void)message_parser_options(); /* GMime is initialised whatever is asked of it first */
  Message *message = g_new0(Message, 1);
  message->limits = *limits;
  return message;
}

void message_reset(Message *message) {
  mime_reader_free(g_steal_pointer(&message->reader));
  body_text_clear(&message->text);
  if (message->findings.attachments) {
    g_array_free(message->findings.attachments, TRUE);
  }
  if (message->headers.fields) {
    g_array_free(message->headers.fields, TRUE);
  }
  Arena *arena = message->arena;
  if (arena) {
    arena_reset(arena);
  }
  *message = (Message){.limits = message->limits, .arena = arena};
}

void message_free(Message *message) {
  if (message == NULL) {
    return;
  }
  message_reset(message);
  arena_free(message->arena);
  g_free(message);
}

void message_begin(Message *message, const MessageNeeds *needs) {
  message_reset(message);
  if (message->arena == NULL) {
    message->arena = arena_new(MESSAGE_ARENA_SIZE);
  }
  message->needs = needs;
  message->budget = (Budget){message->limits.memory, 0};
  message->headers.arena = message->arena;
}

/* Header fields */

/* As it goes over the wire: each line end is CR LF. */
static int64_t wire_size(Slice text) {
  int64_t size = (int64_t)text.length;
  Slice rest = text;
  for (ptrdiff_t lf = slice_find(rest, '\n'); lf >= 0; lf = slice_find(rest, '\n')) {
    rest = slice_from_offset(rest, (size_t)lf + 1);
    const char *at = rest.data - 1;
    size += at == text.data || at[-1] != '\r';
  }
  return size;
}

static void keep_mime_field(Message *message, PartField field, Slice value) {
  if (message->mime_header.fields[field].data) {
    return; /* the first one counts, as in parts */
  }
  if (value.length > LIMIT_MIME_FIELD || !budget_take(&message->budget, value.length)) {
    message->mime_field_too_long = true;
    return;
  }
  Slice copy = slice_copy(message->arena, value);
  message->mime_header.fields[field] = slice_is_empty(copy) ? SLICE_LITERAL("") : copy;
}

static void count_single_field(Message *message, Slice name) {
  for (size_t i = 0; i < G_N_ELEMENTS(single_fields); i++) {
    if (name.length == single_fields[i].length && message->times[i] < 2 && slice_equal_fold(name, single_fields[i])) {
      message->times[i]++;
    }
  }
}

void message_header(Message *message, Slice name, Slice value) {
  const MessageNeeds *needs = message->needs;
  if (needs == NULL || message->headers_over) {
    return;
  }
  name = slice_trim(name);
  if (value.length > 0 && (value.data[0] == ' ' || value.data[0] == '\t')) {
    value = slice_from_offset(value, 1);
  }
  message->header_count++;
  message->received_count += slice_equal_fold(name, SLICE_LITERAL("Received"));
  message->size += (int64_t)name.length + 2 + wire_size(value) + 2;
  if (needs->header_duplicates) {
    count_single_field(message, name);
  }
  PartField field = needs_mime(needs) ? part_field_from_name(name) : PART_FIELD_COUNT;
  if (field != PART_FIELD_COUNT) {
    keep_mime_field(message, field, value);
  }
  headers_take(&message->headers, needs, &message->budget, name, value);
}

void message_end_of_headers(Message *message) {
  const MessageNeeds *needs = message->needs;
  if (needs == NULL || message->headers_over) {
    return;
  }
  message->headers_over = true;
  message->size += 2;
  if (!needs_mime(needs)) {
    return;
  }
  message->text = (BodyText){.limit = message->limits.body_text, .budget = &message->budget};
  message->findings = (MimeFindings){.want_attachments = needs->attachment,
                                     .want_text = needs->body,
                                     .arena = message->arena,
                                     .budget = &message->budget,
                                     .text = &message->text};
  if (message->mime_field_too_long) {
    message->findings.problem = arena_printf(message->arena, "a header field of a part of more than %d bytes", LIMIT_MIME_FIELD);
  } else {
    message->reader = mime_reader_new(&message->findings, &message->mime_header);
  }
}

/* The body */

bool message_body(Message *message, Slice chunk) {
  const MessageNeeds *needs = message->needs;
  if (needs == NULL || message->body_is_skipped) {
    return false;
  }
  message_end_of_headers(message);
  message->size += (int64_t)chunk.length;
  if (message->reader) {
    mime_reader_feed(message->reader, chunk);
  }
  return needs->message_size || (message->reader && mime_findings_want_more(&message->findings));
}

/* Facts */

static void set_count(Session *session, Fact fact, bool needed, int64_t count) {
  if (needed) {
    Value value = value_int(count);
    session_borrow_value(session, fact, &value);
  }
}

static void set_duplicates(Message *message, Session *session) {
  Arena *arena = session_message_arena(session);
  Value *items = ARENA_NEW_ARRAY(arena, Value, G_N_ELEMENTS(single_fields));
  size_t count = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(single_fields); i++) {
    if (message->times[i] > 1) {
      items[count++] = value_text(single_fields[i]);
    }
  }
  ValueList *list = ARENA_NEW(arena, ValueList);
  *list = (ValueList){count, items};
  Value value = {count > 0 ? VALUE_SET : VALUE_UNSET, TYPE_LIST, {.list = list}};
  session_borrow_value(session, FACT_HEADER_DUPLICATES, &value);
}

static void set_addresses(Message *message, Session *session, Fact fact, bool needed, AddressField which) {
  if (needed) {
    Value value = headers_addresses(&message->headers, which, session_message_arena(session), &message->budget);
    session_borrow_value(session, fact, &value);
  }
}

static void set_header_facts(Message *message, Session *session) {
  const MessageNeeds *needs = message->needs;
  if (message->header_facts_set) {
    return;
  }
  message->header_facts_set = true;
  set_count(session, FACT_HEADER_COUNT, needs->header_count, message->header_count);
  set_count(session, FACT_RECEIVED_COUNT, needs->received_count, message->received_count);
  if (needs->header_duplicates) {
    set_duplicates(message, session);
  }
  if (needs->all_headers || needs->header_names) {
    Value value = headers_list(&message->headers, session_message_arena(session), &message->budget);
    session_borrow_value(session, FACT_HEADER, &value);
  }
  set_addresses(message, session, FACT_HEADER_FROM, needs->header_from, ADDRESS_FROM);
  set_addresses(message, session, FACT_HEADER_SENDER, needs->header_sender, ADDRESS_SENDER);
  set_addresses(message, session, FACT_HEADER_REPLY_TO, needs->header_reply_to, ADDRESS_REPLY_TO);
  set_addresses(message, session, FACT_HEADER_TO, needs->header_to, ADDRESS_TO);
  set_addresses(message, session, FACT_HEADER_CC, needs->header_cc, ADDRESS_CC);
}

static Value attachment_value(Arena *arena, const Attachment *attachment) {
  Value *fields = ARENA_NEW_ARRAY(arena, Value, ATTACHMENT_FIELD_SIZE + 1);
  fields[ATTACHMENT_FIELD_NAME] = attachment->name.data ? value_text(attachment->name) : VALUE_NONE;
  fields[ATTACHMENT_FIELD_TYPE] = value_text(attachment->type);
  fields[ATTACHMENT_FIELD_SIZE] = (Value){VALUE_SET, TYPE_SIZE, {.number = attachment->size}};
  ValueRecord *record = ARENA_NEW(arena, ValueRecord);
  *record = (ValueRecord){RECORD_ATTACHMENT, fields};
  return (Value){VALUE_SET, TYPE_RECORD, {.record = record}};
}

static void set_attachments(Message *message, Session *session) {
  const MimeFindings *findings = &message->findings;
  Arena *arena = session_message_arena(session);
  size_t count = findings->attachments ? findings->attachments->len : 0;
  Value value = {VALUE_UNSET, TYPE_LIST, {.number = 0}};
  if (findings->problem) {
    value = message_unknown(arena, TYPE_LIST, findings->problem);
  } else if (count > 0) {
    Value *items = ARENA_NEW_ARRAY(arena, Value, count);
    for (size_t i = 0; i < count; i++) {
      items[i] = attachment_value(arena, &g_array_index(findings->attachments, Attachment, i));
    }
    ValueList *list = ARENA_NEW(arena, ValueList);
    *list = (ValueList){count, items};
    value = (Value){VALUE_SET, TYPE_LIST, {.list = list}};
  }
  session_borrow_value(session, FACT_ATTACHMENT, &value);
}

static void set_text(Message *message, Session *session) {
  const GString *text = message->text.text;
  Value value = value_text(text ? slice_make(text->str, text->len) : SLICE_EMPTY);
  value.state = text && text->len > 0 ? VALUE_SET : VALUE_UNSET;
  session_borrow_value(session, FACT_BODY, &value);
  value = value_bool(message->text.truncated || message->findings.problem != NULL);
  session_borrow_value(session, FACT_BODY_TRUNCATED, &value);
}

static void set_size(Session *session, const Value *value) {
  if (session_get(session, FACT_MESSAGE_SIZE)->state != VALUE_SET) {
    session_borrow_value(session, FACT_MESSAGE_SIZE, value);
  }
}

typedef struct BodyFact {
  Fact fact;
  ValueType type;
} BodyFact;

static const BodyFact body_facts[] = {
    {FACT_ATTACHMENT, TYPE_LIST}, {FACT_BODY, TYPE_STRING}, {FACT_BODY_TRUNCATED, TYPE_BOOL}, {FACT_MESSAGE_SIZE, TYPE_SIZE}};

static bool needs_fact(const MessageNeeds *needs, Fact fact) {
  return fact == FACT_ATTACHMENT ? needs->attachment : fact == FACT_MESSAGE_SIZE ? needs->message_size : needs->body;
}

/* All that the body tells, but for a size that the MTA has told. */
static void set_body_facts(Message *message, Session *session, const Value *value) {
  for (size_t i = 0; i < G_N_ELEMENTS(body_facts); i++) {
    Value of_fact = *value;
    of_fact.type = body_facts[i].type;
    if (!needs_fact(message->needs, body_facts[i].fact)) {
      continue;
    }
    if (body_facts[i].fact == FACT_MESSAGE_SIZE) {
      set_size(session, &of_fact);
    } else {
      session_borrow_value(session, body_facts[i].fact, &of_fact);
    }
  }
}

void message_skip_body(Message *message) {
  message->body_is_skipped = true;
  mime_reader_free(g_steal_pointer(&message->reader));
}

void message_facts(Message *message, Session *session) {
  const MessageNeeds *needs = message->needs;
  if (needs == NULL) {
    return;
  }
  message_end_of_headers(message);
  set_header_facts(message, session);
  if (message->body_is_skipped) {
    Value value = message_unknown(session_message_arena(session), TYPE_LIST, "the body was not read");
    set_body_facts(message, session, &value);
    return;
  }
  if (message->reader) {
    mime_reader_end(message->reader);
    mime_reader_free(g_steal_pointer(&message->reader));
  }
  if (needs->attachment) {
    set_attachments(message, session);
  }
  if (needs->body) {
    set_text(message, session);
  }
  if (needs->message_size) {
    set_size(session, &(Value){VALUE_SET, TYPE_SIZE, {.number = message->size}});
  }
}

void message_header_facts(Message *message, Session *session) {
  if (message->needs == NULL) {
    return;
  }
  message_end_of_headers(message);
  set_header_facts(message, session);
  set_body_facts(message, session, &(Value){VALUE_OPEN, TYPE_LIST, {.number = 0}});
}
