#!/usr/bin/env python3
"""scenarios.py: every action, and every kind of table or list, is used in at least one scenario. Tables that need a program, for their files or as a server, are in the test that has it."""

import re

import examples
from house import files, finish, read


def main():
    text = "\n".join(read(path) for path in files("*.scenario", "*.rules", folders=("tests/scenario",)))
    built = read("tests/real/test_maps.py") + read("tests/real/test_redis.py") + read("tests/real/test_socketmap_table.py")
    faults = []
    for action in examples.listing("actions"):
        words = r"\s+".join(map(re.escape, action["name"].split()))
        if not re.search(r"^[^#\n]*(^|[\s{\]])" + words + r"\b", text, re.M):
            faults.append(f"no scenario has the action {action['name']}")
    for kind in examples.listing("tables")["kinds"]:
        pattern = r"\bfrom\s+" + re.escape(kind["name"]) if kind["table"] else r"^\s*" + re.escape(kind["name"])
        in_test = re.search(r"^KINDS = .*\"" + re.escape(kind["name"]) + r"\"|\bfrom " + re.escape(kind["name"]) + r" \"", built, re.M)
        if not in_test and not re.search(pattern + r"\b", text, re.M):
            faults.append(f"no scenario has a {kind['name']}")
    finish(faults, "scenarios")


main()
