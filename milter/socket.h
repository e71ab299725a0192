/*
 * socket.h: libmilter serves a socket that we have opened.
 */
#ifndef MILTER_SOCKET_H
#define MILTER_SOCKET_H

#include <stdbool.h>

#include "common/service/listener.h"

/*
 * After smfi_register, before smfi_main. From now on libmilter accepts from this listener, and only peers that it allows. The listener must
 * live until socket_refuse.
 */
bool socket_adopt(const Listener *listener, GError **error);
/* Connections are closed as soon as they come; the listener is not touched any more. */
void socket_refuse(void);

#endif
