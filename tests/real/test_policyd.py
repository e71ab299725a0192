#!/usr/bin/env python3
"""mailreeve-policyd over its sockets: verdicts, split and pipelined requests, hostile input, reloads, look-ups that do not come, stopping, starting."""

import os
import pwd
import random
import resource
import select
import signal
import socket
import subprocess
import threading
import time

from policyd_client import PROGRAM, Client, Policyd, request
from probe import PATIENCE, DnsServer, check, run

RULES = """
at connect {
  [badclient] reject 550 5.7.1 "{client_address} is refused"  if client_address in { 192.0.2.66 }
  [toomany]   disconnect 421 4.3.2 "go away"                  if client_address in { 192.0.2.67 }
}
at helo { [fqdn] reject 504 5.5.2 "{helo_name}: need a fully-qualified name"  if helo_name !~ /\\./ }
at rcpt {
  accept recipient                                            if recipient.localpart == "postmaster"
  [banned] reject 550 5.7.1 "{sender} is not welcome here"    if sender == "spam@bad.example"
  [echo]   reject 550 5.1.1 "{recipient}"                     if recipient.domain == "echo.test"
  [later]  tempfail "first line" "second line"                if recipient == "later@example.test"
  [stamp]  prepend header "X-Policy" "seen by {server_name}"  if recipient == "stamp@example.test"
}
at vrfy { [vrfy] reject 550 5.7.1 "no" }
"""


def same(got, expected):
    check(got == expected, f"{got!r} is not {expected!r}")


def verdicts():
    with Policyd(RULES) as daemon:
        for inet in (False, True):
            with daemon.client(inet) as client:
                same(client.ask(), "DUNNO")
                same(client.ask(sender="spam@BAD.example"), "550 5.7.1 spam@bad.example is not welcome here")
                same(client.ask(helo_name="localhost"), "504 5.5.2 localhost: need a fully-qualified name")
                same(client.ask("HELO", helo_name="localhost", sender="", recipient=""), "504 5.5.2 localhost: need a fully-qualified name")
                same(client.ask(recipient="later@example.test"), "450 4.7.1 first line second line")
                same(client.ask("VRFY", sender="", instance=""), "550 5.7.1 no")
                same(client.ask(client_address="192.0.2.67", recipient="postmaster@example.test"), "421 4.3.2 go away")
                same(client.ask("END-OF-MESSAGE", recipient=""), "DUNNO")
        line = daemon.wait_for("rule=banned")
        for word in ("session=1.2.3.4", "client=192.0.2.25", "phase=rcpt", "outcome=reject", 'reply="550 5.7.1', "door=policy"):
            check(word in line, f"{word} is not in {line}")
        check(daemon.count("outcome=pass") == 0, "what no rule decided is in the log")


def connect_refusal_holds_for_all_recipients_and_messages():
    with Policyd(RULES) as daemon, daemon.client() as client:
        refused = "550 5.7.1 192.0.2.66 is refused"
        bad = {"client_address": "192.0.2.66"}
        same(client.ask(instance="1.0", **bad), refused)
        same(client.ask(instance="1.0", recipient="other@example.test", **bad), refused)
        same(client.ask(instance="1.0", recipient="postmaster@example.test", **bad), "DUNNO")
        same(client.ask(instance="1.1", **bad), refused)
        with daemon.client() as another:  # a message may come over several connections
            same(another.ask(instance="1.0", recipient="third@example.test", **bad), refused)


def header_once_a_message():
    with Policyd(RULES) as daemon, daemon.client() as client:
        said = "PREPEND X-Policy: seen by mx.example.test"
        same(client.ask(recipient="stamp@example.test", instance="2.0"), said)
        same(client.ask(recipient="stamp@example.test", instance="2.0"), "DUNNO")  # the same list, asked twice
        client.close()  # cut between two recipients
        with daemon.client(inet=True) as another:
            same(another.ask(recipient="stamp@example.test", instance="2.0"), "DUNNO")
            same(another.ask(recipient="stamp@example.test", instance="2.1"), said)


