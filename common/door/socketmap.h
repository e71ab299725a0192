/*
 * socketmap.h: the socket map door, pure: bytes -> request -> facts -> verdict -> bytes. No file descriptor inside.
 *
 * Protocol: socketmap_table(5) and Sendmail's socket maps. A request is a netstring, "LENGTH:NAME KEY,", NAME the map's; so is the answer. Sendmail's rulesets ask
 * (packaging/sendmail/mailreeve.m4), one map for each event, with a key that tells all facts:
 *
 *     client_address= 192.0.2.1 <> client_port= 25001 <> ... <> argument= what the client said behind the command
 *
 * The names are those of fact.def, the values macros, and `<>` stands between them: Sendmail's host names, addresses and encoded certificate names cannot have it.
 * `argument` is the last one and goes to the end of the key, so that the client's own text can never end or begin another field. Its tokens come without the blanks that Sendmail's
 * tokenizer drops, and without comments. What the answers are is written at socketmap_encode.
 */
#ifndef COMMON_DOOR_SOCKETMAP_H
#define COMMON_DOOR_SOCKETMAP_H

#include "common/door/inquiry.h"

typedef enum SocketmapParse {
  SOCKETMAP_PARSE_MORE,      /* the request is not complete */
  SOCKETMAP_PARSE_REQUEST,   /* *request is filled; *used bytes belong to it */
  SOCKETMAP_PARSE_MALFORMED, /* *problem says why, *excerpt quotes where: log, count, close without an answer */
} SocketmapParse;

/* What stands for $| in the texts of Sendmail's rulesets (CONDELSE of its sendmail.h). */
enum { SOCKETMAP_SENDMAIL_MARK = 0x9b };

/* What the request can be answered with: the rules' verdict, or at once with something else. */
typedef enum SocketmapKind {
  SOCKETMAP_ASKS,   /* a verdict */
  SOCKETMAP_NO_MAP, /* PERM: there is no map of that name */
  SOCKETMAP_CUT, /* 501 5.5.4: a key so long that Sendmail has cut it, and with it what the client said. (At unknown Sendmail refuses it anyway.) */
} SocketmapKind;

/* Slices point into the buffer. */
typedef struct SocketmapRequest {
  SocketmapKind kind;
  Phase phase;              /* vrfy, expn, etrn or unknown, by the map's name */
  Slice values[FACT_COUNT]; /* by fact, where fact.def names a macro; data NULL when the field was not there */
  Slice argument;           /* what the client said behind the command; at unknown the whole line */
  bool is_known;            /* at unknown: a command that Sendmail knows, and is about to answer with 2xx (NOOP, VERB) */
} SocketmapRequest;

/*
 * Parses one request at the start of `buffer`. After MORE call again with more bytes behind the same ones. Malformed: no netstring, one that is over LIMIT_SOCKETMAP_REQUEST,
 * a NUL byte, a key without `argument` (unless it was cut, or the map is unknown), a field without '='. Fields of other names are ignored; of two equal ones the first stays.
 */
SocketmapParse socketmap_parse(Slice buffer, SocketmapRequest *request, size_t *used, const char **problem, Slice *excerpt);

/* The name of the map that asks at a phase, "mailreeve_vrfy"; NULL where none does. */
const char *socketmap_name(Phase phase);

typedef struct SocketmapOptions {
  const char *server_name; /* the fact server_name where Sendmail does not tell it; never NULL */
  const char *service;     /* of the listener, where Sendmail tells no {daemon_name}; may be NULL */
  unsigned deadline_ms;
  PhaseSet owned;          /* phases that this door answers */
  MatchSpace *match_space; /* of one question at a time; may be NULL */
  AnswerSource answers;    /* as of an evaluation */
} SocketmapOptions;

/*
 * One question of Sendmail, answered: evaluates connect and the asked phase anew, in this order; the first verdict other than pass is the answer. (helo is not
 * evaluated: Sendmail tells rulesets of the name only behind MAIL FROM.) Run as an Evaluation.
 */
typedef struct SocketmapQuestion SocketmapQuestion;

/*
 * `session` and `*variables` are the caller's, for one question at a time, and re-used: *variables is NULL at first and made here, freed by the caller; the request's bytes must
 * outlive the question, which lives in `arena`. The clock's time is fixed here. Of a request that ASKS.
 */
SocketmapQuestion *socketmap_question_new(Arena *arena, Ruleset *ruleset, Session *session, Variables **variables,
                                          const SocketmapRequest *request, const SocketmapOptions *options, Clock *clock);
/* What runs, waits and decides. Borrowed. */
Inquiry *socketmap_question_inquiry(SocketmapQuestion *question);
/*
 * After DECIDED: the inquiry's verdict; where that lets several addresses pass and rules read one of them, a refusal by no rule: a rule that lets one pass must not let
 * pass the others beside it.
 */
const Verdict *socketmap_question_verdict(SocketmapQuestion *question);
/* After DECIDED: the answer's netstring, in the arena. */
Slice socketmap_question_bytes(SocketmapQuestion *question);
/* The answer to a request that does not ask. */
Slice socketmap_refusal_bytes(Arena *arena, const SocketmapRequest *request);

/* Puts a request's facts into a session (reset before): borrowed, or in its arena. False when the argument names several addresses, which no fact can hold. */
bool socketmap_facts(Session *session, const SocketmapRequest *request, const SocketmapOptions *options);

/*
 * Encodes a verdict as the answer's text, pure: "OK pass", or a word for the ruleset and the reply as one token of Sendmail's: OK refuse "550 5.7.1 no", OK defer "450 4.7.1 later".
 * One line of printable ASCII without '"' and '\', which would need quoting: they become ' and /; '%' is doubled for Sendmail's maps. At most LIMIT_SOCKETMAP_TEXT bytes of text. At
 * unknown a disconnect is 421, the only code that Sendmail closes the connection at; of a known command nothing else is said, since Sendmail answers it too.
 */
Slice socketmap_encode(Arena *arena, const Verdict *verdict, Phase asked, bool is_known);

#endif
