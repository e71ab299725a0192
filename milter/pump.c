/*
 * pump.c: one thread, asleep while no callback waits.
 *
 * A stroke takes up one event that was left. How many were is unknown, so the strokes are doubled while they bring callbacks that wait
 * too, and halved when they do not: a burst of hundreds comes to its workers in some tenths of a second, and where nothing was left it
 * costs twenty connections a second.
 */
#include "milter/pump.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STROKES_MAX = 64, PAUSE_MS = 50 };

typedef struct Pump {
  Filter *filter;
  struct sockaddr_storage address;
  socklen_t length;
} Pump;

static void stroke(const Pump *pump) {
  int fd = socket(pump->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    (void)connect(fd, (const struct sockaddr *)&pump->address, pump->length);
    (void)close(fd);
  }
}

static void *pump_main(void *data) {
  const Pump *pump = data;
  uint64_t before = 0, begun;
  unsigned strokes = 1;
  while (filter_still_waits(pump->filter, PAUSE_MS, &begun)) {
    strokes = begun > before ? MIN(strokes * 2, (unsigned)STROKES_MAX) : MAX(strokes / 2, 1u);
    before = begun;
    for (unsigned i = 0; i < strokes; i++) {
      stroke(pump);
    }
  }
  g_free(data);
  return NULL;
}

bool pump_start(Filter *filter, const Listener *listener) {
  Pump *pump = g_new0(Pump, 1);
  pump->filter = filter;
  pump->length = sizeof pump->address;
  pthread_t thread;
  if (getsockname(listener_fd(listener), (struct sockaddr *)&pump->address, &pump->length) != 0 ||
      pthread_create(&thread, NULL, pump_main, pump) != 0) {
    g_free(pump);
    return false;
  }
  return pthread_detach(thread) == 0;
}
