#!/usr/bin/env python3
"""mailreeve-policyd as Sendmail's socket map: verdicts, requests cut and joined in any way, hostile input, silence, slow readers, look-ups, reloads, stopping."""

import os
import random
import re
import select
import signal

from policyd_client import Client, Policyd, request
from probe import PATIENCE, DnsServer, check, run

RULES = """
at connect { [bad] reject 550 5.7.1 "{client_address} is refused" if client_address == 192.0.2.66 }
at vrfy {
  [root] reject 550 5.1.1 "no {recipient}"           if recipient.localpart == "root"
  [slow] delay 1s                                    if recipient == "slow@example.test"
  [echo] reject 553 5.1.3 "{recipient}"              if recipient.domain == "echo.test"
}
at expn { [expn] reject 502 5.7.0 "{command}: no"    if command ~ /staff/ }
at etrn { [etrn] tempfail 459 4.7.1 "{etrn_domain}"  if etrn_domain under "b.example" }
at unknown { [out] disconnect 421 4.7.0 "{command}"  if command ~ /^WIZ/ }
"""
FACTS = {"client_address": "192.0.2.25", "client_port": "45678", "client_name": "mail.example.org", "server_name": "mx.example.test", "service": "MTA"}
PASS = "OK pass"


def same(got, expected):
    check(got == expected, f"{got!r} is not {expected!r}")


def question(event, argument, **facts):
    """The bytes of a question, as the feature's rulesets make them."""
    if event == "other":
        argument += "\x9b5"
    fields = [f"{name}= {value}" for name, value in {**FACTS, **facts}.items()] + [f"argument= {argument}"]
    text = f"mailreeve_{event} {'<>'.join(fields)}".encode("latin-1")
    return b"%d:%s," % (len(text), text)


class MapClient(Client):
    def answer(self):
        """The next answer's text, None when the connection ends first."""
        while True:
            match = re.match(rb"([1-9][0-9]*):", self.pending)
            if match and len(self.pending) > match.end() + int(match[1]):
                end = match.end() + int(match[1])
                text, comma, self.pending = self.pending[match.end():end], self.pending[end:end + 1], self.pending[end + 1:]
                same(comma, b",")
                return text.decode("ascii")
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                check(not self.pending, f"half an answer: {self.pending!r}")
                return None
            self.pending += data

    def ask(self, event="vrfy", argument="alice", **facts):
        self.send(question(event, argument, **facts))
        return self.answer()


class MapDaemon(Policyd):
    """Policyd with socket maps on a unix and an inet socket, beside its policy sockets."""

    def write_config(self, settings="", policy_settings="", resolver=None):
        self.map_unix = os.path.join(self.path, "socketmap.sock")
        super().write_config(settings, f"socketmap_listen = unix:{self.map_unix} inet:127.0.0.1:0\n{policy_settings}", resolver)

    def start(self):
        super().start()
        self.map_inet = ("127.0.0.1", int(re.search(r"socketmap\.sock inet:127\.0\.0\.1:(\d+)", self.wait_for("ready: "))[1]))

    def map(self, inet=False):
        return MapClient(self.map_inet if inet else self.map_unix)


def verdicts():
    with MapDaemon(RULES) as daemon:
        for inet in (False, True):
            with daemon.map(inet) as client:
                same(client.ask(), PASS)
                same(client.ask(argument="root"), 'OK refuse "550 5.1.1 no root"')
                same(client.ask(argument="<root@echo.test>"), 'OK refuse "550 5.1.1 no root@echo.test"')
                same(client.ask("expn", "staff"), 'OK refuse "502 5.7.0 EXPN staff: no"')
                same(client.ask("expn", "team"), PASS)
                same(client.ask("expn", "team,staff2"), 'OK refuse "502 5.7.0 EXPN team,staff2: no"')
                same(client.ask("expn", "team,others"), 'OK refuse "501 5.5.4 One address at a time"')
                same(client.ask("etrn", "@mail.b.example"), 'OK defer "459 4.7.1 mail.b.example"')
                same(client.ask("other", "WIZ 100%"), 'OK defer "421 4.7.0 WIZ 100%%"')
                same(client.ask("other", "FOO"), PASS)
                same(client.ask("other", "FOO", client_address="192.0.2.66"), 'OK refuse "550 5.7.1 192.0.2.66 is refused"')
                same(client.ask("mail", "x"), "PERM there is no such map")
                same(client.ask(argument="x" * 1000), 'OK refuse "501 5.5.4 Argument is too long"')
        line = daemon.wait_for("rule=etrn")
        for word in ("session=192.0.2.25:45678", "client=192.0.2.25", "phase=etrn", "outcome=tempfail", 'reply="459 4.7.1', "door=socketmap"):
            check(word in line, f"{word} is not in {line}")
        daemon.wait_for("there is no map of its name")
        with daemon.client() as client:  # the policy sockets beside it
            same(client.ask("VRFY", recipient="root@example.test", sender="", instance=""), "550 5.1.1 no root@example.test")


