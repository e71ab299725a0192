/*
 * config.h: the daemons' configuration: mailreeve.conf (GKeyFile) under the command line's flags.
 *
 * Every setting is a row of config.def: group, key, type, default, range, sentence; the manual page is printed from it. An unknown group or key is an error
 * with the nearest name.
 */
#ifndef COMMON_SERVICE_CONFIG_H
#define COMMON_SERVICE_CONFIG_H

#include <stdbool.h>
#include <sys/types.h>

#include <glib.h>

typedef enum DaemonKind { DAEMON_POLICY, DAEMON_MILTER } DaemonKind;

typedef enum DecisionLogLevel { DECISIONS_RULED, DECISIONS_ALL } DecisionLogLevel;

typedef struct Config {
  DaemonKind daemon;
  char *config_path;   /* NULL: none */
  char *rules_path;
  char **listen;       /* "unix:PATH" | "inet:HOST:PORT", NULL-terminated */
  char *service;       /* fact `service` of these listeners; NULL */
  char *resolver;      /* HOST@PORT; NULL: resolv.conf */
  char *user;          /* drop to; NULL when not started as root */
  char *socket_group;  /* NULL: the user's */
  mode_t socket_mode;
  char *server_name;   /* default: the host's name */
  char **allow;        /* networks that may connect to inet listeners; NULL-terminated; default loopback */
  bool foreground;
  bool log_stderr;     /* else syslog */
  DecisionLogLevel decisions;
  unsigned deadline_ms;
  unsigned idle_seconds;
  unsigned max_connections;
  bool accept_is_ok;   /* policy */
  char *delay_reject;  /* milter: "no" | "mail" | "rcpt" */
  bool policy_enabled, milter_enabled; /* which doors are in use: facts and actions are checked against them; phase ownership */
  bool check_owners;
} Config;

typedef enum ConfigResult { CONFIG_RUN, CONFIG_CHECK, CONFIG_EXIT_OK, CONFIG_EXIT_USAGE } ConfigResult;

/* Reads flags and file; prints help, version and errors itself. */
ConfigResult config_read(DaemonKind daemon, int argc, char **argv, Config **config);
/* Reads the file again (SIGHUP) with the same flags. NULL and *error keeps the old. */
Config *config_reread(const Config *config, GError **error);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

#endif