def split_requests():
    with Policyd(RULES) as daemon, daemon.client(inet=True) as client:
        for byte in request(recipient="bytes@echo.test"):
            client.send(bytes([byte]))
        same(client.answer(), "550 5.1.1 bytes@echo.test")
        whole = b"".join(request(recipient=f"{i}@echo.test") for i in range(50))
        pieces = random.Random(1)
        while whole:
            size = pieces.randint(1, 700)
            client.send(whole[:size])
            whole = whole[size:]
        for i in range(50):
            same(client.answer(), f"550 5.1.1 {i}@echo.test")


def large_but_legal_request():
    with Policyd(RULES) as daemon, daemon.client() as client:
        same(client.ask(recipient="big@echo.test", **{f"unknown_{i}": "x" * 9000 for i in range(6)}), "550 5.1.1 big@echo.test")
        same(client.ask(recipient="next@echo.test"), "550 5.1.1 next@echo.test")


def slow_reader():
    """Asks and asks and does not read: the daemon stops reading from it, and serves others."""
    total = 30000
    with Policyd(RULES, "decisions = ruled") as daemon, daemon.client() as client:
        before = int(daemon.status("VmRSS").split()[0])
        data = b"".join(request(recipient=f"{i}@example.test", sender="a" * 60 + "@example.org", instance=f"9.{i}") for i in range(total))
        client.socket.setblocking(False)
        sent = 0
        while sent < len(data):  # until it takes nothing more
            try:
                sent += client.socket.send(data[sent : sent + 65536])
            except BlockingIOError:
                if not select.select([], [client.socket], [], 0.5)[1]:
                    break
        check(sent < len(data), "the daemon reads without end")
        with daemon.client(inet=True) as other:
            same(other.ask(recipient="quick@echo.test"), "550 5.1.1 quick@echo.test")
        grown = int(daemon.status("VmRSS").split()[0]) - before
        check(daemon.is_sanitized() or grown < 8192, f"{grown} KiB are kept for a slow reader")
        answers = 0
        received = b""
        while answers < total:
            readable, writable, _ = select.select([client.socket], [client.socket] if sent < len(data) else [], [], PATIENCE)
            check(readable or writable, f"nothing comes after {answers} answers")
            if writable:
                sent += client.socket.send(data[sent : sent + 65536])
            if readable:
                received += client.socket.recv(1 << 20)
                answers += received.count(b"action=DUNNO\n\n")
                received = received[received.rfind(b"\n\n") + 2 :] if b"\n\n" in received else received


MALFORMED = {
    "no equals sign": b"GET / HTTP/1.0\r\n\r\n",
    "no request": b"protocol_state=RCPT\n\n",
    "another request": b"request=junk\nprotocol_state=RCPT\n\n",
    "no state": b"request=smtpd_access_policy\n\n",
    "unknown state": b"request=smtpd_access_policy\nprotocol_state=BDAT\n\n",
    "NUL": b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a\0b\n\n",
    "empty": b"\n",
    "huge line": b"request=smtpd_access_policy\nsender=" + b"x" * 100000,
    "huge request": b"request=smtpd_access_policy\n" + (b"a=" + b"y" * 10000 + b"\n") * 10,
    "many attributes": b"request=smtpd_access_policy\n" + b"a=b\n" * 1000,
    "controls in a bad line": b"\x1b[2Jevil\nsession=0 rule=forged\n\n",
}


def malformed_requests():
    with Policyd(RULES) as daemon:
        for name, data in MALFORMED.items():
            with daemon.client() as client:
                client.send(request(recipient="before@echo.test"))
                same(client.answer(), "550 5.1.1 before@echo.test")
                try:
                    client.send(data)
                except ConnectionError:
                    pass  # it was closed while we still sent
                check(client.answer() is None, f"{name}: an answer")
            with daemon.client() as client:
                same(client.ask(recipient="after@echo.test"), "550 5.1.1 after@echo.test")
        line = daemon.wait_for("malformed request on unix:")
        check('"GET / HTTP/1.0\\r"' in line, f"no quoted excerpt: {line}")
        same(daemon.count("malformed request on"), 1)  # a stranger cannot fill the log
        same(daemon.stop(), 0)
        check(f"{len(MALFORMED)} malformed" in daemon.wait_for("stopped: "), "not counted")


