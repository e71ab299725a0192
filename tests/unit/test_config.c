/* test_config.c: configuration files, flags, and what is said about mistakes in them. */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/service/config.h"
#include "tests/unit/unit.h"

static char *folder, *path;

static void setup(void) {
  folder = g_dir_make_tmp("mailreeve-config-XXXXXX", NULL);
  path = g_build_filename(folder, "mailreeve.conf", NULL);
}

static void teardown(void) {
  (void)g_unlink(path);
  (void)g_rmdir(folder);
  g_free(path);
  g_free(folder);
}

static void write_file(const char *text) {
  ck_assert(g_file_set_contents(path, text, -1, NULL));
}

static ConfigResult read_with(DaemonKind daemon, Config **config, const char *first, const char *second) {
  char *argv[] = {(char *)"daemon", (char *)"--config", path, (char *)first, (char *)(first ? second : NULL), NULL};
  return config_read(daemon, 5, argv, config);
}

/* Through config_reread, whose error can be looked at. */
static char *error_of(DaemonKind daemon, const char *text) {
  g_autoptr(Config) good = NULL;
  write_file("");
  ck_assert_int_eq(read_with(daemon, &good, NULL, NULL), CONFIG_RUN);
  write_file(text);
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) bad = config_reread(good, &error);
  ck_assert_ptr_null(bad);
  return g_strdup(error->message);
}

START_TEST(test_defaults) {
  g_autoptr(Config) config = NULL;
  write_file("");
  ck_assert_int_eq(read_with(DAEMON_POLICY, &config, NULL, NULL), CONFIG_RUN);
  ck_assert_str_eq(config->rules_path, "/etc/mailreeve/mailreeve.rules");
  ck_assert_str_eq(config->listen[0], "unix:/run/mailreeve/policy");
  ck_assert_ptr_null(config->listen[1]);
  ck_assert_uint_eq(config->deadline_ms, 8000);
  ck_assert_uint_eq(config->idle_seconds, 1200);
  ck_assert_uint_eq(config->socket_mode, 0660);
  ck_assert_ptr_null(config->resolver);
  ck_assert(config->policy_enabled && !config->milter_enabled);
  ck_assert(!config->accept_is_ok && !config->foreground && !config->log_stderr);
  ck_assert_ptr_nonnull(config->server_name);
  ck_assert_str_eq(config->allow[0], "127.0.0.0/8");
  ck_assert_str_eq(config->allow[1], "::1");
}
END_TEST

START_TEST(test_file) {
  g_autoptr(Config) config = NULL;
  write_file(
      "[mailreeve]\nrules = /srv/mx.rules\nresolver = 127.0.0.1@5353\ndeadline = 500ms\ndoors = policy, milter\nlog = stderr\ndecisions = "
      "all\n"
      "server_name = mx.example.test\n"
      "[policy]\nlisten = unix:/srv/p, inet:127.0.0.1:10040;inet6:[::1]:10040,service=submission\nsocket_mode = 0600\nallow = "
      "192.0.2.0/24\n"
      "idle = 30s\nmax_connections = 5\naccept_is_ok = yes\nservice = mx\n"
      "[milter]\nlisten = unix:/srv/m\ndelay_reject = no\nmessage_memory = 512K\nbody_limit = 1000\n");
  ck_assert_int_eq(read_with(DAEMON_POLICY, &config, NULL, NULL), CONFIG_RUN);
  ck_assert_str_eq(config->rules_path, "/srv/mx.rules");
  ck_assert_str_eq(config->resolver, "127.0.0.1@5353");
  ck_assert_uint_eq(config->deadline_ms, 500);
  ck_assert(config->policy_enabled && config->milter_enabled && config->log_stderr && config->accept_is_ok);
  ck_assert_int_eq(config->decisions, DECISIONS_ALL);
  ck_assert_uint_eq(g_strv_length(config->listen), 3);
  ck_assert_str_eq(config->listen[2], "inet6:[::1]:10040,service=submission");
  ck_assert_uint_eq(config->socket_mode, 0600);
  ck_assert_uint_eq(config->idle_seconds, 30);
  ck_assert_uint_eq(config->max_connections, 5);
  ck_assert_str_eq(config->service, "mx");
  g_autoptr(Config) milter = NULL;
  ck_assert_int_eq(read_with(DAEMON_MILTER, &milter, NULL, NULL), CONFIG_RUN);
  ck_assert_str_eq(milter->listen[0], "unix:/srv/m");
  ck_assert_str_eq(milter->delay_reject, "no");
  ck_assert_uint_eq(milter->message_memory, 512 * 1024);
  ck_assert_uint_eq(milter->body_limit, 1000);
  ck_assert_uint_eq(config_owned_phases(config, DOOR_POLICY) | config_owned_phases(config, DOOR_MILTER), PHASES_ALL);
  ck_assert_uint_eq(config_owned_phases(config, DOOR_POLICY) & config_owned_phases(config, DOOR_MILTER), 0);
  ck_assert(config_owned_phases(config, DOOR_MILTER) & PHASE_BIT(PHASE_EOM));
}
END_TEST

