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

/* What warns about rules with what the doors know: RulesetOptions.lint. */
typedef void (*DaemonLint)(const Program *program, const RulesetOptions *options, Diagnostics *diagnostics);

/*
 * Goes through the start order up to "ready to serve" (but does not say so): reads configuration, opens listeners (the milter has one, bound and listening), forks, drops
 * privileges, loads rules, starts the scheduler and resolver. NULL: *exit_code says what main returns (errors are told; --check, --version end here too).
 * SIGHUP is blocked and SIGPIPE ignored when it returns: the daemon unblocks SIGHUP, or waits for it, when it can handle it. Threads made here have
 * all signals blocked. In daemon mode the parent process never returns from here.
 */
Daemon *daemon_start(DaemonKind kind, DaemonLint lint, int argc, char **argv, int *exit_code);
/* Any thread. A reload may put another one in place; what was returned stays valid until daemon_stop. */
const Config *daemon_config(const Daemon *daemon);
Listener *const *daemon_listeners(const Daemon *daemon, size_t *count);
Scheduler *daemon_scheduler(const Daemon *daemon);
Clock *daemon_clock(const Daemon *daemon);
/* Thread-safe: the ruleset in force, with a reference. */
Ruleset *daemon_ruleset(Daemon *daemon);
/* Thread-safe, without a lock: `ruleset`, to which the caller has a reference, is still the one in force. */
bool daemon_ruleset_is(const Daemon *daemon, const Ruleset *ruleset);
/*
 * Thread-safe: gives back a reference. A ruleset that was replaced is kept by the helper thread until nobody else has it, so the slow freeing always
 * happens there; ruleset_unref is as good.
 */
void daemon_drop_ruleset(Daemon *daemon, Ruleset *ruleset);
/* Asks for a reload on the helper thread; several while one runs become one more. Never blocks; thread-safe. */
void daemon_reload(Daemon *daemon);
/* READY=1 to systemd, "ready" to the log, the parent of the fork exits with 0. */
void daemon_ready(Daemon *daemon);
/* STOPPING=1 to systemd, for when the daemon begins to stop. */
void daemon_stopping(Daemon *daemon);
/* Stops helper thread, resolver, scheduler; closes listeners. All references to rulesets must have been given back. */
void daemon_stop(Daemon *daemon);

#endif
