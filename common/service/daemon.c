/*
 * daemon.c: the start order and the reload of both daemons.
 *
 * Threads: the daemon's own (one or several), and one helper thread that loads rulesets, so that a slow load blocks nobody, frees them, and reads tables that changed. `lock` guards the
 * ruleset in force and what is asked of the helper; it is never held while something loads.
 */
#include "common/service/daemon.h"

#include <errno.h>
#include <fcntl.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/lookup/dns.h"
#include "common/service/decision_log.h"
#include "common/service/notify.h"
#include "common/service/privileges.h"
#include "common/service/registry.h"

enum {
  EXIT_CODE_GOOD = 0,
  EXIT_CODE_RULES = 1,
  EXIT_CODE_USAGE = 2,
  LOOK_SECONDS = 1, /* between looks at tables, and whether replaced rulesets are free */
};

struct Daemon {
  DaemonKind kind;
  DaemonLint lint;
  Config *config;     /* atomic pointer: the one in force */
  GPtrArray *configs; /* all that were ever in force; only the helper adds */
  Listener **listeners;
  size_t listener_count;
  Identity identity;
  int parent_fd; /* tells the parent of the fork; -1: none */
  Scheduler *scheduler;
  DnsResolver *resolver;
  Registry *registry;
  GThread *helper;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  Ruleset *ruleset;   /* atomic pointer: in force; written with the lock held */
  GPtrArray *retired; /* replaced, perhaps still in use elsewhere */
  bool reload_wanted;
  bool stop_wanted;
};

/* ---- Loading ---- */

static DoorSet config_doors(const Config *config) {
  return (DoorSet)((config->policy_enabled ? DOOR_BIT(DOOR_POLICY) : 0) | (config->milter_enabled ? DOOR_BIT(DOOR_MILTER) : 0) |
                   (config->socketmap_enabled ? DOOR_BIT(DOOR_SOCKETMAP) : 0));
}

/* Reading rules takes several times the memory that they need afterwards: what is free goes back to the system, where the C library can do that. */
static void return_free_memory(void) {
#ifdef __GLIBC__
  (void)malloc_trim(0);
#endif
}

/* NULL when the rules are bad; what there is to say is in the log. */
static Ruleset *read_rules(const Config *config, Registry *registry, DaemonLint lint, bool strict) {
  g_autoptr(Diagnostics) diagnostics = diagnostics_new();
  RulesetOptions options = {
      .enabled_doors = config_doors(config),
      .check_owners = true,
      .resources = registry_source(registry),
      .strict_tables = strict,
      .open_resources = true,
      .lint = lint,
  };
  Ruleset *ruleset = ruleset_load_file(config->rules_path, &options, diagnostics);
  if (diagnostics_count(diagnostics) > 0) {
    g_autofree char *text = diagnostics_print(diagnostics);
    if (ruleset != NULL) {
      log_warning_lines(text);
    } else {
      log_error_lines(text);
    }
  }
  return ruleset;
}

static Ruleset *load_rules(const Config *config, Registry *registry, DaemonLint lint, bool strict) {
  Ruleset *ruleset = read_rules(config, registry, lint, strict);
  return_free_memory();
  return ruleset;
}

/* ---- The helper thread ---- */

/* Frees replaced rulesets that only we hold. Called and left with the lock held. */
static void free_retired(Daemon *daemon) {
  for (guint i = daemon->retired->len; i > 0; i--) {
    Ruleset *ruleset = daemon->retired->pdata[i - 1];
    if (g_atomic_int_get(&ruleset->references) > 1) {
      continue;
    }
    (void)g_ptr_array_remove_index_fast(daemon->retired, i - 1);
    (void)pthread_mutex_unlock(&daemon->lock);
    ruleset_unref(ruleset);
    registry_sweep(daemon->registry);
    return_free_memory();
    (void)pthread_mutex_lock(&daemon->lock);
    i = daemon->retired->len + 1;
  }
}

