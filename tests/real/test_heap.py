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
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

from policyd_client import PROGRAM, Client, Policyd
from probe import HERE, PATIENCE, DnsServer, check, run
from socketmap_server import SocketmapServer

WARM, COUNTED, TRIES = 300, 500, 20
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
LIST_RULES = """
dnslist zen   of ip     "zen.test"
dnslist some  of ip     "zen.test" codes "127.0.0.[4..9]"
dnslist names of domain "dbl.test"
dnslist away  of ip     "away.test" on error skip
dnslist gone  of ip     "gone.test" on error tempfail
at rcpt {
  [some]  reject 550 5.7.1 "some"                                             if client_address in some
  [zen]   reject 550 5.7.1 "{dnslist.zone} {dnslist.code}: {dnslist.text}"    if client_address in zen
  [names] reject 550 5.7.1 "{sender.domain}: {dnslist.code}"                  if sender.domain in names
  [away]  reject 550 5.7.1 "away"                                             if client_address in away and sender.localpart == "away"
  [gone]  reject 550 5.7.1 "gone"                                             if sender.localpart == "gone" and client_address in gone
}
"""
LISTED = """
2.2.0.192.zen.test A 127.0.0.2
2.2.0.192.zen.test TXT "listed, see https://zen.test/"
4.2.0.192.zen.test A 127.0.0.4
bulk.example.dbl.test A 127.0.1.2
9.2.0.192.away.test A 127.0.0.2 ttl=2
*.gone.test SERVFAIL
"""
SERVED_RULES = """
table quota of string -> int              from sqlite "%s/quota.db: select n from quota where login = ?"
table pairs of (address, address)         from sqlite "%s/quota.db: select 1 from pairs where sender = ? and recipient = ?"
table mild  of string                     from socketmap "unix:%s/maps.sock:missing" on error skip
table homes of address -> string          from socketmap "unix:%s/maps.sock:homes"
REDIS
at rcpt {
  [quota] tempfail 452 4.2.2 "{quota[sasl_username]}"    if quota[sasl_username] > 100
  [pairs] reject 550 5.7.1 "not the two of you"          if (sender, recipient) in pairs
  [mild]  reject 550 5.7.1 "mild"                        if sasl_username in mild
  [homes] reject 551 5.7.1 "<{homes[recipient]}>"        if recipient in homes
  [redis] reject 550 5.7.1 "{values[sasl_username]}"     if sasl_username in values
}
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


def taken_by(daemon, asks):
    for _ in range(WARM):
        next(asks)()
    before = daemon.taken()
    for _ in range(COUNTED):
        next(asks)()
    return daemon.taken() - before


def expect_nothing(daemon, asks, what):
    """`asks`: each asks one question on a connection that is open, and checks the answer."""
    taken = taken_by(daemon, itertools.cycle(asks))
    check(taken == 0, f"{taken} allocations for {COUNTED} requests: {what}")


def expect_nothing_while_kept(daemon, asks, what):
    """The same where answers are kept: now and then one must be asked for anew, or a list that rests is tried. So the counting may be begun again."""
    asks = itertools.cycle(asks)
    taken = [taken_by(daemon, asks)]
    while taken[-1] > 0 and len(taken) < TRIES:
        taken.append(taken_by(daemon, asks))
    check(taken[-1] == 0, f"allocations for {COUNTED} requests, each time: {taken}: {what}")


def ask_until(client, expected, **attributes):
    """Until the daemon has learned it."""
    end = time.monotonic() + PATIENCE
    number = 0
    while not client.ask(instance=f"until.{number}", **attributes).startswith(expected):
        number += 1
        check(time.monotonic() < end, f"never {expected!r} for {attributes}")


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


class CountedLists(Counted):
    def write_config(self, settings="", policy_settings="", resolver=None):
        super().write_config("deadline = 1s\n" + settings, policy_settings, resolver)


def test_lists_that_are_known():
    with DnsServer(LISTED) as dns:
        daemon = CountedLists(LIST_RULES, resolver=dns.address)
        with daemon.client() as client:
            asks = [
                asking(client, "550 5.7.1 zen.test 127.0.0.2: listed, see https://zen.test/", client_address="192.0.2.2"),
                asking(client, "550 5.7.1 some", client_address="192.0.2.4"),
                asking(client, "550 5.7.1 bulk.example: 127.0.1.2", client_address="192.0.2.5", sender="x@bulk.example"),
                asking(client, "DUNNO", client_address="2001:db8::25"),
                asking(client, "DUNNO", client_address="192.0.2.6"),
            ]
            expect_nothing_while_kept(daemon, asks, "lists whose answers are kept, listed and not")
            failing = asking(client, "451 4.3.0", client_address="192.0.2.6", sender="gone@example.org")
            expect_nothing_while_kept(daemon, [failing], "a list that has just failed")
        check(daemon.stop() == 0, "exit status")


def test_lists_that_rest():
    with DnsServer(LISTED) as dns:
        daemon = CountedLists(LIST_RULES, resolver=dns.address)
        with daemon.client() as client:
            known = {"client_address": "192.0.2.9", "sender": "away@example.org"}
            ask_until(client, "550 5.7.1 away", **known)
            dns.zone(LISTED.replace("9.2.0.192.away.test A 127.0.0.2 ttl=2", "*.away.test SERVFAIL"))
            for number in range(40):  # 10 different failures, and it rests
                client.ask(client_address=f"198.51.100.{number}", sender="gone@example.org", instance=f"rest.{number}")
                client.ask(client_address=f"198.51.100.{number}", sender="away@example.org", instance=f"rest.{number}")
            daemon.wait_for("gone.test: 10 look-ups in a row have failed")
            daemon.wait_for("away.test: 10 look-ups in a row have failed")
            failing = asking(client, "451 4.3.0", client_address="203.0.113.6", sender="gone@example.org")
            expect_nothing_while_kept(daemon, [failing], "a list that rests")
            end = time.monotonic() + PATIENCE
            while daemon.count("is answered with what was known before") == 0:  # its two seconds are over soon
                ask_until(client, "550 5.7.1 away", **known)
                check(time.monotonic() < end, "no stale answer")
            expect_nothing_while_kept(daemon, [asking(client, "550 5.7.1 away", **known)], "a stale answer while a list rests")
        check(daemon.stop() == 0, "exit status")


def fill_database(path):
    database = sqlite3.connect(path)
    database.executescript("""
        create table quota (login text, n integer); insert into quota values ('alice', 500);
        create table pairs (sender text, recipient text); insert into pairs values ('cain@example.org', 'abel@example.test');
    """)
    database.close()
    os.chmod(path, 0o644)


class Redis:
    """A server that has the value "kept" for the key "bob"; None in its place where there is no such program."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "redis.sock")
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        self.process = program and subprocess.Popen(
            [program, "--port", "0", "--unixsocket", self.path, "--unixsocketperm", "777", "--save", "", "--appendonly", "no", "--dir", folder],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.process:
            self.fill()

    def fill(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(PATIENCE)
                    client.connect(self.path)
                    client.sendall(b"SET bob kept\r\n")
                    check(client.recv(100) == b"+OK\r\n", "Redis does not take it")
                    return
            except OSError:
                check(time.monotonic() < end and self.process.poll() is None, "Redis does not start")
                time.sleep(0.01)

    def rules(self):
        """A table in it, or one without."""
        return f'table values of string -> string from redis "unix:{self.path}: get ?"' if self.process else 'table values of string -> string { "bob" -> "kept" }'

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()


def test_tables_that_are_asked():
    with tempfile.TemporaryDirectory(prefix="mailreeve-heap-") as folder:
        os.chmod(folder, 0o755)
        fill_database(os.path.join(folder, "quota.db"))
        server = SocketmapServer({"homes": {b"moved@example.test": b"new@example.org"}}, path=os.path.join(folder, "maps.sock"))
        redis = Redis(folder)
        daemon = Counted((SERVED_RULES % ((folder,) * 4)).replace("REDIS", redis.rules()))
        with daemon.client() as client:
            expect_nothing_while_kept(daemon, [
                asking(client, "452 4.2.2 500", sasl_username="alice"),
                asking(client, "550 5.7.1 not the two", sender="cain@example.org", recipient="abel@example.test"),
                asking(client, "551 5.7.1 <new@example.org>", recipient="moved@example.test"),
                asking(client, "550 5.7.1 kept", sasl_username="bob"),
                asking(client, "DUNNO", sasl_username="carol", sender="user+ext@mail.bulk.example"),
            ], "tables in SQLite, Redis and on a server of socket maps, whose answers are kept")
        check(daemon.stop() == 0, "exit status")
        redis.stop()
        server.stop()


if __name__ == "__main__":
    look_for_reasons()
    with tempfile.TemporaryDirectory() as FOLDER:
        os.chmod(FOLDER, 0o755)
        COUNTER = compile_counter(FOLDER)
        run([
            test_no_rule_matches, test_a_rule_matches_and_is_logged, test_tables_captures_and_effects, test_socket_map,
            test_lists_that_are_known, test_lists_that_rest, test_tables_that_are_asked,
        ])
