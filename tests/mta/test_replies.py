#!/usr/bin/env python3
"""What a client sees of a refusal, byte for byte, is what `mailreeve explain` says: each reply code that a rule may say, at each phase where it may be sent, and
texts of all kinds, through a real Postfix (policy daemon, with smtpd_delay_reject on and off; milter) and a real Sendmail (milter; socket maps).

    test_replies.py [--verbose] [WORD ...]        from the build folder; with words only the cases whose names have one of them

One rules file for all; each case is one rule of it, which the client meets by its address, its HELO name, the sender or the recipient. Needs root and Debian's
postfix package; without them it is skipped. What a private Sendmail needs is told in private_sendmail.py; without it that part is left out.
"""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from daemons import MILTER, POLICYD, Daemon, Folder, program  # noqa: E402
from private_postfix import PrivatePostfix, SmtpClient, free_port  # noqa: E402
from private_sendmail import SKIPPED, PrivateSendmail, milter  # noqa: E402

SERVER = "mx.example.test"
FEATURE = os.path.join(HERE, "..", "..", "packaging", "sendmail")
CLOSING = (421, 521)
COMMANDS = {"vrfy": "VRFY alice@example.test", "etrn": "ETRN relay.example", "expn": "EXPN team", "unknown": "XYZZY"}
MESSAGE = ("mail", "rcpt", "data", "eom")
DOORS = {"policy": ("connect", "helo", "mail", "rcpt", "data", "eom", "vrfy", "etrn"), "milter": ("connect", "helo", "mail", "rcpt", "data", "eom", "expn", "unknown"),
         "socketmap": ("vrfy", "expn", "etrn", "unknown")}