/* Which sockets there are follows from the doors in use, and the other way round. */
START_TEST(test_socketmap) {
  static const struct {
    const char *file;
    bool policy;
    const char *listen, *socketmap; /* NULL: none */
  } rows[] = {
      {"[policy]\nlisten = unix:/p\n", true, "unix:/p", NULL},
      {"[policy]\nlisten = unix:/p\nsocketmap_listen = unix:/s\n", true, "unix:/p", "unix:/s"},
      {"[mailreeve]\ndoors = milter socketmap\n", false, NULL, "unix:/run/mailreeve/socketmap"},
      {"[mailreeve]\ndoors = policy socketmap\n[policy]\nsocketmap_listen = inet:127.0.0.1:9\n", true, "unix:/run/mailreeve/policy",
       "inet:127.0.0.1:9"},
  };
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Config) config = NULL;
    write_file(rows[i].file);
    ck_assert_int_eq(read_with(DAEMON_POLICY, &config, NULL, NULL), CONFIG_RUN);
    ck_assert_int_eq(config->policy_enabled, rows[i].policy);
    ck_assert_int_eq(config->socketmap_enabled, rows[i].socketmap != NULL);
    ck_assert_pstr_eq(config->listen[0], rows[i].listen);
    ck_assert_pstr_eq(config->socketmap_listen[0], rows[i].socketmap);
  }
}
END_TEST

/* With Sendmail alone unknown commands are the socket maps'. */
START_TEST(test_socketmap_beside_others) {
  static const struct {
    const char *doors;
    bool milter_has_unknown;
  } rows[] = {{"milter", true}, {"milter socketmap", false}, {"policy milter socketmap", true}};
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(Config) config = NULL;
    g_autofree char *text = g_strdup_printf("[mailreeve]\ndoors = %s\n", rows[i].doors);
    write_file(text);
    ck_assert_int_eq(read_with(DAEMON_MILTER, &config, NULL, NULL), CONFIG_RUN);
    ck_assert_int_eq((config_owned_phases(config, DOOR_MILTER) & PHASE_BIT(PHASE_UNKNOWN)) != 0, rows[i].milter_has_unknown);
    ck_assert_uint_eq(config_owned_phases(config, DOOR_SOCKETMAP), PHASES_ALL);
  }
}
END_TEST

START_TEST(test_flags_go_over_the_file) {
  g_autoptr(Config) config = NULL;
  write_file("[mailreeve]\nrules = /srv/mx.rules\n[policy]\nlisten = unix:/srv/p\n");
  char *argv[] = {(char *)"d",
                  (char *)"--config",
                  path,
                  (char *)"--rules=/other",
                  (char *)"--listen",
                  (char *)"unix:/a",
                  (char *)"--listen",
                  (char *)"inet:127.0.0.1:1",
                  (char *)"--foreground",
                  (char *)"--resolver",
                  (char *)"::1@53",
                  (char *)"--user",
                  (char *)"daemon",
                  NULL};
  ck_assert_int_eq(config_read(DAEMON_POLICY, 13, argv, &config), CONFIG_RUN);
  ck_assert_str_eq(config->rules_path, "/other");
  ck_assert_str_eq(config->listen[0], "unix:/a");
  ck_assert_str_eq(config->listen[1], "inet:127.0.0.1:1");
  ck_assert_str_eq(config->resolver, "::1@53");
  ck_assert_str_eq(config->user, "daemon");
  ck_assert(config->foreground && config->log_stderr);
  /* and again at a reload */
  write_file("[mailreeve]\nrules = /srv/mx.rules\ndeadline = 1s\n");
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) again = config_reread(config, &error);
  ck_assert_ptr_nonnull(again);
  ck_assert_str_eq(again->rules_path, "/other");
  ck_assert_uint_eq(again->deadline_ms, 1000);
  ck_assert_ptr_null(config_needs_restart(config, again));
}
END_TEST

