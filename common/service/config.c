/*
 * config.c: reads mailreeve.conf and the command line.
 *
 * A file is read into a table of texts first (unknown groups and keys are told there), flags go over it, and only then each row of config.def is
 * turned into its field. So a setting has one place where its text is checked, wherever it came from.
 */
#include "common/service/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/diagnostics.h"
#include "common/base/ip.h"
#include "common/service/listener.h"
#include "common/smtp/value.h"
#include <config.h> /* of the build, for PACKAGE_VERSION; our own is above */

typedef enum SettingField {
#define SETTING(group, key, kind, field, default_text, low, high, choices, flag, sentence) FIELD_##group##_##key,
#include "common/service/config.def"
#undef SETTING
  FIELD_COUNT
} SettingField;

static const ConfigSetting settings[] = {
#define SETTING(group, key, kind, field, default_text, low, high, choices, flag, sentence) \
  {#group, #key, SETTING_##kind, default_text, low, high, choices, flag, sentence},
#include "common/service/config.def"
#undef SETTING
};

typedef enum FlagSymbol {
#define FLAG(symbol, flag, value, sentence) FLAG_##symbol,
#include "common/service/flag.def"
#undef FLAG
  FLAG_COUNT
} FlagSymbol;

static const ConfigFlag flags[] = {
#define FLAG(symbol, flag, value, sentence) {flag, value, sentence},
#include "common/service/flag.def"
#undef FLAG
};

/* What the command line says. */
typedef struct Flags {
  const char *config_path;
  const char *values[FLAG_COUNT]; /* of RULES, RESOLVER, USER */
  GPtrArray *listen;
  GPtrArray *socketmap;
  bool foreground, check, version, help;
} Flags;

static GQuark config_error_quark(void) {
  return g_quark_from_static_string("mailreeve-config");
}

G_GNUC_PRINTF(2, 3)
static bool config_fail(GError **error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (error != NULL) {
    *error = g_error_new_valist(config_error_quark(), 0, format, arguments);
  }
  va_end(arguments);
  return false;
}

const ConfigSetting *config_settings(size_t *count) {
  *count = G_N_ELEMENTS(settings);
  return settings;
}

const ConfigFlag *config_flags(size_t *count) {
  *count = G_N_ELEMENTS(flags);
  return flags;
}

const char *daemon_kind_program(DaemonKind daemon) {
  switch (daemon) {
    case DAEMON_POLICY:
      return "mailreeve-policyd";
    case DAEMON_MILTER:
      return "mailreeve-milter";
  }
  g_assert_not_reached();
}

static const char *daemon_group(DaemonKind daemon) {
  switch (daemon) {
    case DAEMON_POLICY:
      return "policy";
    case DAEMON_MILTER:
      return "milter";
  }
  g_assert_not_reached();
}

const char *setting_kind_name(SettingKind kind) {
  switch (kind) {
    case SETTING_TEXT:
      return "text";
    case SETTING_LIST:
      return "list";
    case SETTING_NUMBER:
      return "number";
    case SETTING_MILLISECONDS:
    case SETTING_SECONDS:
      return "duration";
    case SETTING_SIZE:
      return "size";
    case SETTING_SWITCH:
      return "yes or no";
    case SETTING_MODE:
      return "octal";
    case SETTING_CHOICE:
      return "one of";
    case SETTING_DOORS:
      return "some of";
  }
  g_assert_not_reached();
}

/* ---- The command line ---- */

static void print_help(DaemonKind daemon) {
  printf("usage: %s [flags]\n\n", daemon_kind_program(daemon));
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    g_autofree char *usage = g_strdup_printf("%s%s%s", flags[i].flag, *flags[i].value ? " " : "", flags[i].value);
    printf("  %-22s %s\n", usage, flags[i].sentence);
  }
  printf("\nSettings of the configuration file:\n");
  const char *group = "";
  for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
    const ConfigSetting *setting = &settings[i];
    if (strcmp(setting->group, "mailreeve") != 0 && strcmp(setting->group, daemon_group(daemon)) != 0) {
      continue;
    }
    if (strcmp(setting->group, group) != 0) {
      group = setting->group;
      printf("\n  [%s]\n", group);
    }
    printf("  %-22s %s%s%s%s\n", setting->key, setting->sentence, *setting->default_text ? " (default " : "", setting->default_text,
           *setting->default_text ? ")" : "");
  }
}

