#!/usr/bin/env python3
"""registry.py: each row of a registry has its file, each descriptor its row; each source file is listed in a fragment."""

import re

from house import files, finish, read, rows

# Registry, row macro, C type of its descriptors, the folder that they live in.
REGISTRIES = (
    ("common/cli/commands.def", "COMMAND", "Command", "common/cli"),
    ("common/rules/action/actions.def", "ACTION", "Action", "common/rules/action"),
    ("common/rules/function/functions.def", "FUNCTION", "Function", "common/rules/function"),
    ("common/lookup/kinds.def", "KIND", "ResourceKind", "common/lookup"),
)


def check_registry(path, macro, kind, folder, faults):
    listed = [row[0] for row in rows(path, macro)]
    described = {}
    for source in files("*.c", folders=(folder,)):
        for name in re.findall(r"^const " + kind + r" (\w+) = \{", read(source), re.M):
            described.setdefault(name, []).append(source)
    for name in listed:
        if listed.count(name) > 1:
            faults.append(f"{path}: {name} is listed twice")
        if name not in described:
            faults.append(f"{path}: {name} is described in no file of {folder}")
    for name, sources in described.items():
        if name not in listed:
            faults.append(f"{sources[0]}: {name} is not listed in {path}")
        if len(sources) > 1:
            faults.append(f"{name} is described in {', '.join(map(str, sources))}")
    for source in {source for sources in described.values() for source in sources}:
        if sum(source in sources for sources in described.values()) > 1:
            faults.append(f"{source}: more than one {kind} in a file")


def check_tables(faults):
    """The first line of a .def names its columns, and each row has that many."""
    for path in files("*.def"):
        head = re.match(r"/\* (\w+)\(", read(path))
        if head is None:
            faults.append(f"{path}: the first line does not name the columns")
            continue
        counts = {len(row) for row in rows(path, head.group(1))}
        if len(counts) != 1:
            faults.append(f"{path}: rows of {sorted(counts)} columns")


def check_fragments(faults):
    text = " ".join(read(path) for path in files("*.am"))
    listed = set(re.findall(r"[\w./-]+", text))
    for path in files("*.c", "*.h", "*.def"):
        name = str(path)
        implied = path.suffix == ".c" and name[:-2] in listed  # PROGRAM = tests/unit/test_x
        if name not in listed and not implied:
            faults.append(f"{name}: no fragment.am lists it, so it is not built or not in the tarball")


def main():
    faults = []
    for registry in REGISTRIES:
        check_registry(*registry, faults)
    check_tables(faults)
    check_fragments(faults)
    finish(faults, "registry")


main()