START_TEST(test_needs_restart) {
  g_autoptr(Config) config = NULL, again = NULL;
  write_file("");
  ck_assert_int_eq(read_with(DAEMON_POLICY, &config, NULL, NULL), CONFIG_RUN);
  write_file("[mailreeve]\nresolver = 127.0.0.1\ndeadline = 1s\n[policy]\nlisten = unix:/x\n");
  again = config_reread(config, NULL);
  g_autofree char *names = config_needs_restart(config, again);
  ck_assert_str_eq(names, "listen, resolver");
}
END_TEST

static const struct {
  const char *text, *error;
} mistakes[] = {
    {"[mailreve]\nrules = x\n", "unknown group [mailreve]; nearest: mailreeve"},
    {"[mailreeve]\nrule = x\n", "unknown setting \"rule\" in [mailreeve]; nearest: rules"},
    {"[policy]\ndelay_reject = no\n", "unknown setting \"delay_reject\" in [policy]"},
    {"[milter]\nlisen = x\n", "unknown setting \"lisen\" in [milter]; nearest: listen"},
    {"[mailreeve]\ndeadline = soon\n", "[mailreeve] deadline = soon: expected a duration"},
    {"[mailreeve]\ndeadline = 2h\n", "expected 50 to 60000 ms"},
    {"[mailreeve]\ndeadline = 99999999999999999999\n", "expected a duration"},
    {"[policy]\nmax_connections = 0\n", "expected 1 to 1000000"},
    {"[policy]\nmax_connections = many\n", "expected a number"},
    {"[policy]\naccept_is_ok = maybe\n", "expected yes or no"},
    {"[policy]\nsocket_mode = 0888\n", "expected octal permissions"},
    {"[policy]\nsocket_mode = 4777\n", "expected octal permissions up to 0777"},
    {"[policy]\nallow = example.org\n", "expected networks"},
    {"[policy]\nallow = 192.0.2.1/24\n", "expected networks without bits set behind the prefix"},
    {"[policy]\nlisten =\n", "expected at least one socket"},
    {"[policy]\nlisten = tcp:x\n", "tcp:x: expected unix:PATH, inet:HOST:PORT or inet6:[HOST]:PORT"},
    {"[policy]\nlisten = unix:p\n", "p: a unix socket needs an absolute path"},
    {"[policy]\nlisten = inet:127.0.0.1:70000\n", "127.0.0.1:70000: expected HOST:PORT, or [ADDRESS]:PORT for IPv6"},
    {"[policy]\nlisten = unix:/p,servce=mx\n", "expected ,service=NAME behind the address"},
    {"[mailreeve]\ndoors = milter\n", "mailreeve-policyd is started, but its door is not listed"},
    {"[mailreeve]\ndoors = polcy\n", "expected some of policy, milter and socketmap"},
    {"[mailreeve]\ndoors = policy\n[policy]\nsocketmap_listen = unix:/s\n", "doors does not list socketmap"},
    {"[policy]\nsocketmap_listen = unix:s\n", "s: a unix socket needs an absolute path"},
    {"[mailreeve]\nlog = file\n", "expected one of: auto syslog stderr"},
    {"[mailreeve]\ndecisions = none\n", "expected one of: ruled all"},
    {"[mailreeve]\nrules =\n", "expected a path"},
    {"rules = x\n", "mailreeve.conf: "},
};

START_TEST(test_mistakes) {
  g_autofree char *message = error_of(DAEMON_POLICY, mistakes[_i].text);
  ck_assert_msg(strstr(message, mistakes[_i].error) != NULL, "\"%s\" does not say \"%s\"", message, mistakes[_i].error);
}
END_TEST

