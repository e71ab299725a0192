#!/usr/bin/env python3
"""The content of messages through a real Postfix and a real Sendmail: refused at the end with the rule's bytes, or delivered as it was.

Postfix needs root; without a private Sendmail its part is left out. With words on the command line only the tests whose names have one of them run.
"""
import base64
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from private_postfix import PrivatePostfix  # noqa: E402
from private_sendmail import PrivateSendmail  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import Site, check, equal, greet, send  # noqa: E402
from test_sendmail import SendmailSite  # noqa: E402

RULES = r"""
at eom {
    [exe]     reject 554 5.7.1 "no programs by mail: {attachment}"    if any attachment has (name ~ /\.(exe|scr)$/)
    [large]   reject 552 5.3.4 "a file of more than 2 MB"             if any attachment has (size > 2M)
    [subject] reject 550 5.7.1 "{header["Subject"]}"                  if header["Subject"] ~ /viagra/
    [from]    reject 550 5.7.1 "{header.from} is not {sender}"        if header.from is set and sender not in header.from
    [hops]    reject 554 5.4.6 "{received_count} hops"                if received_count > 2
    [text]    reject 554 5.7.1 "such text"                            if body ~ /click\s+here/
    [twice]   reject 550 5.6.0 "more than one {header_duplicates}"    if header_duplicates is set
    [size]    reject 552 5.3.4 "{message_size}"                       if sender == "size@rules.example"
}
"""

MIXED = """\
From: a@rules.example
Subject: a file
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_1"

--=_1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

{text}
--=_1
Content-Type: application/octet-stream
Content-Disposition: attachment; filename="{name}"
Content-Transfer-Encoding: base64

{content}--=_1--
"""


def mixed(name, content, text="hello"):
    return MIXED.format(name=name, text=text, content=base64.encodebytes(content).decode("ascii"))


def reply_to(client, text, sender="a@rules.example"):
    return send(client, sender, "alice@example.test", text=text)


def delivered(site, client, mta, text, mark):
    reply = reply_to(client, text)
    check(reply.startswith("250"), f"{mark}: {reply}")
    return mta.wait_delivered("alice", mark)


def story_files(site, client, mta):
    equal(reply_to(client, mixed("r.exe", b"MZ" * 100)), "554 5.7.1 no programs by mail: r.exe application/octet-stream 200")
    equal(reply_to(client, mixed("=?utf-8?b?w6Quc2Ny?=", b"1")), "554 5.7.1 no programs by mail: ??.scr application/octet-stream 1")
    equal(reply_to(client, mixed("r.pdf", b"\0" * (2 * 1024 * 1024 + 1))), "552 5.3.4 a file of more than 2 MB")
    text = delivered(site, client, mta, mixed("r.pdf", b"\0" * (2 * 1024 * 1024), "mark-of-a-large-file"), "mark-of-a-large-file")
    check("r.pdf" in text and "--=_1--" in text, "delivered whole")
    forwarded = "Subject: fwd\nContent-Type: message/rfc822\n\n" + mixed("inner.exe", b"MZ")
    equal(reply_to(client, forwarded), "554 5.7.1 no programs by mail: inner.exe application/octet-stream 2")


def story_headers(site, client, mta):
    equal(reply_to(client, "Subject: =?utf-8?b?dmlhZw==?=\n =?iso-8859-1?q?ra!?=\n\nx"), "550 5.7.1 viagra!")
    equal(reply_to(client, "From: Eve <eve@evil.example>\nSubject: x\n\nx"), "550 5.7.1 eve@evil.example is not a@rules.example")
    equal(reply_to(client, "Received: from a (1)\nReceived: from b (2)\nReceived: from c (3)\nSubject: x\n\nx"), "554 5.4.6 3 hops")
    delivered(site, client, mta, "Received: from a (1)\nReceived: from b (2)\nSubject: x\n\nmark-of-two-hops", "mark-of-two-hops")
    equal(reply_to(client, "Subject: one\nTo: x@y.example\nsubject: two\n\nx"), "550 5.6.0 more than one subject")


def story_text(site, client, mta):
    equal(reply_to(client, mixed("r.pdf", b"1", "please cl=69ck=20\nhere")), "554 5.7.1 such text")
    equal(reply_to(client, "Subject: x\n\nclick here"), "554 5.7.1 such text")
    delivered(site, client, mta, mixed("r.pdf", b"click here", "mark-of-a-harmless-text"), "mark-of-a-harmless-text")


def run_stories(site, mta):
    for story in (story_files, story_headers, story_text):
        with site.client() as client:
            greet(client)
            try:
                story(site, client, mta)
            except Exception as problem:
                raise AssertionError(f"{story.__name__}: {problem}") from problem


def test_postfix():
    with Site("milter", rules=RULES) as site:
        run_stories(site, site.postfix)
        with site.client() as client:
            greet(client)
            # With all that Postfix would add, which milters see too.
            text = ("From: size@rules.example\nTo: alice@example.test\nDate: Mon, 2 Mar 2026 10:00:00 +0000\nMessage-Id: <1@rules.example>\n"
                    "Subject: a\n folded\n\n.dot\n..dots\n")
            wire = len(text.replace("\n", "\r\n"))
            equal(reply_to(client, text, "size@rules.example"), f"552 5.3.4 {wire}", "as the client sent it, without what SMTP adds")


def test_postfix_both_doors():
    with Site("policy milter", rules=RULES) as site:
        run_stories(site, site.postfix)


def test_sendmail():
    with SendmailSite(rules=RULES) as site:
        run_stories(site, site.sendmail)
        with site.client() as client:
            greet(client)
            reply = reply_to(client, "From: size@rules.example\nSubject: a\n\n" + "1234567\n" * 1000, "size@rules.example")
            check(reply.startswith("552 5.3.4 9") or reply.startswith("552 5.3.4 8"), f"what Sendmail counts: {reply}")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
