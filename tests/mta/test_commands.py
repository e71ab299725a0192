#!/usr/bin/env python3
"""The table of SMTP commands, as `mailreeve doors --json` tells it, against both real mail servers.

Each command is sent to Postfix and to Sendmail with one door in use and rules that refuse at one phase; the client's address chooses the phase and the
answer. What the client hears must be what the table claims for that command, mail server and door: heard where it says so, and nowhere else. What nobody
is asked about must leave no decision in the log. Without one of the servers its half is left out, without both the test is skipped.
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import MILTER, POLICYD, Daemon, Folder, program  # noqa: E402
from private_postfix import PrivatePostfix, free_port  # noqa: E402
from private_sendmail import PrivateSendmail, milter  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import Site, check, equal  # noqa: E402
from test_sendmail import SendmailSite  # noqa: E402

FEATURES = os.path.join(HERE, "..", "..", "packaging", "sendmail")
GREETING = "EHLO client.example.net"
SENDER, RECIPIENT = "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>"
MESSAGE = "Subject: commands\r\n\r\nhello\r\n"
# What is said before a command, and how it is said: several steps where the answer may come later.
DIALOGUES = {
    "HELO": ([], ["HELO client.example.net", SENDER, RECIPIENT]),
    "EHLO": ([], [GREETING, SENDER, RECIPIENT]),
    "MAIL FROM": ([GREETING], [SENDER, RECIPIENT]),
    "RCPT TO": ([GREETING, SENDER], [RECIPIENT]),
    "DATA": ([GREETING, SENDER, RECIPIENT], ["DATA", MESSAGE + "."]),
    "BDAT": ([GREETING, SENDER, RECIPIENT], [f"BDAT {len(MESSAGE)}\r\n{MESSAGE[:-2]}", "BDAT 0 LAST"]),
    "QUIT": ([GREETING], ["QUIT"]),
    "RSET": ([GREETING, SENDER], ["RSET"]),
    "VRFY": ([GREETING], ["VRFY alice@example.test"]),
    "NOOP": ([GREETING], ["NOOP"]),
    "TURN": ([GREETING], ["TURN"]),
    "EXPN": ([GREETING], ["EXPN team"]),
    "HELP": ([GREETING], ["HELP"]),
    "SEND FROM": ([GREETING], ["SEND FROM:<a@example.org>"]),
    "SOML FROM": ([GREETING], ["SOML FROM:<a@example.org>"]),
    "SAML FROM": ([GREETING], ["SAML FROM:<a@example.org>"]),
    "ETRN": ([GREETING], ["ETRN example.test"]),
    "STARTTLS": ([GREETING], ["STARTTLS"]),
    "AUTH": ([GREETING], ["AUTH PLAIN AGFsaWNlAHNlY3JldA=="]),
    "other": ([GREETING], ["FOOBAR 1 2"]),
}
ANSWERS = {"reject": '"reject at {phase}{shown}"', "tempfail": '"tempfail at {phase}{shown}"', "disconnect": '421 4.7.0 "disconnect at {phase}{shown}"'}
OF_COMMANDS = ("vrfy", "expn", "etrn", "unknown")


class Table:
    """What `mailreeve doors --json` says."""

    def __init__(self):
        listed = json.loads(subprocess.run([program("mailreeve"), "doors", "--json"], check=True, stdout=subprocess.PIPE).stdout)
        self.commands = listed["commands"]
        self.answers = {(door["name"], row["phase"]): row["answers"] for door in listed["doors"] for row in door["phases"]}
        self.phases = [row["phase"] for row in listed["doors"][0]["phases"]]

    def address(self, phase, answer):
        return f"192.0.2.{10 * (1 + self.phases.index(phase)) + list(ANSWERS).index(answer)}"

    def rules(self, door):
        """One rule for each phase of the door and each answer that it can give there."""
        lines = []
        for phase in self.phases:
            answers = [answer for answer in ANSWERS if answer in self.answers[door, phase]]
            if not answers:
                continue
            shown = " ({command})" if phase in ("expn", "unknown") else ""
            lines.append(f"at {phase} {{")
            for answer in answers:
                lines.append(f"    [{phase}_{answer}] {answer} {ANSWERS[answer].format(phase=phase, shown=shown)} if client_address == {self.address(phase, answer)}")
            lines.append("}")
        return "\n".join(lines) + "\n"


def speak(client, lines):
    """The replies, as long as the session lasts; a refused step ends a dialogue of several."""
    replies = []
    for line in lines:
        replies.append(client.command(line))
        if replies[-1][:1] not in "23":
            break
    return "\n".join(replies)


class Half:
    """One mail server with one door in use."""

    def __init__(self, table, mta, door, site):
        self.table, self.mta, self.door, self.site = table, mta, door, site
        self.wrong = []
        self.count = 0

    def decisions(self):
        daemons = self.site.daemons
        return sum(len(daemon.decisions()) for daemon in daemons)

    def hear(self, command, address):
        before, said = DIALOGUES[command]
        with self.site.client(address) as client:
            for line in before:
                reply = client.command(line)
                check(reply[:1] == "2", f"{line}: {reply}")
            known = self.decisions()
            heard = speak(client, said)
            return heard, self.decisions() - known

    def compare(self, command, phase, answer):
        place = command["mtas"][self.mta]
        expected = (self.door in place["doors"] and phase in place["phases"] and answer in place["answers"] and answer in self.table.answers[self.door, phase])
        heard, decisions = self.hear(command["name"], self.table.address(phase, answer))
        self.count += 1
        what = f"{command['name']}, {self.mta}, {self.door} door, {answer} at {phase}"
        if (f"{answer} at {phase}" in heard) != expected:
            self.wrong.append(f"{what}: the table says that it is {'heard' if expected else 'not heard'}, and the client hears\n    {heard!r}")
        elif expected and answer == "disconnect" and not re.search(r"(?m)^421[ -]", heard):
            self.wrong.append(f"{what}: {heard!r} is no 421")
        elif not place["doors"] and decisions:
            self.wrong.append(f"{what}: nobody is asked, but there are {decisions} decisions")
        elif expected and "command is" in place["is"]:
            line = DIALOGUES[command["name"]][1][0].split("\r\n")[0]
            shown = line if "whole line" in place["is"] else line.split()[0]
            if f"({shown})" not in heard:
                self.wrong.append(f"{what}: {place['is']!r}, but it is not {shown!r} in {heard!r}")

    def run(self):
        for command in self.table.commands:
            phases = [phase for phase in self.table.phases if phase in OF_COMMANDS or phase in command["mtas"][self.mta]["phases"]]
            for phase in phases:
                for answer in ANSWERS:
                    if answer in self.table.answers[self.door, phase]:
                        self.compare(command, phase, answer)
        equal(self.wrong, [], "the table is wrong:\n" + "\n".join(self.wrong))
        check(self.count > len(self.table.commands), f"{self.count} comparisons")
        print(f"{self.mta}, {self.door} door: {self.count} sessions")


class SocketmapSite:
    """A Sendmail whose check_* rulesets ask mailreeve-policyd, as the feature in packaging/sendmail makes them; with_milter: a milter too."""

    def __init__(self, rules, with_milter=False):
        self.folder = Folder()
        self.port = free_port()
        config = f"[mailreeve]\ndoors = {'milter ' if with_milter else ''}socketmap\n"
        path = self.folder.write("mail.rules", rules)
        self.daemons = [Daemon(POLICYD, self.folder, path, config, arguments=["--socketmap", f"inet:127.0.0.1:{self.port}"])]
        if with_milter:
            self.daemons.append(Daemon(MILTER, self.folder, path, config))
        self.sendmail = None

    def __enter__(self):
        try:
            for daemon in self.daemons:
                daemon.start()
            feature = f"FEATURE(`mailreeve', `inet:{self.port}@127.0.0.1', `tempfail', `noop')dnl\n"
            milters = [milter(f"inet:{daemon.port}@127.0.0.1") for daemon in self.daemons[1:]]
            self.sendmail = PrivateSendmail(milters, features=feature, feature_folders=[FEATURES]).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.sendmail is not None:
            self.sendmail.stop()
        for daemon in self.daemons:
            daemon.stop()
        self.folder.remove()

    def client(self, address):
        return self.sendmail.client(address)


def test_dialogues():
    """Each command of the table has a dialogue here."""
    equal(sorted(DIALOGUES), sorted(command["name"] for command in Table().commands))


def test_postfix_policy():
    table = Table()
    with Site("policy", rules=table.rules("policy")) as site:
        Half(table, "postfix", "policy", site).run()


def test_postfix_milter():
    table = Table()
    with Site("milter", rules=table.rules("milter")) as site:
        Half(table, "postfix", "milter", site).run()


def test_sendmail_milter():
    table = Table()
    with SendmailSite(table.rules("milter")) as site:
        Half(table, "sendmail", "milter", site).run()


def test_sendmail_socketmap():
    table = Table()
    with SocketmapSite(table.rules("socketmap")) as site:
        Half(table, "sendmail", "socketmap", site).run()


def test_sendmail_milter_and_socketmap():
    """Sendmail asks both about an unknown command; the client hears one reply, and the next command's reply is its own."""
    rules = """
at vrfy, expn { [mailbox] reject 550 5.7.1 "no {client_address}" }
at unknown {
    [later] tempfail 451 4.7.1 "{command} later" if command ~ /^LATER/
    [all] reject 502 5.5.1 "{command}: not here" if command !~ /^FREE/
}
"""
    with SocketmapSite(rules, with_milter=True) as site, site.client("192.0.2.1") as client:
        for line, reply in (("FOOBAR 1 2", "502 5.5.1 FOOBAR 1 2: not here"), ("TURN", "502 5.5.1 TURN: not here"), ("LATER", "451 4.7.1 LATER later"),
                            ("FREE 1", '500 5.5.1 Command unrecognized: "FREE 1"'), ("NOOP", "250 2.0.0 OK"), ("RSET", "250 2.0.0 Reset state"),
                            ("HELO client.example.net", "250 mx.example.test Hello [192.0.2.1], pleased to meet you"),
                            ("VRFY alice@example.test", "550 5.7.1 no 192.0.2.1"), ("EXPN team", "550 5.7.1 no 192.0.2.1"),
                            (SENDER, "250 2.1.0 <a@example.org>... Sender ok"), ("FOOBAR", "502 5.5.1 FOOBAR: not here"),
                            (RECIPIENT, "250 2.1.5 <alice@example.test>... Recipient ok"), ("QUIT", "221 2.0.0 mx.example.test closing connection")):
            equal(client.command(line), reply, line)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
