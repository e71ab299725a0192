#!/usr/bin/env python3
"""Both daemons and a private Postfix, SMTP sessions through them, and the rule behind each answer; run by packaging/try."""
import os
import re
import signal
import sys

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(TOP, "tests", "mta"))
sys.path.insert(0, os.path.join(TOP, "tests", "real"))

from daemons import MILTER, POLICYD, Daemon, Folder  # noqa: E402
from private_postfix import PrivatePostfix, SmtpClient  # noqa: E402
from probe import DnsServer  # noqa: E402

ZONE = """\
100.78.168.68.slow.example.test SERVFAIL
9.100.51.198.zen.example.test A 127.0.0.4
9.100.51.198.zen.example.test TXT "https://zen.example.test/why"
10.100.51.198.slow.example.test SERVFAIL
"""
ENDS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
MESSAGE = "From: Forouzan\nTO: Forouzan\nThis is a test message\nto show SMTP in action."
TEXTBOOK = ["HELO mail.adelphia.net", "MAIL FROM: forouzanb@adelphia.net", "RCPT TO: forouzanb@adelphia.net", "DATA", MESSAGE, "QUIT"]
PROGRAM = """\
From: a@example.org
Subject: an invoice
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: text/plain

Please look at it.
--part
Content-Type: application/octet-stream
Content-Disposition: attachment; filename*=utf-8''invoice.pdf%2Eexe

MZ
--part--"""
CHANGED = "From: a@example.org\nSubject: hello\n\nA message that is changed."
LETTER = ["EHLO mail.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>"]

