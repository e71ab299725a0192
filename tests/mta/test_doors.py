#!/usr/bin/env python3
"""Every story of tests/scenario over the daemons' sockets: as Postfix's policy questions, as milter events and as questions of Sendmail's socket maps; those "through mta" through a real Postfix too.

    test_doors.py [--verbose] [SCENARIO ...]        from the build folder; without a scenario: all of tests/scenario

What `mailreeve test` shows of the rules in process holds for the daemons: replies, outcome, rule, effects and failed look-ups are compared with what the
story expects. The clock of a daemon is the real one, so stories that move the clock, or whose rules ask for the time, are left out. Postfix needs root.
"""
import glob
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import MILTER, POLICYD, Daemon, Folder, program  # noqa: E402
from miltermta import Closed, MilterMta  # noqa: E402
from private_postfix import PrivatePostfix, SmtpClient, free_port, wait_until  # noqa: E402
from probe import DnsServer  # noqa: E402

SCENARIOS = os.path.join(HERE, "..", "scenario")
MESSAGE_STEPS = ("mail", "rcpt", "data", "message")
CLOSING = ("421", "521")


def mailreeve(*arguments):
    return json.loads(subprocess.run([program("mailreeve"), *arguments], check=True, capture_output=True, text=True).stdout)


class Wrong(Exception):
    """A step did not come out as the story says."""


# What came of a step


class Outcome:
    """What the client hears, as the words of a story."""

    def __init__(self, said, outcome="pass", code=None, enhanced=None, lines=()):
        self.said, self.outcome, self.code, self.enhanced, self.lines = said, outcome, code, enhanced, list(lines)
        self.rule = None
        self.effects = []
        self.done = []      # to the message, at its end

    @property
    def refused(self):
        return self.code is not None

    def __str__(self):
        return f"{self.outcome} ({self.said!r}) by {self.rule} with {self.effects} done {self.done}"


def refusal(said, code, enhanced, lines):
    outcome = "disconnect" if code in CLOSING else "tempfail" if code[0] == "4" else "reject"
    return Outcome(said, outcome, code, enhanced, lines)


def split_reply(text):
    """550-5.7.1 one CR LF 550 5.7.1 two: the code, the enhanced code, the texts."""
    code, enhanced, lines = None, None, []
    for line in re.split(r"\r?\n", text):
        words = re.fullmatch(r"(\d{3})[- ](?:(\d\.\d{1,3}\.\d{1,3}) ?)?(.*)", line)
        code, enhanced = words[1], words[2]
        lines.append(words[3])
    return code, enhanced, lines


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unescape(text):
    return re.sub(r"\\(.)", r"\1", text)


def fields(line):
    """key, value of a log line, in order: effects and failures may be there several times."""
    return [(m[1], unescape(m[2]) if m[2] is not None else m[3]) for m in re.finditer(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line)]


# Effects with an address, and what a story calls them.
ADDRESSED = {"add_recipient": "add recipient", "remove_recipient": "remove recipient", "change_sender": "change sender", "redirect_message": "redirect",
             "bcc_message": "bcc"}
# What begins the words of something that is done to a message.
CHANGES = ("prepend header ", "append header ", "replace header ", "delete header ", "quarantine ", "filter ", *(f"{words} " for words in ADDRESSED.values()))
# ... and of those, what a milter's change at the end of the message says by itself.
SAID_BY_CHANGES = ("prepend header ", "quarantine ")


def effect_words(text):
    """An effect of the log in the words of a story."""
    words = re.fullmatch(r"(?s)(\w+) (.*) \[(.*)\]", text)
    kind, value, rule = words[1], words[2], words[3]
    if kind.endswith("_header"):
        name, nth, content = re.fullmatch(r"(?s)([^ :]+)(?: (\d+|last))?(?:: (.*))?", value).groups()
        return " ".join([kind.replace("_", " "), quoted(name), *([nth] if nth else []), *([quoted(content)] if content is not None else [])])
    if kind in ADDRESSED:
        return f"{ADDRESSED[kind]} {quoted(value if value == '<>' else value[1:-1])}"
    if kind in ("quarantine_message", "filter_message"):
        return f"{kind.removesuffix('_message')} {quoted(value)}"
    if kind == "delay":
        milliseconds = int(value[: -len("ms")])
        return f"delay {milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"delay {milliseconds}ms"
    return f"{kind} {rule}"  # observed, undone


