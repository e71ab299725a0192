/*
 * function.c: the registry of functions; one line a function in function/functions.def.
 */
#include "common/rules/function.h"

#define FUNCTION(descriptor) extern const Function descriptor;
#include "common/rules/function/functions.def"
#undef FUNCTION

static const Function *const functions[] = {
#define FUNCTION(descriptor) &descriptor,
#include "common/rules/function/functions.def"
#undef FUNCTION
    NULL,
};

const Function *const *functions_all(void) {
  return functions;
}

const Function *function_find(Slice name, ValueType input) {
  for (size_t i = 0; functions[i]; i++)
    if (functions[i]->input == input && slice_equal(slice_from(functions[i]->name), name))
      return functions[i];
  return NULL;
}
