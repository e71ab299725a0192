/*
 * signals.h: SIGHUP, SIGTERM and SIGINT belong to the main thread; libmilter never sees them.
 */
#ifndef MILTER_SIGNALS_H
#define MILTER_SIGNALS_H

/* Blocks them in the calling thread and all that it starts. To be called first of all. */
void signals_block(void);
/* The next one: SIGHUP, SIGTERM or SIGINT. Main thread. */
int signals_wait(void);

#endif
