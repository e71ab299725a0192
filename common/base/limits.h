/*
 * limits.h: every limit of the product, on one page. Sizes are bytes unless said otherwise.
 */
#ifndef COMMON_BASE_LIMITS_H
#define COMMON_BASE_LIMITS_H

enum {
  /* Text of the rules */
  LIMIT_RULES_FILE = 64 * 1024 * 1024, /* one rules file */
  LIMIT_INCLUDE_DEPTH = 16,            /* files within files */
  LIMIT_INCLUDES = 10000,              /* files of one ruleset */
  LIMIT_NESTING = 64,                  /* parentheses, blocks, operators within operators */
  LIMIT_DIAGNOSTICS = 50,              /* told in one run */
  LIMIT_TABLE_FILE = 1024 * 1024 * 1024,
  LIMIT_TABLE_LINE = 4096,
  LIMIT_MAP_LOCK_MS = 100,             /* how long a look-up waits for a program that writes an LMDB file */
  LIMIT_MAP_VALUE = 64 * 1024,         /* a value in a database file; larger ones are taken for damage */

  /* Facts from the MTA */
  LIMIT_ADDRESS = 1024,       /* a mail address; RFC 5321 4.5.3.1 says 320 */
  LIMIT_FACT = 8192,          /* any other value */
  LIMIT_VARIABLE = 4096,      /* a text put into a variable */

  /* Policy protocol */
  LIMIT_POLICY_LINE = 16 * 1024,
  LIMIT_POLICY_REQUEST = 64 * 1024,
  LIMIT_POLICY_ATTRIBUTES = 128,

  /* Socket maps */
  LIMIT_SOCKETMAP_REQUEST = 4096,
  LIMIT_SOCKETMAP_KEY = 1000, /* a longer one may have been cut: Sendmail's buffer has 1024 bytes */

  /* Replies */
  LIMIT_REPLY_LINES = 32,  /* libmilter's smfi_setmlreply */
  LIMIT_REPLY_TEXT = 980,  /* libmilter's limit for one line */
  LIMIT_REPLY_BYTES = 12288, /* all lines: a process of Sendmail 8.17 hangs on a milter's reply of some 16 KiB */
  LIMIT_POLICY_TEXT = 980, /* as through the milter: Postfix sends a line of any length */
  LIMIT_SOCKETMAP_TEXT = 220, /* code and text are one token of Sendmail's, of at most 256 bytes */
  LIMIT_HEADER_VALUE = 2048,

  /* Changes of a message */
  LIMIT_HEADER_NTH = 1000,      /* which header of a name a rule may speak of */
  LIMIT_MESSAGE_EFFECTS = 1000, /* kept for one message until its end */
  LIMIT_GROUP_RULES = 8,        /* rules that group recipients, in one ruleset */
  LIMIT_GROUP_TOLD = 64,        /* recipients of a message that are remembered to have been sent away */

  LIMIT_MESSAGE_RECIPIENTS = 10000, /* accepted ones of a message that the milter keeps for `recipients` */

  /* The message. Past one of these a fact is unknown, with the reason */
  LIMIT_HEADER_FIELDS = 1000,      /* kept of one message */
  LIMIT_HEADER_FIELD = 64 * 1024,  /* one field */
  LIMIT_HEADER_ADDRESSES = 1000,   /* of one fact: header.to */
  LIMIT_MIME_PARTS = 1000,         /* of one message */
  LIMIT_MIME_DEPTH = 100,          /* parts within parts; Postfix's mime_nesting_limit */
  LIMIT_MIME_ENCODED = 8,          /* encoded messages within encoded messages, which are no MIME at all: each decodes all that is within */
  LIMIT_MIME_FIELD = 16 * 1024,    /* Content-Type and the like of one part */
  LIMIT_MIME_BOUNDARY = 2048,      /* of a multipart; RFC 2046 says 70, Postfix's mime_boundary_length_limit 2048 */

