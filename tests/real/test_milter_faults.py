#!/usr/bin/env python3
"""mailreeve-milter and an MTA that does everything wrong: cut and broken packets, commands out of order, far too much, and messages given up in every gap.

Whatever comes, the next session works, nothing of one message is seen by the next, no descriptor or memory is lost, and what the log says is bounded. Under the
sanitizers (a build with --enable-sanitizer) the same sessions show what they find. One function a promise; names on the command line run only these.
"""
import os
import random
import re
import socket
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mta")]
sys.dont_write_bytecode = True
from daemons import MILTER, Daemon, Folder, program  # noqa: E402
from miltermta import FINAL, STEPS, Closed, MilterMta  # noqa: E402
from private_postfix import wait_until  # noqa: E402
from running import run_in_folders  # noqa: E402

# Every step is asked for, and has a reply where the milter protocol can have one. What is left of one message would show in the next one's replies.
RULES = """\
at connect { [c] reject "never" if client_address == 203.0.113.1
             set session.seen = 1 }
at helo { [h] reject "never" if helo_name == "never.test" }
at mail { [m] reject "never" if sender == "never@b.test"
          score message 1
          set message.from = sender }
at rcpt { [trap] score message 10 if recipient.localpart == "trap"
          [friend] accept recipient if recipient.localpart == "friend"
          [who] reject 550 5.7.1 "score {score}, from {message.from}, session {session.seen}" if recipient.localpart == "who"
          [odd] reject 553 5.1.3 "not {recipient}" if recipient.localpart == "odd"
          [head] prepend header "X-For" "{recipient}" if recipient.localpart == "head"
          [hold] quarantine message "held" if recipient.localpart == "hold"
          [trash] discard message "trash" if recipient.localpart == "trash" }
at data { [d] reject "never" if sender == "never@b.test" }
at eom { [late] reject 554 5.7.1 "score {score}" if score > 5 }
at unknown { [u] reject 502 5.5.1 "{command}: not here" if command ~ /^FOO/ }
"""
# As Postfix with its defaults would: few steps are wanted.
SMALL_RULES = 'at rcpt { [who] reject 550 5.7.1 "you" if recipient.localpart == "who" }\n'
# All of the message is asked for.
CONTENT_RULES = SMALL_RULES + """\
at eom { [subject] reject 554 5.7.1 "never" if header["Subject"] ~ /never/ or header_duplicates == "never" or received_count > 1000
         [exe] reject 554 5.7.1 "never" if any attachment has (name ~ /never/)
         [text] reject 554 5.7.1 "never" if body ~ /never/ }
"""


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {got!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def said(answer):
    return "nothing" if answer is None else answer.reply if answer.action == "reply" else answer.action


def is_sanitized():
    """Sanitizers keep freed memory, so a limit on memory would measure them."""
    with open(program(MILTER), "rb") as file:
        return b"__asan_init" in file.read()


def status(daemon, key):
    """A number of /proc/PID/status: VmRSS, VmHWM in KiB, Threads."""
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as text:
        return int(re.search(rf"^{key}:\s+(\d+)", text.read(), re.M)[1])


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


GOOD_FROM = "550 5.7.1 score 1, from good@b.test, session 1"
UNCONNECTED = GOOD_FROM[:-1]  # libmilter has not shown the connection, which came too late


def check_message(mta, what):
    """A message in a session that goes on: its verdicts are those of a fresh one."""
    equal(said(mta.mail("<good@b.test>")), "continue", what)
    equal(said(mta.rcpt("<who@d.test>")), GOOD_FROM, what)
    equal(said(mta.rcpt("<c@d.test>")), "continue", what)
    equal(said(mta.data()), "continue", what)
    answer = mta.end()
    equal((said(answer), answer.changes), ("continue", []), what)


class Watched:
    """A daemon that must come through what the test does to it: it serves, and has lost nothing."""

    def __init__(self, folder, rules=RULES, config=None, memory_kib=40 * 1024, log_bytes=1024):
        self.daemon = Daemon(MILTER, folder, folder.write("mail.rules", rules), config)
        self.rules, self.memory_kib, self.log_bytes = rules, memory_kib, log_bytes
        self.faults = 0
        self.logged = 0  # messages of which a few lines are in the log, by right

    def session(self):
        return MilterMta(self.daemon.listen).session()

    def serves(self, what=""):
        with self.session() as mta:
            if self.rules.startswith(RULES):
                check_message(mta, f"a good session behind: {what}")
            else:
                equal(said(mta.message("<a@b.test>", "<who@d.test>")[1])[:9], "550 5.7.1", what)
            mta.quit()
        self.logged += 1

    def __enter__(self):
        self.daemon.start()
        # What the first sessions make once: threads, arenas, caches of the allocator.
        for _ in range(20):
            self.serves("the first ones")
        wait_until(lambda: descriptors(self.daemon) <= 40, "the first sessions are closed")
        self.descriptors, self.memory, self.log_size = descriptors(self.daemon), status(self.daemon, "VmRSS"), len(self.daemon.log())
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                check(self.daemon.process.poll() is None, f"the daemon lives:\n{self.daemon.log()[-3000:]}")
                self.serves("all of it")
                wait_until(lambda: descriptors(self.daemon) <= self.descriptors, lambda: f"descriptors: {descriptors(self.daemon)}, at first {self.descriptors}")
                grown = status(self.daemon, "VmRSS") - self.memory
                check(is_sanitized() or grown < self.memory_kib, f"memory grew by {grown} KiB")
                log = self.daemon.log()
                bytes_of_log, bound = len(log) - self.log_size, self.log_bytes * (self.faults + self.logged + 1)
                check(bytes_of_log <= bound, f"{self.faults} faults and {self.logged} messages made {bytes_of_log} bytes of log")
                strange = re.search(r"[^\n\t\x20-\x7e]", log)
                check(strange is None, f"bytes of the peer in the log: {log[max(0, strange.start() - 200):][:400]!r}" if strange else "")
        finally:
            ended = self.daemon.stop()
            if kind is None:
                check("Sanitizer" not in self.daemon.log() and "runtime error" not in self.daemon.log(), self.daemon.log()[-6000:])
                equal(ended, 0, "the end of the daemon")
            else:
                print(self.daemon.log()[-3000:])


class Recorder(MilterMta):
    """Keeps the packets that it sends, with those of the macros."""

    def __init__(self, address):
        super().__init__(address)
        self.packets = []

    def send_raw(self, data):
        self.packets.append(data)
        super().send_raw(data)


def whole_session(listen):
    """The packets of a session with two messages, one given up, and an unknown command."""
    with Recorder(listen) as mta:
        mta.negotiate()
        mta.connect("mail.example.org", "192.0.2.1")
        mta.unknown("FOOBAR x")
        mta.helo("mail.example.org")
        mta.mail("<a@b.test>", "SIZE=1000")
        for user in ("trap", "odd", "head"):
            mta.rcpt(f"<{user}@d.test>", "ORCPT=rfc822;x@y.test")
        mta.abort()
        mta.mail("<a@b.test>")
        mta.rcpt("<c@d.test>")
        mta.data()
        equal(said(mta.end()), "continue")
        mta.quit()
        return mta.packets


def leave(mta, how):
    """Ends the connection in a way of its own; what the filter still says is read as far as it comes."""
    try:
        if how == "reset":
            mta.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "half":
            mta.socket.shutdown(socket.SHUT_WR)
            while mta.socket.recv(65536):
                pass
    except OSError:
        pass
    mta.socket.close()


def throw(listen, data, how):
    """All of it at once, without reading an answer before."""
    mta = MilterMta(listen)
    try:
        mta.send_raw(data)
    except ConnectionError:
        pass
    leave(mta, how)


def is_beyond_libmilter(data):
    """Packets that no MTA sends and libmilter 8.17 does not survive by itself, before the filter sees anything of them: an unknown command without an end, and
    names and values of macros that are not pairs (smfi_getsymval reads on behind the last one)."""
    return data[4:5] == b"U" and not data.endswith(b"\0") or data[4:5] == b"D" and data[6:].count(b"\0") % 2 == 1


# Packets


def test_cut_at_every_byte(folder):
    with Watched(folder, RULES + CONTENT_RULES[len(SMALL_RULES):]) as watched:
        stream = b"".join(whole_session(watched.daemon.listen))
        for place in range(len(stream) + 1):
            throw(watched.daemon.listen, stream[:place], ("close", "half", "reset")[place % 3])
            watched.faults += 1
            if place % 100 == 0:
                watched.serves(f"cut at {place}")
        check(watched.faults > 300, f"a session has {watched.faults} bytes")


def test_byte_after_byte(folder):
    """A packet need not come in one piece."""
    with Watched(folder) as watched:
        packets = whole_session(watched.daemon.listen)
        mta = MilterMta(watched.daemon.listen)
        for byte in b"".join(packets[:-1]):
            mta.send_raw(bytes([byte]))
        mta.send_raw(packets[-1])
        heard = b""
        while part := mta.socket.recv(65536):
            heard += part
        mta.socket.close()
        check(b"553 5.1.3 not odd@d.test\0" in heard and heard.endswith(b"\0\0\0\1c"), f"all answers: {heard!r}")


def test_wrong_lengths(folder):
    with Watched(folder) as watched:
        packets = whole_session(watched.daemon.listen)
        for number, packet in enumerate(packets):
            length = struct.unpack("!I", packet[:4])[0]
            for wrong in (0, 1, length - 1, length + 1, length + 1000, 65535, 65536, 65537, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
                broken = struct.pack("!I", wrong) + packet[4:] + b"".join(packets[number + 1:])
                if is_beyond_libmilter(broken[:4 + wrong]):
                    continue
                throw(watched.daemon.listen, b"".join(packets[:number]) + broken, ("half", "close")[wrong % 2])
                watched.faults += 1
            watched.serves(f"wrong lengths of packet {number}")


def test_too_long(folder):
    """Packets that are as long as they say, and longer than any MTA's."""
    with Watched(folder) as watched:
        packets = whole_session(watched.daemon.listen)
        for number, packet in enumerate(packets):
            for size in (64 * 1024 - 1, 64 * 1024, 1024 * 1024, 4 * 1024 * 1024):
                body = (packet[4:].rstrip(b"\0") + b"x" * size)[:size - 1] + b"\0"
                throw(watched.daemon.listen, b"".join(packets[:number]) + struct.pack("!I", len(body)) + body, ("close", "half")[size % 2])
                watched.faults += 1
        watched.serves("long packets")


def test_random_bytes_within_packets(folder):
    source = random.Random(3)
    with Watched(folder) as watched:
        packets = whole_session(watched.daemon.listen)
        for _ in range(600):
            number = source.randrange(1, len(packets))
            packet = bytearray(packets[number])
            for _ in range(source.randrange(1, 4)):
                packet[source.randrange(4, len(packet))] = source.choice((0, 10, 13, 37, 60, 62, 127, 128, 255, source.randrange(256)))
            if is_beyond_libmilter(packet):
                continue
            throw(watched.daemon.listen, b"".join(packets[:number]) + bytes(packet) + b"".join(packets[number + 1:]), ("half", "close", "reset")[number % 3])
            watched.faults += 1


# Commands out of order

ARGUMENTS = {
    "C": b"mail.example.org\0004\x9c\x40192.0.2.1\0", "H": b"mail.example.org\0", "M": b"<trap@b.test>\0SIZE=1\0", "R": b"<trap@d.test>\0",
    "T": b"", "L": b"Subject\0x\0", "N": b"", "B": b"text\r\n", "E": b"", "U": b"FOO\0", "A": b"", "K": b"", "D": b"Mi\0QUEUE\0",
    "Q": b"", "X": b"x\0", "\0": b"", "\xff": b"\xff\xff",
}


def packet(command, data=None):
    data = ARGUMENTS[command] if data is None else data
    return struct.pack("!I", len(data) + 1) + command.encode("latin-1") + data


def answer_to_marker(mta):
    """Reads until the marker's answer; the connection's end is one too."""
    try:
        while True:
            command, data = mta.receive()
            if command == "y" and data.startswith(b"550 5.7.1 score"):
                return data.rstrip(b"\0").decode()
            check(command in FINAL or command in "iqp", f"the filter says {command!r} {data!r}")
    except Closed:
        return "closed"


def out_of_order(watched, commands):
    """The commands, all at once, then RSET and a message of which a trace of them would show."""
    with MilterMta(watched.daemon.listen) as mta:
        mta.negotiate()
        data = b"".join(packet(command) for command in commands)
        data += packet("A") + packet("C") + packet("H") + packet("M", b"<good@b.test>\0") + packet("R", b"<who@d.test>\0")
        try:
            mta.send_raw(data)
            mta.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = answer_to_marker(mta)
        check(got in (GOOD_FROM, UNCONNECTED, "closed"), f"{''.join(commands)!r}: {got}")
    watched.faults += 1
    return got


def test_out_of_order(folder):
    source = random.Random(11)
    known = [command for command in ARGUMENTS if command not in "QX\0\xff"]
    with Watched(folder) as watched:
        named = ["CB", "CHB", "CHE", "CHR", "CHMM", "CHMRE", "CHMREE", "CHMRTEE", "CHMRTLNBEB", "CHMRTLNBEMRTE", "CHMRDTE", "CHDM", "MC", "RRR", "EEE", "AAAA", "CHMKCHM",
                 "KKK", "DDDD", "CHMRTNL", "CHMRTBL", "CHMHR", "CHMCHR", "CHMRUTE", "CHUUU", "LLL", "CHMRTLLLLNNNBBBEEE"]
        answers = [out_of_order(watched, list(commands)) for commands in named]
        answers += [out_of_order(watched, [first, second]) for first in known for second in known]
        answers += [out_of_order(watched, ["C", "H", "M", "R", letter]) for letter in known]
        answers += [out_of_order(watched, [source.choice(known) for _ in range(source.randrange(3, 15))]) for _ in range(300)]
        check(answers.count("closed") < len(answers) // 4, f"{answers.count('closed')} of {len(answers)} sessions were closed")
        for letter in "X\0\xff":
            for before in ("", "C", "CH", "CHM", "CHMR", "CHMRT"):
                out_of_order(watched, [*before, letter])
        watched.serves("unknown letters")


def test_two_negotiations(folder):
    with Watched(folder) as watched:
        for before in ("", "C", "CH", "CHM", "CHMR", "CHMRTLNBE"):
            with MilterMta(watched.daemon.listen) as mta:
                mta.negotiate()
                negotiation = packet("O", struct.pack("!III", 6, 0x1FF, 0x1FFFFF))
                try:
                    mta.send_raw(b"".join(packet(command) for command in before) + negotiation + packet("C") + packet("Q"))
                except ConnectionError:
                    pass
                leave(mta, "half")
                watched.faults += 1


def test_macros(folder):
    """None, too many, broken ones, and some that come when they are of no use."""
    rules = 'at rcpt { [who] reject 550 5.7.1 "[{queue_id}] [{sasl_username}] [{service}] [{reverse_client_name}]" if recipient.localpart == "who" }\n'
    with Watched(folder, rules + 'at eom { log "end" if sasl_username is set }\n') as watched:
        with MilterMta(watched.daemon.listen, macros={}) as mta:
            mta.session()
            equal(said(mta.message("<a@b.test>", "<who@d.test>")[1]), "550 5.7.1 [] [] [] []", "no macros")
        broken = [b"", b"C", b"M", b"Mi", b"M\0\0", b"M\0\0\0\0", b"M\0x\0", b"Xi\0x\0", b"\xffi\0x\0", b"Mi\0x\0j", b"M" + b"a\0b\0" * 16000, b"R{auth_authen}\0" + b"x" * 60000 + b"\0"]
        for data in broken:
            with MilterMta(watched.daemon.listen) as mta:
                mta.session()
                try:
                    mta.send("D", data)
                    answer = said(mta.message("<a@b.test>", "<who@d.test>")[1])
                    check(answer.startswith("550 5.7.1 ["), answer)
                except (Closed, ConnectionError):
                    pass  # libmilter takes some of them for the end
            watched.faults += 1
        with MilterMta(watched.daemon.listen) as mta:
            mta.session()
            mta.mail("<a@b.test>")
            mta.rcpt("<c@d.test>")
            mta.send("D", b"M{auth_authen}\0late\0")
            equal(said(mta.rcpt("<who@d.test>")), "550 5.7.1 [QUEUEID] [] [] []", "MAIL's macros behind MAIL")
            mta.quit()


# Bytes


def test_strange_bytes(folder):
    """Whatever is in an argument, a reply is one line of printable ASCII, and no fact of another argument."""
    with Watched(folder, log_bytes=20000) as watched:
        for number, text in enumerate((b"a\rb", b"a\nb", b"a\r\n250 2.0.0 ok", b"\x01\x02\x7f", b"\xc3\xa9", b"\xff\xfe", b"%s%n%d", b"a b\tc", b"x" * 5000, b"<<>>", b"\\\"'", b"")):
            with MilterMta(watched.daemon.listen) as mta:
                mta.negotiate()
                mta.event("C", b"host" + text + b"\0004\x9c\x40192.0.2.1\0")
                reply = said(mta.event("U", b"FOO" + text + b"\0"))
                check(reply == "continue" or re.fullmatch(r"502 5\.5\.1 [\x20-\x7e]+", reply), reply)
                mta.event("H", b"helo" + text + b"\0")
                mta.event("M", b"<s" + text + b"@b.test>\0SIZE=" + text + b"\0" + text + b"\0")
                reply = said(mta.event("R", b"<odd@" + text + b".test>\0NOTIFY=" + text + b"\0"))
                check(reply == "continue" or re.fullmatch(r"553 5\.1\.3 [\x20-\x7e]+", reply), reply)
                mta.event("R", b"<good@d.test>\0")
                mta.event("T")
                mta.event("L", b"X-" + text + b"\0" + text + b"\0")
                mta.event("N")
                mta.event("B", b"\0\n\r" + text + b"\n.\n\0\0")
                check(said(mta.event("E")) == "continue", f"text {number}")
                mta.quit()
            watched.faults += 1
        watched.serves("strange bytes")


def test_no_ends(folder):
    """Arguments without the NUL behind them, with several, without any text."""
    with Watched(folder) as watched:
        for command in "CHMR":
            for data in (b"", b"\0", b"\0\0\0\0", b"x", b"<a@b.test>", b"<a@b.test>\0\0\0", b"<a@b.test>\0SIZE", b"\0<a@b.test>\0", b"x\0004", b"x\0004\0", b"x\0U\0", b"x\0L\0\0/tmp/x\0",
                         b"x\0004\0\0999.1.1.1\0", b"x\0006\0\0IPv6:::1\0", b"x\0006\0\0192.0.2.1\0", b"x\0Z\0\0x\0"):
                with MilterMta(watched.daemon.listen) as mta:
                    mta.negotiate()
                    before = b"".join(packet(each) for each in "CHMR"[:"CHMR".index(command)])
                    try:
                        mta.send_raw(before + packet(command, data) + packet("M") + packet("R", b"<odd@d.test>\0") + packet("T") + packet("E") + packet("Q"))
                    except ConnectionError:
                        pass
                    leave(mta, "half")
                watched.faults += 1


# Too much


def flood(watched, headers, megabytes, declined):
    """A message with so much of it: what the daemon has at the highest, in KiB more than before."""
    before = status(watched.daemon, "VmHWM")
    with MilterMta(watched.daemon.listen) as mta:
        mta.session()
        equal(said(mta.mail("<good@b.test>")) in ("continue", "nothing"), True)
        equal(said(mta.rcpt("<c@d.test>")), "continue")
        mta.data()

        def send(command, data):
            if declined or not mta.declined(command):
                mta.send(command, data)
                return None if mta.without_reply(command) else mta.answer()
            return None
        for number in range(headers):
            send("L", f"X-Header-{number}\0".encode() + b"v" * (number % 300) + b"\0")
        send("N", b"")
        chunk = b"0123456789abcdef" * 4095
        for _ in range(megabytes * 1024 * 1024 // len(chunk)):
            answer = send("B", chunk)
            check(said(answer) in ("nothing", "continue", "skip"), said(answer))
        mta.send_macros("E")
        mta.send("E")
        equal(said(mta.answer()), "continue", "the end of a large message")
        equal(said(mta.message("<good@b.test>", "<who@d.test>")[1])[:9], "550 5.7.1", "the next message of the session")
        mta.quit()
    watched.faults += 1
    return status(watched.daemon, "VmHWM") - before


def test_flood(folder):
    """10,000 headers and 50 MB of body although the filter has declined them, and as far as it has asked for them."""
    for rules in (SMALL_RULES, RULES, CONTENT_RULES):
        for declined in (True, False):
            with Watched(folder, rules) as watched:
                grown = flood(watched, 10000, 50, declined)
                check(is_sanitized() or grown < 8 * 1024, f"a message of 50 MB cost {grown} KiB")


def test_flood_of_recipients(folder):
    with Watched(folder) as watched:
        with watched.session() as mta:
            mta.mail("<good@b.test>")
            for number in range(10000):
                equal(said(mta.rcpt(f"<user{number}@d.test>")), "continue")
            mta.data()
            equal(said(mta.end()), "continue")
            check_message(mta, "the next message")
            mta.quit()


# Several messages in one session

MESSAGE = [packet("M", b"<trap@b.test>\0"), packet("R", b"<trap@d.test>\0"), packet("R", b"<friend@d.test>\0"), packet("R", b"<head@d.test>\0"), packet("R", b"<hold@d.test>\0"),
           packet("R", b"<trash@d.test>\0"), packet("T"), packet("L"), packet("N"), packet("B"), packet("E")]


def replies_expected(mta, packets):
    return sum(1 for each in packets if chr(each[4]) in STEPS and not mta.without_reply(chr(each[4])))


def wanted_packets(mta):
    """The message as an MTA sends it, without the steps that were declined."""
    return [each for each in MESSAGE if not mta.declined(chr(each[4]))]


def test_reset_in_every_gap(folder):
    """A message that would be scored, spared, held, discarded and given a header is given up at each place; the next one is as if it had never been."""
    with Watched(folder) as watched, watched.session() as mta:
        packets = wanted_packets(mta)
        for gap in range(1, len(packets)):
            for data in packets[:gap]:
                mta.send_raw(data)
                if replies_expected(mta, [data]):
                    mta.answer()
            mta.abort()
            check_message(mta, f"behind a message given up after {gap} packets")
            watched.logged += 2
        mta.quit()


def test_pipelined(folder):
    """The same in one write a session: many messages given up at each place, each with a good one behind it, before anything is read."""
    with Watched(folder) as watched, watched.session() as mta:
        packets = wanted_packets(mta)
        good = [packet("M", b"<good@b.test>\0"), packet("R", b"<who@d.test>\0"), packet("R", b"<c@d.test>\0"), packet("T")]
        good += [each for each in (packet("L"), packet("N"), packet("B")) if not mta.declined(chr(each[4]))] + [packet("E")]
        stories = [packets[:gap] for gap in range(1, len(packets))]
        mta.send_raw(b"".join(b"".join(story) + packet("A") + b"".join(good) for story in stories))
        for story in stories:
            for _ in range(replies_expected(mta, story)):
                mta.answer()
            answers = [mta.answer() for _ in range(replies_expected(mta, good))]
            equal([said(answer) for answer in answers[:4]], ["continue", GOOD_FROM, "continue", "continue"], f"behind {len(story)} packets")
            equal((said(answers[-1]), answers[-1].changes), ("continue", []), f"the end behind {len(story)} packets")
            watched.logged += 2
        mta.quit()


def test_whole_messages_in_turn(folder):
    """Messages that come to their end: the effects of one are its own."""
    expected = {
        "head": ("continue", [("insert", 0, "X-For", "head@d.test")]), "hold": ("continue", [("quarantine", "held")]), "trash": ("discard", []),
        "trap": ("554 5.7.1 score 11", []), "friend": ("continue", []), "plain": ("continue", []),
    }
    source = random.Random(5)
    with Watched(folder) as watched, watched.session() as mta:
        for number in range(200):
            user = source.choice(list(expected))
            answer = mta.message("<good@b.test>", f"<{user}@d.test>")[-1]
            equal((said(answer), answer.changes), expected[user], f"message {number} to {user}")
            watched.logged += 1
            if number % 3 == 0:
                mta.abort()  # behind an end: nothing is there to be given up
        check_message(mta, "the last message")
        mta.quit()


def test_helo_within_a_message(folder):
    """A new HELO ends the message (MTAs send an abort before it, this one does not)."""
    with Watched(folder) as watched, watched.session() as mta:
        for gap in range(1, 7):
            for data in MESSAGE[:gap]:
                mta.send_raw(data)
                if replies_expected(mta, [data]):
                    mta.answer()
            mta.abort()
            check(said(mta.helo("other.test")) in ("nothing", "continue"), f"HELO after {gap} packets")
            check_message(mta, f"behind HELO after {gap} packets")
            watched.logged += 2
        mta.quit()


def test_many_faults_leak_nothing(folder):
    """Thousands of sessions that end badly."""
    source = random.Random(1)
    with Watched(folder, memory_kib=16 * 1024) as watched:
        stream = b"".join(whole_session(watched.daemon.listen))
        for _ in range(300):
            throw(watched.daemon.listen, stream[:source.randrange(len(stream))], "close")
        watched.serves("the first of them")
        watched.memory = status(watched.daemon, "VmRSS")
        for _ in range(3000):
            throw(watched.daemon.listen, stream[:source.randrange(len(stream))], source.choice(("close", "half", "reset")))
            watched.faults += 1


if __name__ == "__main__":
    sys.exit(run_in_folders(globals()))