def cut_and_joined():
    with MapDaemon(RULES) as daemon, daemon.map(inet=True) as client:
        for byte in question("vrfy", "bytes@echo.test"):
            client.send(bytes([byte]))
        same(client.answer(), 'OK refuse "553 5.1.3 bytes@echo.test"')
        whole = b"".join(question("vrfy", f"{i}@echo.test") for i in range(200))
        pieces = random.Random(1)
        while whole:
            size = pieces.randint(1, 700)
            client.send(whole[:size])
            whole = whole[size:]
        for i in range(200):
            same(client.answer(), f'OK refuse "553 5.1.3 {i}@echo.test"')


MALFORMED = {
    "a policy request": request(),
    "no length": b":x,",
    "no digit": b"x",
    "negative": b"-1:x,",
    "leading zero": b"014:mailreeve_vrfy,",
    "no comma": b"14:mailreeve_vrfy;",
    "huge": b"4097:" + b"x" * 4097 + b",",
    "a length without end": b"9" * 1000,
    "no argument": b"40:mailreeve_vrfy client_address= 192.0.2.1,",
    "no field": b"16:mailreeve_vrfy x,",
    "NUL": b"28:mailreeve_vrfy argument= a\0b,",
    "controls": b"\x1b[2Jevil\nsession=0 rule=forged\n\n",
}


def malformed_requests():
    with MapDaemon(RULES) as daemon:
        for name, data in MALFORMED.items():
            with daemon.map() as client:
                same(client.ask(argument="before@echo.test"), 'OK refuse "553 5.1.3 before@echo.test"')
                try:
                    client.send(data)
                except ConnectionError:
                    pass  # it was closed while we still sent
                check(client.answer() is None, f"{name}: an answer")
        with daemon.map() as client:
            same(client.ask(), PASS)
        line = daemon.wait_for("malformed request on unix:")
        check("no netstring" in line and "request=smtpd_access_policy" in line, f"no quoted excerpt: {line}")
        same(daemon.count("malformed request on"), 1)  # a stranger cannot fill the log
        same(daemon.stop(), 0)
        check(f"{len(MALFORMED)} malformed" in daemon.wait_for("stopped: "), "not counted")


def random_bytes_and_half_requests():
    generator = random.Random(2)
    with MapDaemon(RULES) as daemon:
        for _ in range(300):
            with daemon.map() as client:
                data = bytearray(question("vrfy", "x@echo.test"))
                kind = generator.randrange(3)
                if kind == 0:
                    data = generator.randbytes(generator.randrange(1, 3000))
                elif kind == 1:
                    data = data[: generator.randrange(1, len(data))]
                else:
                    for _ in range(generator.randrange(1, 20)):
                        data[generator.randrange(len(data))] = generator.randrange(256)
                try:
                    client.send(bytes(data))
                except ConnectionError:
                    pass
        with daemon.map() as client:
            same(client.ask(), PASS)


HOSTILE = ("a<>client_address= 192.0.2.66", "a<>argument= b", "<>", '"', '"a b"@c', "\\", "$&{client_addr}", "%0 %1 %%", "a;b", "=", "1:x,", "\x85\x86\x97\x98\x99", "a\tb",
           "caf\xe9", "a" * 600, "\x9b2")


def what_strangers_say():
    """Whatever a client says is the argument and nothing else: a client's address stays its own, and the answer is one token."""
    with MapDaemon(RULES) as daemon, daemon.map() as client:
        for event in ("vrfy", "expn", "etrn", "other"):
            for text in HOSTILE:
                same(client.ask(event, text, client_address="192.0.2.66"), 'OK refuse "550 5.7.1 192.0.2.66 is refused"')
                got = client.ask(event, text)
                check(re.fullmatch(r'OK pass|OK (refuse|defer) "[45]\d\d [45]\.\d+\.\d+ [ !#-\[\]-~]+"', got), f"{event} {text!r}: {got!r}")
        got = client.ask("vrfy", '<"a \\"b\\\\c"@echo.test>')
        check(re.fullmatch(r'OK refuse "553 5\.1\.3 [ !#-\[\]-~]+"', got), repr(got))


def slow_reader():
    """Asks and asks and does not read: the daemon stops reading from it, and serves others."""
    total = 60000
    with MapDaemon(RULES) as daemon, daemon.map() as client:
        before = int(daemon.status("VmRSS").split()[0])
        data = question("vrfy", "alice") * total
        client.socket.setblocking(False)
        sent = 0
        while sent < len(data):
            try:
                sent += client.socket.send(data[sent : sent + 65536])
            except BlockingIOError:
                if not select.select([], [client.socket], [], 0.5)[1]:
                    break
        check(sent < len(data), "the daemon reads without end")
        with daemon.map(inet=True) as other:
            same(other.ask(argument="root"), 'OK refuse "550 5.1.1 no root"')
        grown = int(daemon.status("VmRSS").split()[0]) - before
        check(daemon.is_sanitized() or grown < 8192, f"{grown} KiB are kept for a slow reader")
        received = 0
        while received < total * len("7:OK pass,"):
            readable, writable, _ = select.select([client.socket], [client.socket] if sent < len(data) else [], [], PATIENCE)
            check(readable or writable, f"nothing comes after {received} bytes")
            if writable:
                sent += client.socket.send(data[sent : sent + 65536])
            if readable:
                received += len(client.socket.recv(1 << 20))
        same(received, total * len("7:OK pass,"))


