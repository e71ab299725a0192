"""house.py: what the lint tests share: the source tree, the build folder, and how a test ends."""

import os
import pathlib
import re
import sys

SOURCE = pathlib.Path(os.environ.get("srcdir", pathlib.Path(__file__).resolve().parent.parent.parent)).resolve()
BUILD = pathlib.Path.cwd()
CODE_FOLDERS = ("common", "milter", "policy", "packaging", "tests")
SKIPPED = 77  # automake: this test could not be run here


def files(*patterns, folders=CODE_FOLDERS):
    """Files of the source tree, as paths relative to it, in order."""
    found = set()
    for folder in folders:
        for pattern in patterns:
            found.update(path.relative_to(SOURCE) for path in (SOURCE / folder).rglob(pattern) if path.is_file())
    return sorted(path for path in found if "build-aux" not in path.parts and "__pycache__" not in path.parts)


def read(path):
    return (SOURCE / path).read_text(encoding="utf-8", errors="surrogateescape")


def without_comments(text):
    """C text with comments and the insides of strings blanked, line numbers kept."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        word = match.group(0)
        if word[0] in "\"'":
            return word[0] + " " * (len(word) - 2) + word[0]
        return re.sub(r"[^\n]", " ", word)

    return pattern.sub(blank, text)


def rows(path, macro):
    """Arguments of a .def table's rows, split at top-level commas, quotes kept."""
    found = []
    text = re.sub(r"/\*.*?\*/", "", read(path), flags=re.S)
    for match in re.finditer(r"^" + macro + r"\((.*)\)\s*$", text, re.M):
        parts, depth, quoted, word = [], 0, False, ""
        for place, letter in enumerate(match.group(1)):
            if letter == '"' and match.group(1)[place - 1] != "\\":
                quoted = not quoted
            if not quoted:
                depth += {"(": 1, ")": -1}.get(letter, 0)
                if letter == "," and depth == 0:
                    parts.append(word.strip())
                    word = ""
                    continue
            word += letter
        parts.append(word.strip())
        found.append(parts)
    return found


def makefile_variable(name):
    """The value of a variable in the build folder's Makefile."""
    text = (BUILD / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    match = re.search(r"^" + name + r" = *(.*)$", text, re.M)
    value = match.group(1).strip() if match else ""
    return re.sub(r"\$[({](\w+)[)}]", lambda inner: makefile_variable(inner.group(1)), value)


def finish(faults, what):
    """Prints the faults and ends with the test's exit code."""
    for fault in faults:
        print(fault)
    print(f"{what}: {'FAIL, ' + str(len(faults)) + ' faults' if faults else 'ok'}")
    sys.exit(1 if faults else 0)
