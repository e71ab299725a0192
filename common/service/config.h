/*
 * config.h: the daemons' configuration: mailreeve.conf (GKeyFile) under the command line's flags.
 *
 * Every setting is a row of config.def and every flag one of flag.def: the reader, --help and the manual pages are made from them. An unknown group,
 * key or flag is an error with the nearest name. A Config is immutable once read, so any thread may read it.
 */
#ifndef COMMON_SERVICE_CONFIG_H
#define COMMON_SERVICE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <glib.h>

#include "common/smtp/door.h"
#include "common/smtp/phase.h"

#define CONFIG_DEFAULT_PATH "/etc/mailreeve/mailreeve.conf"

typedef enum DaemonKind { DAEMON_POLICY, DAEMON_MILTER } DaemonKind;

/* "mailreeve-policyd" */
const char *daemon_kind_program(DaemonKind daemon);

typedef enum DecisionLogLevel { DECISIONS_RULED, DECISIONS_ALL } DecisionLogLevel;

typedef struct Config {
  DaemonKind daemon;
  char *config_path; /* NULL: none */
  char *rules_path;
  char **listen;      /* "unix:PATH" | "inet:HOST:PORT", each with an optional ",service=NAME"; NULL-terminated */
  char **socketmap_listen; /* policy: the same, for socket maps; may be empty */
  char *service;      /* fact `service` of listeners that name none; NULL */
  char *resolver;     /* HOST@PORT; NULL: resolv.conf */
  char *user;         /* drop to; NULL when not started as root */
  char *socket_group; /* NULL: the user's */
  mode_t socket_mode;
  char *server_name; /* default: the host's name */
  char **allow;      /* networks that may connect to inet listeners; NULL-terminated; default loopback */
  bool foreground;
  bool log_stderr; /* else syslog */
  DecisionLogLevel decisions;
  unsigned deadline_ms;
  unsigned idle_seconds;
  unsigned max_connections;
  bool accept_is_ok;                   /* policy */
  char *delay_reject;                  /* milter: "no" | "mail" | "rcpt" */
  size_t message_memory, body_limit;   /* milter */
  bool policy_enabled, milter_enabled, socketmap_enabled; /* which doors are in use: facts and actions are checked against them; phase ownership */
  bool doors_named;                    /* the setting says them */
  char **arguments;                    /* the command line, kept for config_reread */
} Config;

typedef enum ConfigResult { CONFIG_RUN, CONFIG_CHECK, CONFIG_EXIT_OK, CONFIG_EXIT_USAGE } ConfigResult;

/* Reads flags and file; prints help, version and errors itself. *config is set for RUN and CHECK. */
ConfigResult config_read(DaemonKind daemon, int argc, char **argv, Config **config);
/* Reads the file again (SIGHUP) with the same flags. NULL and *error keeps the old. */
Config *config_reread(const Config *config, GError **error);
/* The names of settings that differ and need a restart to count ("listen, user"), NULL for none. Transfer full. */
char *config_needs_restart(const Config *old, const Config *new_config);
void config_free(Config *config);

/*
 * The phases that a door answers: where both are in use the policy door owns connect helo mail rcpt vrfy etrn and the milter the rest; a door that is alone
 * owns all. Socket maps own all that they are asked about, and take unknown from a milter without a policy door beside it.
 */
PhaseSet config_owned_phases(const Config *config, Door door);

typedef enum SettingKind {
  SETTING_TEXT,
  SETTING_LIST, /* words with blanks, commas at the end of a word or ';' between */
  SETTING_NUMBER,
  SETTING_MILLISECONDS, /* 500ms, 8s, 1m; a bare number is seconds */
  SETTING_SECONDS,      /* 30s, 20m, 2h, 1d */
  SETTING_SIZE,         /* 512, 256K, 1M */
  SETTING_SWITCH,       /* yes no true false on off */
  SETTING_MODE,         /* octal */
  SETTING_CHOICE,       /* one of `choices` */
  SETTING_DOORS,        /* some of `choices` */
} SettingKind;

const char *setting_kind_name(SettingKind kind); /* "number", for the manual */

typedef struct ConfigSetting {
  const char *group, *key;
  SettingKind kind;
  const char *default_text; /* "": see the sentence */
  int64_t low, high;        /* both 0: no range */
  const char *choices;      /* blank-separated, "" for none */
  const char *flag;         /* "--rules", "" for none */
  const char *sentence;
} ConfigSetting;

/* The rows of config.def and flag.def, in their order (help, manual). */
const ConfigSetting *config_settings(size_t *count);

typedef struct ConfigFlag {
  const char *flag;  /* "--config" */
  const char *value; /* "FILE", "" for a switch */
  const char *sentence;
} ConfigFlag;

const ConfigFlag *config_flags(size_t *count);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

#endif
