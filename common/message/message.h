/*
 * message.h: the content of one message, taken as it comes by (header fields, then body chunks), and the facts that follow from it.
 *
 *     message_begin(m, &needs);
 *     message_header(m, name, value) ... message_end_of_headers(m) ... message_body(m, chunk) ...
 *     message_facts(m, session);     at the end of the message: sets the facts that were needed
 *     message_reset(m);              and at abort; ready for the next one
 *
 * Only what `needs` asks for is kept: the header fields that are read, the names and sizes of attachments, the text up to its limit. The
 * message itself is not: its MIME structure is followed while it passes by, part by part, so a message of any size costs at most
 * MessageLimits.memory and some buffers of fixed size, and nothing is ever written to a disk. (GMime's own parser wants the whole message
 * in a file that it can read twice and holds preambles, epilogues and every part's header in memory, whatever their size. GMime reads what
 * stands in the header fields, and decodes.) Past a limit a list becomes unknown with the reason, so that `on error` decides, and
 * body_truncated says so for the text.
 *
 * Decoding: RFC 2047 words in headers, RFC 2231 and 2047 in file names, transfer encodings and charsets of text parts, messages within
 * messages, encoded or not; what cannot be decoded stays as it came with bytes that are no UTF-8 replaced (U+FFFD). Nothing here fails on
 * bad input. No I/O. Confined: one thread at a time.
 */
#ifndef COMMON_MESSAGE_MESSAGE_H
#define COMMON_MESSAGE_MESSAGE_H

#include <glib.h>

#include "common/base/slice.h"
#include "common/smtp/session.h"

/* What a ruleset reads of a message: made once a ruleset, borrowed by the messages under it. */
typedef struct MessageNeeds {
  bool all_headers;                /* `header` as a list: every field is kept */
  const char *const *header_names; /* header["Name"]: NULL-terminated, may be NULL; compared without case */
  bool header_count, header_duplicates;
  bool header_from, header_sender, header_reply_to, header_to, header_cc; /* addresses */
  bool received_count;
  bool message_size;
  bool attachment; /* MIME structure */
  bool body;       /* text: also for body_truncated */
} MessageNeeds;

/* True when header fields (or the body's chunks) must be seen at all. */
bool message_needs_headers(const MessageNeeds *needs);
bool message_needs_body(const MessageNeeds *needs);

typedef struct MessageLimits {
  size_t memory;    /* bytes kept of one message: the setting message_memory */
  size_t body_text; /* bytes of decoded text that `body` holds, part of them: the setting body_limit */
} MessageLimits;

/* As the settings have it when they say nothing. */
#define MESSAGE_LIMITS_DEFAULT ((MessageLimits){1024 * 1024, 256 * 1024})

typedef struct Message Message;

/* `limits` is copied. Cheap: nothing else is allocated before a message needs it. */
Message *message_new(const MessageLimits *limits);
void message_free(Message *message); /* takes NULL */

/* Borrows `needs` until message_reset. */
void message_begin(Message *message, const MessageNeeds *needs);
/*
 * `value` as the MTA hands it over: without the name and the colon, maybe folded with LF or CR LF, maybe with the blank behind the colon.
 */
void message_header(Message *message, Slice name, Slice value);
void message_end_of_headers(Message *message);
/* Bytes of the body in pieces of any size. False: nothing more of the body is wanted (the caller may ask the MTA to skip the rest). */
bool message_body(Message *message, Slice chunk);
/*
 * Sets the facts that `needs` asks for; those that nothing was found for are unset. message_size stays when it is set: the MTA said it (it
 * is then the MTA's to count the lines that it adds itself). The values live until message_reset or session_reset_message.
 */
void message_facts(Message *message, Session *session);
/* The same at the end of the header: what the body tells is open, unless the MTA or a limit has told it. */
void message_header_facts(Message *message, Session *session);
/* Nothing is read of the body any more; what it would have told is unknown at the end. */
void message_skip_body(Message *message);
void message_reset(Message *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)

#endif