static bool unknown_flag(const char *word, GError **error) {
  const char *names[FLAG_COUNT + 1] = {NULL};
  for (size_t i = 0; i < FLAG_COUNT; i++) {
    names[i] = flags[i].flag;
  }
  const char *nearest = nearest_name(slice_from(word), names);
  return config_fail(error, "unknown flag \"%s\"%s%s", word, nearest ? "; nearest: " : "; --help lists them", nearest ? nearest : "");
}

static bool flag_take(Flags *parsed, FlagSymbol symbol, const char *value) {
  switch (symbol) {
    case FLAG_CONFIG:
      parsed->config_path = value;
      return true;
    case FLAG_LISTEN:
      g_ptr_array_add(parsed->listen, g_strdup(value));
      return true;
    case FLAG_SOCKETMAP:
      g_ptr_array_add(parsed->socketmap, g_strdup(value));
      return true;
    case FLAG_RULES:
    case FLAG_RESOLVER:
    case FLAG_USER:
      parsed->values[symbol] = value;
      return true;
    case FLAG_FOREGROUND:
      parsed->foreground = true;
      return true;
    case FLAG_CHECK:
      parsed->check = true;
      return true;
    case FLAG_VERSION:
      parsed->version = true;
      return true;
    case FLAG_HELP:
      parsed->help = true;
      return true;
    case FLAG_COUNT:
      break;
  }
  g_assert_not_reached();
}

/* SYNTAX: --flag VALUE | --flag=VALUE | --switch */
static bool flags_parse(Flags *parsed, char **arguments, GError **error) {
  for (size_t at = 1; arguments[0] != NULL && arguments[at] != NULL; at++) {
    const char *word = arguments[at];
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    size_t symbol = 0;
    while (symbol < FLAG_COUNT && !(strlen(flags[symbol].flag) == length && memcmp(flags[symbol].flag, word, length) == 0)) {
      symbol++;
    }
    if (symbol == FLAG_COUNT) {
      return unknown_flag(word, error);
    }
    const char *value = equals ? equals + 1 : NULL;
    if (*flags[symbol].value == '\0') {
      if (value != NULL) {
        return config_fail(error, "%s takes no value", flags[symbol].flag);
      }
    } else if (value == NULL) {
      value = arguments[++at];
    }
    if (*flags[symbol].value != '\0' && (value == NULL || *value == '\0')) {
      return config_fail(error, "%s needs a value: %s", flags[symbol].flag, flags[symbol].value);
    }
    (void)flag_take(parsed, (FlagSymbol)symbol, value);
  }
  return true;
}

/* ---- The file ---- */

static bool group_is_known(const char *group) {
  for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
    if (strcmp(settings[i].group, group) == 0) {
      return true;
    }
  }
  return false;
}

static const ConfigSetting *setting_find(const char *group, const char *key) {
  for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
    if (strcmp(settings[i].group, group) == 0 && strcmp(settings[i].key, key) == 0) {
      return &settings[i];
    }
  }
  return NULL;
}

static bool unknown_group(const char *path, const char *group, GError **error) {
  static const char *const names[] = {"mailreeve", "policy", "milter", NULL};
  const char *nearest = nearest_name(slice_from(group), names);
  return config_fail(error, "%s: unknown group [%s]; %s%s", path, group, nearest ? "nearest: " : "there are mailreeve, policy and milter",
                     nearest ? nearest : "");
}

