/* fuzz_address.c: mail addresses and domains: what is read is in normal form, and reading the normal form changes nothing. */
#include "tests/fuzz/fuzz.h"

#include "common/base/mailaddress.h"

static void check_domain(Arena *arena, Slice domain) {
  Slice once = domain_normalize(arena, domain);
  Slice twice = domain_normalize(arena, once);
  g_assert(slice_equal_fold(once, slice_lower(arena, once)));
  if (domain_is_valid(once)) {
    g_assert(slice_equal(once, twice));
    g_assert(domain_is_under(once, once));
  }
}

static void check_address(Arena *arena, const MailAddress *address) {
  if (mail_address_is_null(address)) {
    g_assert(slice_is_empty(address->text));
    return;
  }
  for (size_t i = 0; i < address->text.length; i++) {
    unsigned char byte = (unsigned char)address->text.data[i];
    g_assert(byte >= 0x20 && byte != 0x7f);
  }
  Slice user, extension;
  if (mail_address_extension(address, &user, &extension)) {
    g_assert(user.length + 1 + extension.length == address->localpart.length);
  }
  /* In angle brackets, as mail is sent on, it must still be the same address. */
  Slice wrapped = slice_from(arena_printf(arena, "<%.*s>", SLICE_ARGS(address->text)));
  MailAddress again;
  if (wrapped.length <= 1024 && domain_is_valid(address->domain)) {
    bool read = mail_address_parse(arena, wrapped, &again);
    g_assert(read && slice_equal(again.text, address->text));
    g_assert(slice_equal(again.localpart, address->localpart) && slice_equal(again.domain, address->domain));
    g_assert(mail_address_equal(&again, address));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Slice text = slice_make((const char *)data, size);
  g_autoptr(Arena) arena = arena_new(0);
  MailAddress address;
  if (mail_address_parse(arena, text, &address)) {
    check_address(arena, &address);
  }
  if (size < 4096) {
    check_domain(arena, text);
  }
  Slice quoted = slice_quote(arena, text, 120);
  g_assert(quoted.length <= 120 * 4 + 3);
  return 0;
}
