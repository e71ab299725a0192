#!/usr/bin/env python3
"""habits.py: calls that are banned, variables of a file, sizes of functions and files, and that each file says what it is for."""

import re

from house import files, finish, read, without_comments

BANNED = re.compile(
    r"\b(strcpy|stpcpy|strcat|sprintf|vsprintf|strtok|strtok_r|atoi|atol|atoll|atof|gets|gethostbyname\w*|gethostbyaddr\w*|localtime|gmtime|alloca|strdupa)\s*\(")
NO_END_CHECK = re.compile(r"\bstrto\w+\s*\([^,;]*,\s*NULL\b")
SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|g_usleep)\s*\(")
PYTHON_SLEEP = re.compile(r"\btime\.sleep\(\s*([\d.]+)?")

# Where a file's own variables may change, and why.
MUTABLE = {
    "common/base/slice.c": "the seed of the hashes, set once at start",
    "common/base/clock.c": "the system's clock is one",
    "common/service/log.c": "the log is one, and its lines come from anywhere",
    "common/service/decision_log.c": "the log is one, and its lines come from anywhere",
    "common/lookup/lmdb.c": "a file must never be open twice in a process",
    "common/lookup/map_guard.c": "a handler of signals is one, and finds its thread by nothing else",
    "milter/callbacks.c": "libmilter gives a negotiating callback nothing of ours",
    "milter/socket.c": "libmilter opens its socket by itself",
}
LONGEST_FUNCTION = 100
LONGEST_FILE = 800


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def check_calls(path, text, faults):
    for pattern, why in ((BANNED, "is banned"), (NO_END_CHECK, "does not look where the number ends")):
        for match in pattern.finditer(text):
            faults.append(f"{path}:{line_of(text, match.start())}: {match.group(0).strip()}...) {why}")
    if path.parts[0] == "tests":
        for match in SLEEP.finditer(text):
            faults.append(f"{path}:{line_of(text, match.start())}: a test sleeps")


def is_constant(declaration):
    """True for `static const int x`, `static const char *const names[]`, not for `static const char *name`."""
    left = declaration.split("=")[0].split("[")[0]
    return bool(re.search(r"\*\s*const\b[^*]*$", left)) if "*" in left else bool(re.search(r"\bconst\b", left))


def made_once(lines, number):
    """True in a function that fills its static variables once, under GLib's guard: they are constants afterwards."""
    end = next((i for i in range(number, len(lines)) if lines[i].startswith("}")), len(lines))
    return any("g_once_init_enter(" in line for line in lines[number:end])


def check_variables(path, text, faults):
    if str(path) in MUTABLE or path.parts[0] == "tests":
        return
    outside = re.compile(r"^(?!typedef|extern|struct \w+;|enum|union|return|else|case|G_|#)((?:static |const )*[A-Za-z_][\w ]*[ *]+\w+(?:\[[^\]]*\])*)\s*(?:=.*|;)$")
    inside = re.compile(r"^\s+(static [A-Za-z_][\w ]*[ *]+\w+(?:\[[^\]]*\])*)\s*(?:=.*|;)$")
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        match = outside.match(line) or (None if made_once(lines, number) else inside.match(line))
        if match and "(" not in match.group(1) and not is_constant(match.group(1)):
            faults.append(f"{path}:{number}: a variable that outlives its function: {line.strip()}")


def check_sizes(path, text, faults):
    lines = text.split("\n")
    if len(lines) - 1 > LONGEST_FILE:
        faults.append(f"{path}: {len(lines) - 1} lines")
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"^[A-Za-z_].*\{$", line) and not re.match(r"^(typedef|struct|enum|union|static const|const|extern)\b.*[^)]\s*\{$", line):
            start = number
        elif start is not None and line.startswith("}"):
            if number - start + 1 > LONGEST_FUNCTION:
                faults.append(f"{path}:{start}: a function of {number - start + 1} lines")
            start = None


def check_comment(path, text, faults):
    if not text.startswith("/*"):
        faults.append(f"{path}: does not begin with a comment that says what it is for")
    for match in re.finditer(r"\b(TODO|FIXME|HACK)\b", text):
        faults.append(f"{path}:{line_of(text, match.start())}: {match.group(1)}")


def check_python(path, text, faults):
    for match in PYTHON_SLEEP.finditer(text):
        if match.group(1) is None or float(match.group(1)) > 0.1:
            faults.append(f"{path}:{line_of(text, match.start())}: a test sleeps")


def main():
    faults = []
    for path in files("*.c", "*.h"):
        text = read(path)
        code = without_comments(text)
        check_calls(path, code, faults)
        check_sizes(path, text, faults)
        check_comment(path, text, faults)
        if path.suffix == ".c":
            check_variables(path, code, faults)
    for path in files("*.py", folders=("tests",)):
        check_python(path, read(path), faults)
    finish(faults, "habits")


main()
