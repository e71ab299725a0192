#!/usr/bin/env python3
"""Tables that were made for a mail server find what that mail server finds: `keys postfix` against check_sender_access and check_client_access of a real Postfix, `keys sendmail`
against the access_db of a real Sendmail, for the same text and the maps that postmap and makemap build of it.

    test_access.py [WORD ...]        from the build folder; words choose tests. Skipped where there can be neither mail server.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from private_postfix import PrivatePostfix, SmtpClient  # noqa: E402
from private_sendmail import PrivateSendmail, library_path  # noqa: E402
from running import run_tests  # noqa: E402

SENDERS = (
    "user+tag@mail.example", "User+Tag@MAIL.example", "user@mail.example", "user+other@mail.example", "other@mail.example", "x@below.mail.example", "x@dom.example",
    "x@a.b.dom.example", "x@y.parent.example", "x@parent.example", "x@at.example", "local@foo.example", "local+tag@foo.example", "plus+any@foo.example", "x@cont.example",
    "x@indented.example", "x@hash.example", "x@dupl.example", "x@upper.example", "x@crlf.example", "x@both.example", "friend@both.example", "x@tagged.example", "x@xn--tda.example",
    '"odd local"@q.example', "x@elsewhere.example", "tld@only.topdomain", "x@y.other.topdomain",
)
CLIENTS = ("192.0.2.1", "192.0.2.2", "192.0.3.4", "192.0.30.4", "10.1.1.1", "10.2.1.1", "172.16.1.1", "198.51.100.7")
CLIENTS6 = ("2001:db8:1:2::5", "2001:db8::1", "2001:db8::2", "2001:db9::1", "2001:dba::1", "fe80::1")

POSTFIX = """\
# who may not
User+Tag@Mail.Example  REJECT word-whole
user@mail.example   REJECT word-user
mail.example REJECT word-mail
dom.example  REJECT word-dom
.parent.example REJECT word-below
@at.example REJECT word-at
local@  REJECT word-local
cont.example   REJECT
   word-cont
# in between

 indented.example REJECT x
