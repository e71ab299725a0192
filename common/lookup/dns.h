/*
 * dns.h: DNS as a look-up backend: libunbound on the look-up thread, and a fake with scripted answers.
 *
 * Keys are "NAME A", "NAME AAAA", "NAME TXT" (lower case, no trailing dot). Answers: FOUND with a payload (dns_payload_*), NOT_FOUND for NXDOMAIN and
 * for a name without such records, FAILED for the rest (SERVFAIL, refused, bogus, timed out). ttl_seconds comes from the records, or from the SOA for NOT_FOUND, clamped to 1 h.
 */
#ifndef COMMON_LOOKUP_DNS_H
#define COMMON_LOOKUP_DNS_H

#include "common/ask/scheduler.h"
#include "common/base/arena.h"
#include "common/base/ip.h"

/* A payload is a sequence of records: 2 bytes length (network order), then the bytes: 4 for A, 16 for AAAA, the joined text for TXT. */
GBytes *dns_payload_from(const Slice *records, size_t count);
size_t dns_payload_count(GBytes *payload);
Slice dns_payload_get(GBytes *payload, size_t index);

typedef struct DnsResolver DnsResolver;
extern const LookupBackend dns_resolver_backend;

/* `server` is "HOST@PORT" or "HOST" to forward all questions to, or NULL for the system's resolv.conf. After fork and privilege drop. */
DnsResolver *dns_resolver_new(Scheduler *scheduler, const char *server, GError **error);
void dns_resolver_free(DnsResolver *resolver); /* before scheduler_free */

typedef struct DnsFake DnsFake;
extern const LookupBackend dns_fake_backend;

/*
 * Scripted: without a script every name is NOT_FOUND. Answers come from the look-up thread when used with a scheduler, or inside dns_fake_answer when
 * a test or scenario asks directly.
 */
DnsFake *dns_fake_new(void);
void dns_fake_free(DnsFake *fake);
/* `type` "A" | "AAAA" | "TXT"; several values make several records. False when `value` is no address of that type, or the type is another. */
bool dns_fake_add(DnsFake *fake, Slice name, const char *type, Slice value);
/* The name fails (all types) with this reason: "SERVFAIL", "timed out". */
void dns_fake_fail(DnsFake *fake, Slice name, const char *reason);
/* The name is never answered (deadlines). */
void dns_fake_silence(DnsFake *fake, Slice name);
void dns_fake_clear(DnsFake *fake);
/* Direct: NULL when the name is silenced. Transfer full. */
Answer *dns_fake_answer(DnsFake *fake, Slice key);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(DnsResolver, dns_resolver_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DnsFake, dns_fake_free)

#endif