static void take_config(Daemon *daemon, Config *config) {
  g_autofree char *restart = config_needs_restart(daemon_config(daemon), config);
  if (restart != NULL) {
    log_warning("these settings have changed and count after a restart: %s", restart);
  }
  g_ptr_array_add(daemon->configs, config);
  g_atomic_pointer_set(&daemon->config, config);
}

static void take_ruleset(Daemon *daemon, Ruleset *ruleset) {
  (void)pthread_mutex_lock(&daemon->lock);
  g_ptr_array_add(daemon->retired, daemon->ruleset);
  g_atomic_pointer_set(&daemon->ruleset, ruleset);
  (void)pthread_mutex_unlock(&daemon->lock);
}

static void log_lookups(const Daemon *daemon) {
  SchedulerCounts counts = scheduler_counts(daemon->scheduler);
  log_info("look-ups: %" G_GUINT64_FORMAT " asked, %" G_GUINT64_FORMAT " from the cache, %" G_GUINT64_FORMAT " joined, %" G_GUINT64_FORMAT
           " failed, %" G_GUINT64_FORMAT " late, %" G_GUINT64_FORMAT " stale, %" G_GUINT64_FORMAT " resting, %" G_GUINT64_FORMAT " refused",
           (guint64)counts.asked, (guint64)counts.cached, (guint64)counts.joined, (guint64)counts.failed, (guint64)counts.late,
           (guint64)counts.stale, (guint64)counts.resting, (guint64)counts.refused);
}

/* Configuration and rules come into force together, or neither does. */
static void reload(Daemon *daemon) {
  notify_systemd("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT "\nSTATUS=Reloading", g_get_monotonic_time());
  log_info("reloading");
  g_autoptr(GError) error = NULL;
  g_autoptr(Config) config = config_reread(daemon_config(daemon), &error);
  Ruleset *ruleset = NULL;
  if (config == NULL) {
    log_error("%s", error->message);
  } else {
    registry_begin_reload(daemon->registry);
    ruleset = load_rules(config, daemon->registry, daemon->lint, false);
  }
  if (ruleset == NULL) {
    log_error("reload failed: the old rules stay in force");
    notify_systemd("READY=1\nSTATUS=Serving old rules: the last reload failed");
    return;
  }
  size_t rules = ruleset->rule_count;
  take_config(daemon, g_steal_pointer(&config));
  take_ruleset(daemon, ruleset);
  log_info("reloaded: %zu rules from %s", rules, daemon_config(daemon)->rules_path);
  log_lookups(daemon);
  notify_systemd("READY=1\nSTATUS=Serving %zu rules", rules);
}

/* Waits until something is asked of the helper, or a look is due. Called and left with the lock held. */
static void wait_and_look(Daemon *daemon, bool *watching) {
  struct timespec until;
  if (!*watching && daemon->retired->len == 0) {
    (void)pthread_cond_wait(&daemon->changed, &daemon->lock);
    return;
  }
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += LOOK_SECONDS;
  if (pthread_cond_timedwait(&daemon->changed, &daemon->lock, &until) == ETIMEDOUT && *watching) {
    (void)pthread_mutex_unlock(&daemon->lock);
    *watching = registry_watch(daemon->registry);
    (void)pthread_mutex_lock(&daemon->lock);
  }
}

/*
 * A load is seconds of work that nobody waits for, while each time slice that it takes is one that clients wait: the helper is as nice as can be. On Linux
 * this priority is the calling thread's alone.
 */
static void step_back(void) {
  if (setpriority(PRIO_PROCESS, 0, 19) != 0) {
    log_warning("reloads may slow down answers: setpriority: %s", g_strerror(errno));
  }
}

static gpointer helper_main(gpointer data) {
  Daemon *daemon = data;
  step_back();
  bool watching = true;
  (void)pthread_mutex_lock(&daemon->lock);
  while (!daemon->stop_wanted) {
    if (daemon->reload_wanted) {
      daemon->reload_wanted = false;
      (void)pthread_mutex_unlock(&daemon->lock);
      reload(daemon);
      watching = true;
      (void)pthread_mutex_lock(&daemon->lock);
    } else {
      wait_and_look(daemon, &watching);
    }
    free_retired(daemon);
  }
  (void)pthread_mutex_unlock(&daemon->lock);
  return NULL;
}

static void helper_start(Daemon *daemon) {
  sigset_t all, before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  daemon->helper = g_thread_new("helper", helper_main, daemon);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void helper_stop(Daemon *daemon) {
  if (daemon->helper == NULL) {
    return;
  }
  (void)pthread_mutex_lock(&daemon->lock);
  daemon->stop_wanted = true;
  (void)pthread_cond_signal(&daemon->changed);
  (void)pthread_mutex_unlock(&daemon->lock);
  (void)g_thread_join(daemon->helper);
}

/* ---- Start ---- */

static bool open_some(Daemon *daemon, char *const *addresses, Door door, GError **error) {
  for (size_t i = 0; addresses != NULL && addresses[i] != NULL; i++) {
    Listener *listener = listener_open(addresses[i], daemon->config, daemon->identity.uid, daemon->identity.gid, error);
    if (listener == NULL) {
      return false;
    }
    listener_set_door(listener, door);
    daemon->listeners[daemon->listener_count++] = listener;
  }
  return true;
}

static bool open_listeners(Daemon *daemon, GError **error) {
  const Config *config = daemon->config;
  size_t count = g_strv_length(config->listen) + (config->socketmap_listen != NULL ? g_strv_length(config->socketmap_listen) : 0);
  daemon->listeners = g_new0(Listener *, count + 1);
  return open_some(daemon, config->listen, config->daemon == DAEMON_MILTER ? DOOR_MILTER : DOOR_POLICY, error) &&
         open_some(daemon, config->socketmap_listen, DOOR_SOCKETMAP, error);
}

/* Each connection is a descriptor: as many as we may have. */
static void raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
  }
}

