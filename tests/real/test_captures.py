#!/usr/bin/env python3
"""What real mail servers sent: policy questions of Postfix and milter sessions of Postfix and Sendmail, asked of the daemons again; what each fact then is.

captured/policy-*.txt are requests, as Postfix 3.7.11 wrote them; captured/milter-*.jsonl are packets of the milter protocol with their macros, one a line, as Postfix
3.7.11 and Sendmail 8.17.1.9 sent them to a filter that took part in every step. A body's first bytes are kept, and its length. captured/facts.txt is what the rules
see of them: rules that log each fact of their phase. --print shows it anew; it is compared by eye with what was captured before it is kept.
"""
import difflib
import glob
import json
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mta")]
sys.dont_write_bytecode = True

from daemons import MILTER, POLICYD, Daemon, Folder, program  # noqa: E402
from miltermta import ACTIONS, ALL_ACTIONS, FINAL, STEPS, MilterMta  # noqa: E402
from policyd_client import Client  # noqa: E402
from probe import check  # noqa: E402

CAPTURED = os.path.join(HERE, "captured")
CONFIG = "[mailreeve]\nserver_name = own.example.test\n"
CLOCK = {"time", "date", "weekday"}
# Steps that a filter may ask for: recipients that are refused already, and the blanks behind a header field's colon. The captured filter had asked for both.
REFUSED_RECIPIENTS, LEADING_BLANKS = 0x800, 0x100000


def rules(door, phases):
    """Rules that log all facts that the door has, at each of the phases."""
    facts = json.loads(subprocess.run([program("mailreeve"), "facts", "--json"], check=True, capture_output=True, text=True).stdout)
    text = ""
    for phase in phases:
        logs = [f'log "{fact["name"]}={{{fact["name"]}}}" if {fact["name"]} is set on error skip'
                for fact in facts if phase in fact["phases"] and fact[door] is not None and fact["name"] not in CLOCK]
        text += f"at {phase} {{\n    " + "\n    ".join(logs) + "\n}\n"
    return text


def seen(daemon, start):
    """What the rules logged since then: a line a question, with the phase, the facts that were set and the look-ups that failed."""
    lines, logged = [], []
    for line in daemon.log()[start:].splitlines():
        phase = re.search(r" phase=(\w+) ", line)
        fact = re.search(r' log=(?:"((?:[^"\\]|\\.)*)"|(\S+))', line)
        if fact:
            logged.append(fact[1] if fact[1] is not None else fact[2])
        elif phase:
            failed = re.search(r' failed="([^"]*)"', line)
            lines.append(" | ".join([phase[1], *dict.fromkeys(logged), *([f"failed: {failed[1]}"] if failed else [])]))
            logged = []
    check(not logged, f"facts without a decision: {logged}")
    return lines


def policy_questions(folder):
    """{file: facts} of each request; all are answered DUNNO."""
    with Daemon(POLICYD, folder, folder.write("policy.rules", rules("policy", ["connect", "helo", "mail", "rcpt", "data", "eom", "vrfy", "etrn"])), CONFIG) as daemon:
        for path in sorted(glob.glob(os.path.join(CAPTURED, "policy-*.txt"))):
            start = len(daemon.log())
            client = Client(("127.0.0.1", daemon.port))
            with open(path, "rb") as file:
                requests = file.read().rstrip(b"\n").split(b"\n\n")
            for request in requests:
                client.send(request + b"\n\n")
                answer = client.answer()
                check(answer == "DUNNO", f"{path}: {answer} to {request}")
            client.socket.close()
            yield os.path.basename(path), seen(daemon, start)


class Player(MilterMta):
    """Plays a captured connection: its packets in their order, with the macros that the mail server sent; what the filter declined is left out."""

    refused = False

    def play(self, packet):
        command = packet["cmd"]
        if command == "D" and packet["for"] == "R":
            self.refused = packet["macros"].get("{rcpt_mailer}") == "error" and not self.steps & REFUSED_RECIPIENTS
        if command == "O":
            self.negotiate()
        elif "R" in (command, packet.get("for")) and self.refused:
            return
        elif command == "D":
            pairs = "".join(f"{name}\0{value}\0" for name, value in packet["macros"].items())
            self.send("D", (packet["for"] + pairs).encode("latin-1", "surrogateescape"))
        elif command in "AQ":
            self.send(command)
        elif not self.declined(command):
            self.send(command, self.payload(packet))
            if not self.without_reply(command):
                answer, _ = self.receive()
                check(FINAL.get(answer) in ("continue", "skip"), f"{packet}: {answer}")

    def payload(self, packet):
        if packet["cmd"] == "B":
            head = packet["head"].encode()
            return head + b"x" * (packet["len"] - len(head))
        words = packet["args"]
        if packet["cmd"] == "C":
            return words[0].encode() + b"\0" + words[1].encode() + struct.pack("!H", words[2]) + words[3].encode() + b"\0"
        if packet["cmd"] == "L" and not self.steps & LEADING_BLANKS:
            words = [words[0], words[1].removeprefix(" ")]
        return "".join(f"{word}\0" for word in words).encode()


def milter_sessions(folder):
    phases = ["connect", "helo", "mail", "rcpt", "data", "eom", "unknown"]
    with Daemon(MILTER, folder, folder.write("milter.rules", rules("milter", phases)), CONFIG) as daemon:
        for path in sorted(glob.glob(os.path.join(CAPTURED, "milter-*.jsonl"))):
            start = len(daemon.log())
            with open(path, encoding="utf-8") as file:
                packets = [json.loads(line) for line in file]
            for name in dict.fromkeys(packet["conn"] for packet in packets):
                # The captured macros are those that come unasked, so the filter is not offered a choice.
                with Player(daemon.listen, actions=ALL_ACTIONS & ~ACTIONS["SETSYMLIST"]) as mta:
                    for packet in packets:
                        if packet["conn"] == name and "cmd" in packet:
                            mta.play(packet)
                    check(not mta.socket.recv(1), f"{path}: more than was asked for")
            yield os.path.basename(path), seen(daemon, start)


def main():
    with Folder() as folder:
        text = "".join(f"== {name}\n" + "".join(line + "\n" for line in lines)
                       for source in (policy_questions, milter_sessions) for name, lines in source(folder))
    if "--print" in sys.argv:
        print(text, end="")
        return
    with open(os.path.join(CAPTURED, "facts.txt"), encoding="utf-8") as file:
        expected = file.read()
    difference = list(difflib.unified_diff(expected.splitlines(), text.splitlines(), "captured/facts.txt", "what the rules see", lineterm=""))
    if difference:
        print("\n".join(difference))
        sys.exit(1)
    print("ok: the facts of what was captured")


if __name__ == "__main__":
    main()