static bool unknown_key(const char *path, const char *group, const char *key, GError **error) {
  const char *names[FIELD_COUNT + 1] = {NULL};
  size_t count = 0;
  for (size_t i = 0; i < G_N_ELEMENTS(settings); i++) {
    if (strcmp(settings[i].group, group) == 0) {
      names[count++] = settings[i].key;
    }
  }
  const char *nearest = nearest_name(slice_from(key), names);
  return config_fail(error, "%s: unknown setting \"%s\" in [%s]%s%s", path, key, group, nearest ? "; nearest: " : "",
                     nearest ? nearest : "");
}

/* Every key of a group goes to texts[its row]; all groups are checked, also those of the other daemon. */
static bool file_read_group(GKeyFile *file, const char *path, const char *group, char *texts[], GError **error) {
  if (!group_is_known(group)) {
    return unknown_group(path, group, error);
  }
  g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, error);
  if (keys == NULL) {
    return false;
  }
  for (size_t i = 0; keys[i] != NULL; i++) {
    const ConfigSetting *setting = setting_find(group, keys[i]);
    if (setting == NULL) {
      return unknown_key(path, group, keys[i], error);
    }
    g_autofree char *value = g_key_file_get_value(file, group, keys[i], error);
    if (value == NULL) {
      return false;
    }
    g_free(texts[setting - settings]);
    texts[setting - settings] = g_strdup(g_strstrip(value));
  }
  return true;
}

static bool file_read(const char *path, char *texts[], GError **error) {
  g_autoptr(GKeyFile) file = g_key_file_new();
  if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, error)) {
    g_prefix_error(error, "%s: ", path);
    return false;
  }
  g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);
  for (size_t i = 0; groups[i] != NULL; i++) {
    if (!file_read_group(file, path, groups[i], texts, error)) {
      return false;
    }
  }
  return true;
}

/* ---- Texts to fields ---- */

static bool setting_bad(const ConfigSetting *setting, const char *text, const char *expected, GError **error) {
  return config_fail(error, "[%s] %s = %s: expected %s", setting->group, setting->key, text, expected);
}

static bool number_in_range(const ConfigSetting *setting, const char *text, int64_t number, GError **error) {
  if (number < setting->low || number > setting->high) {
    g_autofree char *expected =
        g_strdup_printf("%" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "%s", (gint64)setting->low, (gint64)setting->high,
                        setting->kind == SETTING_MILLISECONDS ? " ms"
                        : setting->kind == SETTING_SECONDS    ? " seconds"
                        : setting->kind == SETTING_SIZE       ? " bytes"
                                                              : "");
    return setting_bad(setting, text, expected, error);
  }
  return true;
}

static bool parse_number(const ConfigSetting *setting, const char *text, unsigned *number, GError **error) {
  int64_t value = 0;
  if (!slice_to_int(slice_from(text), &value)) {
    return setting_bad(setting, text, "a number", error);
  }
  if (!number_in_range(setting, text, value, error)) {
    return false;
  }
  *number = (unsigned)value;
  return true;
}

/* `unit_ms` is what one of the field's unit is in milliseconds. */
static bool parse_duration(const ConfigSetting *setting, const char *text, int64_t unit_ms, unsigned *number, GError **error) {
  static const struct {
    const char *suffix;
    int64_t ms;
  } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
  size_t digits = strspn(text, "0123456789");
  int64_t value = 0, ms = text[digits] == '\0' ? 1000 : 0;
  for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
    ms = strcmp(text + digits, units[i].suffix) == 0 ? units[i].ms : ms;
  }
  if (ms == 0 || digits > 9 || !slice_to_int(slice_make(text, digits), &value)) {
    return setting_bad(setting, text, "a duration: 500ms, 30s, 20m, 2h, 1d", error);
  }
  if (!number_in_range(setting, text, value * ms / unit_ms, error)) {
    return false;
  }
  *number = (unsigned)(value * ms / unit_ms);
  return true;
}

static bool parse_size(const ConfigSetting *setting, const char *text, size_t *size, GError **error) {
  g_autoptr(Arena) arena = arena_new(0);
  Value value;
  const char *problem;
  Slice right_form;
  if (!value_parse(arena, TYPE_SIZE, slice_from(text), &value, &problem, &right_form)) {
    return setting_bad(setting, text, "a size: 4096, 256K, 1M", error);
  }
  if (!number_in_range(setting, text, value.as.number, error)) {
    return false;
  }
  *size = (size_t)value.as.number;
  return true;
}

