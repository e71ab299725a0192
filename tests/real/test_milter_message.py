#!/usr/bin/env python3
"""mailreeve-milter and the content of messages: header fields, attachments and text in pieces of any size, what is declined, limits and memory.

One function a promise; a name or several on the command line run only these.
"""
import base64
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mta")]
sys.dont_write_bytecode = True
from daemons import MILTER, Daemon, Folder, program  # noqa: E402
from miltermta import MilterMta  # noqa: E402
from running import run_in_folders  # noqa: E402

RULES = """\
at eom {
    [subject] reject 554 5.7.1 "{header["Subject"]}" if header["subject"] ~ /spam/
    [from]    reject 554 5.7.1 "{header.from}" if header.from is set and sender not in header.from
    [twice]   reject 550 5.6.0 "{header_duplicates}" if header_duplicates is set
    [hops]    reject 554 5.4.6 "{received_count} hops" if received_count > 3
    [exe]     reject 554 5.7.1 "{attachment}" if any attachment has (name ~ /\\.exe$/ or size > 10M)
    [text]    reject 554 5.7.1 "no" if body ~ /buy this/
}
"""
MIXED = (("Content-Type", "multipart/mixed;\n boundary=b"),)


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {got!r}")


def said(answer):
    return "nothing" if answer is None else answer.reply if answer.action == "reply" else answer.action


def milter(folder, rules=RULES, **options):
    return Daemon(MILTER, folder, rules=folder.write("mail.rules", rules), **options)


def pieces(data, size):
    return [data[at:at + size] for at in range(0, len(data), size)]


def envelope(mta, sender="<a@client.test>"):
    mta.mail(sender)
    mta.rcpt("<b@server.test>")
    mta.data()


def message(mta, headers=(), body=b"", size=65535):
    """What the client hears at the end of a message."""
    envelope(mta)
    return said(mta.end(headers=headers, body=pieces(body, size)))


def file_part(name, content):
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    header = b'--b\r\nContent-Type: application/octet-stream; name="%s"\r\nContent-Transfer-Encoding: base64\r\n\r\n' % name.encode()
    return header + encoded + b"\r\n"


def test_headers(folder):
    with milter(folder) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for _ in range(2):
            equal(message(mta, [("Subject", "spam")]), "554 5.7.1 spam")
            equal(message(mta, [("Subject", "ham"), ("SUBJECT", "=?utf-8?b?c3Bh?=\n =?iso-8859-1?q?m=20?=")]), "554 5.7.1 ham, spam")
            equal(message(mta, [("Subject", "ham")]), "continue")
            equal(message(mta, [("From", "Eve <eve@evil.test>")]), "554 5.7.1 eve@evil.test")
            equal(message(mta, [("From", '"a@client.test" <eve@evil.test>, g: A@CLIENT.test;')]), "continue")
            equal(message(mta, [("Date", "x"), ("date", "y"), ("To", "x"), ("X", "1"), ("X", "2")]), "550 5.6.0 date")
            equal(message(mta, [("Received", "x")] * 3), "continue")
            equal(message(mta, [("Received", "x")] * 4), "554 5.4.6 4 hops")
            equal(message(mta), "continue", "a message without headers and body")


def test_attachments_in_pieces(folder):
    body = b"preamble\r\n" + file_part("a.txt", b"12345") + file_part("b.exe", b"123") + b"--b--\r\nepilogue\r\n"
    harmless = body.replace(b"b.exe", b"b.bin").replace(b"preamble", b'Content-Type: a/b; name="x.exe"\r\n')
    with milter(folder) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for size in (65535, 1, 2, 7, 61):
            equal(message(mta, MIXED, body, size), "554 5.7.1 a.txt application/octet-stream 5, b.exe application/octet-stream 3", f"pieces of {size}")
            equal(message(mta, MIXED, harmless, size), "continue", f"pieces of {size}")
            equal(message(mta, (), body, size), "continue", "no MIME")