hash.example REJECT word-hash # no comment
dupl.example REJECT word-first
dupl.example REJECT word-second
both.example REJECT word-both
friend@ REJECT word-friend
UPPER.example REJECT word-upper
crlf.example REJECT word-crlf\r
topdomain REJECT word-top
From:tagged.example REJECT word-tagged
"odd local"@q.example REJECT word-quoted
192.0.2.1 REJECT word-one
192.0.3 REJECT word-three
10.1 REJECT word-ten
172 REJECT word-eight
2001:db8:1:2 REJECT word-v6
2001:db8::1  REJECT word-v6one
2001:db9:    REJECT word-v6net
"""

SENDMAIL = """\
# who may not
From:User+Tag@Mail.Example\tERROR:5.7.1:"550 word-whole"
user@mail.example\tERROR:5.7.1:"550 word-user"
From:user@mail.example\tERROR:5.7.1:"550 word-from-user"
mail.example\tERROR:5.7.1:"550 word-mail"
dom.example\tERROR:5.7.1:"550 word-dom"
.parent.example\tERROR:5.7.1:"550 word-below"
@at.example\tERROR:5.7.1:"550 word-at"
local@\tERROR:5.7.1:"550 word-local"
plus+*@foo.example\tERROR:5.7.1:"550 word-plus"
dupl.example\tERROR:5.7.1:"550 word-first"
dupl.example\tERROR:5.7.1:"550 word-second"
both.example\tERROR:5.7.1:"550 word-both"
From:friend@\tERROR:5.7.1:"550 word-friend"
UPPER.example\tERROR:5.7.1:"550 word-upper"
To:tagged.example\tERROR:5.7.1:"550 word-to"
Connect:tagged.example\tERROR:5.7.1:"550 word-connect"
topdomain\tERROR:5.7.1:"550 word-top"
Connect:192.0.2.1\tERROR:5.7.1:"550 word-one"
192.0.2.1\tERROR:5.7.1:"550 word-untagged"
192.0.3\tERROR:5.7.1:"550 word-three"
Connect:10.1\tERROR:5.7.1:"550 word-ten"
172\tERROR:5.7.1:"550 word-eight"
From:198.51.100.7\tERROR:5.7.1:"550 word-from-net"
Connect:IPv6:2001:db8:1:2\tERROR:5.7.1:"550 word-v6"
IPv6:2001:db8:0:0:0:0:0:1\tERROR:5.7.1:"550 word-v6one"
IPv6:2001:db9\tERROR:5.7.1:"550 word-v6net"
"""


def write(path, text):
    with open(path, "w", encoding="utf-8", newline="") as out:
        out.write(text)
    os.chmod(path, 0o644)


def word_of(text):
    """The word by which an entry, or a reply, is known; None when there is none."""
    return next((part.strip('".,;:') for part in (text or "").split() if part.startswith("word-")), None)


def found(folder, source, keys, key_type, asked):
    """What the table says of each key, as words."""
    rules = os.path.join(folder, "mail.rules")
    write(rules, f"table t of {key_type} -> string from {source} {keys}\nat rcpt {{ pass }}\n")
    command = ["./mailreeve", "table", "test", "--json", rules, "t", *asked]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode in (0, 1), f"{command}: {result}"
    return {told["key"]: word_of(told["value"]) for told in json.loads(result.stdout)}


def compare(what, ours, theirs):
    wrong = {key: (ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]}
    assert not wrong, f"{what}: ours and the mail server's: {wrong}"
    assert len({word for word in theirs.values() if word}) > 4, f"{what}: nothing is found: {theirs}"


def postfix_says(text, probe, keys="keys postfix", kinds=("file", "lmdb", "cdb"), **settings):
    with tempfile.TemporaryDirectory(prefix="access.") as folder:
        os.chmod(folder, 0o755)
        access = os.path.join(folder, "access")
        write(access, text)
        for kind in ("lmdb", "cdb"):
            subprocess.run(["/usr/sbin/postmap", f"{kind}:{access}"], check=True, stderr=subprocess.DEVNULL)
        restrictions = f"check_client_access lmdb:{access}, check_sender_access lmdb:{access}, reject_unauth_destination"
        with PrivatePostfix({"smtpd_recipient_restrictions": restrictions, "smtpd_client_restrictions": "", "inet_protocols": "all", **settings,
                              "smtpd_error_sleep_time": "0s", "smtpd_hard_error_limit": "1000"}) as postfix:
            theirs = probe(postfix)
        key_type = "address" if probe is postfix_senders else "net"
        for kind in kinds:
            compare(kind, found(folder, f'{kind} "{access}"', keys, key_type, theirs), theirs)


def postfix_senders(postfix):
    theirs = {}
    with SmtpClient(postfix.port) as client:
        client.command("EHLO client.example.net")
        for sender in SENDERS:
            reply = client.command(f"MAIL FROM:<{sender}>")
            assert reply.startswith("250"), f"{sender}: {reply}"
            theirs[sender] = word_of(client.command("RCPT TO:<alice@example.test>"))
            client.command("RSET")
    return theirs


def postfix_clients(postfix):
    theirs = {}
    for address in CLIENTS + CLIENTS6:
        with SmtpClient(postfix.port) as client:
            client.command("EHLO client.example.net")
            client.come_from(f"IPV6:{address}" if ":" in address else address)
            client.command("EHLO client.example.net")
            client.command("MAIL FROM:<x@elsewhere.example>")
            theirs[address] = word_of(client.command("RCPT TO:<alice@example.test>"))
    return theirs


def test_postfix_senders():
    postfix_says(POSTFIX, postfix_senders)


def test_postfix_with_dots():
    """The order of the rules is Postfix's where it is told that parents have dots, and @domain besides."""
    text = "".join(line for line in POSTFIX.splitlines(keepends=True) if not line.startswith("@"))
    postfix_says(text, postfix_senders, "", ("lmdb", "cdb"), parent_domain_matches_subdomains="")


def test_postfix_clients():
    postfix_says(POSTFIX, postfix_clients)


def test_sendmail():
    with tempfile.TemporaryDirectory(prefix="access.") as folder:
        os.chmod(folder, 0o755)
        access = os.path.join(folder, "access")
        write(access, SENDMAIL)
        server = PrivateSendmail(features=f"FEATURE(`access_db', `hash -o -T<TMPF> {access}')dnl\n")
        write(os.path.join(folder, "empty.cf"), "")
        makemap = [os.path.join(server.tree, "usr/libexec/sendmail/makemap"), "-C", os.path.join(folder, "empty.cf"), "hash", access]
        with open(access, "rb") as text:
            subprocess.run(makemap, stdin=text, stderr=subprocess.DEVNULL, env={**os.environ, "LD_LIBRARY_PATH": library_path(server.tree)}, check=False)
        source = f'file "{access}"'
        with server as sendmail:
            theirs = {}
            with sendmail.client() as client:
                client.command("EHLO client.example.net")
                for sender in SENDERS:
                    theirs[sender] = word_of(client.command(f"MAIL FROM:<{sender}>"))
                    client.command("RSET")
            compare("senders", found(folder, source, 'keys sendmail "From"', "address", theirs), theirs)
            theirs = {}
            for address in CLIENTS + CLIENTS6:
                with sendmail.client(address, greeting=None) as client:
                    client.command("EHLO client.example.net")
                    theirs[address] = word_of(client.greeting) or word_of(client.command("MAIL FROM:<x@elsewhere.example>"))
            compare("clients", found(folder, source, 'keys sendmail "Connect"', "net", theirs), theirs)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
