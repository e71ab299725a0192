/*
 * policy_recipients.c: the fact `recipients` at data and eom, where Postfix says how many there are, and who only when it is one.
 *
 * The door remembers who passed at rcpt. Where their number is not Postfix's (another restriction refused one behind us, the process was started in the middle of the message, the same
 * restriction list asks twice) it cannot tell which, and the fact is unknown.
 */
#include "common/door/policy_internal.h"
#include "common/ask/resource.h"

static const Failure not_all_known = {NULL, {"recipients", 10}, {"not all recipients are known", 28}, ON_ERROR_TEMPFAIL};

/* False when one cannot be read as an address. */
static bool set_list(Session *session, Arena *arena, const Slice *recipients, size_t count) {
  Value *items = ARENA_NEW_ARRAY(arena, Value, count);
  ValueList *list = ARENA_NEW(arena, ValueList);
  const char *problem;
  Slice right_form;
  for (size_t i = 0; i < count; i++) {
    if (!value_parse(arena, TYPE_ADDRESS, recipients[i], &items[i], &problem, &right_form)) {
      return false;
    }
  }
  *list = (ValueList){count, items};
  Value value = {VALUE_SET, TYPE_LIST, {.list = list}};
  session_borrow_value(session, FACT_RECIPIENTS, &value);
  return true;
}

void policy_recipients_fact(Session *session, const PolicyRequest *request, PolicyMemory *memory, const MemoryKey *key, Arena *arena) {
  const Value *count = session_get(session, FACT_RECIPIENT_COUNT);
  if (count->state != VALUE_SET || count->as.number <= 0) {
    return;
  }
  const Slice *recipients = &request->attributes[FACT_RECIPIENT];
  size_t known = recipients->length > 0 ? 1 : 0;
  if (count->as.number != 1 || known == 0) {
    known = key != NULL ? policy_memory_recipients(memory, key, arena, &recipients) : 0;
  }
  if ((size_t)count->as.number == known && set_list(session, arena, recipients, known)) {
    return;
  }
  Value unknown = {VALUE_UNKNOWN, TYPE_LIST, {.failures = &not_all_known}};
  session_borrow_value(session, FACT_RECIPIENTS, &unknown);
}