  /* Evaluation */
  LIMIT_ASKED_AHEAD = 32,           /* look-ups of one phase out at once, asked ahead */
  LIMIT_PENDING_LOOKUPS = 2000,     /* of the process */
  LIMIT_DEADLINE_MS = 8000,         /* from the MTA's question to our reply, milliseconds */
  LIMIT_REGEX_STEPS = 100000,       /* PCRE2 match limit, of a subject up to LIMIT_FACT */
  LIMIT_REGEX_STEPS_BYTE = 32,      /* and for each byte of a longer one: the text of a message */
  LIMIT_REGEX_STACK = 1024 * 1024,  /* of machine code, for subjects longer than LIMIT_FACT; 32 KiB for others */
  LIMIT_REGEX_DEPTH = 20000,        /* PCRE2 depth limit: two for each byte of the longest fact and some */
  LIMIT_REGEX_HEAP_KIB = 8192,      /* PCRE2 heap limit, KiB */
  LIMIT_WAITING_CALLBACKS = 256,    /* milter callbacks that hold a thread while look-ups are out */
  LIMIT_CACHE_ENTRIES = 100000,     /* answers kept by the look-up scheduler */
  LIMIT_CACHE_BYTES = 64 * 1024 * 1024, /* and their size */
  LIMIT_LOOKUP_SECONDS = 30,        /* after which a look-up without an answer is pending no longer */
  LIMIT_SQLITE_SECONDS = 10,        /* for which the answer of a database is kept */
  LIMIT_SQLITE_BUSY_MS = 2000,      /* how long a question waits for a program that writes the database */
  LIMIT_PEER_CONNECT_MS = 3000,     /* for which a server's name and a connection to it are waited for */
  LIMIT_PEER_BACKOFF_MS = 3000,     /* longest pause between two connections to a server that is not there */
  LIMIT_SOCKETMAP_REPLY = 100000,   /* of a server that is asked; Postfix's limit */
  LIMIT_SOCKETMAP_CONNECTIONS = 4,  /* a table, each with one question at a time */
  LIMIT_SOCKETMAP_SECONDS = 10,     /* for which an answer is kept */
  LIMIT_SOCKETMAP_IDLE_SECONDS = 60, /* a connection that has nothing to ask is closed then */
  LIMIT_REDIS_SECONDS = 10,         /* for which the answer of a Redis server is kept */
  LIMIT_REDIS_ANSWER_MS = 5000,     /* how long a Redis server that is connected may be silent */
  LIMIT_REDIS_PROBE_MS = 1000,      /* how long each step of the question at start may take */
  LIMIT_REDIS_REPLY = 64 * 1024,    /* one reply */
  LIMIT_PASSWORD = 512,             /* in a file that holds one */
  LIMIT_FAILURE_SECONDS = 5,        /* for which a failed look-up is not asked again */
  LIMIT_STALE_SECONDS = 3600,       /* an answer whose time is over is kept so long, for when no fresh one comes */
  LIMIT_SILENT_SECONDS = 3,         /* a look-up without an answer for so long counts as one that failed */
  LIMIT_ROW_FAILURES = 10,          /* different look-ups of one list or table that fail in a row; then it rests */
  LIMIT_ROW_SECONDS = 60,           /* all of them within this time */
  LIMIT_TRIAL_SECONDS = 10,         /* what rests is tried with one look-up so often */
  LIMIT_INSTANCES = 65536,          /* messages that the policy door remembers */
  LIMIT_INSTANCE_SECONDS = 3600,
  LIMIT_INSTANCE_RECIPIENTS = 1000,           /* of one message that are remembered; Postfix's smtpd_recipient_limit */
  LIMIT_RECIPIENT_MEMORY = 64 * 1024 * 1024,  /* all of them together; past it the recipients of further messages are unknown at data and eom */
  LIMIT_INSTANCE_EFFECTS = 16,      /* whole-message effects that are said for one message */
  LIMIT_QUOTE = 120,                /* bytes of a stranger's text quoted in a log line */
};

#endif
