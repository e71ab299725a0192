/*
 * notify.h: tells systemd (sd_notify(3)) where the daemon stands. Nothing happens outside systemd. Thread-safe.
 */
#ifndef COMMON_SERVICE_NOTIFY_H
#define COMMON_SERVICE_NOTIFY_H

#include <glib.h>

/* "READY=1\nSTATUS=..." to the socket in $NOTIFY_SOCKET, where there is one. */
void notify_systemd(const char *format, ...) G_GNUC_PRINTF(1, 2);

#endif