SESSIONS = [
    ("a client from a network that the rules refuse: said at RCPT, to each recipient but postmaster", "203.0.113.7",
     ["EHLO mail.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>", "RCPT TO:<bob@example.test>", "RCPT TO:<postmaster@example.test>",
      "QUIT"]),
    ("a name that is not fully qualified", "198.51.100.7", ["HELO laptop", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>", "QUIT"]),
    ("a banned sender", "198.51.100.7", ["EHLO mail.evil.example", "MAIL FROM:<x@mail.evil.example>", "RCPT TO:<alice@example.test>", "QUIT"]),
    ("a client on a DNS list", "198.51.100.9", ["EHLO mail.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>", "QUIT"]),
    ("a look-up that fails is never a silent no", "198.51.100.10",
     ["EHLO mail.example.org", "MAIL FROM:<a@checked.example>", "RCPT TO:<alice@example.test>", "QUIT"]),
    ("a program, refused when the message is there", "198.51.100.7", [*LETTER, "DATA", PROGRAM, "QUIT"]),
    ("recipients with rules of their own: the second one comes in a message of its own", "198.51.100.7",
     [*LETTER, "RCPT TO:<bob@example.test>", "DATA", CHANGED, "MAIL FROM:<a@example.org>", "RCPT TO:<bob@example.test>", "QUIT"]),
    ("commands that Postfix does not know, answered by the milter", "198.51.100.7", ["EHLO mail.example.org", "EXPN staff", "FOOBAR", "QUIT"]),
]


# What the postmaster changes in the rules while everything runs: a title, then pairs of old and new text.
CHANGES = [
    ("the postmaster bans the sender and reloads (kill -HUP): the textbook session again", '"spam@bad.example"', '"spam@bad.example", "forouzanb@adelphia.net"'),
    ("now the sender's domain is to be looked up, and that look-up fails: the textbook session again", '"spam@bad.example", "forouzanb@adelphia.net"',
     '"spam@bad.example"', 'under "checked.example"', 'under "adelphia.net"'),
]


def show(speaker, text):
    """A part of the dialogue; of a list of extensions the first lines are enough."""
    lines = text.split("\n")
    if speaker == "S:" and len(lines) > 4:
        lines = lines[:2] + [f"... {len(lines) - 3} more ...", lines[-1]]
    for line in lines:
        print(f"  {speaker} {line}")


def why(daemon, decision):
    """The rule behind an answer, or what was done besides, and what failed: as the daemon logged it."""
    told = f"[{decision['rule']}] {decision['outcome']}" if decision.get("rule") else ""
    if decision.get("effect"):
        effect, rule = re.fullmatch(r"(.*) (\[.*\])", decision["effect"]).groups()
        told += f"{', ' if told else ''}{rule} {effect.replace('_', ' ', 1)}"
    if decision.get("failed"):
        told += f", because this failed: {decision['failed']}"
    return f"{daemon.name} at {decision['phase']}: {told}"


def replay(postfix, daemons, title, address, lines):
    """One session; behind each reply stand the decisions that the daemons logged for it."""
    print(f"\n== {title} (from {address})\n")
    with SmtpClient(postfix.port) as client:
        client.come_from(address)
        for line in lines:
            seen = [len(daemon.decisions()) for daemon in daemons]
            reply = client.send_message(line) if "\n" in line else client.command(line)
            show("C:", line + ("\n." if "\n" in line else ""))
            show("S:", reply)
            for daemon, start in zip(daemons, seen):
                for decision in daemon.decisions(start):
                    print(f"        ^ {why(daemon, decision)}")


def change(text, *pairs):
    """The rules text with each first one of a pair replaced by the second."""
    for old, new in zip(pairs[::2], pairs[1::2]):
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def reload_with(folder, daemons, text):
    """Other rules, read by both daemons."""
    folder.write("mail.rules", text)
    for daemon in daemons:
        count = daemon.log().count("reloaded: ")
        daemon.reload()
        daemon.wait_log("reloaded: ", count + 1)


def main():
    keep = "--keep" in sys.argv[1:]
    with open(os.path.join(TOP, "packaging", "examples", "demonstration.rules"), encoding="utf-8") as text:
        rules_text = text.read()
    with Folder() as folder, DnsServer(ZONE) as dns:
        rules = folder.write("mail.rules", rules_text)
        config = "[mailreeve]\ndoors = policy milter\n"
        with Daemon(POLICYD, folder, rules, config, dns.address) as policyd, \
                Daemon(MILTER, folder, rules, config, dns.address) as milter:
            settings = {
                "smtpd_recipient_restrictions": f"reject_unauth_destination, check_policy_service inet:127.0.0.1:{policyd.port}",
                "smtpd_milters": f"inet:127.0.0.1:{milter.port}",
            }
            with PrivatePostfix(settings) as postfix:
                print("\n== the rules\n")
                print("".join(f"    {line}\n" for line in rules_text.splitlines()), end="")
                print("\n== what Postfix is told (main.cf)\n")
                print("".join(f"    {name} = {value}\n" for name, value in settings.items()), end="")
                print("\nPostfix itself puts '<recipient>: Recipient address rejected:' before what its policy door says. Behind ^ stands what the daemon logged.")
                both = (policyd, milter)
                replay(postfix, both, "the textbook session", "68.168.78.100", TEXTBOOK)
                for session in SESSIONS:
                    replay(postfix, both, *session)
                header = postfix.wait_delivered("alice", CHANGED.rpartition("\n")[2]).split("\n\n", 1)[0]
                print("\n== what alice got: the header that the rules added, and the one that they replaced\n")
                print("\n".join(f"     {line}" for line in header.splitlines() if line.startswith(("X-Policy:", "Subject:"))))
                changed = rules_text
                for title, *pairs in CHANGES:
                    changed = change(changed, *pairs)
                    reload_with(folder, both, changed)
                    replay(postfix, both, title, "68.168.78.100", TEXTBOOK[:3] + ["QUIT"])
                reload_with(folder, both, rules_text)
                if keep:
                    print(f"""
It goes on until Ctrl-C. Talk to it:

    SMTP                 nc -C 127.0.0.1 {postfix.port}     (XCLIENT ADDR=198.51.100.9 makes you another client)
    the rules            {rules}     (then kill -HUP {policyd.process.pid} {milter.process.pid})
    the decisions        tail -f {policyd.log_path} {milter.log_path}
    what a rule does     {os.path.join(os.environ.get('MAILREEVE_BUILD', '.'), 'mailreeve')} explain {rules} --client-address 203.0.113.7 --helo mail.example.org \\
                             --sender a@example.org --recipient alice@example.test
    Postfix              postconf -c {postfix.config} -n; its log: {postfix.root}/mail.log""", flush=True)
                    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
                    signal.sigwait(ENDS)
    print("\nAll stopped, nothing left behind.")


if __name__ == "__main__":
    main()