def test_nested_and_encoded(folder):
    inner = b'Content-Type: a/b;\r\n name*0*=utf-8\'\'%C3%A4;\r\n name*1=".exe"\r\n\r\nx'
    forwarded = b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n"
    encoded = b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(inner) + b"\r\n--b--\r\n"
    text = "Content-Type", "text/plain; charset=utf-16le"
    with milter(folder) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for body in (forwarded, encoded):
            equal(message(mta, MIXED, body, 5), "554 5.7.1 ??.exe a/b 1")  # a byte of UTF-8, a question mark
        equal(message(mta, [text, ("Content-Transfer-Encoding", "base64")], base64.b64encode("buy this".encode("utf-16le")), 3), "554 5.7.1 no")
        equal(message(mta, [text], b"buy this"), "continue", "which is no UTF-16 of these words")


def test_broken(folder):
    """NULs, bare LF and CR, 8-bit headers, boundaries that never end: no verdict is missing, no session is lost."""
    with milter(folder) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        equal(message(mta, [("Subject", "\xff\xfe spam \xe4")]), "554 5.7.1 ?????? spam ???")
        equal(message(mta, MIXED, b"\0\0\n--b\nContent-Type: a/b; name=x.exe\n\n\0\0\0", 4), "554 5.7.1 x.exe a/b 3")
        equal(message(mta, MIXED, b"\0\r\r\n\r--b\r\n\r\nbuy\0this\r\n--b"), "continue")
        equal(message(mta, [], b"\0\n\r\nbuy this"), "554 5.7.1 no")
        equal(message(mta, [("Content-Type", "multipart/mixed")], b"--b\r\nContent-Type: a/b; name=x.exe\r\n\r\n"), "continue")
        equal(message(mta, [("X" * 5000, "y" * 60000), ("Subject", "spam")]), "554 5.7.1 spam")


def test_only_what_is_read_is_asked_for(folder):
    cases = (('at eom { reject if sender == "x@y.test" }', ""),
             ('at rcpt { reject if recipient == "x@y.test" }', ""),
             ("at eom { reject if header_count > 500 }", "L"),
             ("at eom { reject if message_size > 1G }", "LB"),
             ("at eom { reject if count attachment > 500 }", "LB"))
    for rules, wanted in cases:
        with milter(folder, rules) as daemon, MilterMta(daemon.listen) as mta:
            mta.session()
            equal("".join(command for command in "LNB" if not mta.declined(command)), wanted, rules)
            equal([command for command in wanted if not mta.without_reply(command)], [], rules)
            equal(message(mta, [("Subject", "x")], b"x"), "continue", rules)