def random_bytes_and_half_requests():
    generator = random.Random(2)
    with Policyd(RULES) as daemon:
        for _ in range(300):
            with daemon.client() as client:
                kind = generator.randrange(3)
                if kind == 0:
                    data = generator.randbytes(generator.randrange(1, 5000))
                elif kind == 1:
                    whole = request()
                    data = whole[: generator.randrange(1, len(whole) - 1)]
                else:
                    data = bytearray(request())
                    for _ in range(generator.randrange(1, 20)):
                        data[generator.randrange(len(data))] = generator.randrange(256)
                try:
                    client.send(bytes(data))
                except ConnectionError:
                    pass
        with daemon.client() as client:
            same(client.ask(recipient="alive@echo.test"), "550 5.1.1 alive@echo.test")


def many_connections():
    """Opened, asked once, and left: each costs little, and one too many is refused while the others go on."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(10000, hard - 200)
    measured = min(5000, wanted)
    with Policyd(RULES, "", f"max_connections = {wanted}") as daemon:
        clients = [daemon.client()]
        same(clients[0].ask(), "DUNNO")
        before = int(daemon.status("VmRSS").split()[0])
        for number in range(1, wanted):
            client = daemon.client()
            clients.append(client)
            if number < measured:
                same(client.ask(), "DUNNO")
            if number == measured - 1:
                each = (int(daemon.status("VmRSS").split()[0]) - before) * 1024 / (measured - 1)
                print(f"   {each:.0f} bytes for an idle connection, measured with {measured}")
                check(daemon.is_sanitized() or each <= 8192, f"{each:.0f} bytes for an idle connection")
        same(clients[-1].ask(), "DUNNO")
        with daemon.client() as one_more:
            check(one_more.answer() is None, "one connection too many is served")
        same(clients[0].ask(), "DUNNO")
        daemon.wait_for("connections: a further one was refused")
        for client in clients:
            client.close()
        end = time.monotonic() + PATIENCE
        while True:  # the places are free again
            with daemon.client() as client:
                try:
                    if client.ask() == "DUNNO":
                        break
                except ConnectionError:
                    pass
            check(time.monotonic() < end, "closed connections keep their places")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def idle_connections_are_closed():
    with Policyd(RULES, "", "idle = 1s") as daemon, daemon.client() as silent, daemon.client() as half:
        half.send(request()[:100])
        check(silent.answer() is None, "an answer to nothing")
        check(half.answer() is None, "an answer to half a request")
        with daemon.client() as client:
            same(client.ask(), "DUNNO")


def peers_that_are_not_allowed():
    with Policyd(RULES, "", "allow = 192.0.2.0/24") as daemon:
        with daemon.client(inet=True) as client:
            check(client.answer() is None, "a stranger is served")
        with daemon.client() as client:
            same(client.ask(), "DUNNO")


# ---- Reload ----


class Load:
    """Clients that ask without a pause; each answer must be one of `legal`."""

    def __init__(self, daemon, legal, count=4):
        self.daemon, self.legal, self.problems, self.ended = daemon, legal, [], threading.Event()
        self.answers = 0
        self.threads = [threading.Thread(target=self.ask, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def ask(self, number):
        turn = 0
        try:
            with self.daemon.client(inet=number % 2 == 1) as client:
                while not self.ended.is_set():
                    turn += 1
                    answer = client.ask(instance=f"{number}.{turn}")
                    if answer is None:
                        return
                    self.answers += 1
                    if answer not in self.legal:
                        self.problems.append(answer)
        except ConnectionError:
            pass  # the daemon has stopped
        except Exception as problem:  # pylint: disable=broad-except
            self.problems.append(repr(problem))

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        check(not self.problems, f"answers that no ruleset gives: {self.problems[:3]}")
        check(self.answers > 0, "nothing was asked")


def numbered_rules(number, more=""):
    return f'at rcpt {{ [r{number}] reject 550 5.7.1 "ruleset {number}" }}\n{more}'


def reload_under_load():
    with Policyd(numbered_rules(0)) as daemon:
        load = Load(daemon, {f"550 5.7.1 ruleset {i}" for i in range(6)})
        for number in range(1, 6):
            daemon.write_rules(numbered_rules(number))
            check(daemon.reload(), "the reload failed")
            with daemon.client() as client:
                same(client.ask(instance=f"after.{number}"), f"550 5.7.1 ruleset {number}")
        load.end()


def message_keeps_its_ruleset():
    with Policyd(numbered_rules(1)) as daemon, daemon.client() as client:
        same(client.ask(instance="5.1"), "550 5.7.1 ruleset 1")
        daemon.write_rules(numbered_rules(2))
        check(daemon.reload(), "the reload failed")
        same(client.ask(instance="5.1"), "550 5.7.1 ruleset 1")
        same(client.ask(instance="5.2"), "550 5.7.1 ruleset 2")


def bad_rules_keep_the_old():
    with Policyd(numbered_rules(1)) as daemon, daemon.client() as client:
        daemon.write_rules('at rcpt { reject if sendr == "a@b.test" }\nat rcpt { reject if helo_nam == "x" }\n')
        check(not daemon.reload(), "bad rules were taken")
        check(daemon.count("mailreeve.rules:1:") >= 1 and daemon.count("mailreeve.rules:2:") >= 1, "not all diagnostics are in the log")
        same(client.ask(instance="6.1"), "550 5.7.1 ruleset 1")
        os.unlink(daemon.rules_path)
        check(not daemon.reload(), "missing rules were taken")
        same(client.ask(instance="6.2"), "550 5.7.1 ruleset 1")
        daemon.write_rules(numbered_rules(2))
        daemon.write_config("deadline = soon")
        check(not daemon.reload(), "a bad configuration was taken")
        same(client.ask(instance="6.3"), "550 5.7.1 ruleset 1")
        daemon.write_config()
        check(daemon.reload(), "good rules were not taken")
        same(client.ask(instance="6.4"), "550 5.7.1 ruleset 2")


def hup_twice_during_a_slow_reload():
    """However many ask while one reload runs: one more follows, and it reads what was written last."""
    slow = "at rcpt {\n" + "".join(f'  [s{i}] score 1 if sender == "s{i}@example.org" and helo_name ~ /^x{i}[a-z]+$/\n' for i in range(30000)) + "}\n"
    with Policyd(numbered_rules(1)) as daemon, daemon.client() as client:
        daemon.write_rules(numbered_rules(2, slow))
        read_before = daemon.bytes_read()
        daemon.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while daemon.bytes_read() < read_before + len(slow):  # until it has the slow ones
            check(time.monotonic() < end, "the rules are not read")
        daemon.write_rules(numbered_rules(3))
        for _ in range(5):
            daemon.process.send_signal(signal.SIGHUP)
            same(client.ask(instance=None, client_port=None), "550 5.7.1 ruleset 1")  # answered meanwhile
        check(daemon.count("reloaded: ") == 0, "the reload was not slow enough to test this")
        daemon.wait_for("reloaded: ", 2)
        same(client.ask(instance=None, client_port=None), "550 5.7.1 ruleset 3")
        same(daemon.count("reloading"), 2)


def tables_are_read_again():
    rules = 'table banned of address from file "banned"\nat rcpt { [b] reject 550 5.7.1 "banned" if sender in banned }\n'
    with Policyd(rules, expect_start=False) as daemon:
        table = os.path.join(daemon.path, "banned")
        daemon.write_file(table, "one@example.org\n")
        daemon.start()
        with daemon.client() as client:
            same(client.ask(sender="one@example.org", instance="7.1"), "550 5.7.1 banned")
            same(client.ask(sender="two@example.org", instance="7.2"), "DUNNO")
            daemon.write_file(table, "two@example.org\n")
            check(daemon.reload(), "the reload failed")
            same(client.ask(sender="one@example.org", instance="7.3"), "DUNNO")
            same(client.ask(sender="two@example.org", instance="7.4"), "550 5.7.1 banned")
            os.unlink(table)  # at a reload the old content stays
            check(daemon.reload(), "the reload failed")
            same(client.ask(sender="two@example.org", instance="7.5"), "550 5.7.1 banned")
            daemon.wait_for("the old content stays")


# ---- Look-ups ----

LISTS = """
dnslist zen of ip "zen.test" on error tempfail
at rcpt {
  accept recipient                                   if recipient.localpart == "quick"
  [zen] reject 550 5.7.1 "listed: {dnslist.code}"    if client_address in zen
}
"""


def resolver_that_never_answers():
    with DnsServer("1.2.0.192.zen.test SILENT\n2.2.0.192.zen.test A 127.0.0.2\n") as dns, Policyd(LISTS, "deadline = 1s", resolver=dns.address) as daemon:
        with daemon.client() as waiting, daemon.client() as other:
            waiting.send(request(client_address="192.0.2.1", instance="8.1") + request(recipient="quick@example.test", instance="8.2"))
            same(other.ask(recipient="quick@example.test", client_address="192.0.2.1"), "DUNNO")
            same(other.ask(client_address="192.0.2.2"), "550 5.7.1 listed: 127.0.0.2")  # look-ups of others are answered too
            check(not waiting.has_answer(), "an answer before the deadline")
            check(waiting.answer().startswith("451 4.3.0 "), "not a tempfail")
            same(waiting.answer(), "DUNNO")  # the pipelined one, in its turn
        daemon.wait_for('failed="dnslist zen: no answer before the deadline"')


def resolver_that_answers_late():
    with DnsServer("1.2.0.192.zen.test A 127.0.0.2 delay=700\n") as dns, Policyd(LISTS, "deadline = 200ms", resolver=dns.address) as daemon:
        with daemon.client() as client:
            check(client.ask(client_address="192.0.2.1", instance="9.1").startswith("451 4.3.0 "), "the late answer was waited for")
            end = time.monotonic() + PATIENCE
            turn = 1
            while client.ask(client_address="192.0.2.1", instance=f"9.1.{turn}") != "550 5.7.1 listed: 127.0.0.2":
                turn += 1
                check(time.monotonic() < end, "the late answer is lost")
        same(dns.count("query 1.2.0.192.zen.test A"), 1)


def resolver_that_is_dead():
    zone = "1.2.0.192.zen.test A 127.0.0.2 ttl=2\n*.zen.test SILENT\n"
    with DnsServer(zone) as dns, Policyd(LISTS, "deadline = 1s", resolver=dns.address) as daemon:
        with daemon.client() as client:
            same(client.ask(client_address="192.0.2.1", instance="12.1"), "550 5.7.1 listed: 127.0.0.2")
            dns.zone("*.zen.test SILENT\n")
            # Its time is over, and nobody answers any more: at the deadline what was known counts.
            end = time.monotonic() + PATIENCE
            while not daemon.count("is answered with what was known before: no answer before the deadline"):
                check(time.monotonic() < end, "no stale answer")
                same(client.ask(client_address="192.0.2.1", instance=f"12.{time.monotonic()}"), "550 5.7.1 listed: 127.0.0.2")
        others = [daemon.client() for _ in range(50)]
        for number, other in enumerate(others):
            other.send(request(client_address=f"198.51.100.{number}", instance=f"13.{number}"))
        for other in others:
            check(other.answer().startswith("451 4.3.0 "), "not a tempfail")
        daemon.wait_for("zen.test: 10 look-ups in a row have failed")
        # Now it costs nobody a deadline: each of these would take a second.
        with daemon.client() as client:
            for number in range(30):
                check(client.ask(client_address=f"203.0.113.{number}", instance=f"14.{number}").startswith("451 4.3.0 "), "not a tempfail")
            same(client.ask(client_address="192.0.2.1", instance="15.1"), "550 5.7.1 listed: 127.0.0.2")
        daemon.wait_for("zen.test: resting after 10 failures", times=20)  # the others may be trials
        same(daemon.count("10 look-ups in a row have failed"), 1)
        check(dns.count("query") < 300, "it is asked while it rests")
        for other in others:
            other.close()
        dns.zone("*.zen.test A 127.0.0.3\n")
        with daemon.client() as client:
            end = time.monotonic() + PATIENCE
            while client.ask(client_address="203.0.113.200", instance=f"16.{time.monotonic()}") != "550 5.7.1 listed: 127.0.0.3":
                check(time.monotonic() < end, "it never answers again")
        daemon.wait_for("zen.test: answers again")


def many_wait_at_once():
    with DnsServer("*.zen.test A 127.0.0.2 delay=300\n") as dns, Policyd(LISTS, resolver=dns.address) as daemon:
        clients = [daemon.client() for _ in range(200)]
        started = time.monotonic()
        for number, client in enumerate(clients):
            client.send(request(client_address=f"192.0.2.{number}", instance=f"10.{number}"))
        for client in clients:
            same(client.answer(), "550 5.7.1 listed: 127.0.0.2")
        print(f"   200 look-ups of 300 ms: {time.monotonic() - started:.2f} s")
        for client in clients[:100]:
            client.send(request(client_address="198.51.100.1"))
            client.close()  # nobody waits for these
        same(clients[150].ask(recipient="quick@example.test"), "DUNNO")
        for client in clients[100:]:
            client.close()


def delays():
    rules = 'at rcpt { [d] delay 1s if recipient == "slow@example.test" }\n'
    with Policyd(rules, "deadline = 300ms") as daemon, daemon.client() as slow, daemon.client() as quick:
        slow.send(request(recipient="slow@example.test") + request())
        same(quick.ask(), "DUNNO")
        check(not slow.has_answer(), "the delay is not kept")
        same(slow.answer(), "DUNNO")  # cut by the deadline
        same(slow.answer(), "DUNNO")


# ---- Start and stop ----


def stop_under_load():
    with DnsServer("1.2.0.192.zen.test SILENT\n") as dns, Policyd(LISTS, "deadline = 500ms", resolver=dns.address) as daemon:
        with daemon.client() as waiting, daemon.client() as idle:
            waiting.send(request(client_address="192.0.2.1", instance="11.1"))
            dns.wait_count("query 1.2.0.192.zen.test", 1)
            load = Load(daemon, {"DUNNO"})
            same(idle.ask(recipient="quick@example.test"), "DUNNO")
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_for("stopping")
            check(waiting.answer().startswith("451 4.3.0 "), "the question in flight was not answered")
            check(waiting.answer() is None and idle.answer() is None, "a connection stays open")
            same(daemon.wait_end(), 0)
            load.end()
        check(not os.path.exists(daemon.unix), "the socket's file is left")
        check(not os.path.exists(daemon.unix + ".lock"), "the lock's file is left")


def start_fails(daemon, *texts, arguments=()):
    result = subprocess.run([*daemon.command, *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, timeout=PATIENCE, check=False)
    check(result.returncode != 0, "it started")
    for text in texts:
        check(text in result.stderr, f"{text!r} is not said: {result.stderr}")


def second_daemon_and_stale_socket():
    with Policyd(RULES) as daemon:
        start_fails(daemon, "another daemon holds")
        with daemon.client() as client:
            same(client.ask(), "DUNNO")
        daemon.process.kill()  # leaves socket and lock
        daemon.wait_end()
        check(os.path.exists(daemon.unix), "no stale socket to test with")
        daemon.start()
        with daemon.client() as client:
            same(client.ask(), "DUNNO")
        same(daemon.stop(), 0)
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        other.bind(daemon.unix)
        other.listen(1)
        start_fails(daemon, "another program listens there")
        other.close()


def bad_starts():
    with Policyd("at rcpt { rejekt }\n", expect_start=False) as daemon:
        start_fails(daemon, "mailreeve.rules:1:11: error:", "not started")
        start_fails(daemon, "unknown flag", arguments=("--forground",))
        start_fails(daemon, "No such file", arguments=("--config", "/nonexistent/mailreeve.conf"))
        os.chmod(daemon.rules_path, 0o666)
        start_fails(daemon, "mailreeve.rules", "written by others")


def check_flag():
    with Policyd(RULES) as daemon:
        good = subprocess.run([*daemon.command, "--check"], stderr=subprocess.PIPE, text=True, check=False)  # beside the one that runs
        check(good.returncode == 0 and "good" in good.stderr, f"--check: {good.stderr}")
        closed = subprocess.run(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *daemon.command, "--check"], check=False)
        same(closed.returncode, 0)  # started without standard files
        program = os.path.abspath(daemon.command[0])
        folder, name = os.path.split(daemon.rules_path)
        near = subprocess.run([program, "--check", "--rules", name], cwd=folder, stderr=subprocess.PIPE, text=True, check=False)
        check(near.returncode == 0, f"--check of a file in this folder, in the foreground: {near.stderr}")
        wrong = subprocess.run([*daemon.command, "--check", "--listen", "unix:policy"], stderr=subprocess.PIPE, text=True, check=False)
        check(wrong.returncode == 2 and "absolute path" in wrong.stderr, f"--check of a wrong socket: {wrong.stderr}")
        daemon.write_rules("at rcpt { rejekt }\n")
        bad = subprocess.run([*daemon.command, "--check"], stderr=subprocess.PIPE, text=True, check=False)
        same(bad.returncode, 1)


def privileges():
    if os.geteuid() != 0:
        print("   not root: nothing to drop")
        return
    with Policyd(RULES, "", "socket_group = daemon\nsocket_mode = 0660") as daemon:
        nobody = pwd.getpwnam("nobody")
        same(daemon.status("Uid").split(), [str(nobody.pw_uid)] * 4)
        same(daemon.status("Gid").split(), [str(nobody.pw_gid)] * 4)
        check("0" not in daemon.status("Groups").split(), "root's group is kept")
        there = os.stat(daemon.unix)
        same((there.st_uid, there.st_mode & 0o777), (nobody.pw_uid, 0o660))
        start_fails(daemon, "refusing to run as root", arguments=("--user", "root"))
        start_fails(daemon, "there is no user", arguments=("--user", "no-such-user"))


def find_process(word):
    """The process that has this word in its command line: only the daemon that the test has started."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if name.isdigit() and word.encode() in file.read() and int(name) != os.getpid():
                    found.append(int(name))
        except OSError:
            pass
    return found