static const struct {
  const char *text, *error;
} milter_mistakes[] = {
    {"[milter]\nmessage_memory = 1x\n", "[milter] message_memory = 1x: expected a size: 4096, 256K, 1M"},
    {"[milter]\nmessage_memory = 1K\n", "expected 65536 to 67108864 bytes"},
    {"[milter]\nbody_limit = 0\n", "expected 1 to 67108864 bytes"},
};

START_TEST(test_milter_mistakes) {
  g_autofree char *message = error_of(DAEMON_MILTER, milter_mistakes[_i].text);
  ck_assert_msg(strstr(message, milter_mistakes[_i].error) != NULL, "\"%s\" does not say \"%s\"", message, milter_mistakes[_i].error);
}
END_TEST

static const struct {
  const char *first, *second;
} usage[] = {{"--rule", "x"}, {"--rules", NULL}, {"--foreground=yes", NULL}, {"-x", NULL}, {"--listen=", NULL}, {"word", NULL}};

START_TEST(test_usage) {
  Config *config = NULL;
  write_file("");
  ck_assert_int_eq(read_with(DAEMON_POLICY, &config, usage[_i].first, usage[_i].second), CONFIG_EXIT_USAGE);
  ck_assert_ptr_null(config);
}
END_TEST

START_TEST(test_other_results) {
  g_autoptr(Config) config = NULL;
  Config *none = NULL;
  write_file("");
  ck_assert_int_eq(read_with(DAEMON_POLICY, &config, "--check", NULL), CONFIG_CHECK);
  ck_assert_int_eq(read_with(DAEMON_POLICY, &none, "--version", NULL), CONFIG_EXIT_OK);
  ck_assert_int_eq(read_with(DAEMON_MILTER, &none, "--help", NULL), CONFIG_EXIT_OK);
  ck_assert_ptr_null(none);
  ck_assert_int_eq(read_with(DAEMON_MILTER, &none, "--listen", "unix:/a unix:/b"), CONFIG_EXIT_USAGE);
  (void)g_unlink(path); /* a file that was named must be there */
  ck_assert_int_eq(read_with(DAEMON_POLICY, &none, NULL, NULL), CONFIG_EXIT_USAGE);
}
END_TEST

/* The table says only what the reader takes: each default is good, each row has a sentence. */
START_TEST(test_table) {
  size_t count;
  const ConfigSetting *settings = config_settings(&count);
  ck_assert_uint_gt(count, 10);
  g_autoptr(GString) text = g_string_new(NULL);
  const char *group = "";
  for (size_t i = 0; i < count; i++) {
    ck_assert_uint_gt(strlen(settings[i].sentence), 10);
    if (strcmp(group, settings[i].group) != 0) {
      group = settings[i].group;
      g_string_append_printf(text, "[%s]\n", group);
    }
    g_string_append_printf(text, "%s = %s\n", settings[i].key, settings[i].default_text);
  }
  write_file(text->str);
  g_autoptr(Config) policy = NULL, milter = NULL;
  ck_assert_int_eq(read_with(DAEMON_POLICY, &policy, NULL, NULL), CONFIG_RUN);
  ck_assert_int_eq(read_with(DAEMON_MILTER, &milter, NULL, NULL), CONFIG_RUN);
}
END_TEST

static void add_tests(TCase *tests) {
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, test_defaults);
  tcase_add_test(tests, test_file);
  tcase_add_test(tests, test_socketmap);
  tcase_add_test(tests, test_socketmap_beside_others);
  tcase_add_test(tests, test_flags_go_over_the_file);
  tcase_add_test(tests, test_needs_restart);
  tcase_add_loop_test(tests, test_mistakes, 0, G_N_ELEMENTS(mistakes));
  tcase_add_loop_test(tests, test_milter_mistakes, 0, G_N_ELEMENTS(milter_mistakes));
  tcase_add_loop_test(tests, test_usage, 0, G_N_ELEMENTS(usage));
  tcase_add_test(tests, test_other_results);
  tcase_add_test(tests, test_table);
}

UNIT_MAIN("config", add_tests)
