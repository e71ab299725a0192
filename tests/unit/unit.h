/* unit.h: the main function of a Check program: UNIT_MAIN("name", suite_function_taking_a_TCase). */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <check.h>
#include <stdlib.h>

#define UNIT_MAIN(name, add_tests)                               \
  int main(void) {                                               \
    Suite *suite = suite_create(name);                           \
    TCase *tests = tcase_create(name);                           \
    tcase_set_timeout(tests, 0);                                 \
    add_tests(tests);                                            \
    suite_add_tcase(suite, tests);                               \
    SRunner *runner = srunner_create(suite);                     \
    srunner_run_all(runner, CK_ENV);                             \
    int failed = srunner_ntests_failed(runner);                  \
    srunner_free(runner);                                        \
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;            \
  }

#endif