static bool parse_switch(const ConfigSetting *setting, const char *text, bool *truth, GError **error) {
  static const struct {
    const char *word;
    bool truth;
  } words[] = {{"yes", true}, {"true", true}, {"on", true}, {"no", false}, {"false", false}, {"off", false}};
  for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
    if (g_ascii_strcasecmp(text, words[i].word) == 0) {
      *truth = words[i].truth;
      return true;
    }
  }
  return setting_bad(setting, text, "yes or no", error);
}

static bool parse_mode(const ConfigSetting *setting, const char *text, mode_t *mode, GError **error) {
  char *end = NULL;
  errno = 0;
  guint64 value = g_ascii_strtoull(text, &end, 8);
  if (*text == '\0' || *end != '\0' || errno != 0 || strspn(text, "01234567") != strlen(text)) {
    return setting_bad(setting, text, "octal permissions, such as 0660", error);
  }
  if (value > (guint64)setting->high) {
    return setting_bad(setting, text, "octal permissions up to 0777", error);
  }
  *mode = (mode_t)value;
  return true;
}

/* Blank- or ';'-separated; a comma behind a word goes, so that the usual ways to write lists all work. */
static char **split_words(const char *text) {
  g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
  g_auto(GStrv) parts = g_strsplit_set(text, " \t;", -1);
  for (size_t i = 0; parts[i] != NULL; i++) {
    size_t length = strlen(parts[i]);
    while (length > 0 && parts[i][length - 1] == ',') {
      length--;
    }
    if (length > 0) {
      g_ptr_array_add(words, g_strndup(parts[i], length));
    }
  }
  g_ptr_array_add(words, NULL);
  return (char **)g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

static bool word_is_choice(const ConfigSetting *setting, const char *word) {
  g_auto(GStrv) choices = g_strsplit(setting->choices, " ", -1);
  return g_strv_contains((const char *const *)choices, word);
}

static bool parse_choice(const ConfigSetting *setting, const char *text, GError **error) {
  if (!word_is_choice(setting, text)) {
    g_autofree char *expected = g_strdup_printf("one of: %s", setting->choices);
    return setting_bad(setting, text, expected, error);
  }
  return true;
}

static bool parse_doors(const ConfigSetting *setting, const char *text, Config *config, GError **error) {
  g_auto(GStrv) words = split_words(text);
  for (size_t i = 0; words[i] != NULL; i++) {
    if (!word_is_choice(setting, words[i])) {
      return setting_bad(setting, text, "some of policy, milter and socketmap", error);
    }
    config->policy_enabled |= strcmp(words[i], "policy") == 0;
    config->milter_enabled |= strcmp(words[i], "milter") == 0;
    config->socketmap_enabled |= strcmp(words[i], "socketmap") == 0;
  }
  bool own = config->daemon == DAEMON_POLICY ? config->policy_enabled || config->socketmap_enabled : config->milter_enabled;
  if (words[0] != NULL && !own) {
    return config_fail(error, "[%s] %s = %s: %s is started, but its door is not listed", setting->group, setting->key, text,
                       daemon_kind_program(config->daemon));
  }
  config->doors_named = words[0] != NULL;
  config->policy_enabled |= !config->doors_named && config->daemon == DAEMON_POLICY;
  config->milter_enabled |= config->daemon == DAEMON_MILTER;
  return true;
}

static bool parse_networks(const ConfigSetting *setting, const char *text, char **words, GError **error) {
  for (size_t i = 0; words[i] != NULL; i++) {
    IpNetwork network;
    switch (ip_network_parse(slice_from(words[i]), &network)) {
      case IP_NETWORK_OK:
        break;
      case IP_NETWORK_NOT_ADDRESS:
      case IP_NETWORK_BAD_PREFIX:
        return setting_bad(setting, text, "networks, such as 192.0.2.0/24 2001:db8::/32", error);
      case IP_NETWORK_HOST_BITS:
        return setting_bad(setting, text, "networks without bits set behind the prefix", error);
    }
  }
  return true;
}

static void field_text(char **field, const char *text) {
  g_free(*field);
  *field = *text ? g_strdup(text) : NULL;
}

static bool field_listen(const ConfigSetting *setting, const char *text, Config *config, GError **error) {
  g_strfreev(config->listen);
  bool unused = config->daemon == DAEMON_POLICY && !config->policy_enabled;
  config->listen = split_words(unused ? "" : text);
  if (config->listen[0] == NULL && !unused) {
    return setting_bad(setting, text, "at least one socket", error);
  }
  if (config->daemon == DAEMON_MILTER && config->listen[1] != NULL) {
    return setting_bad(setting, text, "one socket: the milter library listens on one", error);
  }
  for (size_t i = 0; config->listen[i] != NULL; i++) {
    if (!listener_check_address(config->listen[i], error)) {
      return false;
    }
  }
  return true;
}

/* A door that is listed has a socket, and one that is not has none. */
static bool field_socketmap_listen(const ConfigSetting *setting, const char *text, Config *config, GError **error) {
  g_strfreev(config->socketmap_listen);
  config->socketmap_listen = split_words(*text == '\0' && config->socketmap_enabled ? "unix:/run/mailreeve/socketmap" : text);
  bool any = config->socketmap_listen[0] != NULL;
  if (any && config->doors_named && !config->socketmap_enabled) {
    return config_fail(error, "[%s] %s = %s: [mailreeve] doors does not list socketmap", setting->group, setting->key, text);
  }
  config->socketmap_enabled |= any;
  for (size_t i = 0; config->socketmap_listen[i] != NULL; i++) {
    if (!listener_check_address(config->socketmap_listen[i], error)) {
      return false;
    }
  }
  return true;
}

/* One row of config.def into its field. */
static bool setting_apply(SettingField field, const char *text, Config *config, GError **error) {
  const ConfigSetting *setting = &settings[field];
  switch (field) {
    case FIELD_mailreeve_rules:
      field_text(&config->rules_path, text);
      return config->rules_path != NULL || setting_bad(setting, text, "a path", error);
    case FIELD_mailreeve_user:
      field_text(&config->user, text);
      return true;
    case FIELD_mailreeve_resolver:
      field_text(&config->resolver, text);
      return true;
    case FIELD_mailreeve_server_name:
      field_text(&config->server_name, text);
      return true;
    case FIELD_mailreeve_doors:
      return parse_doors(setting, text, config, error);
    case FIELD_mailreeve_deadline:
      return parse_duration(setting, text, 1, &config->deadline_ms, error);
    case FIELD_mailreeve_log:
      config->log_stderr = strcmp(text, "stderr") == 0 || (strcmp(text, "auto") == 0 && config->foreground);
      return parse_choice(setting, text, error);
    case FIELD_mailreeve_decisions:
      config->decisions = strcmp(text, "all") == 0 ? DECISIONS_ALL : DECISIONS_RULED;
      return parse_choice(setting, text, error);
    case FIELD_policy_listen:
    case FIELD_milter_listen:
      return field_listen(setting, text, config, error);
    case FIELD_policy_socketmap_listen:
      return field_socketmap_listen(setting, text, config, error);
    case FIELD_policy_service:
    case FIELD_milter_service:
      field_text(&config->service, text);
      return true;
    case FIELD_policy_socket_mode:
    case FIELD_milter_socket_mode:
      return parse_mode(setting, text, &config->socket_mode, error);
    case FIELD_policy_socket_group:
    case FIELD_milter_socket_group:
      field_text(&config->socket_group, text);
      return true;
    case FIELD_policy_allow:
    case FIELD_milter_allow:
      g_strfreev(config->allow);
      config->allow = split_words(text);
      return parse_networks(setting, text, config->allow, error);
    case FIELD_policy_idle:
    case FIELD_milter_idle:
      return parse_duration(setting, text, 1000, &config->idle_seconds, error);
    case FIELD_policy_max_connections:
    case FIELD_milter_max_connections:
      return parse_number(setting, text, &config->max_connections, error);
    case FIELD_policy_accept_is_ok:
      return parse_switch(setting, text, &config->accept_is_ok, error);
    case FIELD_milter_delay_reject:
      field_text(&config->delay_reject, text);
      return parse_choice(setting, text, error);
    case FIELD_milter_message_memory:
      return parse_size(setting, text, &config->message_memory, error);
    case FIELD_milter_body_limit:
      return parse_size(setting, text, &config->body_limit, error);
    case FIELD_COUNT:
      break;
  }
  g_assert_not_reached();
}

/* The text of a row: from the flags, else the file, else its default. Transfer full. */
static char *setting_text(SettingField field, const Flags *parsed, char *texts[]) {
  const ConfigSetting *setting = &settings[field];
  const GPtrArray *several = strcmp(setting->flag, "--listen") == 0      ? parsed->listen
                             : strcmp(setting->flag, "--socketmap") == 0 ? parsed->socketmap
                                                                         : NULL;
  if (several != NULL && several->len > 0) {
    g_autoptr(GString) joined = g_string_new(NULL);
    for (guint i = 0; i < several->len; i++) {
      g_string_append_printf(joined, "%s%s", i ? " " : "", (const char *)several->pdata[i]);
    }
    return g_string_free(g_steal_pointer(&joined), FALSE);
  }
  for (size_t i = 0; *setting->flag != '\0' && i < FLAG_COUNT; i++) {
    if (parsed->values[i] != NULL && strcmp(flags[i].flag, setting->flag) == 0) {
      return g_strdup(parsed->values[i]);
    }
  }
  return g_strdup(texts[field] ? texts[field] : setting->default_text);
}

static char *host_name(void) {
  char name[256];
  if (gethostname(name, sizeof name) != 0) {
    return g_strdup("localhost");
  }
  name[sizeof name - 1] = '\0';
  return g_strdup(*name ? name : "localhost");
}

static bool config_fill(Config *config, const Flags *parsed, char *texts[], GError **error) {
  config->foreground = parsed->foreground;
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    bool ours = strcmp(settings[i].group, "mailreeve") == 0 || strcmp(settings[i].group, daemon_group(config->daemon)) == 0;
    if (!ours) {
      continue;
    }
    g_autofree char *text = setting_text((SettingField)i, parsed, texts);
    if (!setting_apply((SettingField)i, text, config, error)) {
      return false;
    }
  }
  if (config->server_name == NULL) {
    config->server_name = host_name();
  }
  return true;
}

