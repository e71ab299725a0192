/*
 * daemon.h: what both daemons do alike: start order, privileges, the current ruleset and its reload, log, readiness.
 *
 * Start order (DESIGN of the house): configuration, bind sockets, fork unless --foreground, drop privileges, then rules, tables, resolver, threads, ready.
 */
#ifndef COMMON_SERVICE_DAEMON_H
#define COMMON_SERVICE_DAEMON_H

#include "common/ask/scheduler.h"
#include "common/base/clock.h"
#include "common/rules/program.h"
#include "common/service/config.h"
#include "common/service/listener.h"

typedef struct Daemon Daemon;

/*
 * Goes through the start order up to "ready to serve" (but does not say so): reads configuration, opens listeners (unless `milter`: then only the first, for smfi_setconn see milter/), forks, drops
 * privileges, loads rules, starts the scheduler and resolver. NULL: *exit_code says what main returns (errors are told; --check, --version end here too).
 */
Daemon *daemon_start(DaemonKind kind, int argc, char **argv, int *exit_code);
const Config *daemon_config(const Daemon *daemon);
Listener *const *daemon_listeners(const Daemon *daemon, size_t *count);
Scheduler *daemon_scheduler(const Daemon *daemon);
Clock *daemon_clock(const Daemon *daemon);
/* Thread-safe: the ruleset in force, with a reference. */
Ruleset *daemon_ruleset(Daemon *daemon);
/* Thread-safe: gives back a reference; the last one is freed on the helper thread. */
void daemon_drop_ruleset(Daemon *daemon, Ruleset *ruleset);
/* Asks for a reload on the helper thread; several while one runs become one more. Never blocks. */
void daemon_reload(Daemon *daemon);
/* READY=1 to systemd, "ready" to the log, the parent of the fork exits with 0. */
void daemon_ready(Daemon *daemon);
/* Stops helper thread, resolver, scheduler; closes listeners. */
void daemon_stop(Daemon *daemon);

#endif