/* Waits for the child's word: one byte when it is ready, nothing when it ended. */
static void parent_wait(int fd) {
  char byte = 0;
  ssize_t got;
  do {
    got = read(fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  /* _exit: the listeners, and their files, are the child's now. */
  _exit(got == 1 ? EXIT_CODE_GOOD : EXIT_CODE_RULES);
}

static bool fork_away(Daemon *daemon, GError **error) {
  int ends[2];
  if (pipe(ends) != 0) {
    g_set_error(error, G_FILE_ERROR, 0, "pipe: %s", g_strerror(errno));
    return false;
  }
  pid_t child = fork();
  if (child < 0) {
    g_set_error(error, G_FILE_ERROR, 0, "fork: %s", g_strerror(errno));
    return false;
  }
  if (child > 0) {
    (void)close(ends[1]);
    parent_wait(ends[0]);
  }
  (void)close(ends[0]);
  (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  daemon->parent_fd = ends[1];
  (void)setsid();
  return true;
}

/* A daemon leaves its folder: a relative path would mean something else at the next reload. */
static bool paths_are_usable(const Config *config, bool serve, GError **error) {
  const char *const paths[] = {config->rules_path, config->config_path};
  for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
    if (paths[i] != NULL && !g_path_is_absolute(paths[i]) && serve && !config->foreground) {
      g_set_error(error, G_FILE_ERROR, 0, "%s: an absolute path is needed without --foreground", paths[i]);
      return false;
    }
  }
  return true;
}

static void block_signals(void) {
  sigset_t hup;
  (void)sigemptyset(&hup);
  (void)sigaddset(&hup, SIGHUP);
  (void)pthread_sigmask(SIG_BLOCK, &hup, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
}

/* Sockets, fork, privileges: all that may need root. */
static bool start_outside(Daemon *daemon, bool serve, GError **error) {
  if (!identity_choose(daemon->config->user, &daemon->identity, error) || !paths_are_usable(daemon->config, serve, error)) {
    return false;
  }
  if (serve) {
    raise_file_limit();
    if (!open_listeners(daemon, error) || (!daemon->config->foreground && !fork_away(daemon, error))) {
      return false;
    }
  }
  (void)umask(027);
  return privileges_drop(&daemon->identity, error) && (daemon->config->foreground || !serve || chdir("/") == 0);
}

static void tell_scheduler(SchedulerEvent event, const char *text) {
  switch (event) {
    case SCHEDULER_RESTS:
      log_warning("%s", text);
      break;
    case SCHEDULER_WELL_AGAIN:
      log_info("%s", text);
      break;
    case SCHEDULER_STALE:
      log_limited("stale answer", "%s", text);
      break;
  }
}

/* Resolver, registry, rules, threads: all that only needs what everybody may do. */
static bool start_inside(Daemon *daemon, bool serve, GError **error) {
  daemon->scheduler = scheduler_new(error);
  if (daemon->scheduler == NULL) {
    return false;
  }
  scheduler_set_tell(daemon->scheduler, tell_scheduler);
  daemon->resolver = dns_resolver_new(daemon->scheduler, daemon->config->resolver, error);
  if (daemon->resolver == NULL) {
    return false;
  }
  ResourceContext context = {.dns = &dns_resolver_backend, .dns_self = daemon->resolver, .check_owners = true};
  daemon->registry = registry_new(&context);
  daemon->ruleset = load_rules(daemon->config, daemon->registry, daemon->lint, !serve);
  if (daemon->ruleset == NULL) {
    g_set_error(error, G_FILE_ERROR, 0, "not started: the rules are bad");
    return false;
  }
  return true;
}

static Daemon *daemon_new(DaemonKind kind, Config *config) {
  Daemon *daemon = g_new0(Daemon, 1);
  daemon->kind = kind;
  daemon->config = config;
  daemon->configs = g_ptr_array_new_with_free_func((GDestroyNotify)config_free);
  g_ptr_array_add(daemon->configs, config);
  daemon->parent_fd = -1;
  daemon->retired = g_ptr_array_new();
  (void)pthread_mutex_init(&daemon->lock, NULL);
  (void)pthread_cond_init(&daemon->changed, NULL);
  return daemon;
}

/* --check, and the start. *exit_code is set when there is nothing to serve. */
static bool daemon_begin(Daemon *daemon, bool serve, int *exit_code) {
  g_autoptr(GError) error = NULL;
  *exit_code = EXIT_CODE_RULES;
  log_open(daemon_kind_program(daemon->kind), !serve || daemon->config->log_stderr);
  log_also_to_stderr(true);
  block_signals();
  if (!start_outside(daemon, serve, &error) || !start_inside(daemon, serve, &error)) {
    log_error("%s", error ? error->message : g_strerror(errno));
    return false;
  }
  if (!serve) {
    log_info("%s: %zu rules, good", daemon->config->rules_path, daemon->ruleset->rule_count);
    *exit_code = EXIT_CODE_GOOD;
    return false;
  }
  helper_start(daemon);
  return true;
}

/* A socket must never come to stand where messages are written: what was started without the three standard files gets empty ones. */
static void open_standard_files(void) {
  int file = open("/dev/null", O_RDWR);
  while (file >= 0 && file < STDERR_FILENO) {
    file = open("/dev/null", O_RDWR);
  }
  if (file > STDERR_FILENO) {
    (void)close(file);
  }
}

Daemon *daemon_start(DaemonKind kind, DaemonLint lint, int argc, char **argv, int *exit_code) {
  open_standard_files();
  Config *config = NULL;
  ConfigResult result = config_read(kind, argc, argv, &config);
  switch (result) {
    case CONFIG_EXIT_OK:
      *exit_code = EXIT_CODE_GOOD;
      return NULL;
    case CONFIG_EXIT_USAGE:
      *exit_code = EXIT_CODE_USAGE;
      return NULL;
    case CONFIG_RUN:
    case CONFIG_CHECK:
      break;
  }
  Daemon *daemon = daemon_new(kind, config);
  daemon->lint = lint;
  if (!daemon_begin(daemon, result == CONFIG_RUN, exit_code)) {
    daemon_stop(daemon);
    return NULL;
  }
  return daemon;
}

/* ---- Running ---- */

const Config *daemon_config(const Daemon *daemon) {
  return g_atomic_pointer_get((Config **)&daemon->config);
}

Listener *const *daemon_listeners(const Daemon *daemon, size_t *count) {
  *count = daemon->listener_count;
  return daemon->listeners;
}

Scheduler *daemon_scheduler(const Daemon *daemon) {
  return daemon->scheduler;
}

Clock *daemon_clock(const Daemon *daemon) {
  (void)daemon;
  return clock_system();
}

Ruleset *daemon_ruleset(Daemon *daemon) {
  (void)pthread_mutex_lock(&daemon->lock);
  Ruleset *ruleset = ruleset_ref(daemon->ruleset);
  (void)pthread_mutex_unlock(&daemon->lock);
  return ruleset;
}

bool daemon_ruleset_is(const Daemon *daemon, const Ruleset *ruleset) {
  return g_atomic_pointer_get((Ruleset **)&daemon->ruleset) == ruleset;
}

void daemon_drop_ruleset(Daemon *daemon, Ruleset *ruleset) {
  (void)daemon;
  ruleset_unref(ruleset);
}

void daemon_reload(Daemon *daemon) {
  (void)pthread_mutex_lock(&daemon->lock);
  daemon->reload_wanted = true;
  (void)pthread_cond_signal(&daemon->changed);
  (void)pthread_mutex_unlock(&daemon->lock);
}

/* The terminal is not ours any more. */
static void leave_terminal(void) {
  int null = open("/dev/null", O_RDWR);
  if (null < 0) {
    return;
  }
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    (void)dup2(null, fd);
  }
  if (null > STDERR_FILENO) {
    (void)close(null);
  }
}

void daemon_ready(Daemon *daemon) {
  g_autoptr(GString) where = g_string_new(NULL);
  for (size_t i = 0; i < daemon->listener_count; i++) {
    g_string_append_printf(where, " %s", listener_address(daemon->listeners[i]));
  }
  log_info("ready: %zu rules, listening on%s, user %s", daemon->ruleset->rule_count, where->str, daemon->identity.name);
  log_also_to_stderr(false);
  if (daemon->parent_fd >= 0) {
    if (!daemon->config->log_stderr) {
      leave_terminal();
    }
    (void)!write(daemon->parent_fd, "", 1); /* a parent that is gone needs no word */
    (void)close(daemon->parent_fd);
    daemon->parent_fd = -1;
  }
  notify_systemd("READY=1\nSTATUS=Serving %zu rules", daemon->ruleset->rule_count);
}

void daemon_stopping(Daemon *daemon) {
  (void)daemon;
  notify_systemd("STOPPING=1");
  log_info("stopping");
}

void daemon_stop(Daemon *daemon) {
  helper_stop(daemon);
  if (daemon->scheduler != NULL) {
    scheduler_set_tell(daemon->scheduler, NULL); /* what fails because we stop is no news */
    if (scheduler_counts(daemon->scheduler).asked > 0) {
      log_lookups(daemon);
    }
  }
  for (guint i = 0; i < daemon->retired->len; i++) {
    ruleset_unref(daemon->retired->pdata[i]);
  }
  g_ptr_array_unref(daemon->retired);
  ruleset_unref(daemon->ruleset);
  registry_free(daemon->registry);
  dns_resolver_free(daemon->resolver);
  scheduler_free(daemon->scheduler);
  for (size_t i = 0; i < daemon->listener_count; i++) {
    listener_close(daemon->listeners[i]);
  }
  g_free(daemon->listeners);
  g_ptr_array_unref(daemon->configs);
  identity_clear(&daemon->identity);
  if (daemon->parent_fd >= 0) {
    (void)close(daemon->parent_fd);
  }
  (void)pthread_cond_destroy(&daemon->changed);
  (void)pthread_mutex_destroy(&daemon->lock);
  g_free(daemon);
}
