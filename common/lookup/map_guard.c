/*
 * map_guard.c: see map_guard.h. The only place that handles SIGBUS and SIGSEGV.
 */
#include "common/lookup/map_guard.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

/* What a fault needs to find: it knows the thread and nothing else. */
typedef struct Guard {
  sigjmp_buf place;
  volatile sig_atomic_t armed; /* `place` is that of a body under way */
  bool ready;                  /* the thread lets the signals through */
  sigset_t mask;               /* the thread's, then */
} Guard;

static _Thread_local Guard guard;
static struct sigaction handlers_before[2];
static const int signals[] = {SIGBUS, SIGSEGV};
static pthread_once_t installed = PTHREAD_ONCE_INIT;

void map_guard_leave(void) {
  if (guard.armed) {
    guard.armed = 0;
    siglongjmp(guard.place, 1);
  }
}

/* Not a guarded body's: the handler that was there before meets the same fault at once. */
static void handle(int signal_number) {
  map_guard_leave();
  (void)sigaction(signal_number, &handlers_before[signal_number == SIGBUS ? 0 : 1], NULL);
}

static void install(void) {
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER | SA_ONSTACK};
  (void)sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < 2; i++) {
    (void)sigaction(signals[i], &action, &handlers_before[i]);
  }
}

/* Threads are started with all signals blocked, and a fault that is blocked ends the process. */
static void make_ready(void) {
  sigset_t faults;
  (void)pthread_once(&installed, install);
  (void)sigemptyset(&faults);
  for (size_t i = 0; i < 2; i++) {
    (void)sigaddset(&faults, signals[i]);
  }
  (void)pthread_sigmask(SIG_UNBLOCK, &faults, &guard.mask);
  for (size_t i = 0; i < 2; i++) {
    (void)sigdelset(&guard.mask, signals[i]);
  }
  guard.ready = true;
}

bool map_guard_run(void (*body)(void *self), void *self) {
  if (!guard.ready) {
    make_ready();
  }
  if (sigsetjmp(guard.place, 0) != 0) {
    (void)pthread_sigmask(SIG_SETMASK, &guard.mask, NULL); /* a sanitizer blocks all signals around its handlers */
    return false;
  }
  guard.armed = 1;
  body(self);
  guard.armed = 0;
  return true;
}
