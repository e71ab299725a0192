/*
 * scenario_folder.h: the folder in which a scenario's files stand while it runs.
 */
#ifndef COMMON_CLI_SCENARIO_FOLDER_H
#define COMMON_CLI_SCENARIO_FOLDER_H

#include "common/cli/scenario.h"

typedef struct ScenarioFolder ScenarioFolder;

/* Makes a folder of its own below the system's one for temporary files and writes all files of the scenario there. */
ScenarioFolder *scenario_folder_new(const Scenario *scenario, GError **error);
const char *scenario_folder_path(const ScenarioFolder *folder);
/* Removes what it made. Takes NULL. */
void scenario_folder_free(ScenarioFolder *folder);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ScenarioFolder, scenario_folder_free)

#endif
