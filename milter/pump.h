/*
 * pump.h: keeps libmilter's pool of workers moving while callbacks wait.
 *
 * When several events arrive together libmilter counts on idle workers that are taken already, and leaves some of the events until any
 * worker has finished, or for ten seconds. While every worker waits for look-ups nobody finishes, and an MTA would wait for longer than
 * our deadline. So as long as callbacks wait, connections are made to our own listener and closed at once: the worker that sees one end
 * looks for what was left.
 */
#ifndef MILTER_PUMP_H
#define MILTER_PUMP_H

#include "common/service/listener.h"
#include "milter/filter.h"

/* Starts the thread; it lives as long as the process. The listener must be open until filter_shut. */
bool pump_start(Filter *filter, const Listener *listener);

#endif
