#!/usr/bin/env python3
"""slow_dns.py: a DNS server for tests. It answers from a table, and misbehaves by name.

    slow_dns.py [--host 127.0.0.1] [--port 0] [--zone FILE] [--log FILE] [--negative-ttl 60] [--end-with-stdin]

It listens on UDP and TCP on the same port and prints the port's number as its first line on standard output; then it is ready. SIGHUP reads the
zone file anew. It ends at SIGTERM or SIGINT, and with --end-with-stdin also when its standard input ends (so that it never outlives a test).

The zone file has one record a line; '#' begins a comment outside quotes. Names are written whole, the final dot may be left out:

    2.0.0.127.zen.test         A        127.0.0.2 ttl=300
    2.0.0.127.zen.test         TXT      "listed, see https://zen.test/" "second text of this record"
    host.test                  AAAA     2001:db8::1
    alias.test                 CNAME    host.test
    none.test                  NXDOMAIN            there is no such name (so is every name that is not in the table)
    broken.test                SERVFAIL            and REFUSED, NOTIMP, FORMERR: this error for all types
    dead.test                  SILENT              never answered
    slow.test                  A        127.0.0.2 delay=100
    lossy.test                 A        127.0.0.2 lose=2
    *.pile.test                A        127.0.0.3  all names below that are not in the table

Options stand behind the value: ttl=SECONDS (300), delay=MILLISECONDS before the answer is sent, lose=N (the first N questions for this name and type
get no answer). Several lines for one name and type make several records; their largest delay and lose count. A name that is in the table without the
type that was asked has an empty answer. Negative answers carry an SOA with --negative-ttl, or none when it is -1.

The log has one line an event, written at once: "SECONDS query NAME TYPE", "SECONDS answer NAME TYPE RCODE RECORDS", "SECONDS lost NAME TYPE".
Seconds are monotonic, with six decimals. Only the standard library is used; one thread, one select loop.
"""

import argparse
import heapq
import ipaddress
import os
import select
import shlex
import signal
import socket
import struct
import sys
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "TXT": 16, "AAAA": 28}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
ERRORS = {"FORMERR": 1, "SERVFAIL": 2, "NXDOMAIN": 3, "NOTIMP": 4, "REFUSED": 5}
WORDS_WITHOUT_VALUE = set(ERRORS) | {"SILENT"}


def normal(name):
    return name.lower().rstrip(".")


def wire_name(name):
    parts = [label.encode("ascii") for label in normal(name).split(".") if label]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def record_data(kind, values):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(values[0]).packed
    if kind in ("CNAME", "NS"):
        return wire_name(values[0])
    data = b""
    for value in values:
        raw = value.encode("utf-8").decode("unicode_escape").encode("latin-1") if "\\" in value else value.encode("utf-8")
        pieces = [raw[i : i + 255] for i in range(0, len(raw), 255)] or [b""]
        data += b"".join(bytes([len(piece)]) + piece for piece in pieces)
    return data


class Zone:
    """The table: names, each with its records by type, or an error, or silence."""

    def __init__(self, text=""):
        self.names = {}
        for number, line in enumerate(text.splitlines(), 1):
            try:
                self.add(line)
            except (ValueError, IndexError, KeyError) as problem:
                raise SystemExit(f"slow_dns.py: line {number} of the zone: {line!r}: {problem}")

    def add(self, line):
        words = shlex.split(line, comments=True, posix=True)
        if not words:
            return
        name, kind, rest = normal(words[0]), words[1].upper(), words[2:]
        options = {"ttl": 300, "delay": 0, "lose": 0}
        while rest and rest[-1].split("=")[0] in options and rest[-1].count("=") == 1:
            key, value = rest.pop().split("=")
            options[key] = int(value)
        entry = self.names.setdefault(name, {"records": {}, "delay": {}, "lose": {}, "error": None, "silent": False})
        if kind in WORDS_WITHOUT_VALUE:
            entry["silent"] = entry["silent"] or kind == "SILENT"
            entry["error"] = ERRORS.get(kind, entry["error"])
            types = list(TYPES.values())
        else:
            types = [TYPES[kind]]
            entry["records"].setdefault(TYPES[kind], []).append((options["ttl"], record_data(kind, rest)))
            if kind == "CNAME":
                entry["target"] = normal(rest[0])
        for each in types:
            entry["delay"][each] = max(entry["delay"].get(each, 0), options["delay"])
            entry["lose"][each] = max(entry["lose"].get(each, 0), options["lose"])

    def find(self, name):
        if name in self.names:
            return self.names[name]
        labels = name.split(".")
        for i in range(1, len(labels)):
            below = "*." + ".".join(labels[i:])
            if below in self.names:
                return self.names[below]
        return None

    def is_above_names(self, name):
        return any(each.endswith("." + name) for each in self.names)


