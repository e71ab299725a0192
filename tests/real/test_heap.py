#!/usr/bin/env python3
"""test_heap.py: once warm, mailreeve-policyd takes nothing from the heap for a request: bytes in, rules asked, answer out, decision logged. Counted by heap_counter.c.

Skipped (77) where the allocator is not glibc's, or where a sanitizer or --enable-arena-malloc has taken its place; and without a C compiler.
"""

import itertools
import mmap
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from policyd_client import PROGRAM, Client, Policyd
from probe import HERE, check, run

WARM, COUNTED = 300, 500
TEN_RULES = os.path.join(HERE, "..", "bench", "ten.rules")
MORE_RULES = """
table quota of address -> string from file "%s"
table groups of address -> string { "@example.test" -> "ours" }
at mail { [spam] score 1.5 if sender.domain under "example.net" }
at rcpt {
  [header] prepend header "X-From" "{sender} by {client_address}" if sender.localpart == "header"
  [copy]   bcc message "copy@example.test"                        if sender.localpart == "copy"
  [hold]   quarantine message "look at {sender}"                  if sender.localpart == "hold"
  [note]   log "{sender} to {recipient}"                          if sender.localpart == "note"
  [trial]  observe reject "would be refused"                      if sender.localpart == "trial"
  [digits] reject 550 5.7.1 "no {1}"                              if sender.localpart ~ /^user([0-9]+)$/
  [quota]  tempfail 452 4.2.2 "{quota[sender]}"                   if sender in quota
  [drop]   discard message "of no use"                            if sender.localpart == "drop"
  [group]  group recipients by groups[recipient]
}
at data { [many] reject "{count recipients}" if any recipients has (recipient.localpart == "nobody") and count recipients > 9 }
"""
COMMAND_RULES = """
at vrfy { [root] reject 550 5.1.1 "no {recipient}" if recipient.localpart == "root" }
at etrn { [etrn] tempfail 459 4.7.1 "{etrn_domain}" if etrn_domain under "b.example" }
"""


def skip(reason):
    print("skipped:", reason)
    sys.exit(77)


def look_for_reasons():
    if platform.libc_ver()[0] != "glibc":
        skip("the C library is not glibc")
    with open(PROGRAM, "rb") as file:
        if re.search(rb"__(asan|tsan|msan)_init", file.read()):
            skip("a sanitizer's allocator")
    if os.path.exists("config.h"):
        with open("config.h", encoding="ascii") as file:
            if re.search(r"^#define ARENA_MALLOC", file.read(), re.M):
                skip("built with --enable-arena-malloc: each object of an arena is from the heap")


def compile_counter(folder):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        skip("no C compiler")
    path = os.path.join(folder, "heap_counter.so")
    subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", path, os.path.join(HERE, "heap_counter.c")], check=True)
    os.chmod(path, 0o755)
    return path


class Counted(Policyd):
    """The daemon with the counter."""

    def start(self):
        path = os.path.join(self.path, "counts")
        with open(path, "wb") as file:
            file.write(bytes(16))
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self.counts = mmap.mmap(file.fileno(), 16)
        os.environ.update(LD_PRELOAD=COUNTER, HEAP_COUNTER=path)
        try:
            super().start()
        finally:
            del os.environ["LD_PRELOAD"], os.environ["HEAP_COUNTER"]
        check(self.taken() > 100, "the counter does not count")

    def taken(self):
        """By the thread that answers: no other one is asked here."""
        return struct.unpack("Q", self.counts[:8])[0]


def expect_nothing(daemon, asks, what):
    """`asks`: each asks one question on a connection that is open, and checks the answer."""
    asks = itertools.cycle(asks)
    for _ in range(WARM):
        next(asks)()
    before = daemon.taken()
    for _ in range(COUNTED):
        next(asks)()
    taken = daemon.taken() - before
    check(taken == 0, f"{taken} allocations for {COUNTED} requests: {what}")


def asking(client, expected, state="RCPT", **attributes):
    """Each request belongs to another message."""
    messages = itertools.count()

    def ask():
        answer = client.ask(state, **{"instance": f"{os.getpid():x}.{id(client):x}.{next(messages)}", **attributes})
        check(answer.startswith(expected), f"{answer!r} in place of {expected!r} for {state} {attributes}")

    return ask


