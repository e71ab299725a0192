#!/usr/bin/env python3
"""commands.py: what `mailreeve test` and `mailreeve explain` print, exactly, and their exit codes. The expected texts are tests/scenario/printed/NAME.out;
`commands.py --update`, from the build folder, writes them anew."""

import json
import os
import pathlib
import re
import subprocess
import sys

MAILREEVE = pathlib.Path.cwd() / "mailreeve"
SOURCE = pathlib.Path(os.environ.get("srcdir", pathlib.Path(__file__).resolve().parent.parent.parent)).resolve()
PRINTED = SOURCE / "tests/scenario/printed"

CLIENT = ["--client-address", "192.0.2.1", "--client-name", "mail.client.example", "--client-port", "2525"]
MESSAGE = ["--helo", "mail.client.example", "--sender", "a@b.example", "--recipient", "alice@example.org"]
WORLD = ["--dns", "mail.dns", "--time", "2026-11-23 23:00", "--set", "server_name=mx.example.org"]
EXPLAIN = ["explain", "mail.rules", *CLIENT, *MESSAGE, *WORLD]

TABLE = ["table", "test", "tables.rules"]

# name -> arguments and exit code
CASES = {
    "explain-listed": (EXPLAIN, 0),
    "explain-accepted": (["explain", "mail.rules", "--client-address", "10.1.2.3", "--ehlo", "--helo", "laptop", "--sender", "<>", *WORLD,
                          "--recipient", "postmaster@example.org", "--recipient", "bob@example.org", "--set", "size=3M", "--set", "sasl_username=bob"], 0),
    "explain-held": (["explain", "mail.rules", "--client-address", "203.0.113.9", *MESSAGE, "--recipient", "postmaster@example.org", *WORLD], 0),
    "explain-fails": (["explain", "mail.rules", "--client-address", "192.0.2.3", *MESSAGE, *WORLD], 0),
    "explain-policy": (["explain", "--door", "policy", "mail.rules", "--client-address", "203.0.113.9", *MESSAGE, *WORLD], 0),
    "explain-undelayed": ([*EXPLAIN, "--smtpd-delay-reject", "no", "--door", "policy"], 0),
    "explain-commands": (["explain", "commands.rules", *CLIENT, "--helo", "x.example", *WORLD, "--command", "vrfy bob", "--command", "EXPN list", "--command", "XYZZY a"], 0),
    "explain-bad-delay": ([*EXPLAIN, "--smtpd-delay-reject", "maybe"], 2),
    "explain-message": (["explain", "message.rules", *CLIENT, *MESSAGE, *WORLD, "--message", "message.eml"], 0),
    "explain-no-message": (["explain", "message.rules", *CLIENT, *MESSAGE, *WORLD, "--message", "there-is-none.eml"], 2),
    "explain-json": ([*EXPLAIN, "--json"], 0),
    "explain-bad-rules": (["explain", "bad.rules", *CLIENT, *MESSAGE, *WORLD], 1),
    "explain-bad-dns": (["explain", "mail.rules", *CLIENT, *MESSAGE, "--dns", "bad.dns"], 2),
    "explain-no-sender": (["explain", "mail.rules", *CLIENT, "--helo", "x", "--recipient", "a@b.example"], 2),
    "explain-no-fact": ([*EXPLAIN, "--set", "sasl_usernam=x"], 2),
    "explain-said-elsewhere": ([*EXPLAIN, "--set", "sender=x@y"], 2),
    "explain-no-address": (["explain", "mail.rules", *MESSAGE, "--client-address", "192.0.2.256"], 2),
    "explain-no-time": (["explain", "mail.rules", *CLIENT, *MESSAGE, "--time", "noon"], 2),
    "check-cost": (["check", "--cost", "cost.rules"], 0),
    "check-cost-walked": (["check", "--cost", "walked.rules"], 0),
    "check-cost-json": (["check", "--cost", "--json", "cost.rules"], 0),
    "test-wrong": (["test", "wrong.scenario"], 1),
    "test-wrong-policy": (["test", "--door", "policy", "--verbose", "wrong.scenario"], 1),
    "test-errors": (["test", "errors.scenario"], 1),
    "test-message-errors": (["test", "message-errors.scenario"], 1),
    "test-bad-rules": (["test", "bad-rules.scenario"], 1),
    "test-print": (["test", "--print", "wrong.scenario"], 0),
    "test-no-file": (["test", "there-is-none.scenario"], 1),
    "test-no-door": (["test", "--door", "smtp", "wrong.scenario"], 2),
    "test-nothing": (["test"], 2),
    "table-found": ([*TABLE, "access", "192.0.2.1", "192.0.2.7"], 0),
    "table-not-found": ([*TABLE, "senders", "a@bulk.example", "A@b.example", "SPAM+x@bad.example"], 1),
    "table-parts": ([*TABLE, "--json", "pairs", "a@b.example", "x", "a@b.example", "X"], 1),
    "table-bad-rules": (["table", "test", "bad.rules", "access", "x"], 3),
    "table-bad-parts": ([*TABLE, "pairs", "a@b.example"], 2),
    "table-bad-key": ([*TABLE, "access", "192.0.2.0/24"], 2),
    "table-unknown": ([*TABLE, "acces", "192.0.2.1"], 2),
    "table-no-key": ([*TABLE, "access"], 2),
    "table-no-test": (["table", "show"], 2),
}


def run(arguments):
    result = subprocess.run([MAILREEVE, *arguments], cwd=PRINTED, capture_output=True, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


def printed(arguments):
    code, stdout, stderr = run(arguments)
    text = stdout + (f"--- standard error\n{stderr}" if stderr else "")
    return code, re.sub(r"\b\d+ ms\b", "N ms", re.sub(r'"took_ms": \d+', '"took_ms": 0', text))


def check_json(faults):
    """--json tells of each session and door what the text tells."""
    code, stdout, _ = run(["test", "--json", "wrong.scenario"])
    sessions = json.loads(stdout)
    told = [(session["session"], session["door"], session["ok"]) for session in sessions]
    expected = [(title, door, title == "right") for title in ("right", "the wrong reply", "the wrong effects", "not as SMTP goes") for door in ("policy", "milter")]
    if code != 1 or told != expected:
        faults.append(f"test --json: exit code {code}, {told}")
    if [step["ok"] for step in sessions[2]["steps"]] != [True, False]:
        faults.append(f"test --json: {sessions[2]['steps']}")


def check_folder(faults):
    """The folder for a scenario's files is removed."""
    place = pathlib.Path.cwd() / f"scenario-folders.{os.getpid()}"
    place.mkdir()
    subprocess.run([MAILREEVE, "test", SOURCE / "tests/scenario/include.scenario"], env={**os.environ, "TMPDIR": str(place)}, capture_output=True, check=True)
    left = list(place.rglob("*"))
    if left:
        faults.append(f"files are left behind: {left}")
    else:
        place.rmdir()


def main():
    faults = []
    for name, (arguments, exit_code) in CASES.items():
        path = PRINTED / f"{name}.out"
        code, text = printed(arguments)
        if code != exit_code:
            faults.append(f"{name}: exit code {code} in place of {exit_code}\n{text}")
        if "--update" in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            faults.append(f"{name}: mailreeve {' '.join(arguments)} prints\n{text}in place of {path}")
    check_json(faults)
    check_folder(faults)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


sys.exit(main())