def parse_query(packet):
    """Identifier, flags, name, type, the question section's bytes; ValueError when it is no query."""
    if len(packet) < 17:
        raise ValueError("short packet")
    identifier, flags, questions = struct.unpack("!HHH", packet[:6])
    if flags & 0x8000 or questions != 1:
        raise ValueError("not one question")
    labels, at = [], 12
    while packet[at] != 0:
        length = packet[at]
        if length > 63 or at + length + 1 >= len(packet):
            raise ValueError("bad name")
        labels.append(packet[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    kind = struct.unpack("!H", packet[at + 1 : at + 3])[0]
    return identifier, flags, normal(".".join(labels)), kind, packet[12 : at + 5]


class Server:
    def __init__(self, arguments):
        self.arguments = arguments
        self.log_file = open(arguments.log, "a", buffering=1) if arguments.log else None
        self.read_zone()
        self.waiting = []  # (when, order, send, packet, what to log)
        self.order = 0
        self.streams = {}  # socket -> bytes read
        self.udp, self.tcp = self.bind(arguments.host, arguments.port)

    @staticmethod
    def bind(host, port):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for _ in range(50):
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.bind((host, port))
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind((host, udp.getsockname()[1]))
            except OSError:
                udp.close()
                tcp.close()
                continue
            tcp.listen(16)
            udp.setblocking(False)
            tcp.setblocking(False)
            return udp, tcp
        raise SystemExit("slow_dns.py: no port is free for UDP and TCP")

    def read_zone(self):
        text = ""
        if self.arguments.zone:
            with open(self.arguments.zone, encoding="utf-8") as file:
                text = file.read()
        self.zone = Zone(text)

    def log(self, *words):
        if self.log_file:
            print(f"{time.monotonic():.6f}", *words, file=self.log_file)

    def soa(self, name):
        if self.arguments.negative_ttl < 0:
            return []
        zone = name.split(".")[-1]
        ttl = self.arguments.negative_ttl
        data = wire_name("ns." + zone) + wire_name("postmaster." + zone) + struct.pack("!IIIII", 1, 3600, 600, 86400, ttl)
        return [wire_name(zone) + struct.pack("!HHIH", TYPES["SOA"], 1, ttl, len(data)) + data]

    def compose(self, identifier, flags, name, kind, question, entry):
        answers, error = [], 0
        owner = name
        for _ in range(8):
            if entry is None:
                error = 0 if self.zone.is_above_names(owner) else ERRORS["NXDOMAIN"]
                break
            if entry["error"] is not None:
                error = entry["error"]
                break
            if TYPES["CNAME"] in entry["records"] and kind != TYPES["CNAME"]:
                shown, following = TYPES["CNAME"], entry["target"]
            else:
                shown, following = kind, None
            for ttl, data in entry["records"].get(shown, []):
                answers.append(wire_name(owner) + struct.pack("!HHIH", shown, 1, ttl, len(data)) + data)
            if following is None:
                break
            owner, entry = following, self.zone.find(following)
        authority = self.soa(name) if error in (0, ERRORS["NXDOMAIN"]) and not answers else []
        header = struct.pack("!HHHHHH", identifier, 0x8480 | (flags & 0x0100) | error, 1, len(answers), len(authority), 0)
        return header + question + b"".join(answers) + b"".join(authority), error, len(answers)

    def handle(self, packet, send, limit):
        try:
            identifier, flags, name, kind, question = parse_query(packet)
        except (ValueError, IndexError, struct.error):
            self.log("malformed", packet[:32].hex())
            return
        type_name = TYPE_NAMES.get(kind, str(kind))
        self.log("query", name, type_name)
        entry = self.zone.find(name)
        if entry and (entry["silent"] or entry["lose"].get(kind, 0) > 0):
            if not entry["silent"]:
                entry["lose"][kind] -= 1
            self.log("lost", name, type_name)
            return
        answer, error, records = self.compose(identifier, flags, name, kind, question, entry)
        if limit and len(answer) > limit:
            answer = answer[:2] + struct.pack("!H", struct.unpack("!H", answer[2:4])[0] | 0x0200) + b"\0\1\0\0\0\0\0\0" + question
        when = time.monotonic() + (entry["delay"].get(kind, 0) if entry else 0) / 1000
        self.order += 1
        heapq.heappush(self.waiting, (when, self.order, send, answer, ("answer", name, type_name, error, records)))

    def send_due(self):
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, send, answer, words = heapq.heappop(self.waiting)
            self.log(*words)
            try:
                send(answer)
            except OSError:
                pass  # the asker has gone

    def read_datagrams(self):
        while True:
            try:
                packet, peer = self.udp.recvfrom(65536)
            except (BlockingIOError, ConnectionError):
                return
            self.handle(packet, lambda answer, peer=peer: self.udp.sendto(answer, peer), 1232)

    def read_stream(self, stream):
        try:
            data = stream.recv(65536)
        except OSError:
            data = b""
        if not data:
            del self.streams[stream]
            stream.close()
            return
        self.streams[stream] += data
        while len(self.streams[stream]) >= 2:
            length = struct.unpack("!H", self.streams[stream][:2])[0]
            if len(self.streams[stream]) < 2 + length:
                return
            packet = self.streams[stream][2 : 2 + length]
            self.streams[stream] = self.streams[stream][2 + length :]
            self.handle(packet, lambda answer, stream=stream: stream.sendall(struct.pack("!H", len(answer)) + answer), 0)

    def serve(self):
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        print(self.udp.getsockname()[1], flush=True)
        while True:
            timeout = max(0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            watched = [self.udp, self.tcp, wake_read, *self.streams] + ([sys.stdin] if self.arguments.end_with_stdin else [])
            ready, _, _ = select.select(watched, [], [], timeout)
            if wake_read in ready:
                if any(number != signal.SIGHUP for number in os.read(wake_read, 64)):
                    return
                self.read_zone()
            if sys.stdin in ready and not os.read(0, 4096):
                return
            if self.udp in ready:
                self.read_datagrams()
            if self.tcp in ready:
                stream, _ = self.tcp.accept()
                self.streams[stream] = b""
            for stream in [each for each in self.streams if each in ready]:
                self.read_stream(stream)
            self.send_due()


def main():
    parser = argparse.ArgumentParser(description="A DNS server for tests.", epilog="The zone file's form stands at the top of this file.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--zone", metavar="FILE")
    parser.add_argument("--log", metavar="FILE")
    parser.add_argument("--negative-ttl", type=int, default=60, help="of the SOA in negative answers; -1: no SOA")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when standard input ends")
    Server(parser.parse_args()).serve()


if __name__ == "__main__":
    main()
