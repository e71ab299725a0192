/*
 * main.c: mailreeve-milter.
 *
 * The main thread keeps the signals and decides when to stop; libmilter runs in a thread of its own, with its pool of workers. Stopping:
 * no new connections, waiting callbacks give up, messages that are under way may come to their end for a while; then no callback gets in
 * any more and what is left is closed here. The end of the process ends libmilter's threads: smfi_stop would wait up to five seconds for
 * the one that listens, and its workers are nobody's to join.
 */
#include <libmilter/mfapi.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/door/reply_lint.h"
#include "common/service/daemon.h"
#include "common/service/decision_log.h"
#include "milter/callbacks.h"
#include "milter/filter.h"
#include "milter/pump.h"
#include "milter/signals.h"
#include "milter/socket.h"

enum { DRAIN_SECONDS = 5 }; /* for messages that are under way */

static void *engine_main(void *data) {
  gint *failed = data;
  (void)smfi_main(); /* returns only when it cannot go on */
  g_atomic_int_set(failed, 1);
  (void)kill(getpid(), SIGTERM); /* the main thread waits for signals only */
  return NULL;
}

static bool engine_start(gint *failed, Daemon *daemon, Filter *filter) {
  g_autoptr(GError) error = NULL;
  size_t count;
  Listener *const *listeners = daemon_listeners(daemon, &count);
  if (!callbacks_register(filter)) {
    log_error("libmilter does not take the callbacks");
    return false;
  }
  if (!socket_adopt(listeners[0], &error)) {
    log_error("%s: %s", listener_address(listeners[0]), error->message);
    return false;
  }
  (void)smfi_settimeout((int)daemon_config(daemon)->idle_seconds);
  pthread_t thread;
  if (pthread_create(&thread, NULL, engine_main, failed) != 0) {
    log_error("cannot start libmilter's thread");
    return false;
  }
  return pthread_detach(thread) == 0 && pump_start(filter, listeners[0]);
}

static void serve(Daemon *daemon) {
  int number;
  while ((number = signals_wait()) == SIGHUP) {
    daemon_reload(daemon);
  }
  daemon_stopping(daemon);
}

static void stop(Filter *filter) {
  socket_refuse();
  filter_stop_waiting(filter);
  filter_drain(filter, DRAIN_SECONDS);
  filter_shut(filter);
  filter_log_counts(filter);
  filter_free(filter);
}

int main(int argc, char **argv) {
  int exit_code = 0;
  signals_block();
  Daemon *daemon = daemon_start(DAEMON_MILTER, reply_lint, argc, argv, &exit_code);
  if (daemon == NULL) {
    return exit_code;
  }
  static gint failed; /* outlives libmilter's thread */
  Filter *filter = filter_new(daemon);
  if (!engine_start(&failed, daemon, filter)) {
    filter_free(filter);
    daemon_stop(daemon);
    return 1;
  }
  daemon_ready(daemon);
  serve(daemon);
  stop(filter);
  daemon_stop(daemon);
  return g_atomic_int_get(&failed) ? 1 : 0;
}