def idle_connections_are_closed():
    with MapDaemon(RULES, "", "idle = 1s") as daemon, daemon.map() as silent, daemon.map() as half:
        half.send(question("vrfy", "x")[:20])
        check(silent.answer() is None, "an answer to nothing")
        check(half.answer() is None, "an answer to half a question")
        with daemon.map() as client:
            same(client.ask(), PASS)


def peers_that_are_not_allowed():
    with MapDaemon(RULES, "", "allow = 192.0.2.0/24\nmax_connections = 2") as daemon:
        with daemon.map(inet=True) as client:
            check(client.answer() is None, "a stranger is served")
        with daemon.map() as first, daemon.client() as second:
            same(first.ask(), PASS)
            same(second.ask(), "DUNNO")
            with daemon.map() as third:
                check(third.answer() is None, "one connection too many is served")


LISTS = """
dnslist zen of ip "zen.test" on error tempfail
at vrfy { [zen] reject 550 5.7.1 "listed: {dnslist.code}" if client_address in zen }
"""


def lookups():
    zone = "1.2.0.192.zen.test SILENT\n2.2.0.192.zen.test A 127.0.0.2 delay=300\n"
    with DnsServer(zone) as dns, MapDaemon(LISTS, "deadline = 1s", resolver=dns.address) as daemon, daemon.map() as waiting, daemon.map() as other:
        waiting.send(question("vrfy", "a", client_address="192.0.2.1") + question("etrn", "a"))
        same(other.ask(client_address="192.0.2.2"), 'OK refuse "550 5.7.1 listed: 127.0.0.2"')
        check(not waiting.has_answer(), "an answer before the deadline")
        check(waiting.answer().startswith('OK defer "451 4.3.0 '), "not a tempfail")
        same(waiting.answer(), PASS)  # the pipelined one, in its turn
        daemon.wait_for('failed="dnslist zen: no answer before the deadline"')


def delays():
    with MapDaemon(RULES, "deadline = 300ms") as daemon, daemon.map() as slow, daemon.map() as quick:
        slow.send(question("vrfy", "slow@example.test") + question("vrfy", "root"))
        same(quick.ask(), PASS)
        check(not slow.has_answer(), "the delay is not kept")
        same(slow.answer(), PASS)  # cut by the deadline
        same(slow.answer(), 'OK refuse "550 5.1.1 no root"')


def reloads():
    with MapDaemon('at vrfy { [r] reject 550 5.7.1 "first" }\n') as daemon, daemon.map() as client:
        same(client.ask(), 'OK refuse "550 5.7.1 first"')
        daemon.write_rules('at vrfy { [r] reject 550 5.7.1 "second" }\n')
        check(daemon.reload(), "the reload failed")
        same(client.ask(), 'OK refuse "550 5.7.1 second"')
        daemon.write_rules("at vrfy { reject if recipien is set }\n")
        check(not daemon.reload(), "bad rules were taken")
        same(client.ask(), 'OK refuse "550 5.7.1 second"')


def stop():
    with DnsServer("1.2.0.192.zen.test SILENT\n") as dns, MapDaemon(LISTS, "deadline = 500ms", resolver=dns.address) as daemon:
        with daemon.map() as waiting, daemon.map() as idle:
            waiting.send(question("vrfy", "a", client_address="192.0.2.1"))
            dns.wait_count("query 1.2.0.192.zen.test", 1)
            same(idle.ask("etrn", "a"), PASS)
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("stopping")
            check(waiting.answer().startswith('OK defer "451 4.3.0 '), "the question in flight was not answered")
            check(waiting.answer() is None and idle.answer() is None, "a connection stays open")
            same(daemon.wait_end(), 0)
        check(not os.path.exists(daemon.map_unix), "the socket's file is left")


def socket_maps_alone():
    """A mail server with Sendmail needs no policy socket; the flag goes over the setting."""
    with MapDaemon(RULES, "doors = milter socketmap", expect_start=False) as daemon:
        daemon.command += ["--socketmap", f"unix:{daemon.map_unix}", "--socketmap", "inet:127.0.0.1:0"]
        daemon.start()
        with daemon.map() as client:
            same(client.ask(argument="root"), 'OK refuse "550 5.1.1 no root"')
        check(not os.path.exists(daemon.unix), "a policy socket is there")


run([verdicts, cut_and_joined, malformed_requests, random_bytes_and_half_requests, what_strangers_say, slow_reader, idle_connections_are_closed,
     peers_that_are_not_allowed, lookups, delays, reloads, stop, socket_maps_alone])