class Log:
    """The decisions of a daemon since the last look."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.seen = len(self.lines())

    def lines(self):
        return [line for line in self.daemon.log().split("\n")[:-1] if re.search(r"\bphase=\w+ ", line)]

    def read(self, outcome):
        """The last decision since then tells the rule; all of them the effects."""
        lines = self.lines()
        new, self.seen = lines[self.seen:], len(lines)
        decisions = [fields(line) for line in new]
        for line in decisions:
            for key, value in line:
                if key == "effect":
                    outcome.effects.append(effect_words(value))
                elif key == "log":
                    outcome.effects.append(f"log {quoted(value)}")
                elif key == "failed":
                    outcome.effects += [f"failed {quoted(each.split(': ', 1)[0])}" for each in value.split("; ")]
        last = dict(decisions[-1]) if decisions else {}
        outcome.rule = last.get("rule") if last.get("outcome") else None
        if outcome.outcome == "pass" and last.get("outcome") in ("accept", "discard"):
            outcome.outcome = last["outcome"]
        return last


def compare(expected, got, at_end):
    """What does not fit, or None."""
    if expected["outcome"] == "ok":
        if got.refused:
            return "a refusal"
    elif expected["outcome"] != got.outcome:
        return "the outcome"
    if expected["code"] is not None and got.code != str(expected["code"]):
        return "the code"
    if expected["enhanced"] is not None and got.enhanced != expected["enhanced"]:
        return "the enhanced code"
    if expected["lines"] and got.lines not in (expected["lines"], [" ".join(expected["lines"])]):  # the policy protocol has one line
        return "the text"
    if expected["rule"] is not None and got.rule != expected["rule"]:
        return "the rule"
    for words in expected["with"]:
        to_message = words.startswith(CHANGES)
        if words not in (got.done if at_end and to_message else got.effects):
            return f"with {words}"
    if expected["without_effects"] and (got.done if at_end else got.effects):
        return "effects"
    return None


# The facts of a session


class Facts:
    """What the MTA knows at each step: names of facts and their texts."""

    processes = itertools.count(0x1A2B)

    def __init__(self, story):
        self.values = {"server_name": story["server"], "service": story["service"]}
        self.messages = self.recipients = 0
        self.process = next(Facts.processes)  # of smtpd: no two sessions have an instance in common
        self.last_recipient = None

    def know(self, step):
        kind, text = step["step"], step.get("argument")
        for name in ("recipient", "recipient_count", "message_size", "etrn_domain", "command"):
            self.values.pop(name, None)
        if self.recipients and "queue_id" not in self.values:
            self.values["queue_id"] = f"4Cg8Mq3FzZz{self.messages}"
        if kind == "client":
            name = step.get("name")
            self.values.update(client_address=text, client_name=name or "unknown", reverse_client_name=step.get("reverse") or name or "unknown",
                               client_port=str(step.get("number", 40000)))
        elif kind in ("helo", "ehlo"):
            self.values.update(helo_name=text, protocol_name="ESMTP" if kind == "ehlo" else "SMTP")
            self.recipients = 0
        elif kind == "mail":
            self.messages += 1
            self.recipients = 0
            self.values.pop("queue_id", None)
            self.values.update(sender=text, instance=f"{self.process:x}.65a0f3c1.{self.messages}.0", size=str(step.get("number", 0)))
        elif kind in ("rcpt", "vrfy"):
            self.values["recipient"] = text
        elif kind in ("data", "message"):
            self.values["recipient_count"] = str(self.recipients)
            self.values["message_size"] = str(step.get("number") or len(step.get("content", "").encode()))
        elif kind == "etrn":
            self.values["etrn_domain"] = text
        elif kind == "set":
            self.values[step["fact"]] = text
        elif kind == "unset":
            self.values.pop(step["fact"], None)

    def note(self, step, outcome):
        if step["step"] == "rcpt" and not outcome.refused:
            self.recipients += 1
            self.last_recipient = step["argument"]
        elif step["step"] in ("message", "rset"):
            self.recipients = 0


def bare(address):
    """Postfix sends addresses without <> and without quotes."""
    address = address[1:-1] if address.startswith("<") and address.endswith(">") else address
    local = re.fullmatch(r'"((?:[^"\\]|\\.)*)"(@.*)?', address)
    return unescape(local[1]) + (local[2] or "") if local else address


# The doors


class PolicyStory:
    """The questions that Postfix asks, over one connection."""

    STATES = {"mail": "MAIL", "rcpt": "RCPT", "data": "DATA", "message": "END-OF-MESSAGE", "vrfy": "VRFY", "etrn": "ETRN"}

    def __init__(self, story, daemon, facts):
        self.facts, self.sources, self.log, self.done = Facts(story), facts, Log(daemon), []
        self.socket = socket.create_connection(("127.0.0.1", daemon.port), 60)
        self.file = self.socket.makefile("rb")

    def request(self, step):
        kind = step["step"]
        lines = ["request=smtpd_access_policy", f"protocol_state={self.STATES[kind]}"]
        for fact in self.sources:
            name = fact["name"]
            if not fact["policy"] or fact["policy"] == "never" or name in ("size", "message_size", "service", "server_name") or " " in fact["policy"]:
                continue
            value = self.facts.values.get("service" if name == "policy_context" else name) or ""
            if name == "recipient" and kind in ("data", "message") and self.facts.recipients == 1:
                value = self.facts.last_recipient
            if fact["scope"] == "message" and kind not in MESSAGE_STEPS:
                value = ""
            lines.append(f"{fact['policy']}={bare(value) if name in ('sender', 'recipient') else value}")
        size = self.facts.values.get("message_size" if kind == "message" else "size") if kind in MESSAGE_STEPS else None
        return "\n".join(lines + [f"size={size or 0}", "", ""]).encode()

    def answer(self):
        line = self.file.readline().decode().rstrip("\n")
        if not line.startswith("action=") or self.file.readline() != b"\n":
            raise Wrong(f"not an answer: {line!r}")
        return line[len("action="):]

    def tell(self, step):
        kind = step["step"]
        self.facts.know(step)
        if kind in ("mail", "rset"):
            self.done = []
        if kind not in self.STATES:
            return None
        self.socket.sendall(self.request(step))
        action = self.answer()
        outcome = Outcome(action)
        if action[0] in "45":
            outcome = refusal(action, *split_reply(action))
        last = self.log.read(outcome)
        if kind == "mail" and outcome.refused and last.get("phase") in ("connect", "helo"):
            return Outcome(action)  # not said before RCPT
        word, _, rest = action.partition(" ")
        if word == "PREPEND":
            name, value = rest.split(": ", 1)
            self.done.append(f"prepend header {quoted(name)} {quoted(value)}")
        elif word in ("HOLD", "REDIRECT", "BCC", "FILTER"):
            self.done.append(f"{'quarantine' if word == 'HOLD' else word.lower()} {quoted(rest)}")
        elif word == "DISCARD":
            outcome.outcome = "discard"
        outcome.done = list(self.done)
        self.facts.note(step, outcome)
        return outcome

    def close(self):
        self.file.close()
        self.socket.close()


NO_REPLY = "(no reply)"


class MilterStory:
    """The events that an MTA sends."""

    def __init__(self, story, daemon, facts):
        self.facts, self.log, self.macros = Facts(story), Log(daemon), {}
        self.sources = {fact["name"]: [word for word in (fact["milter"] or "").split() if word.startswith("{") or len(word) == 1] for fact in facts}
        self.mta = MilterMta(daemon.listen, macros=self.macros)
        self.mta.negotiate()
        self.session_over = self.message_over = self.in_message = False
        self.kept = []      # what the rules said to do to the message, where no single change says it

    def send(self, step):
        kind, text, mta = step["step"], step.get("argument"), self.mta
        if kind == "client":
            return mta.connect(step.get("name") or f"[{text}]", text, step.get("number", 40000))
        if kind in ("helo", "ehlo"):
            if self.in_message:
                mta.abort()
            return mta.helo(text)
        if kind == "mail":
            self.in_message = True
            return mta.mail(text, *([f"SIZE={step['number']}"] if "number" in step else []))
        if kind == "rcpt":
            return mta.rcpt(text)
        if kind == "data":
            return mta.data()
        if kind == "message":
            return mta.content(step.get("content", ""))
        return mta.unknown(text)

    def tell(self, step):
        kind = step["step"]
        self.facts.know(step)
        if kind in ("mail", "rset", "helo", "ehlo"):
            self.message_over = False
        if kind in ("rset", "quit"):
            if not self.session_over:
                self.mta.abort() if kind == "rset" else self.mta.quit()
            self.in_message = False
            self.facts.note(step, Outcome(""))
            return None
        if kind in ("vrfy", "etrn", "set", "unset"):
            return None
        if self.session_over or (self.message_over and kind in MESSAGE_STEPS):
            return Outcome("accepted before", "accept")
        self.macros.clear()
        self.macros.update({name: value for fact, value in self.facts.values.items() if value for name in self.sources.get(fact, [])})
        answer = self.send(step)
        outcome = self.read(answer, kind)
        self.facts.note(step, outcome)
        if kind == "message":
            self.in_message = False
        return outcome

    def wait_log(self, outcome):
        """The MTA did not wait for a reply to this step; its decision is logged soon."""
        wait_until(lambda: len(self.log.lines()) > self.log.seen, "a decision of a step without reply")
        self.log.read(outcome)

    def read(self, answer, kind):
        if answer is None:
            outcome = Outcome(NO_REPLY)
        elif answer.action == "reply":
            outcome = refusal(answer.reply, *split_reply(answer.reply.replace("%%", "%")))
        elif answer.action == "discard":
            outcome = Outcome("discard", "discard")
        elif answer.action in ("reject", "tempfail"):
            outcome = refusal(answer.action, {"reject": "550", "tempfail": "451"}[answer.action], None, [])
        else:
            outcome = Outcome(answer.action)
        if answer is not None:
            self.log.read(outcome)
        if answer is not None and answer.action == "accept":
            self.session_over = self.session_over or kind in ("client", "helo", "ehlo")
            self.message_over = True
        if kind == "mail":
            self.kept = []
        if not outcome.refused:
            self.kept += [words for words in outcome.effects if words.startswith(CHANGES) and not words.startswith(SAID_BY_CHANGES)]
        for change in answer.changes if answer is not None else []:
            if change[0] == "insert":
                outcome.done.append(f"prepend header {quoted(change[2])} {quoted(change[3])}")
            elif change[0] == "quarantine":
                outcome.done.append(f"quarantine {quoted(change[1])}")
        if kind == "message":
            outcome.done += self.kept
        return outcome

    def close(self):
        self.mta.socket.close()


class SocketmapStory:
    """The questions of Sendmail's rulesets, over one connection."""

    MAPS = {"vrfy": "vrfy", "etrn": "etrn", "unknown": "other"}

    def __init__(self, story, daemon, facts):
        self.facts, self.log = Facts(story), Log(daemon)
        self.names = [fact["name"] for fact in facts if fact["socketmap"] not in (None, "", "argument")]
        self.socket = socket.create_connection(("127.0.0.1", daemon.socketmap_port), 60)
        self.file = self.socket.makefile("rb")

    def request(self, step):
        event, argument = self.MAPS[step["step"]], step["argument"]
        if event == "other":
            is_expn = argument[:4].upper() == "EXPN"
            event, argument = ("expn", argument[4:]) if is_expn else ("other", argument + "\x9b5")
        fields = "".join(f"{name}= {self.facts.values.get(name) or ''}<>" for name in self.names)
        text = f"mailreeve_{event} {fields}argument= {argument}".encode("latin-1")
        return event, b"%d:%s," % (len(text), text)

    def answer(self):
        length = b""
        while not length.endswith(b":"):
            byte = self.file.read(1)
            if not byte:
                raise Wrong("no answer")
            length += byte
        text = self.file.read(int(length[:-1]) + 1)
        if not text.endswith(b","):
            raise Wrong(f"not an answer: {text!r}")
        return text[:-1].decode("ascii")

    def tell(self, step):
        self.facts.know(step)
        if step["step"] not in self.MAPS:
            return None
        event, request = self.request(step)
        self.socket.sendall(request)
        answer = self.answer()
        words = re.fullmatch(r'OK (?:pass|(?:refuse|defer) "(.*)")', answer)
        if words is None:
            raise Wrong(f"not an answer: {answer!r}")
        outcome = Outcome(answer)
        if words[1] is not None:
            outcome = refusal(answer, *split_reply(words[1].replace("%%", "%")))
            if outcome.outcome == "disconnect" and event != "other":
                outcome.outcome = "tempfail"  # Sendmail goes on
        self.log.read(outcome)
        return outcome

    def close(self):
        self.file.close()
        self.socket.close()


