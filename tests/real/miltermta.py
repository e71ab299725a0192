#!/usr/bin/env python3
"""The MTA's side of the milter protocol (version 6), for tests: packets, negotiation, macros, steps without reply, and a count of round trips.

    with MilterMta("inet:127.0.0.1:8899") as mta:
        mta.negotiate()
        mta.connect("mail.example.org", "192.0.2.1")
        mta.helo("mail.example.org")
        mta.mail("<a@b.test>", "SIZE=100")
        answer = mta.rcpt("<c@d.test>")
        answer.action, answer.reply            # "reply", "550 5.7.1 no"

An event that was declined is not sent and returns None; one that was agreed to have no reply returns None too. Like Postfix and Sendmail, it sends
those macros of `macros` that the filter asked for at the step (the usual ones when it asked for none). Protocol: sendmail's libmilter/docs, mfdef.h.
"""
import itertools
import re
import socket
import struct

ACTIONS = {"ADDHDRS": 0x1, "CHGBODY": 0x2, "ADDRCPT": 0x4, "DELRCPT": 0x8, "CHGHDRS": 0x10, "QUARANTINE": 0x20, "CHGFROM": 0x40, "ADDRCPT_PAR": 0x80,
           "SETSYMLIST": 0x100}
ALL_ACTIONS = 0x1FF
ALL_STEPS = 0x1FFFFF

# command: (declined by, without a reply by, stage of its macros)
STEPS = {
    "C": (0x1, 0x1000, 0),
    "H": (0x2, 0x2000, 1),
    "M": (0x4, 0x4000, 2),
    "R": (0x8, 0x8000, 3),
    "T": (0x200, 0x10000, 4),
    "L": (0x20, 0x80, None),
    "N": (0x40, 0x40000, 6),
    "B": (0x10, 0x80000, None),
    "E": (0, 0, 5),
    "U": (0x100, 0x20000, None),
}

FINAL = {"c": "continue", "r": "reject", "t": "tempfail", "a": "accept", "d": "discard", "s": "skip", "y": "reply"}

# command: (its name, whether an index comes first)
CHANGES = {"i": ("insert", True), "h": ("add", False), "m": ("change", True), "+": ("to", False), "-": ("not to", False), "e": ("from", False),
           "q": ("quarantine", False)}

USUAL = {0: ["j", "{daemon_name}", "v", "_"], 1: ["{tls_version}", "{cipher}"], 2: ["i", "{auth_type}", "{auth_authen}", "{mail_addr}"],
         3: ["i", "{rcpt_addr}"], 4: ["i"], 5: ["i"], 6: ["i"]}


class Closed(Exception):
    """The filter has closed the connection."""


class Answer:
    def __init__(self, action, reply, changes):
        self.action = action    # one of FINAL's
        self.reply = reply      # of "reply": "550 5.7.1 text", lines joined with CR LF as sent
        self.changes = changes  # at the end of the message, in order: ("insert", index, name, value), ("add", name, value), ("change", index, name, value),
        #                         ("to", address), ("not to", address), ("from", address), ("quarantine", why)

    def __repr__(self):
        return f"{self.action}{f' {self.reply!r}' if self.reply else ''}{f' {self.changes}' if self.changes else ''}"


def change(command, data):
    name, indexed = CHANGES[command]
    index = struct.unpack("!I", data[:4]) if indexed else ()
    return (name, *index, *(text.decode("latin-1") for text in data[4 if indexed else 0:].split(b"\0")[:-1]))


