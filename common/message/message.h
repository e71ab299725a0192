/*
 * message.h: the content of one message, taken as it comes by (header fields, then body chunks), and the facts that follow from it.
 *
 *     message_begin(m, &needs);
 *     message_header(m, name, value) ... message_end_of_headers(m) ... message_body(m, chunk) ...
 *     message_facts(m, session);     at the end of the message: sets the facts that were needed
 *     message_reset(m);              and at abort; ready for the next one
 *
 * Only what `needs` asks for is kept. Memory is bounded: what is kept of headers, body text and the message itself is at most MessageLimits.memory
 * (the message goes on in an unlinked file in `spool_directory` when MIME structure is needed, since GMime reads it as a stream); past a limit a list
 * becomes unknown with the reason, so that `on error` decides, and body_truncated says so for the text.
 *
 * Decoding: RFC 2047 words in headers, RFC 2231 and 2047 in file names, transfer encodings and charsets of text parts; what cannot be decoded stays
 * as it came with bytes that are no UTF-8 replaced. Nothing here fails on bad input. No I/O but the spool file. Confined: one thread at a time.
 */
#ifndef COMMON_MESSAGE_MESSAGE_H
#define COMMON_MESSAGE_MESSAGE_H

#include <glib.h>

#include "common/base/slice.h"
#include "common/smtp/session.h"

/* What a ruleset reads of a message: made once a ruleset, borrowed by the messages under it. */
typedef struct MessageNeeds {
  bool all_headers;          /* `header` as a list: every field is kept */
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
  size_t memory;               /* bytes of one message kept in memory: the setting message_memory */
  size_t body_text;            /* bytes of decoded text that `body` holds: the setting body_limit */
  uint64_t spool;              /* bytes of one message in the spool file; past it `attachment` is unknown */
  const char *spool_directory; /* for unlinked files; NULL: $TMPDIR or /tmp */
} MessageLimits;

typedef struct Message Message;

/* `limits` is copied, its directory's name too. Cheap: nothing else is allocated before a message needs it. */
Message *message_new(const MessageLimits *limits);
void message_free(Message *message); /* takes NULL */

/* Borrows `needs` until message_reset. */
void message_begin(Message *message, const MessageNeeds *needs);
/* `value` as the MTA hands it over: without the name and the colon, maybe folded with LF or CR LF, maybe with the blank behind the colon. */
void message_header(Message *message, Slice name, Slice value);
void message_end_of_headers(Message *message);
/* Bytes of the body in pieces of any size. False: nothing more of the body is wanted (the caller may ask the MTA to skip the rest). */
bool message_body(Message *message, Slice chunk);
/* Sets the facts that `needs` asks for; their values live in the session's message arena. */
void message_facts(Message *message, Session *session);
void message_reset(Message *message);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)

#endif