DOORS = {"policy": (POLICYD, PolicyStory), "milter": (MILTER, MilterStory), "socketmap": (POLICYD, SocketmapStory)}


# The world of a story


def zone(answers):
    lines = []
    for answer in answers:
        kind, value = answer["kind"], answer["value"]
        if kind == "fails":
            lines.append(f"{answer['name']} {value if value in ('SERVFAIL', 'REFUSED', 'NOTIMP', 'FORMERR') else 'SERVFAIL'}")
        elif kind == "silent":
            lines.append(f"{answer['name']} SILENT")
        else:
            lines.append(f"{answer['name']} {kind} {json.dumps(value) if kind == 'TXT' else value}")
    return "\n".join(lines) + "\n"


def needs_the_clock(rules):
    """The rules ask for the time (outside texts and comments)."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"|#.*', "", rules)
    return re.search(r"\b(time|date|weekday)\b", plain) is not None


class World:
    """Rules, files, DNS answers and daemons of one rules text of a story."""

    def __init__(self, path, story, index):
        self.story = story
        self.folder = Folder()
        entry = story["rules"][index]
        if entry["text"] is None:
            with open(os.path.join(os.path.dirname(path), entry["path"]), encoding="utf-8") as text:
                self.text = text.read()
        else:
            self.text = entry["text"]
        for file in story["files"]:
            os.makedirs(os.path.dirname(os.path.join(self.folder.path, file["name"])), exist_ok=True)
            self.folder.write(file["name"], file["text"])
        self.rules = self.folder.write("story.rules", self.text)
        self.dns = DnsServer(zone(story["dns"]))
        self.silent = any(answer["kind"] == "silent" for answer in story["dns"])

    def can_be_alone(self, door):
        """Rules that this door can do without the other."""
        config = self.folder.write("alone.conf", f"[mailreeve]\ndoors = {door}\n")
        command = [program(DOORS[door][0]), "--check", "--config", config, "--rules", self.rules]
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def daemon(self, program_path, doors, listen=None):
        config = f"[mailreeve]\ndoors = {doors}\nserver_name = {self.story['server']}\ndecisions = all\n"
        config += "deadline = 400ms\n" if self.silent else ""
        if self.story["service"]:
            config += "".join(f"[{group}]\nservice = {self.story['service']}\n" for group in ("policy", "milter"))
        ports = {"socketmap": free_port()} if program_path == POLICYD and "socketmap" in doors else {}
        daemon = Daemon(program_path, self.folder, self.rules, config, resolver=self.dns.address, listen=listen,
                        arguments=[word for port in ports.values() for word in ("--socketmap", f"inet:127.0.0.1:{port}")])
        daemon.socketmap_port = ports.get("socketmap")
        return daemon

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dns.__exit__()
        self.folder.remove()


def in_lanes(jobs):
    """Runs all, a few at a time: daemons and mail servers let a test wait."""
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(job) for job in jobs]:
            done.result()


class Report:
    def __init__(self, verbose):
        self.verbose = verbose
        self.steps = self.failures = 0
        self.lock = threading.Lock()

    def step(self, path, step, how, expected, got, at_end):
        problem = compare(expected, got, at_end)
        with self.lock:
            self.steps += 1
            self.failures += problem is not None
        if self.verbose:
            print(f"{path}:{step['line']}: {how}: {step['text']}: {got}")
        if problem is not None:
            wanted = {key: value for key, value in expected.items() if value}
            print(f"{path}:{step['line']}: {how}: {step['text']}\n    wrong is {problem}\n    expected {wanted}\n    got      {got}", flush=True)
        return problem is None


def tell_over_socket(path, session, door, teller, owned, report):
    """One session through one door; it ends at the first wrong step."""
    try:
        for step in session["steps"]:
            if door not in step["doors"]:
                continue
            try:
                got = teller.tell(step)
            except (Closed, ConnectionError, Wrong) as problem:
                got = Outcome(f"{type(problem).__name__} {problem}", "nothing")
            expected = step["expected"].get(door)
            if expected is None or (owned and step["step"] not in owned):
                continue
            at_end = step["step"] == "message"
            if owned and at_end:
                expected = heard(expected)
            if got is not None and got.said == NO_REPLY and (expected["with"] or expected["rule"]):
                teller.wait_log(got)
            if not report.step(path, step, door, expected, got or Outcome("(not asked)"), at_end):
                return
    finally:
        teller.close()


def heard(expected):
    """Without what is done to the message."""
    return dict(expected, without_effects=False, **{"with": [words for words in expected["with"] if not words.startswith(CHANGES)]})


OWNED = {"policy": ("client", "helo", "ehlo", "mail", "rcpt", "vrfy", "etrn"), "milter": ("data", "message", "unknown"), "socketmap": ("vrfy", "etrn", "unknown")}


def over_sockets(path, story, facts, report):
    for index in range(len(story["rules"])):
        sessions = [session for session in story["sessions"] if session["rules"] == index and is_timeless(session)]
        with World(path, story, index) as world:
            if not sessions or needs_the_clock(world.text):
                continue
            for door, (program_path, tell) in DOORS.items():
                through = [session for session in sessions if door in session["doors"]]
                # A daemon that is alone refuses rules that only another door can do: then all doors are on, and each is asked for what it owns.
                alone = world.can_be_alone(door)
                if through:
                    with world.daemon(program_path, door if alone else "policy milter socketmap") as daemon:
                        for session in through:
                            tell_over_socket(path, session, door, tell(story, daemon, facts), None if alone else OWNED[door], report)


def is_timeless(session):
    return all(step["step"] != "clock" for step in session["steps"])


# A real Postfix

SERVER = "mx.example.org"  # what stories call it that say nothing else
SETTINGS = {
    "myhostname": SERVER, "mydestination": "", "relay_domains": "static:all", "relay_transport": "discard:", "virtual_mailbox_domains": "", "virtual_mailbox_maps": "",
    "smtpd_relay_restrictions": "permit_auth_destination, reject", "max_use": "1", "smtpd_policy_service_retry_delay": "1s", "strict_rfc821_envelopes": "no",
}


class PostfixStory:
    """SMTP as a client speaks it; XCLIENT makes it any client. doors: who is asked."""

    def __init__(self, postfix, doors, logs):
        self.client, self.doors, self.logs = SmtpClient(postfix.port), doors, logs
        self.held = None

    def command(self, step):
        kind, text = step["step"], step.get("argument")
        if kind == "client":
            return self.client.come_from(text, step.get("name") or "[UNAVAILABLE]", step.get("number", 40000))
        if kind == "mail":
            return self.client.command(f"MAIL FROM:{text}" + (f" SIZE={step['number']}" if "number" in step else ""))
        if kind == "message":
            text = step.get("content", "Subject: story\r\n\r\nhello\r\n").removesuffix("\r\n").replace("\r\n", "\n")
            return self.client.send_message(re.sub(r"(?m)^\.", "..", text))
        words = {"helo": f"HELO {text}", "ehlo": f"EHLO {text}", "rcpt": f"RCPT TO:{text}", "vrfy": f"VRFY {text}", "etrn": f"ETRN {text}", "unknown": text}
        return self.client.command(words.get(kind, kind.upper()))

    def owner(self, step):
        """The door that answers at this step."""
        if self.doors == ["policy", "milter"]:
            return "policy" if step["step"] in ("client", "helo", "ehlo", "mail", "rcpt", "vrfy", "etrn") else "milter"
        return self.doors[0]

    def tell(self, step):
        reply = self.command(step)
        owner = self.owner(step)
        code, enhanced, lines = split_reply(reply) if re.match(r"\d{3}", reply) else ("421", None, [])
        outcome = refusal(reply, code, enhanced, lines) if code[0] in "45" else Outcome(reply)
        for door, log in self.logs.items():
            got = Outcome(reply)
            log.read(got)
            if door == owner:
                outcome.rule, outcome.effects = got.rule, got.effects
                if not outcome.refused:
                    outcome.outcome = got.outcome
        if owner == "policy" and outcome.refused:
            outcome.lines = [re.sub(r"^<[^ ]*>: [A-Z][a-z -]* rejected: ", "", line) for line in outcome.lines]
        return owner, outcome

    def close(self):
        self.client.close()


def tell_to_postfix(path, session, how, teller, report):
    """Compares what the client hears and the rule; a policy door that is asked at RCPT only says there what mail refuses, so a story ends at such a step."""
    try:
        for step in session["steps"]:
            owner = teller.owner(step)
            if owner not in step["doors"]:
                continue
            expected = step["expected"].get(owner)
            if step["step"] in ("vrfy", "etrn", "set", "unset") or (owner == "policy" and step["step"] == "mail" and expected["outcome"] in ("reject", "tempfail", "discard")):
                return
            _, got = teller.tell(step)
            asked = owner == "milter" or step["step"] not in ("client", "helo", "ehlo", "mail")
            if expected is not None and asked:
                heard = dict(expected, **{"with": [], "without_effects": False})
                if not report.step(path, step, how, heard, got, step["step"] == "message"):
                    return
            if got.refused and got.code in CLOSING:
                return
    finally:
        teller.close()


def through_postfix(stories, doors, report):
    """One Postfix that is wired so, the daemons at fixed ports behind it."""
    ports = {door: free_port() for door in doors}
    settings = dict(SETTINGS, smtpd_recipient_restrictions="permit_auth_destination, reject")
    if "policy" in doors:
        ask = f"check_policy_service inet:127.0.0.1:{ports['policy']}"
        settings["smtpd_recipient_restrictions"] = f"reject_unauth_destination, {ask}"
        if "milter" not in doors:
            settings.update({"smtpd_data_restrictions": ask, "smtpd_end_of_data_restrictions": ask})
    if "milter" in doors:
        settings["smtpd_milters"] = f"inet:127.0.0.1:{ports['milter']}"
    with PrivatePostfix(settings) as postfix:
        for path, story in [(path, story) for path, story in stories if story["server"] == SERVER]:
            for index in range(len(story["rules"])):
                sessions = [session for session in story["sessions"] if session["mta"] and session["rules"] == index and set(doors) <= set(session["doors"])]
                if sessions:
                    postfix_sessions(path, story, index, sessions, doors, ports, postfix, report)


def postfix_sessions(path, story, index, sessions, doors, ports, postfix, report):
    with World(path, story, index) as world:
        if len(doors) == 1 and not world.can_be_alone(doors[0]):
            return
        daemons = {door: world.daemon(DOORS[door][0], " ".join(doors), f"inet:127.0.0.1:{ports[door]}") for door in doors}
        try:
            for door, daemon in daemons.items():
                daemon.port = ports[door]
                daemon.start()
            for session in sessions:
                teller = PostfixStory(postfix, doors, {door: Log(daemon) for door, daemon in daemons.items()})
                tell_to_postfix(path, session, f"Postfix with {' and '.join(doors)}", teller, report)
        finally:
            for daemon in daemons.values():
                daemon.stop()


def main():
    arguments = sys.argv[1:]
    report = Report("--verbose" in arguments)
    paths = [argument for argument in arguments if argument != "--verbose"] or sorted(glob.glob(os.path.join(SCENARIOS, "*.scenario")))
    facts = mailreeve("facts", "--json")
    stories = [(os.path.relpath(path), story) for path in paths for story in mailreeve("test", "--print", path)]
    in_lanes([lambda path=path, story=story: over_sockets(path, story, facts, report) for path, story in stories])
    print(f"over sockets: {report.steps} steps of {len(stories)} files, {report.failures} wrong", flush=True)
    if PrivatePostfix.available():
        before = report.steps
        in_lanes([lambda doors=doors: through_postfix(stories, doors, report) for doors in (["policy"], ["milter"], ["policy", "milter"])])
        print(f"through Postfix: {report.steps - before} steps, {report.failures} wrong in all")
    else:
        print("through Postfix: left out, a private Postfix needs root and Debian's postfix package")
    sys.exit(1 if report.failures or report.steps == 0 else 0)


if __name__ == "__main__":
    main()
