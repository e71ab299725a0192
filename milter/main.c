/*
 * main.c: mailreeve-milter.
 *
 * The main thread keeps the signals and decides when to stop; libmilter runs in a thread of its own, with its pool of workers. Stopping: no new connections, waiting
 * callbacks give up, messages that are under way may come to their end for a while; then no callback gets in any more and what is left is closed here.
 */
#include "config.h"

#include <libmilter/mfapi.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "common/service/daemon.h"
#include "common/service/decision_log.h"
#include "milter/callbacks.h"
#include "milter/filter.h"
#include "milter/signals.h"
#include "milter/socket.h"

enum {
  DRAIN_SECONDS = 5,    /* for messages that are under way */
  LIBMILTER_SECONDS = 2 /* for smfi_main to return */
};

/* libmilter's thread, and how it ended. */
typedef struct Engine {
  pthread_t thread;
  gint failed;
} Engine;

static void *engine_main(void *data) {
  Engine *engine = data;
  int result = smfi_main();
  g_atomic_int_set(&engine->failed, result != MI_SUCCESS);
  (void)kill(getpid(), SIGTERM); /* the main thread waits for signals only; when it has stopped us itself, nobody takes this one */
  return NULL;
}

static bool engine_start(Engine *engine, Daemon *daemon, Filter *filter) {
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
  return pthread_create(&engine->thread, NULL, engine_main, engine) == 0;
}

static void serve(Daemon *daemon) {
  int number;
  while ((number = signals_wait()) == SIGHUP) {
    daemon_reload(daemon);
  }
  daemon_stopping(daemon);
}

static void engine_stop(Engine *engine, Filter *filter) {
  socket_refuse();
  filter_stop_waiting(filter);
  filter_drain(filter, DRAIN_SECONDS);
  filter_shut(filter);
  socket_wake();
  (void)smfi_stop();
  struct timespec until;
  (void)clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += LIBMILTER_SECONDS;
  (void)pthread_timedjoin_np(engine->thread, NULL, &until); /* its workers are detached; the end of the process ends them */
}

int main(int argc, char **argv) {
  int exit_code = 0;
  signals_block();
  Daemon *daemon = daemon_start(DAEMON_MILTER, argc, argv, &exit_code);
  if (daemon == NULL) {
    return exit_code;
  }
  Engine engine = {0};
  Filter *filter = filter_new(daemon);
  if (!engine_start(&engine, daemon, filter)) {
    filter_free(filter);
    daemon_stop(daemon);
    return 1;
  }
  daemon_ready(daemon);
  serve(daemon);
  engine_stop(&engine, filter);
  filter_free(filter);
  daemon_stop(daemon);
  return g_atomic_int_get(&engine.failed) ? 1 : 0;
}
