/*
 * value_action.h: the values of action maps, as access(5) of Postfix and Sendmail's access_db write them. Part of value_parse.
 */
#ifndef COMMON_SMTP_VALUE_ACTION_H
#define COMMON_SMTP_VALUE_ACTION_H

#include "common/smtp/value.h"

/* False: *problem says why. `text` must outlive *action or be in the arena. */
bool action_value_parse(Slice text, ActionValue *action, const char **problem);

#endif