def daemon_mode():
    with Policyd(RULES, expect_start=False) as daemon:
        command = [word for word in daemon.command if word != "--foreground"]
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(os.path.join(daemon.path, "notify"))
        os.chmod(os.path.join(daemon.path, "notify"), 0o666)
        notify.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": os.path.join(daemon.path, "notify")}
        result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
        same(result.returncode, 0)  # and its output has ended: the terminal is free
        check(notify.recv(1000).startswith(b"READY=1\n"), "systemd is not told")
        pids = find_process(daemon.config_path)
        same(len(pids), 1)
        with Client(daemon.unix) as client:
            same(client.ask(), "DUNNO")  # it was ready when its parent ended
            os.kill(pids[0], signal.SIGHUP)
            check(notify.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC="), "systemd is not told of the reload")
            check(notify.recv(1000).startswith(b"READY=1\n"), "systemd is not told of the reload's end")
            os.kill(pids[0], signal.SIGTERM)
            same(notify.recv(1000), b"STOPPING=1")
            check(client.answer() is None, "it does not stop")
        notify.close()
        end = time.monotonic() + PATIENCE
        while find_process(daemon.config_path):
            check(time.monotonic() < end, "it does not end")
        daemon.write_rules("at rcpt { rejekt }\n")
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False)
        same(result.returncode, 1)
        check(b"mailreeve.rules:1:" in result.stdout, "why it did not start is not said")
        same(find_process(daemon.config_path), [])


