/*
 * callbacks.h: libmilter's callbacks. No policy here: they feed common/door/milter_session.h and return what it says.
 */
#ifndef MILTER_CALLBACKS_H
#define MILTER_CALLBACKS_H

#include "milter/filter.h"

/* Registers them with libmilter; `filter` must live as long as the process. */
bool callbacks_register(Filter *filter);

#endif
