/*
 * signals.c: keeps signals from libmilter.
 *
 * libmilter starts a thread that waits for SIGHUP, SIGTERM and SIGINT with sigwait(3) and stops the filter at any of them, without
 * closing its sessions; there is no way to tell it not to. Two threads in sigwait take turns as the kernel likes. So the program brings a
 * `sigwait` of its own, which the dynamic linker gives to libmilter (it is the only one here that calls it): that thread sleeps for ever.
 * The main thread uses sigwaitinfo(2).
 */
#include "milter/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

int signals_libmilter_sigwait(const sigset_t *set, int *signal_number) __asm__("sigwait") __attribute__((visibility("default")));

int signals_libmilter_sigwait(const sigset_t *set, int *signal_number) {
  (void)set;
  (void)signal_number;
  for (;;) {
    (void)pause(); /* all that could end it are blocked here too */
  }
}

static sigset_t our_signals(void) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, SIGHUP);
  (void)sigaddset(&set, SIGTERM);
  (void)sigaddset(&set, SIGINT);
  return set;
}

void signals_block(void) {
  sigset_t set = our_signals();
  (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int signals_wait(void) {
  sigset_t set = our_signals();
  int number;
  do {
    number = sigwaitinfo(&set, NULL);
  } while (number < 0 && errno == EINTR);
  return number < 0 ? SIGTERM : number;
}