/* `required`: a file that was named must be there; the default one is read where it exists. */
static Config *config_make(DaemonKind daemon, const Flags *parsed, char **arguments, GError **error) {
  g_autoptr(Config) config = g_new0(Config, 1);
  config->daemon = daemon;
  config->arguments = g_strdupv(arguments);
  const char *path = parsed->config_path;
  if (path == NULL && g_file_test(CONFIG_DEFAULT_PATH, G_FILE_TEST_EXISTS)) {
    path = CONFIG_DEFAULT_PATH;
  }
  config->config_path = g_strdup(path);
  char *texts[FIELD_COUNT] = {NULL};
  bool good = (path == NULL || file_read(path, texts, error)) && config_fill(config, parsed, texts, error);
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    g_free(texts[i]);
  }
  return good ? g_steal_pointer(&config) : NULL;
}

ConfigResult config_read(DaemonKind daemon, int argc, char **argv, Config **config) {
  (void)argc; /* argv ends in NULL */
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) listen = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) socketmap = g_ptr_array_new_with_free_func(g_free);
  Flags parsed = {.listen = listen, .socketmap = socketmap};
  if (!flags_parse(&parsed, argv, &error)) {
    (void)fprintf(stderr, "%s: %s\n", daemon_kind_program(daemon), error->message);
    return CONFIG_EXIT_USAGE;
  }
  if (parsed.help) {
    print_help(daemon);
    return CONFIG_EXIT_OK;
  }
  if (parsed.version) {
    printf("%s %s\n", daemon_kind_program(daemon), PACKAGE_VERSION);
    return CONFIG_EXIT_OK;
  }
  *config = config_make(daemon, &parsed, argv, &error);
  if (*config == NULL) {
    (void)fprintf(stderr, "%s: %s\n", daemon_kind_program(daemon), error->message);
    return CONFIG_EXIT_USAGE;
  }
  return parsed.check ? CONFIG_CHECK : CONFIG_RUN;
}

