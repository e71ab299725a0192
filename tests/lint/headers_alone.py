#!/usr/bin/env python3
"""headers_alone.py: each header compiles by itself, with the flags of this build."""

import shlex
import subprocess

from house import SOURCE, BUILD, files, finish, makefile_variable


def main():
    command = shlex.split(makefile_variable("CC"))
    command += [f"-I{SOURCE}", f"-I{BUILD}"]
    for name in ("BASE_CFLAGS", "PCRE_CFLAGS", "MIME_CFLAGS", "UV_CFLAGS", "UNBOUND_CFLAGS", "LMDB_CFLAGS", "CDB_CFLAGS", "SQLITE_CFLAGS", "JSON_CFLAGS"):
        command += shlex.split(makefile_variable(name))
    command += ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wstrict-prototypes", "-fsyntax-only", "-x", "c", "-"]
    faults = []
    for header in files("*.h", folders=("common", "milter", "policy")):
        result = subprocess.run(command, input=f'#include "config.h"\n#include "{header}"\n', text=True, capture_output=True, check=False)
        if result.returncode != 0:
            faults.append(f"{header} does not compile alone:\n{result.stderr}")
    finish(faults, "headers alone")


main()