def mailreeve(*arguments):
    done = subprocess.run([program("mailreeve"), *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"mailreeve {arguments}: {done.stderr[-3000:]}")
    return json.loads(done.stdout)


class Case:
    """One rule, and the session that meets it."""

    count = 0

    def __init__(self, name, phase, action):
        Case.count += 1
        self.name, self.phase, self.action = name, phase, action
        self.address, self.helo, self.sender, self.recipient = "127.0.0.1", "client.example.net", "sender@example.net", "alice@example.test"
        self.command = COMMANDS.get(phase)
        if phase == "connect" or self.command:
            self.address = f"198.51.{100 + Case.count // 250}.{1 + Case.count % 250}"
            self.condition = f"client_address == {self.address}"
        elif phase in ("mail", "data", "eom"):
            self.sender = f"{name}@example.net"
            self.condition = f'sender == "{self.sender}"'
        elif phase == "rcpt":
            self.recipient = f"{name}@relay.example"  # Sendmail asks nobody about a user that it does not know
            self.condition = f'recipient == "{self.recipient}"'
        else:
            self.helo = f"{name}.example.net"
            self.condition = f'helo_name == "{self.helo}"'

    def rule(self):
        return f"    [{self.name.replace(chr(45), chr(95))}] {self.action} if {self.condition}\n"

    def explained(self, rules, delays):
        """door -> mail server -> what its client sees of the first refusal."""
        arguments = ["explain", rules[self.phase], "--json", "--client-address", self.address, "--ehlo", "--helo", self.helo, "--set", f"server_name={SERVER}", "--smtpd-delay-reject", "yes" if delays else "no"]
        if self.command:
            arguments += ["--command", self.command, "--door", "policy" if self.phase in ("vrfy", "etrn") else "milter"]
        else:
            arguments += ["--sender", self.sender, "--recipient", self.recipient]
        seen = {}
        for step in mailreeve(*arguments):
            for door, outcome in step["doors"].items():
                for client in outcome["clients"]:
                    seen.setdefault(door, {}).setdefault(client["mta"], client["replies"])
        return seen


# The cases

TEXTS = {
    "lines": 'reject 550 5.7.1 "the first line" "the second" "and the third"',
    "tempfail-lines": 'tempfail 451 4.7.1 "one" "two"',
    "empty-line": 'reject 550 5.7.1 "one" "{sasl_username}" "three"',
    "bye-lines": 'disconnect 421 4.7.0 "one" "two"',
    "never-lines": 'disconnect 521 5.7.1 "one" "two"',
    "percent": 'reject 550 5.7.1 "100% of %s %n %% mail"',
    "percent-554": 'reject 554 5.7.1 "100% of %s %n %% mail" "50%"',
    "eight-bit": 'reject 550 5.7.1 "café \u20ac"',
    "controls": 'reject 554 5.7.1 "two\\nlines"',
    "long": f'reject 550 5.7.1 "{"x" * 900}"',
    "too-long": f'reject 554 5.7.1 "{"y" * 1500}"',
    "long-lines": "reject 554 5.7.1 " + " ".join(f'"{i:02}{"z" * 600}"' for i in range(32)),
    "empty": 'reject 554 5.7.1 "{sasl_username}"',
    "enhanced-only": "reject 5.7.9",
    "code-only": "tempfail 451",
    "nothing": "reject",
    "quotes": 'reject 553 5.1.8 "<{client_address}>... \\"{helo_name}\\""',
    "looks-enhanced": 'reject 550 5.7.1 "5.7.9 is not the code"',
}
# Values of tables may have no enhanced code.
PLAIN = {"plain-550": "550 no enhanced code", "plain-450": "450 no enhanced code", "plain-554": "554 no enhanced code", "plain-defer": "DEFER later", "plain-reject": "REJECT"}


def code_cases():
    for reply in mailreeve("codes", "--json")["replies"]:
        code, phases = reply["code"], set(reply["phases"])
        if reply["sender"] != "policy":
            continue
        action = "disconnect" if code in CLOSING else "tempfail" if code < 500 else "reject"
        if "rcpt" in phases and action != "disconnect":
            phases |= {"connect", "helo"}  # said to the recipient
        for phase in sorted(phases):
            if not (phase == "vrfy" and action == "tempfail"):
                yield Case(f"c{code}-{phase}", phase, f'{action} {code} "{code} at {phase}"')


def enhanced_cases():
    """Postfix's policy protocol fits codes about addresses to what is refused."""
    for detail in (*range(11), 999):
        for phase in ("mail", "rcpt", "data"):
            yield Case(f"e{detail}-{phase}", phase, f'reject 550 5.1.{detail} "about an address"')
    for phase in ("connect", "helo", "eom", "vrfy", "etrn", "unknown"):
        yield Case(f"e1-{phase}", phase, 'reject 550 5.1.1 "about an address"')


def text_cases():
    for phase in MESSAGE + ("unknown",):
        for name, action in TEXTS.items():
            if phase == "unknown" and ("{sasl_username}" in action or "{helo_name}" in action):
                continue  # the facts are the message's, or unknown to socket maps
            yield Case(f"{name}-{phase}", phase, action)
    for phase in ("connect", "helo"):
        for name in ("lines", "bye-lines", "never-lines", "percent", "eight-bit", "controls", "long"):
            yield Case(f"{name}-{phase}", phase, TEXTS[name])
    for phase in ("vrfy", "etrn"):
        for name in ("lines", "percent", "eight-bit", "long"):
            yield Case(f"{name}-{phase}", phase, TEXTS[name])
    for phase in MESSAGE:
        for name in PLAIN:
            yield Case(f"{name}-{phase}", phase, f'check plain["{name}"]')
    yield Case("x" * 60, "rcpt", 'reject 550 5.1.1 "a long address"')


def door_can(door, case):
    """Sendmail closes the connection at unknown commands only."""
    return door != "socketmap" or case.phase == "unknown" or not case.action.startswith("disconnect")


def write_rules(folder, cases, phases, name):
    text = "table plain of string -> action { " + ", ".join(f'"{key}" -> "{value}"' for key, value in PLAIN.items()) + " }\n"
    for phase in phases:
        rules = [case.rule() for case in cases if case.phase == phase]
        text += f"at {phase} {{\n{''.join(rules)}}}\n" if rules else ""
    return folder.write(name, text)


# The client


class Client:
    """A session as bytes."""

    def __init__(self, smtp):
        self.socket, self.file = smtp.socket, smtp.file

    def reply(self):
        reply = b""
        while True:
            line = self.file.readline()
            reply += line
            if not line or line[3:4] != b"-":
                return reply

    def command(self, line):
        try:
            self.socket.sendall(line.encode() + b"\r\n")
            return self.reply()
        except (BrokenPipeError, ConnectionResetError):
            return b""


def steps(case):
    """phase, what is sent; the greeting comes before."""
    yield "helo", f"EHLO {case.helo}"
    if case.command:
        yield case.phase, case.command
        return
    yield "mail", f"MAIL FROM:<{case.sender}>"
    yield "rcpt", f"RCPT TO:<{case.recipient}>"
    yield "data", "DATA"
    yield "eom", "Subject: replies\r\n\r\nhello\r\n."


class Wrong(Exception):
    """The client saw something else."""


def compare(expected, phase, got):
    """True when the connection is closed."""
    wanted = next((reply for reply in expected if reply["phase"] == phase), None)
    if wanted is None:
        if got[:1] not in (b"2", b"3"):
            raise Wrong(f"at {phase}: nothing was to be refused: {got!r}")
        return False
    if got != wanted["bytes"].encode():
        raise Wrong(f"at {phase}:\n    explained {wanted['bytes'].encode()!r}\n    got       {got!r}")
    return wanted["closes"]


def tell(case, connect, expected):
    greeting, client = connect(case)
    try:
        closed = compare(expected, "connect", greeting)
        left = [reply["phase"] for reply in expected if reply["phase"] != "connect"]
        for phase, line in steps(case) if left and not closed else ():
            closed = compare(expected, phase, client.command(line))
            left = [other for other in left if other != phase]
            if closed or not left:
                break
        if left:
            raise Wrong(f"never came to {left}")
        if closed and client.file.readline() != b"":
            raise Wrong("the connection is not closed")
        if not closed and not client.command("NOOP"):
            raise Wrong("the connection is closed")
    finally:
        client.file.close()
        client.socket.close()


def try_to_tell(case, connect, expected):
    """What went wrong, or None."""
    try:
        return tell(case, connect, expected)
    except (Wrong, OSError) as problem:
        return problem


def through_postfix(port):
    def connect(case):
        client = SmtpClient(port)
        greeting = (client.greeting + "\r\n").encode()
        if case.address != "127.0.0.1":
            greeting = Client(client).command(f"XCLIENT ADDR={case.address} NAME=[UNAVAILABLE] PORT=40000")
        return greeting, Client(client)

    return connect


def through_sendmail(sendmail):
    def connect(case):
        client = sendmail.client(case.address if case.address != "127.0.0.1" else None, greeting="")
        return (client.greeting + "\r\n").encode(), Client(client)

    return connect


class Report:
    def __init__(self, verbose):
        self.verbose, self.told, self.wrong = verbose, 0, 0
        self.codes = {}

    def tell(self, where, cases, explained, door, mta, connect):
        phases = DOORS[door]
        before = self.told
        expectations = [(case, explained[case.name].get(door, {}).get(mta, [])) for case in cases if case.phase in phases and door_can(door, case)]
        expectations = [(case, expected) for case, expected in expectations if expected]
        with ThreadPoolExecutor(8) as pool:
            problems = pool.map(lambda pair: try_to_tell(pair[0], connect, pair[1]), expectations)
        for (case, expected), problem in zip(expectations, problems):
            self.told += 1
            if problem is not None:
                self.wrong += 1
                print(f"{where}: {case.name}: {case.action[:100]}: {problem}", flush=True)
            elif self.verbose:
                print(f"{where}: {case.name}: {expected}")
            self.codes.setdefault(where, set()).update(reply["bytes"][:3] for reply in expected)
        print(f"{where}: {self.told - before} sessions, {self.wrong} wrong so far", flush=True)


SETTINGS = {
    "smtpd_soft_error_limit": "1000", "smtpd_hard_error_limit": "1001", "virtual_mailbox_domains": "example.test, relay.example", "virtual_mailbox_maps": "static:all", "virtual_transport": "discard:", "strict_rfc821_envelopes": "no",
}


def postfix_services(policy_port, milter_port):
    ask = f"check_policy_service inet:127.0.0.1:{policy_port}"
    policy = {"smtpd_recipient_restrictions": f"reject_unauth_destination, {ask}", "smtpd_data_restrictions": ask, "smtpd_end_of_data_restrictions": ask, "smtpd_etrn_restrictions": ask}
    undelayed = {"smtpd_delay_reject": "no", "smtpd_client_restrictions": ask, "smtpd_helo_restrictions": ask, "smtpd_sender_restrictions": ask, **policy}
    return {"policy": policy, "undelayed": undelayed, "milter": {"smtpd_milters": f"inet:127.0.0.1:{milter_port}"}}


def main():
    verbose, words = "--verbose" in sys.argv[1:], [word for word in sys.argv[1:] if word != "--verbose"]
    if not PrivatePostfix.available():
        print("skipped: a private Postfix needs root and Debian's postfix package")
        return SKIPPED
    cases = [*code_cases(), *enhanced_cases(), *text_cases()]
    told = [case for case in cases if not words or any(word in case.name for word in words)]
    report = Report(verbose)
    with Folder() as folder:
        by_phase = {phase: write_rules(folder, cases, [phase], f"{phase}.rules") for phase in [*DOORS["policy"], "expn", "unknown"]}
        rules = {door: write_rules(folder, [case for case in cases if door_can(door, case)], phases, f"{door}.rules") for door, phases in DOORS.items()}
        config = "[mailreeve]\ndoors = {}\nserver_name = " + SERVER + "\n"
        early = [case for case in told if case.phase in ("connect", "helo", "mail")]
        with ThreadPoolExecutor(4) as pool:
            delayed = dict(zip([case.name for case in told], pool.map(lambda case: case.explained(by_phase, True), told)))
            undelayed = dict(zip([case.name for case in early], pool.map(lambda case: case.explained(by_phase, False), early)))
        with Daemon(POLICYD, folder, rules["policy"], config.format("policy")) as policyd, Daemon(MILTER, folder, rules["milter"], config.format("milter")) as filter_daemon:
            with PrivatePostfix(SETTINGS, services=postfix_services(policyd.port, filter_daemon.port)) as postfix:
                for name, expected, chosen in (("policy", delayed, told), ("undelayed", undelayed, early), ("milter", delayed, told)):
                    door = "milter" if name == "milter" else "policy"
                    report.tell(f"Postfix, {name}", chosen, expected, door, "postfix", through_postfix(postfix.ports[name]))
            why_not = PrivateSendmail.why_not()
            if why_not is None:
                with PrivateSendmail(milters=[milter(f"inet:{filter_daemon.port}@127.0.0.1")]) as sendmail:
                    report.tell("Sendmail, milter", told, delayed, "milter", "sendmail", through_sendmail(sendmail))
                socketmap = f"inet:127.0.0.1:{free_port()}"
                with Daemon(POLICYD, folder, rules["socketmap"], config.format("socketmap"), arguments=["--socketmap", socketmap], name="socketmap"):
                    feature = f"FEATURE(`mailreeve', `inet:{socketmap.rpartition(':')[2]}@127.0.0.1')dnl\n"
                    with PrivateSendmail(features=feature, feature_folders=[FEATURE]) as sendmail:
                        report.tell("Sendmail, socketmap", told, delayed, "socketmap", "sendmail", through_sendmail(sendmail))
            else:
                print(f"Sendmail: left out: {why_not}")
    if not words:
        documented = {"421", "450", "451", "452", "500", "501", "502", "503", "504", "550", "551", "552", "553", "554"}
        for where, codes in report.codes.items():
            if where in ("Postfix, policy", "Postfix, milter", "Sendmail, milter") and not documented <= codes:
                report.wrong += 1
                print(f"{where}: no client saw {sorted(documented - codes)}")
    return 1 if report.wrong or report.told == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
