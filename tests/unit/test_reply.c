/*
 * test_reply.c: the tables of reply codes and enhanced codes, against the documents they come from.
 */
#include "common/smtp/reply.h"

#include "tests/unit/unit.h"

/* The project's source table, word for word. */
static const struct {
  uint16_t code;
  const char *meaning;
} documented[] = {
    {211, "System status or help reply"},
    {214, "Help message"},
    {220, "Service ready"},
    {221, "Service closing transmission channel"},
    {250, "Request command completed"},
    {251, "User not local; the message will be forwarded"},
    {354, "Start mail input"},
    {421, "Service not available"},
    {450, "Mailbox not available"},
    {451, "Command aborted: local error"},
    {452, "Command aborted: insufficient storage"},
    {500, "Syntax error; unrecognized command"},
    {501, "Syntax error in parameters or arguments"},
    {502, "Command not implemented"},
    {503, "Bad sequence of commands"},
    {504, "Command temporarily not implemented"},
    {550, "Command is not executed; mailbox unavailable"},
    {551, "User not local"},
    {552, "Requested action aborted; exceeded storage location"},
    {553, "Requested action not taken; mailbox name not allowed"},
    {554, "Transaction failed"},
};

START_TEST(the_documented_table_is_there) {
  const ReplyInfo *info = reply_info(documented[_i].code);
  ck_assert_ptr_nonnull(info);
  ck_assert_str_eq(info->meaning, documented[_i].meaning);
  ck_assert_str_eq(info->source, "table");
}
END_TEST

START_TEST(later_codes_name_their_rfc) {
  static const uint16_t later[] = {252, 432, 454, 455, 458, 459, 521, 530, 534, 535, 538, 555, 556};
  const ReplyInfo *info = reply_info(later[_i]);
  ck_assert_ptr_nonnull(info);
  ck_assert_int_eq(strncmp(info->source, "RFC ", 4), 0);
}
END_TEST

START_TEST(codes_are_in_order_and_consistent) {
  uint16_t before = 0;
  for (size_t i = 0; i < reply_info_count(); i++) {
    const ReplyInfo *info = reply_info_at(i);
    ck_assert_uint_gt(info->code, before);
    before = info->code;
    ck_assert_ptr_eq(reply_info(info->code), info);
    if (info->code < 400) {
      ck_assert_int_eq(info->sender, REPLY_BY_MTA);
    }
    ck_assert_int_eq(info->sender == REPLY_BY_POLICY, info->legal != 0);
    ck_assert_str_ne(info->commands, "");
  }
  ck_assert_ptr_null(reply_info(299));
  ck_assert_ptr_null(reply_info(571));
}
END_TEST

START_TEST(legal_phases_follow_rfc_5321) {
  static const struct {
    uint16_t code;
    Phase phase;
    bool legal;
  } cases[] = {
      {450, PHASE_RCPT, true},    {450, PHASE_MAIL, false}, {451, PHASE_MAIL, true},    {450, PHASE_EOM, true},  {554, PHASE_CONNECT, true},
      {554, PHASE_RCPT, false},   {554, PHASE_DATA, true},  {550, PHASE_MAIL, true},    {550, PHASE_HELO, true}, {504, PHASE_HELO, true},
      {451, PHASE_VRFY, false},   {550, PHASE_VRFY, true},  {502, PHASE_EXPN, true},    {459, PHASE_ETRN, true}, {550, PHASE_ETRN, false},
      {521, PHASE_CONNECT, true}, {556, PHASE_RCPT, true},  {421, PHASE_UNKNOWN, true},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    bool legal = (reply_info(cases[i].code)->legal & PHASE_BIT(cases[i].phase)) != 0;
    ck_assert_msg(legal == cases[i].legal, "%u at %s", cases[i].code, phase_name(cases[i].phase));
  }
}
END_TEST

START_TEST(enhanced_codes_are_unique_and_found) {
  for (size_t i = 0; i < enhanced_info_count(); i++) {
    const EnhancedInfo *info = enhanced_info_at(i);
    ck_assert_ptr_eq(enhanced_info((EnhancedCode){5, info->subject, info->detail}), info);
  }
  ck_assert_ptr_null(enhanced_info((EnhancedCode){5, 7, 99}));
}
END_TEST

START_TEST(pairs) {
  ck_assert(enhanced_pairs_with((EnhancedCode){5, 7, 1}, 550));
  ck_assert(!enhanced_pairs_with((EnhancedCode){5, 7, 1}, 554));
  ck_assert(!enhanced_pairs_with((EnhancedCode){5, 7, 1}, 55));
  ck_assert(enhanced_pairs_with((EnhancedCode){5, 1, 10}, 556));
  ck_assert(enhanced_pairs_with((EnhancedCode){5, 0, 0}, 571));
  ck_assert(enhanced_pairs_with((EnhancedCode){5, 1, 2}, 550));
  ck_assert(enhanced_pairs_with((EnhancedCode){5, 7, 99}, 550));
}
END_TEST

START_TEST(enhanced_codes_parse) {
  static const struct {
    const char *text;
    bool good;
    EnhancedCode code;
  } cases[] = {
      {"5.7.1", true, {5, 7, 1}}, {"4.2.0", true, {4, 2, 0}}, {"2.1.999", true, {2, 1, 999}}, {"5.7", false, {0}},
      {"5.7.1000", false, {0}},   {"3.1.1", false, {0}},      {"5.07.1", false, {0}},         {"5.7.1.", false, {0}},
      {"5.-7.1", false, {0}},     {"", false, {0}},           {".7.1", false, {0}},           {"55.7.1", false, {0}},
      {"5.7.", false, {0}},       {"5.7.1 text", false, {0}},
  };
  g_autoptr(Arena) arena = arena_new(0);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    EnhancedCode code = {0};
    ck_assert_msg(enhanced_parse(slice_from(cases[i].text), &code) == cases[i].good, "%s", cases[i].text);
    ck_assert(code.class_digit == cases[i].code.class_digit && code.subject == cases[i].code.subject &&
              code.detail == cases[i].code.detail);
    if (cases[i].good) {
      ck_assert(slice_equal(enhanced_format(arena, code), slice_from(cases[i].text)));
    }
  }
  ck_assert(slice_is_empty(enhanced_format(arena, (EnhancedCode){0})));
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, the_documented_table_is_there, 0, G_N_ELEMENTS(documented));
  tcase_add_loop_test(tests, later_codes_name_their_rfc, 0, 13);
  tcase_add_test(tests, codes_are_in_order_and_consistent);
  tcase_add_test(tests, legal_phases_follow_rfc_5321);
  tcase_add_test(tests, enhanced_codes_are_unique_and_found);
  tcase_add_test(tests, pairs);
  tcase_add_test(tests, enhanced_codes_parse);
}

UNIT_MAIN("reply", add_tests)
