/*
 * main.c: mailreeve-policyd, the Postfix policy daemon.
 */
#include <stdlib.h>

#include "common/door/reply_lint.h"
#include "policy/server.h"

int main(int argc, char **argv) {
  int exit_code = EXIT_SUCCESS;
  Daemon *daemon = daemon_start(DAEMON_POLICY, reply_lint, argc, argv, &exit_code);
  if (daemon == NULL) {
    return exit_code;
  }
  exit_code = server_run(daemon) ? EXIT_SUCCESS : EXIT_FAILURE;
  daemon_stop(daemon);
  return exit_code;
}
