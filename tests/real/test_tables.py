#!/usr/bin/env python3
"""test_tables.py: tables in files that change under a running daemon: they are read anew by themselves, a bad line does not cost the rest, and what is half
written or cannot be read changes nothing."""

import os
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean

from policyd_client import Policyd
from probe import PATIENCE, check, run

RULES = """
table nets   of net -> action from file "nets"
table logins of string        from file "logins" optional
at rcpt {
    [nets]  check nets[client_address]
    [login] reject 550 5.7.1 "login" if sasl_username in logins
}
"""
OURS = "192.0.2.0/24  REJECT one\n"


def replace(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def rewrite(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def replace_sparse(path, size):
    with open(path + ".new", "wb") as file:
        file.truncate(size)
    os.rename(path + ".new", path)


def link(path, target):
    os.unlink(path)
    os.symlink(target, path)


class Tables:
    """A daemon with RULES, its table's file, and a client that asks all the time."""

    def __init__(self, text=OURS):
        self.daemon = Policyd(RULES, expect_start=False)
        self.nets = os.path.join(self.daemon.path, "nets")
        self.logins = os.path.join(self.daemon.path, "logins")
        replace(self.nets, text)
        self.daemon.start()
        self.client = self.daemon.client()
        self.asked = 0

    def ask(self, **attributes):
        self.asked += 1
        return self.client.ask(instance=str(self.asked), **attributes)

    def wait_answer(self, wanted, before, **attributes):
        """Asks until the answer is another one than before: then it is the wanted one."""
        end = time.monotonic() + PATIENCE
        while True:
            answer = self.ask(**attributes)
            if answer != before:
                check(answer == wanted, f"{answer!r}, not {wanted!r}")
                return
            check(time.monotonic() < end, f"still {before!r}")
            time.sleep(0.01)

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *what):
        self.client.close()
        self.daemon.__exit__(*what)


def changes():
    with Tables() as tables:
        check(tables.ask() == "550 5.7.1 one", "at start")
        replace(tables.nets, "192.0.2.0/24 REJECT two\n")
        tables.wait_answer("550 5.7.1 two", "550 5.7.1 one")
        rewrite(tables.nets, "192.0.2.0/24 REJECT three\n10.0.0.0/8 OK\n")
        tables.wait_answer("550 5.7.1 three", "550 5.7.1 two")
        check(tables.daemon.wait_for("file nets: changed", 2).endswith("file nets: changed, 2 entries now"), "how many")
        replace(tables.nets + ".other", "192.0.2.0/24 REJECT four\n")
        os.symlink("nets.other", tables.nets + ".link")
        os.rename(tables.nets + ".link", tables.nets)
        tables.wait_answer("550 5.7.1 four", "550 5.7.1 three")
        # a file that comes, and one that goes
        replace(tables.logins, "carol\n")
        outside = {"client_address": "198.51.100.1", "sasl_username": "carol"}
        tables.wait_answer("550 5.7.1 login", "DUNNO", **outside)
        os.unlink(tables.logins)
        tables.wait_answer("DUNNO", "550 5.7.1 login", **outside)
        check(tables.daemon.count("reloaded: ") == 0, "nobody asked for a reload")


def bad_lines():
    """At start and later: told with its place, and the rest counts."""
    with Tables("not a net\n" + OURS) as tables:
        check(tables.daemon.count(':1:5: warning: "a net"') == 0, "the place")
        line = tables.daemon.wait_for("nets:1:1: warning: ")
        check('"not" is not an IP address or network; the line is left out' in line, line)
        check(tables.ask() == "550 5.7.1 one", "the rest at start")
        replace(tables.nets, "".join(f"{number}.x OK\n" for number in range(8)) + "192.0.2.0/24 REJECT two\n")
        tables.wait_answer("550 5.7.1 two", "550 5.7.1 one")
        line = tables.daemon.wait_for("/nets:5: ")
        check(line.endswith('/nets:5: "4.x" is not an IP address or network; the line is left out'), line)
        tables.daemon.wait_for("file nets: 3 more lines cannot be read and are left out")
        check(tables.daemon.count("/nets:6: ") == 0, "a few are told")
        result = subprocess.run(["./mailreeve", "check", tables.daemon.rules_path], capture_output=True, text=True, check=False)
        check(result.returncode == 1 and f'{tables.nets}:1:1: error: "0.x" is not an IP address or network\n    1 | 0.x OK\n      | ^~~\n' in result.stderr,
              f"mailreeve check: {result}")
        command = [*tables.daemon.command[:1], "--check", *tables.daemon.command[1:]]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        check(result.returncode == 1 and "nets:1:1: error: " in result.stderr, f"--check: {result}")


def bad_files():
    """Each is told once, and the old content stays."""
    two = "10.0.0.0/8 REJECT two\n"
    bad = [
        ("half written", lambda path: rewrite(path, two + "192.0.")),
        ("half written", lambda path: rewrite(path, "")),
        ("half written", lambda path: replace_sparse(path, 8 << 20)),
        ("no line of the file can be read", lambda path: replace(path, "<html>\n404 not found\n")),
        ("no line of the file can be read", lambda path: replace(path, "10.0.0.0/8 REJECT two\0\n")),
        ("can be written by others", lambda path: os.chmod(path, 0o666)),
        ("No such file", os.unlink),
        ("No such file", lambda path: link(path, "nowhere")),
        ("Too many levels of symbolic links", lambda path: link(path, os.path.basename(path))),
        ("not an ordinary file", lambda path: (os.unlink(path), os.mkfifo(path, 0o644))),
        ("not an ordinary file", lambda path: (os.unlink(path), os.mkdir(path))),
        ("not an ordinary file", lambda path: link(path, "/dev/zero")),
        ("too large for a table in memory", lambda path: replace_sparse(path, 5 << 30)),
    ]
    if os.geteuid() == 0:  # then the daemon has a user of its own
        bad.append(("Permission denied", lambda path: os.chmod(path, 0)))
    numbers = range(len(bad))
    rules = "".join(f'table t{number} of net -> action from file "t{number}"\n' for number in numbers)
    rules += "at rcpt {\n" + "".join(f"    [r{number}] check t{number}[client_address]\n" for number in numbers) + "}\n"
    with Policyd(rules, expect_start=False) as daemon:
        paths = [os.path.join(daemon.path, f"t{number}") for number in numbers]

        def good():
            for number, path in enumerate(paths):
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                replace(path, f"10.{number}.0.0/16 REJECT {number}\n")

        good()
        daemon.start()
        with daemon.client() as client:
            for turn in (1, 2):
                for (_, spoil), path in zip(bad, paths):
                    spoil(path)
                for (words, _), number in zip(bad, numbers):
                    line = daemon.wait_for(f"file t{number}: the old content stays: ", turn)
                    check(words in line, f"{words!r} expected: {line}")
                    got = client.ask(client_address=f"10.{number}.0.1")
                    check(got == f"550 5.7.1 {number}", f"the old content stays: {words}: {got}")
                good()
                for number in numbers:
                    daemon.wait_for(f"file t{number}: can be read again", turn)
            check(daemon.count("the old content stays") == 2 * len(bad), "each once")
            check(daemon.count(": changed") == 0, "the content never changed")
            rewrite(paths[0], "")
            daemon.wait_for("file t0: the old content stays: ", 3)
            check(daemon.reload() and client.ask(client_address="10.0.0.1") == "550 5.7.1 0", "a reload takes no half of a file either")
            replace(paths[0], "# nothing\n")
            daemon.wait_for("file t0: changed, 0 entries now")
            check(client.ask(client_address="10.0.0.1") == "DUNNO", "made empty")


def unchanged_and_changed():
    """The content counts: not a touch, and a change that leaves size and time as they were."""
    with Tables() as tables:
        os.utime(tables.nets)
        replace(tables.nets, OURS)
        before = os.stat(tables.nets)
        rewrite(tables.nets, OURS.replace("one", "two"))
        os.utime(tables.nets, ns=(before.st_atime_ns, before.st_mtime_ns))
        tables.wait_answer("550 5.7.1 two", "550 5.7.1 one")
        check(tables.daemon.count("file nets: changed") == 1, "the content changed once")
        # the longest network counts, the first of equal ones
        replace(tables.nets, "192.0.0.0/16 REJECT sixteen\n192.0.2.0/25 REJECT three\n192.0.2.0/24 OK\n192.0.2.0/25 REJECT four\n0.0.0.0/0 REJECT all\n")
        tables.wait_answer("550 5.7.1 three", "550 5.7.1 two")
        check(tables.ask(client_address="192.0.2.200") == "DUNNO", "the network around it")
        check(tables.ask(client_address="192.0.3.1") == "550 5.7.1 sixteen", "the one around that")
        check(tables.ask(client_address="198.51.100.1") == "550 5.7.1 all", "all")


def a_slow_writer():
    """A program that writes the file in place, in pieces: what is half there never counts."""
    with Tables() as tables:
        with open(tables.nets, "w", encoding="utf-8") as file:
            for piece in ("192.0.2.0/25 REJECT ha", "lf\n192.0.", "2.0/24 REJECT two\n"):
                file.write(piece)
                file.flush()
                end = time.monotonic() + 0.4
                while time.monotonic() < end:
                    check(tables.ask() == "550 5.7.1 one", "half of a file")
        tables.wait_answer("550 5.7.1 half", "550 5.7.1 one")
        check(tables.ask(client_address="192.0.2.200") == "550 5.7.1 two", "all of the file")
        check(tables.daemon.count("file nets: changed") == 1, "read once")


def a_large_table():
    """Others are answered while it is read."""
    with Tables() as tables:
        many = "".join(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255} OK\n" for number in range(300000))
        replace(tables.nets, many + "192.0.2.0/24 REJECT two\n")
        tables.wait_answer("550 5.7.1 two", "550 5.7.1 one")
        tables.daemon.wait_for("file nets: changed, 300001 entries now")
        check(tables.asked > 10, "asked meanwhile")


def rules_that_fit():
    """A line that the tool finds is told by no daemon as good: check finds none in a good file."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mailreeve.rules")
        replace(path, RULES)
        replace(os.path.join(folder, "nets"), OURS)
        result = subprocess.run(["./mailreeve", "check", path], capture_output=True, text=True, check=False)
        check(result.returncode == 0 and result.stderr == "", f"mailreeve check: {result}")


run([changes, bad_lines, bad_files, unchanged_and_changed, a_slow_writer, a_large_table, rules_that_fit])
