/*
 * test_fact.c: facts, phases, doors, types and what each door can do: the tables of the vocabulary.
 */
#include "common/smtp/fact.h"

#include "common/smtp/capability.h"
#include "common/smtp/mta.h"
#include "tests/unit/unit.h"

START_TEST(every_fact_is_found_by_its_name) {
  const FactInfo *info = fact_info((Fact)_i);
  Fact fact;
  ck_assert(fact_from_name(slice_from(info->name), &fact));
  ck_assert_int_eq(fact, _i);
  ck_assert_str_eq(fact_names()[_i], info->name);
  ck_assert_uint_ne(info->phases, 0);
  ck_assert_str_ne(info->sentence, "");
  ck_assert_msg(info->policy_source || info->milter_source, "%s comes from nowhere", info->name);
  ck_assert_int_eq(info->type == TYPE_ENUM, info->enum_names != NULL);
}
END_TEST

START_TEST(every_attribute_of_the_policy_protocol_is_a_fact) {
  static const char *const attributes[] = {"protocol_name",
                                           "helo_name",
                                           "queue_id",
                                           "sender",
                                           "recipient",
                                           "client_address",
                                           "client_name",
                                           "reverse_client_name",
                                           "instance",
                                           "sasl_method",
                                           "sasl_username",
                                           "sasl_sender",
                                           "size",
                                           "ccert_subject",
                                           "ccert_issuer",
                                           "ccert_fingerprint",
                                           "encryption_protocol",
                                           "encryption_cipher",
                                           "encryption_keysize",
                                           "etrn_domain",
                                           "recipient_count",
                                           "stress",
                                           "ccert_pubkey_fingerprint",
                                           "client_port",
                                           "policy_context",
                                           "server_address",
                                           "server_port",
                                           "compatibility_level",
                                           "mail_version",
                                           "tls_sni"};
  for (size_t i = 0; i < G_N_ELEMENTS(attributes); i++) {
    Fact fact;
    ck_assert_msg(fact_from_name(slice_from(attributes[i]), &fact), "%s", attributes[i]);
    ck_assert_str_eq(fact_info(fact)->policy_source, attributes[i]);
  }
}
END_TEST

START_TEST(names_are_exact) {
  Fact fact;
  Phase phase;
  Door door;
  Mta mta;
  ValueType type;
  ck_assert(!fact_from_name(SLICE_LITERAL("Sender"), &fact));
  ck_assert(!fact_from_name(SLICE_LITERAL("send"), &fact));
  ck_assert(!phase_from_name(SLICE_LITERAL("RCPT"), &phase));
  ck_assert(phase_from_name(SLICE_LITERAL("rcpt"), &phase) && phase == PHASE_RCPT);
  ck_assert(door_from_name(SLICE_LITERAL("milter"), &door) && door == DOOR_MILTER);
  ck_assert(!door_from_name(SLICE_LITERAL(""), &door));
  ck_assert(mta_from_name(SLICE_LITERAL("sendmail"), &mta) && mta == MTA_SENDMAIL);
  ck_assert(!mta_from_name(SLICE_LITERAL("Postfix"), &mta));
  ck_assert(value_type_from_name(SLICE_LITERAL("ip"), &type) && type == TYPE_IP);
  ck_assert(!value_type_from_name(SLICE_LITERAL("ips"), &type));
}
END_TEST