def test_body_is_not_read(folder):
    """When the header decides or the text is long enough, the rest may be anything."""
    rules = 'at eom { [s] reject 554 5.7.1 "s" if header["Subject"] ~ /spam/\n [t] reject 554 5.7.1 "t {body}" if body ~ /buy/ or body_truncated }'
    with milter(folder, rules, config="[milter]\nbody_limit = 15\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for _ in range(2):
            equal(message(mta, [], b"1234567890" * 5, 10), "554 5.7.1 t 123456789012345")
            equal(message(mta, [("Subject", "spam")], b"buy" * 50, 10), "554 5.7.1 s")
            equal(message(mta, [("Subject", "spam")], b"buy" * 50000), "554 5.7.1 s")
            equal(message(mta, [("Subject", "ham")], b"buy"), "554 5.7.1 t buy")
            equal(message(mta, [("Subject", "ham")], b"1234567890"), "continue")


def test_limits(folder):
    """Past one the list is unknown: a temporary failure unless the rule says otherwise, and the log has the reason."""
    rules = """
at eom {
    [many] reject 554 5.7.1 "never" if any header has (name == "X-Never")
    [exe]  reject 554 5.7.1 "exe" if any attachment has (name ~ /exe$/) on error skip
    [cut]  reject 554 5.7.1 "cut" if body_truncated
}
"""
    with milter(folder, rules, config="[milter]\nmessage_memory = 512K\nbody_limit = 1K\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        equal(message(mta, [(f"X-{number}", "1") for number in range(10000)])[:9], "451 4.3.0")
        daemon.wait_log("more than 1000 header fields")
        equal(message(mta, [("X-Long", "x" * 60000)] * 9)[:9], "451 4.3.0")
        daemon.wait_log("more than 524288 bytes of header fields")
        equal(message(mta, MIXED, b"--b\r\n\r\n\r\n" * 1001 + b"--b\r\nContent-Type: a/b; name=x.exe\r\n\r\n--b--\r\n"), "554 5.7.1 cut")
        equal(message(mta, MIXED, b"--b\r\n\r\n\r\n" * 10 + b"--b\r\nContent-Type: a/b; name=x.exe\r\n\r\n--b--\r\n"), "554 5.7.1 exe")
        equal(message(mta, [], b"x" * 1024), "continue")
        equal(message(mta, [], b"x" * 1025), "554 5.7.1 cut")


def test_gaps(folder):
    """Messages given up in every gap, and pieces that come without a header: nothing is left for the next one."""
    evil = [("Subject", "spam"), ("Content-Type", "multipart/mixed; boundary=b")]
    with milter(folder) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for gap in range(6):
            envelope(mta)
            steps = [("L", f"{name}\0{value}\0".encode()) for name, value in evil] + [("N", b""), ("B", b"--b\r\nContent-Type: a/b; name=x"), ("B", b".exe\r\n")]
            for command, data in steps[:gap]:
                mta.event(command, data)
            mta.abort()
            envelope(mta)
            equal(said(mta.end(headers=(), body=[b"\r\n\r\nhi"])), "continue", f"behind a message given up after {gap} steps")
        envelope(mta)
        mta.event("L", b"Subject\0spam\0")
        mta.helo("again.test")
        equal(message(mta, [("Subject", "ham")]), "continue", "behind a HELO")


def test_a_message_keeps_its_rules(folder):
    rules = RULES + 'at rcpt { reject if recipient == "never@server.test" }\n'  # RCPT has a reply: the message has begun when that is there
    with milter(folder, rules) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        envelope(mta)
        mta.event("L", b"Subject\0spam\0")
        folder.write("mail.rules", rules.replace("spam", "ham").replace('"{header["Subject"]}"', '"new"'))
        daemon.reload()
        daemon.wait_log("reloaded|new rules|rules.*in force")
        mta.event("N")
        mta.event("B", b"x")
        equal(said(mta.event("E")), "554 5.7.1 spam")
        equal(message(mta, [("Subject", "ham")]), "554 5.7.1 new")


def is_sanitized():
    """Sanitizers keep freed memory, so a limit on memory would measure them."""
    with open(program(MILTER), "rb") as file:
        return b"__asan_init" in file.read()


def status(daemon, key):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as text:
        return int(re.search(rf"^{key}:\s+(\d+)", text.read(), re.M)[1])


def test_memory(folder):
    """A message of 50 MB costs at most message_memory and 1 MiB: a file, a text, a preamble, a header of a part that never ends."""
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    start = b"--b\r\nContent-Type: a/b; name=f\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    floods = ((MIXED, start, line), ((), b"", b"hello, this is a line of a long letter\r\n"), (MIXED, b"", b"no part at all\r\n"),
              (MIXED, b"--b\r\n", b"X-Field: value\r\n"), (MIXED, b"", b"--b\r\n\r\n\r\n"))
    with milter(folder, config="[milter]\nmessage_memory = 1M\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        for headers, first, repeated in floods:  # what is set up once
            message(mta, headers, first + repeated * 2000)
        before = status(daemon, "VmRSS")
        with open(f"/proc/{daemon.process.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # VmHWM begins anew
        for headers, first, repeated in floods:
            block = (repeated * (65535 // len(repeated)))
            body = ([first] if first else []) + [block] * (50 * 1024 * 1024 // len(block))
            envelope(mta)
            begun = time.monotonic()
            answer = said(mta.end(headers=headers, body=body))
            print(f"     {repeated[:16]!r}: {answer[:40]}, {time.monotonic() - begun:.2f} s, {status(daemon, 'VmHWM') - before} KiB more than {before}")
        cost = status(daemon, "VmHWM") - before
        if not is_sanitized():
            equal(cost <= 2 * 1024, True, f"{cost} KiB")


if __name__ == "__main__":
    sys.exit(run_in_folders(globals()))
