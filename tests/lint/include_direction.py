#!/usr/bin/env python3
"""include_direction.py: each room includes only the rooms that it may know; a .c includes its own header first; no header cycles."""

import re
from pathlib import Path

from house import SOURCE, files, finish, read

BASE = {"base"}
SMTP = BASE | {"smtp"}
ASK = SMTP | {"ask"}
RULES = ASK | {"rules"}
LOOKUP = ASK | {"lookup"}
MESSAGE = SMTP | {"message"}
DOOR = RULES | MESSAGE | {"door"}
SERVICE = RULES | LOOKUP | MESSAGE | {"service"}
MAY_INCLUDE = {
    "common/base": BASE,
    "common/smtp": SMTP,
    "common/ask": ASK,
    "common/rules": RULES,
    "common/lookup": LOOKUP,
    "common/message": MESSAGE,
    "common/door": DOOR,
    "common/service": SERVICE,
    "common/cli": SERVICE | DOOR | {"cli"},
    "milter": SERVICE | DOOR | {"milter"},
    "policy": SERVICE | DOOR | {"policy"},
}


def room_of(path):
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] == "common" else parts[0]


def includes(path):
    """Quoted includes of a file, in order."""
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', read(path), re.M)


def check_file(path, faults):
    room = room_of(path)
    if room not in MAY_INCLUDE:
        faults.append(f"{path}: {room} is no room of the house")
        return
    for name in includes(path):
        if name == "config.h":
            continue
        if not (SOURCE / name).is_file():
            faults.append(f"{path}: {name} is not a path from the top folder")
            continue
        target = name.split("/")[1] if name.startswith("common/") else name.split("/")[0]
        if target not in MAY_INCLUDE[room]:
            faults.append(f"{path}: {room} must not include {name}")


def check_own_header(path, faults):
    own = path.with_suffix(".h")
    if path.suffix != ".c" or not (SOURCE / own).is_file():
        return
    names = [name for name in includes(path) if name != "config.h"]
    # A header for the files of one module only (check_internal.h) brings the public one.
    internal = bool(names) and names[0].endswith("_internal.h") and str(own) in includes(Path(names[0]))
    if not names or (names[0] != str(own) and not internal):
        faults.append(f"{path}: includes {own} not first")


def check_cycles(headers, faults):
    graph = {str(path): [name for name in includes(path) if name.endswith(".h") and name != "config.h"] for path in headers}
    done = set()

    def walk(name, trail):
        if name in trail:
            faults.append("includes in a circle: " + " -> ".join(trail[trail.index(name):] + [name]))
        elif name not in done:
            for target in graph.get(name, []):
                walk(target, trail + [name])
            done.add(name)

    for name in graph:
        walk(name, [])


def main():
    faults = []
    code = files("*.c", "*.h", folders=("common", "milter", "policy"))
    for path in code:
        check_file(path, faults)
        check_own_header(path, faults)
    check_cycles([path for path in code if path.suffix == ".h"], faults)
    finish(faults, "include direction")


main()