START_TEST(doors_have_facts) {
  static const struct {
    Fact fact;
    Door door;
    Phase phase;
    bool has;
  } cases[] = {
      {FACT_CLIENT_ADDRESS, DOOR_POLICY, PHASE_CONNECT, true},
      {FACT_CLIENT_ADDRESS, DOOR_MILTER, PHASE_CONNECT, true},
      {FACT_SENDER, DOOR_POLICY, PHASE_CONNECT, false},
      {FACT_SENDER, DOOR_MILTER, PHASE_RCPT, true},
      {FACT_INSTANCE, DOOR_MILTER, PHASE_RCPT, false},
      {FACT_INSTANCE, DOOR_POLICY, PHASE_RCPT, true},
      {FACT_SIZE, DOOR_POLICY, PHASE_RCPT, true},
      {FACT_SIZE, DOOR_POLICY, PHASE_EOM, false},
      {FACT_SIZE, DOOR_MILTER, PHASE_EOM, true},
      {FACT_MESSAGE_SIZE, DOOR_POLICY, PHASE_EOM, true},
      {FACT_CLIENT_ADDRESS, DOOR_POLICY, PHASE_EXPN, false},
      {FACT_CLIENT_ADDRESS, DOOR_MILTER, PHASE_VRFY, false},
      {FACT_COMMAND, DOOR_MILTER, PHASE_EXPN, true},
      {FACT_COMMAND, DOOR_POLICY, PHASE_UNKNOWN, false},
      {FACT_RECIPIENT, DOOR_POLICY, PHASE_VRFY, true},
      {FACT_RECIPIENT, DOOR_POLICY, PHASE_DATA, false},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    ck_assert_msg(fact_in_door(cases[i].fact, cases[i].door, cases[i].phase) == cases[i].has, "%s at %s through %s",
                  fact_info(cases[i].fact)->name, phase_name(cases[i].phase), door_name(cases[i].door));
  }
}
END_TEST

START_TEST(enum_names_have_places) {
  ck_assert_int_eq(fact_enum_index(FACT_WEEKDAY, SLICE_LITERAL("mon")), 0);
  ck_assert_int_eq(fact_enum_index(FACT_WEEKDAY, SLICE_LITERAL("sun")), 6);
  ck_assert_int_eq(fact_enum_index(FACT_PROTOCOL_NAME, SLICE_LITERAL("ESMTP")), 1);
  ck_assert_int_eq(fact_enum_index(FACT_WEEKDAY, SLICE_LITERAL("monday")), -1);
  ck_assert_int_eq(fact_enum_index(FACT_SENDER, SLICE_LITERAL("mon")), -1);
}
END_TEST

START_TEST(phase_sets_print) {
  g_autoptr(Arena) arena = arena_new(0);
  ck_assert(slice_equal(phase_set_names(arena, PHASES_MESSAGE), SLICE_LITERAL("mail rcpt data eom")));
  ck_assert(slice_is_empty(phase_set_names(arena, 0)));
  ck_assert_str_eq(phase_command(PHASE_RCPT), "RCPT TO");
}
END_TEST

/* Each pair of door and phase has a row, and a row that is not seen promises nothing. */
START_TEST(capabilities_are_complete) {
  for (int door = 0; door < DOOR_COUNT; door++) {
    for (int phase = 0; phase < PHASE_COUNT; phase++) {
      const Capability *row = capability((Door)door, (Phase)phase);
      ck_assert_ptr_nonnull(row->postfix);
      ck_assert_ptr_nonnull(row->sendmail);
      ck_assert_int_eq(row->door, door);
      ck_assert_int_eq(row->phase, phase);
      ck_assert_int_eq(row->seen, row->outcomes != 0);
      ck_assert_int_eq(row->seen, (door_phases((Door)door) & PHASE_BIT(phase)) != 0);
    }
  }
  ck_assert_uint_eq(capability(DOOR_POLICY, PHASE_VRFY)->outcomes & OUTCOME_BIT(OUTCOME_TEMPFAIL), 0);
  ck_assert_uint_eq(capability(DOOR_MILTER, PHASE_UNKNOWN)->outcomes & OUTCOME_BIT(OUTCOME_DISCARD), 0);
  ck_assert_uint_eq(capability(DOOR_POLICY, PHASE_EOM)->effects & EFFECT_BIT(EFFECT_PREPEND_HEADER), 0);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_loop_test(tests, every_fact_is_found_by_its_name, 0, FACT_COUNT);
  tcase_add_test(tests, every_attribute_of_the_policy_protocol_is_a_fact);
  tcase_add_test(tests, names_are_exact);
  tcase_add_test(tests, doors_have_facts);
  tcase_add_test(tests, enum_names_have_places);
  tcase_add_test(tests, phase_sets_print);
  tcase_add_test(tests, capabilities_are_complete);
}

UNIT_MAIN("fact", add_tests)