def test_no_rule_matches():
    with open(TEN_RULES, encoding="utf-8") as rules:
        daemon = Counted(rules.read())
    with daemon.client() as unix, daemon.client(inet=True) as inet:
        for client in (unix, inet):
            states = ("CONNECT", "EHLO", "MAIL", "RCPT", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN")
            expect_nothing(daemon, [asking(client, "DUNNO", state) for state in states], "ten rules, none matches")
        expect_nothing(daemon, [asking(unix, "DUNNO"), asking(inet, "DUNNO")], "two connections")
    check(daemon.stop() == 0, "exit status")


def test_a_rule_matches_and_is_logged():
    with open(TEN_RULES, encoding="utf-8") as rules:
        daemon = Counted(rules.read())
    with daemon.client() as client:
        expect_nothing(daemon, [
            asking(client, "550 5.7.1 203.0.113.9 is not welcome here", client_address="203.0.113.9"),
            asking(client, "550 5.7.25", client_name="dsl.3.example.net"),
            asking(client, "504 5.5.2 localhost", helo_name="localhost"),
            asking(client, "550 5.7.1", sender="a@b.evil.example"),
            asking(client, "552 5.3.4", size="60000000"),
            asking(client, "550 5.1.1", recipient="trap@example.test"),
            asking(client, "450 4.7.1", sender="newsletter-3@example.org", client_name="unknown"),
            asking(client, "DUNNO"),
        ], "ten rules, each matches in turn")
        daemon.wait_for("rule=night", times=(WARM + COUNTED) // 8)
    check(daemon.stop() == 0, "exit status")


def test_tables_captures_and_effects():
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".table") as table:
        table.write("full@example.org  mailbox full\n@full.example  nobody is at home\n")
        table.flush()
        os.chmod(table.name, 0o644)
        daemon = Counted(MORE_RULES % table.name)
    with daemon.client() as client:
        expect_nothing(daemon, [
            asking(client, "PREPEND X-From: header@example.net by 192.0.2.25", sender="header@example.net"),
            asking(client, "BCC copy@example.test", sender="copy@example.net"),
            asking(client, "HOLD look at hold@example.net", sender="hold@example.net"),
            asking(client, "DUNNO", sender="note@example.net"),
            asking(client, "DUNNO", sender="trial@example.net"),
            asking(client, "550 5.7.1 no 4711", sender="user4711@example.net"),
            asking(client, "452 4.2.2 mailbox full", sender="full@example.org"),
            asking(client, "452 4.2.2 nobody is at home", sender="x@full.example"),
            asking(client, "DISCARD of no use", sender="drop@example.org"),
        ], "tables, captures, effects")
    check(daemon.stop() == 0, "exit status")


class CountedMap(Counted):
    """With a socket map beside its policy sockets."""

    def write_config(self, settings="", policy_settings="", resolver=None):
        self.map_path = os.path.join(self.path, "socketmap.sock")
        super().write_config(settings, f"socketmap_listen = unix:{self.map_path}\n{policy_settings}", resolver)


def asking_map(client, expected, event, argument):
    text = f"mailreeve_{event} client_address= 192.0.2.25<>client_port= 45678<>server_name= mx.example.test<>argument= {argument}".encode("ascii")
    answer = f"{len(expected)}:{expected},".encode("ascii")

    def ask():
        client.send(b"%d:%s," % (len(text), text))
        got = b""
        while len(got) < len(answer):
            got += client.socket.recv(4096)
        check(got == answer, f"{got!r} in place of {answer!r}")

    return ask


def test_socket_map():
    daemon = CountedMap(COMMAND_RULES)
    with Client(daemon.map_path) as client:
        expect_nothing(daemon, [
            asking_map(client, "OK pass", "vrfy", "alice"),
            asking_map(client, 'OK refuse "550 5.1.1 no root"', "vrfy", "root"),
            asking_map(client, 'OK defer "459 4.7.1 mail.b.example"', "etrn", "@mail.b.example"),
        ], "a socket map")
    check(daemon.stop() == 0, "exit status")


if __name__ == "__main__":
    look_for_reasons()
    with tempfile.TemporaryDirectory() as FOLDER:
        os.chmod(FOLDER, 0o755)
        COUNTER = compile_counter(FOLDER)
        run([test_no_rule_matches, test_a_rule_matches_and_is_logged, test_tables_captures_and_effects, test_socket_map])