Config *config_reread(const Config *config, GError **error) {
  g_autoptr(GPtrArray) listen = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) socketmap = g_ptr_array_new_with_free_func(g_free);
  Flags parsed = {.listen = listen, .socketmap = socketmap};
  if (!flags_parse(&parsed, config->arguments, error)) {
    return NULL;
  }
  return config_make(config->daemon, &parsed, config->arguments, error);
}

static bool lists_differ(char *const *a, char *const *b) {
  return !g_strv_equal((const char *const *)a, (const char *const *)b);
}

char *config_needs_restart(const Config *old, const Config *new_config) {
  const struct {
    const char *name;
    bool differs;
  } rows[] = {
      {"listen", lists_differ(old->listen, new_config->listen)},
      {"socketmap_listen", lists_differ(old->socketmap_listen, new_config->socketmap_listen)},
      {"user", g_strcmp0(old->user, new_config->user) != 0},
      {"resolver", g_strcmp0(old->resolver, new_config->resolver) != 0},
      {"socket_mode", old->socket_mode != new_config->socket_mode},
      {"socket_group", g_strcmp0(old->socket_group, new_config->socket_group) != 0},
      {"doors", old->policy_enabled != new_config->policy_enabled || old->milter_enabled != new_config->milter_enabled ||
                    old->socketmap_enabled != new_config->socketmap_enabled},
      {"log", old->log_stderr != new_config->log_stderr},
  };
  g_autoptr(GString) names = g_string_new(NULL);
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    if (rows[i].differs) {
      g_string_append_printf(names, "%s%s", names->len ? ", " : "", rows[i].name);
    }
  }
  return names->len > 0 ? g_string_free(g_steal_pointer(&names), FALSE) : NULL;
}

