/*
 * answer_cache.h: answers kept for their time to live.
 *
 * Holds found, not found and failed answers by question. A good answer whose time is over is kept for LIMIT_STALE_SECONDS more: it is given while
 * the question fails. Bounded by entries and by bytes: past either, the answer that was used longest ago goes.
 * Time is given by the caller (monotonic nanoseconds). Confined: the scheduler's lock guards it.
 */
#ifndef COMMON_ASK_ANSWER_CACHE_H
#define COMMON_ASK_ANSWER_CACHE_H

#include "common/ask/lookup.h"

typedef struct AnswerCache AnswerCache;

AnswerCache *answer_cache_new(size_t entries_max, size_t bytes_max);
void answer_cache_free(AnswerCache *cache); /* takes NULL */

/*
 * The kept answer, transfer full and shared: nothing is taken from the heap for an answer that is fresh, or that was stale for this reason before. Marked `from_cache`; a stale one where the last look-up has just failed and there was a good one before. NULL: the
 * question must be asked (again).
 */
Answer *answer_cache_find(AnswerCache *cache, const Question *question, int64_t now);
/* A good answer, its time over or not, as a stale one for this reason; transfer full. NULL when there is none. */
Answer *answer_cache_find_stale(AnswerCache *cache, const Question *question, const char *reason, int64_t now);
/*
 * Keeps `answer` for `seconds` (0: not at all). A failure never replaces a good answer that is still fresh: a late SERVFAIL says nothing against it. A
 * good answer replaces everything, also one that is not kept itself, but for an older one that says the same. What is kept is a copy of the answer's fields that shares its payload.
 */
void answer_cache_put(AnswerCache *cache, Question *question, const Answer *answer, unsigned seconds, int64_t now);
size_t answer_cache_entries(const AnswerCache *cache);
size_t answer_cache_bytes(const AnswerCache *cache);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(AnswerCache, answer_cache_free)

#endif
