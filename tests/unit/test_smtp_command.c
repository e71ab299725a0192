/*
 * test_smtp_command.c: the table of SMTP commands agrees with the tables of doors, mail servers and capabilities, and lines find their command.
 */
#include "common/smtp/command.h"
#include "tests/unit/unit.h"

/* A row names doors that its MTA has and phases that the door sees, and an MTA that asks nobody has an answer for nothing. */
START_TEST(rows_agree_with_the_other_tables) {
  for (int command = 0; command < SMTP_COMMAND_COUNT; command++) {
    for (int mta = 0; mta < MTA_COUNT; mta++) {
      SmtpCommandAt at = smtp_command_at((SmtpCommand)command, (Mta)mta);
      const char *name = smtp_command_info((SmtpCommand)command)->name;
      ck_assert_msg((at.doors & ~mta_doors((Mta)mta)) == 0, "%s: a door that %s does not have", name, mta_title((Mta)mta));
      ck_assert_msg((at.doors == 0) == (at.phases == 0) && (at.doors == 0) == (at.outcomes == 0), "%s: doors without phases or answers",
                    name);
      ck_assert_msg(at.sentence && at.sentence[0] != '\0', "%s: no sentence for %s", name, mta_title((Mta)mta));
      for (int door = 0; door < DOOR_COUNT; door++)
        if (at.doors & DOOR_BIT(door))
          ck_assert_msg((at.phases & ~door_phases((Door)door)) == 0, "%s: a phase that the %s door does not see", name,
                        door_name((Door)door));
    }
  }
}
END_TEST

static const struct {
  const char *line;
  SmtpCommand command;
} lines[] = {
    {"VRFY alice", SMTP_COMMAND_VRFY},
    {"vrfy", SMTP_COMMAND_VRFY},
    {"Send FROM:<a@b.example>", SMTP_COMMAND_SEND},
    {"SEND", SMTP_COMMAND_SEND},
    {"MAIL", SMTP_COMMAND_MAIL},
    {"VRFYX", SMTP_COMMAND_OTHER},
    {"VRF", SMTP_COMMAND_OTHER},
    {"", SMTP_COMMAND_OTHER},
    {"FOOBAR", SMTP_COMMAND_OTHER},
    {"other", SMTP_COMMAND_OTHER},
    {"BDAT\t3 LAST", SMTP_COMMAND_BDAT},
    {"STARTTLS ", SMTP_COMMAND_STARTTLS},
};

START_TEST(lines_find_their_command) {
  ck_assert_int_eq(smtp_command_of_line(slice_from(lines[_i].line)), lines[_i].command);
}
END_TEST

/* The two that the source table spells otherwise. */
START_TEST(names_of_the_source_table) {
  ck_assert_str_eq(smtp_command_info(SMTP_COMMAND_SOML)->table_name, "SMOL FROM");
  ck_assert_str_eq(smtp_command_info(SMTP_COMMAND_SAML)->table_name, "SMAL FROM");
  ck_assert_ptr_null(smtp_command_info(SMTP_COMMAND_ETRN)->table_name);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_test(tests, rows_agree_with_the_other_tables);
  tcase_add_loop_test(tests, lines_find_their_command, 0, G_N_ELEMENTS(lines));
  tcase_add_test(tests, names_of_the_source_table);
}

UNIT_MAIN("smtp_command", add_tests)