def dial(address, timeout):
    if address.startswith("unix:"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(address[len("unix:"):])
        return sock
    host, port = address[len("inet:"):].rsplit(":", 1)
    sock = socket.create_connection((host.strip("[]"), int(port)), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


BODY_PIECE = 65535


def cut(content):
    """The fields of a message's header as an MTA hands them over, folded by LF alone, and the pieces of its body. Lines end in CR LF."""
    fields, rest = [], content.encode().decode("latin-1")
    while match := re.match(r"([!-9;-~]+):[ ]?([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)\r\n", rest):
        fields.append((match[1], match[2].replace("\r\n", "\n")))
        rest = rest[match.end():]
    body = rest.removeprefix("\r\n").encode("latin-1")
    return fields, [body[start:start + BODY_PIECE] for start in range(0, len(body), BODY_PIECE)]


class MilterMta:
    def __init__(self, address, actions=ALL_ACTIONS, steps=ALL_STEPS, version=6, macros=None, timeout=60):
        self.socket = dial(address, timeout)
        self.offered_actions, self.offered_steps, self.version = actions, steps, version
        self.actions = self.steps = 0
        self.macros = {"j": "mx.example.test", "i": "QUEUEID", "{daemon_name}": "mx.example.test"} if macros is None else macros
        self.asked = {}        # stage: macros
        self.round_trips = 0
        self.sent = []         # commands, in order

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # Packets

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, command, data=b""):
        self.sent.append(command)
        self.send_raw(struct.pack("!I", len(data) + 1) + command.encode() + data)

    def receive_exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionError as error:
                raise Closed() from error
            if not part:
                raise Closed()
            data += part
        return data

    def receive(self):
        length = struct.unpack("!I", self.receive_exactly(4))[0]
        data = self.receive_exactly(length)
        return chr(data[0]), data[1:]

    # Negotiation

    def negotiate(self):
        self.send("O", struct.pack("!III", self.version, self.offered_actions, self.offered_steps))
        self.round_trips += 1
        command, data = self.receive()
        if command != "O":
            raise AssertionError(f"negotiation was answered with {command!r}")
        _, self.actions, self.steps = struct.unpack("!III", data[:12])
        rest = data[12:]
        while len(rest) > 4:
            stage = struct.unpack("!I", rest[:4])[0]
            names, rest = rest[4:].split(b"\0", 1)
            self.asked[stage] = names.decode().split()
        return self

    def asked_action(self, name):
        return bool(self.actions & ACTIONS[name])

    # Events

    def declined(self, command):
        return bool(self.steps & STEPS[command][0])

    def without_reply(self, command):
        return bool(self.steps & STEPS[command][1])

    def send_macros(self, command):
        stage = STEPS[command][2]
        names = self.asked.get(stage, USUAL.get(stage, []))
        pairs = b"".join(name.encode() + b"\0" + self.macros[name].encode() + b"\0" for name in names if self.macros.get(name) is not None)
        if stage is not None and pairs:
            data = command.encode() + pairs
            self.send_raw(struct.pack("!I", len(data) + 1) + b"D" + data)

    def event(self, command, data=b"", wait=True):
        if self.declined(command):
            return None
        self.send_macros(command)
        self.send(command, data)
        if self.without_reply(command) or not wait:
            return None
        return self.answer()

    def answer(self):
        self.round_trips += 1
        changes = []
        while True:
            command, data = self.receive()
            if command in FINAL:
                return Answer(FINAL[command], data.rstrip(b"\0").decode("latin-1") if command == "y" else None, changes)
            if command in CHANGES:
                changes.append(change(command, data))
            elif command != "p":
                raise AssertionError(f"unexpected {command!r} {data!r}")

    def connect(self, name, address=None, port=40000, wait=True):
        family = b"U" if address is None else b"6" if ":" in address else b"4"
        where = b"" if address is None else struct.pack("!H", port) + address.encode() + b"\0"
        return self.event("C", name.encode() + b"\0" + family + where, wait)

    def helo(self, name, wait=True):
        return self.event("H", name.encode() + b"\0", wait)

    def mail(self, *arguments, wait=True):
        return self.event("M", b"".join(argument.encode() + b"\0" for argument in arguments), wait)

    def rcpt(self, *arguments, wait=True):
        return self.event("R", b"".join(argument.encode() + b"\0" for argument in arguments), wait)

    def data(self, wait=True):
        return self.event("T", b"", wait)

    def unknown(self, command, wait=True):
        return self.event("U", command.encode() + b"\0", wait)

    def end(self, wait=True, headers=(("Subject", "test"),), body=(b"test\r\n",)):
        """The message: headers, their end, a body in pieces, the end. What the filter wants to be skipped is not sent."""
        fields = (("L", f"{name}\0{value}\0".encode("latin-1")) for name, value in headers)
        for command, data in itertools.chain(fields, (("N", b""),), (("B", piece) for piece in body)):
            answer = self.event(command, data)
            if answer is not None and answer.action == "skip":
                break
            if answer is not None and answer.action != "continue":
                return answer
        return self.event("E", b"", wait)

    def content(self, text, wait=True):
        """The same of a message as SMTP has it."""
        headers, body = cut(text)
        return self.end(wait, headers, body)

    def abort(self):
        self.send("A")

    def quit(self):
        self.send("Q")

    def session(self, address="192.0.2.1", name="mail.example.org"):
        """Negotiation, connect and HELO; returns itself."""
        self.negotiate()
        self.connect(name, address)
        self.helo(name)
        return self

    def message(self, sender, *recipients):
        """A message to the recipients that are taken: answers of MAIL, of each RCPT, of DATA and of the end (None behind a refusal)."""
        answers = [self.mail(sender)]
        taken = 0
        for recipient in recipients:
            answers.append(self.rcpt(recipient))
            taken += answers[-1] is None or answers[-1].action in ("continue", "accept")
        if taken:
            answers.append(self.data())
            refused = answers[-1] is not None and answers[-1].action not in ("continue", "accept")
            answers.append(None if refused else self.end())  # libmilter does not answer what follows a refused DATA
        else:
            self.abort()
            answers += [None, None]
        return answers
