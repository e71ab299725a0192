/*
 * socket.h: libmilter serves a socket that we have opened.
 */
#ifndef MILTER_SOCKET_H
#define MILTER_SOCKET_H

#include <stdbool.h>

#include "common/service/listener.h"

/* After smfi_register, before smfi_main. From now on libmilter accepts from this listener, and only peers that it allows. The listener must outlive smfi_main. */
bool socket_adopt(const Listener *listener, GError **error);
/* Connections are closed as soon as they come. */
void socket_refuse(void);
/* Wakes libmilter's thread that waits for connections, for good. After socket_refuse and just before smfi_stop, which needs a lock that this thread holds while it waits. */
void socket_wake(void);

#endif