PhaseSet config_owned_phases(const Config *config, Door door) {
  const PhaseSet policy = PHASE_BIT(PHASE_CONNECT) | PHASE_BIT(PHASE_HELO) | PHASE_BIT(PHASE_MAIL) | PHASE_BIT(PHASE_RCPT) |
                          PHASE_BIT(PHASE_VRFY) | PHASE_BIT(PHASE_ETRN);
  switch (door) {
    case DOOR_POLICY:
      return config->milter_enabled ? policy : PHASES_ALL;
    case DOOR_MILTER:
      /* With Sendmail alone socket maps tell of more unknown commands, and answer them as well. */
      return config->policy_enabled      ? PHASES_ALL & (PhaseSet)~policy
             : config->socketmap_enabled ? PHASES_ALL & (PhaseSet)~PHASE_BIT(PHASE_UNKNOWN)
                                         : PHASES_ALL;
    case DOOR_SOCKETMAP:
      return PHASES_ALL; /* no other door answers its MTA at its phases */
    case DOOR_COUNT:
      break;
  }
  g_assert_not_reached();
}

void config_free(Config *config) {
  if (config == NULL) {
    return;
  }
  g_free(config->config_path);
  g_free(config->rules_path);
  g_strfreev(config->listen);
  g_strfreev(config->socketmap_listen);
  g_free(config->service);
  g_free(config->resolver);
  g_free(config->user);
  g_free(config->socket_group);
  g_free(config->server_name);
  g_strfreev(config->allow);
  g_free(config->delay_reject);
  g_strfreev(config->arguments);
  g_free(config);
}