def flags_alone():
    """Without a configuration file."""
    with Policyd(RULES, expect_start=False) as daemon:
        daemon.command = [PROGRAM, "--rules", daemon.rules_path, "--listen", "unix:" + daemon.unix, "--listen", "inet:127.0.0.1:0,service=submission"]
        daemon.command += ["--resolver", "127.0.0.1@9", "--foreground"] + (["--user", "nobody"] if os.geteuid() == 0 else [])
        daemon.write_rules('at rcpt { [s] reject 550 5.7.1 "{service}" if service == "submission" }\n')
        daemon.start()
        with daemon.client() as mx, daemon.client(inet=True) as submission:
            same(mx.ask(), "DUNNO")
            same(submission.ask(), "550 5.7.1 submission")
            same(submission.ask(policy_context="mx"), "DUNNO")


if __name__ == "__main__":
    run(
        [
            verdicts,
            connect_refusal_holds_for_all_recipients_and_messages,
            header_once_a_message,
            split_requests,
            large_but_legal_request,
            slow_reader,
            malformed_requests,
            random_bytes_and_half_requests,
            many_connections,
            idle_connections_are_closed,
            peers_that_are_not_allowed,
            reload_under_load,
            message_keeps_its_ruleset,
            bad_rules_keep_the_old,
            hup_twice_during_a_slow_reload,
            tables_are_read_again,
            resolver_that_never_answers,
            resolver_that_answers_late,
            resolver_that_is_dead,
            many_wait_at_once,
            delays,
            stop_under_load,
            second_daemon_and_stale_socket,
            bad_starts,
            check_flag,
            privileges,
            daemon_mode,
            flags_alone,
        ]
    )
