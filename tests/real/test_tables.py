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
    bad = (
        ("half written", lambda path: rewrite(path, "192.0.2.0/24 REJECT two\n192.0.")),
        ("half written", lambda path: rewrite(path, "")),
        ("no line of the file can be read", lambda path: replace(path, "<html>\n404 not found\n")),
        ("can be written by others", lambda path: os.chmod(path, 0o666)),
        ("No such file", os.unlink),
        ("not an ordinary file", lambda path: (os.unlink(path), os.mkfifo(path, 0o644))),
    )
    with Tables() as tables:
        for number, (words, spoil) in enumerate(bad, 1):
            spoil(tables.nets)
            line = tables.daemon.wait_for("file nets: the old content stays: ", number)
            check(words in line, f"{words!r} expected: {line}")
            check(tables.ask() == "550 5.7.1 one", f"the old content stays: {words}")
            replace(tables.nets, OURS)
            tables.daemon.wait_for("file nets: can be read again", number)
        check(tables.daemon.count("the old content stays") == len(bad), "each once")
        check(tables.daemon.count("file nets: changed") == 0, "the content never changed")
        rewrite(tables.nets, "")
        tables.daemon.wait_for("file nets: the old content stays: ", len(bad) + 1)
        check(tables.daemon.reload() and tables.ask() == "550 5.7.1 one", "a reload takes no half of a file either")
        replace(tables.nets, "# nothing\n")
        tables.wait_answer("DUNNO", "550 5.7.1 one")


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


run([changes, bad_lines, bad_files, a_large_table, rules_that_fit])
