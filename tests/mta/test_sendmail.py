#!/usr/bin/env python3
"""A real Sendmail with mailreeve-milter: what an SMTP client is told at each phase, byte for byte, and what is delivered.

Skipped where there can be no private Sendmail. With words on the command line only the tests whose names have one of them run.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import MILTER, Daemon, Folder  # noqa: E402
from private_postfix import wait_until  # noqa: E402
from private_sendmail import PrivateSendmail, milter  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import TEXTBOOK, TEXTBOOK_MESSAGE, check, equal, greet, say, send  # noqa: E402

RULES = r"""
table listed of address { "forouzanb@adelphia.net" }
table nets of net { 203.0.113.0/24 }

at connect {
    [net] reject 550 5.7.1 "{client_address}: not welcome" if client_address in nets
    [slow] tempfail 451 4.7.1 "{client_address}: come back" if client_address == 198.51.100.44
    [bye] disconnect 421 4.7.0 "{client_address}: go away" if client_address == 198.51.100.66
}
at helo {
    [name] reject 504 5.5.2 "{helo_name}: need a fully-qualified name" if helo_name !~ /\./
    [leave] disconnect 421 4.7.0 "{helo_name}: leave" if helo_name == "leave.example.org"
}
at mail {
    [big] reject 552 5.3.4 "{size} is too much" if size > 1M
    [mail550] reject 550 5.1.8 "{sender} at mail" if sender == "550@mail.example"
    [mail554] reject 554 5.7.1 "{sender} at mail" if sender == "554@mail.example"
    [mail451] tempfail 451 4.7.1 "{sender} at mail" if sender == "451@mail.example"
    [mail450] tempfail 450 4.1.8 "{sender} at mail" if sender == "450@mail.example"
    [mail421] disconnect 421 4.7.0 "{sender} at mail" if sender == "421@mail.example"
    [maildrop] discard message "at mail" if sender == "drop@mail.example"
}
at rcpt {
    [postmaster] accept recipient if recipient.localpart == "postmaster"
    [listed] reject 550 5.7.1 "{sender} is not welcome here" if sender in listed
    [rcpt550] reject 550 5.1.1 "no {recipient}" if sender == "550@rcpt.example"
    [rcpt553] reject 553 5.1.3 "no {recipient}" if sender == "553@rcpt.example"
    [rcpt554] reject 554 5.7.1 "no {recipient}" if sender == "554@rcpt.example"
    [rcpt450] tempfail 450 4.2.1 "not now {recipient}" if sender == "450@rcpt.example"
    [rcpt452] tempfail 452 4.2.2 "{recipient} is full" if recipient == "bob@example.test"
    [two] reject 554 5.7.1 "100% no" "second line" if sender == "two@lines.example"
    [out] disconnect 421 4.7.0 "that was enough" if sender == "421@rcpt.example"
    [hold] quarantine message "look at it" if sender == "hold@rcpt.example"
    [trash] discard message "trash" if sender == "trash@rcpt.example"
    [head] prepend header "X-Rcpt" "for {sender}"
}
at data {
    [data554] reject 554 5.7.1 "no data from {sender}" if sender == "554@data.example"
    [data450] tempfail 450 4.7.1 "no data from {sender}" if sender == "450@data.example"
    [data421] disconnect 421 4.7.0 "no data from {sender}" if sender == "421@data.example"
}
at eom {
    [eom554] reject 554 5.7.1 "no message from {sender}" if sender == "554@eom.example"
    [eom550] reject 550 5.7.1 "no message from {sender}" if sender == "550@eom.example"
    [eom451] tempfail 451 4.7.1 "no message from {sender}" if sender == "451@eom.example"
    [eom421] disconnect 421 4.7.0 "no message from {sender}" if sender == "421@eom.example"
    [eomdrop] discard message "at eom" if sender == "drop@eom.example"
    [eomhold] quarantine message "at eom" if sender == "hold@eom.example"
}
at unknown {
    [bdat] tempfail 451 4.7.1 "{command} later" if command ~ /^later/
    [gone] disconnect 421 4.7.0 "{command}: gone" if command == "GONE"
    [command] reject 502 5.5.1 "{command}: not here"
}
"""


class SendmailSite:
    """A Sendmail with mailreeve-milter. `flags` is what Sendmail does when the milter fails."""

    def __init__(self, rules=RULES, flags="T", timeouts="C:10s;S:10s;R:10s;E:30s", **sendmail):
        self.rules, self.flags, self.timeouts, self.arguments = rules, flags, timeouts, sendmail
        self.milter = self.sendmail = None
        self.folder = Folder()

    def __enter__(self):
        try:
            self.milter = Daemon(MILTER, self.folder, self.folder.write("mail.rules", self.rules), "[mailreeve]\ndoors = milter\n").start()
            line = milter(f"inet:{self.milter.port}@127.0.0.1", self.flags, self.timeouts)
            self.sendmail = PrivateSendmail([line], **self.arguments).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, *_):
        log = self.sendmail.log() if self.sendmail is not None else ""
        if self.sendmail is not None:
            self.sendmail.stop()
        status = self.milter.stop() if self.milter is not None else 0
        if kind is not None or status != 0:
            print("--- the ends of the logs")
            print("\n".join(log.splitlines()[-15:] + (self.milter.log().splitlines()[-15:] if self.milter is not None else [])))
        self.folder.remove()
        if kind is None:
            equal(status, 0, "the milter's end")

    @property
    def daemons(self):
        return [self.milter]

    def client(self, address="192.0.2.1", name=None, greeting="220"):
        return self.sendmail.client(address, name, greeting)

    def replace_rules(self, text):
        self.folder.write("mail.rules", text)
        count = len(re.findall("reloaded: |reload failed", self.milter.log()))
        self.milter.reload()
        self.milter.wait_log("reloaded: |reload failed", count + 1)


def queue_id(reply):
    match = re.fullmatch(r"250 2\.0\.0 (\w+) Message accepted for delivery", reply)
    check(match, reply)
    return match[1]


def expect(client, *dialogue):
    """Says each command and compares the whole reply to it."""
    for line, reply in dialogue:
        equal(client.command(line), reply, line)


def ok_sender(sender):
    return f"MAIL FROM:<{sender}>", f"250 2.1.0 <{sender}>... Sender ok"


def ok_recipient(recipient):
    return f"RCPT TO:<{recipient}>", f"250 2.1.5 <{recipient}>... Recipient ok"


ALICE = ok_recipient("alice@example.test")
DATA = ("DATA", "354 End data with <CR><LF>.<CR><LF>")
RSET = ("RSET", "250 2.0.0 Reset state")


def test_textbook():
    """The session of the textbook, character for character: accepted, and refused when the sender is on the list."""
    with SendmailSite(RULES.replace('{ "forouzanb@adelphia.net" }', '{ "other@adelphia.net" }')) as site:
        with site.client("68.168.78.100", "mail.adelphia.net") as client:
            expect(client, (TEXTBOOK[0], "250 mx.example.test Hello mail.adelphia.net [68.168.78.100], pleased to meet you"),
                   (TEXTBOOK[1], "250 2.1.0 forouzanb@adelphia.net... Sender ok"),
                   (TEXTBOOK[2], "250 2.1.5 forouzanb@adelphia.net... Recipient ok"), DATA)
            queue_id(client.send_message(TEXTBOOK_MESSAGE))
            equal(client.command("QUIT"), "221 2.0.0 mx.example.test closing connection")
        text = site.sendmail.wait_delivered("forouzanb", "to show SMTP in action.")
        equal(len(re.findall("(?m)^X-Rcpt: for forouzanb@adelphia.net$", text)), 1, "the header of the rules")
        site.replace_rules(RULES)
        with site.client("68.168.78.100", "mail.adelphia.net") as client:
            equal(say(client, *TEXTBOOK)[-1], "550 5.7.1 forouzanb@adelphia.net... forouzanb@adelphia.net is not welcome here")


def test_connect_and_helo():
    """What connect and helo refuse is said at each recipient; disconnect at once."""
    with SendmailSite() as site:
        for address, refusal in (("203.0.113.9", "550 5.7.1 <bob@example.test>... 203.0.113.9: not welcome"), ("198.51.100.44", "451 4.7.1 198.51.100.44: come back")):
            with site.client(address) as client:
                greet(client)
                for number in (1, 2):
                    expect(client, ok_sender(f"{number}@example.org"), ("RCPT TO:<bob@example.test>", refusal), ok_recipient("postmaster@example.test"),
                           ("RCPT TO:<bob@example.test>", refusal), DATA)
                    queue_id(client.send_message(f"Subject: {address} {number}\n\nhello"))
                expect(client, ok_sender("3@example.org"), RSET, ok_sender("4@example.org"), ("RCPT TO:<bob@example.test>", refusal))
        equal(len(site.sendmail.delivered("postmaster")), 4, "messages to postmaster")
        equal(site.sendmail.delivered("bob"), [])
        with site.client("198.51.100.66", greeting=None) as client:
            # Sendmail has words of its own for a client that a milter sends away before the greeting.
            equal(client.greeting, "421 4.7.0 mx.example.test closing connection")
            equal(client.command("NOOP"), "(connection closed)")
        with site.client() as client:
            equal(client.command("EHLO leave.example.org"), "421 4.7.0 leave.example.org: leave")
            equal(client.command("NOOP"), "(connection closed)")
        with site.client() as client:
            check(client.command("HELO laptop").startswith("250 "), "HELO is not answered with the refusal")
            expect(client, ok_sender("a@example.org"), ("RCPT TO:<alice@example.test>", "504 5.5.2 laptop: need a fully-qualified name"))
            greet(client, "good.example.org")
            expect(client, ok_sender("a@example.org"), ALICE)


def test_mail():
    with SendmailSite() as site, site.client() as client:
        greet(client)
        expect(client, ("MAIL FROM:<550@mail.example>", "550 5.1.8 <550@mail.example>... 550@mail.example at mail"),
               ("MAIL FROM:<554@mail.example>", "554 5.7.1 554@mail.example at mail"),
               ("MAIL FROM:<451@mail.example>", "451 4.7.1 451@mail.example at mail"),
               ("MAIL FROM:<450@mail.example>", "450 4.1.8 <450@mail.example>... 450@mail.example at mail"),
               ("MAIL FROM:<a@example.org> SIZE=2000000", "552 5.3.4 2000000 is too much"))
        # A refused MAIL leaves nothing behind.
        expect(client, ok_sender("a@example.org"), ALICE, RSET, ("MAIL FROM:<421@mail.example>", "421 4.7.0 421@mail.example at mail"))
        equal(client.command("NOOP"), "(connection closed)")


def test_rcpt():
    """A refusal is for one recipient; the others and the next message are not touched."""
    with SendmailSite() as site:
        with site.client() as client:
            greet(client)
            for sender, refusal in (("550@rcpt.example", "550 5.1.1 <alice@example.test>... no alice@example.test"),
                                    ("553@rcpt.example", "553 5.1.3 <alice@example.test>... no alice@example.test"),
                                    ("554@rcpt.example", "554 5.7.1 no alice@example.test"),
                                    ("450@rcpt.example", "450 4.2.1 <alice@example.test>... not now alice@example.test"),
                                    ("two@lines.example", "554-5.7.1 100% no\n554 5.7.1 second line")):
                expect(client, ok_sender(sender), (ALICE[0], refusal), ok_recipient("postmaster@example.test"), (ALICE[0], refusal), RSET)
            expect(client, ok_sender("a@example.org"), ("RCPT TO:<bob@example.test>", "452 4.2.2 bob@example.test is full"), ALICE,
                   ("RCPT TO:<bob@example.test>", "452 4.2.2 bob@example.test is full"), ok_recipient("carol@example.test"), DATA)
            queue_id(client.send_message("Subject: two of three\n\nhello"))
            equal(send(client, "b@example.org", "carol@example.test", text="Subject: the next\n\nhello")[:9], "250 2.0.0")
            expect(client, ok_sender("421@rcpt.example"), (ALICE[0], "421 4.7.0 that was enough"))
            equal(client.command("NOOP"), "(connection closed)")
        for user, count in (("alice", 1), ("bob", 0), ("carol", 2)):
            equal(len(site.sendmail.delivered(user)), count, user)
        for text in site.sendmail.delivered("carol"):
            equal(len(re.findall("(?m)^X-Rcpt: for ", text)), 1, "one header a message: " + text)


def test_data_and_eom():
    with SendmailSite() as site:
        for sender, refusal in (("554@data.example", "554 5.7.1 no data from 554@data.example"), ("450@data.example", "450 4.7.1 no data from 450@data.example")):
            with site.client() as client:
                greet(client)
                # A refusal at DATA leaves the transaction open.
                expect(client, ok_sender(sender), ALICE, ("DATA", refusal), ("MAIL FROM:<b@example.org>", "503 5.5.0 Sender already specified"), RSET)
                queue_id(send(client, "c@example.org", "alice@example.test", text=f"Subject: after {sender}\n\nhello"))
            site.sendmail.wait_delivered("alice", f"Subject: after {sender}\n")
        with site.client() as client:
            greet(client)
            for sender, refusal in (("554@eom.example", "554 5.7.1 no message from 554@eom.example"), ("550@eom.example", "550 5.7.1 no message from 550@eom.example"),
                                    ("451@eom.example", "451 4.7.1 no message from 451@eom.example")):
                equal(send(client, sender, "alice@example.test"), refusal)
            queue_id(send(client, "d@example.org", "alice@example.test", text="Subject: after eom\n\nhello"))
            equal(send(client, "421@eom.example", "alice@example.test"), "421 4.7.0 no message from 421@eom.example")
            equal(client.command("NOOP"), "(connection closed)")
        with site.client() as client:
            greet(client)
            expect(client, ok_sender("421@data.example"), ALICE, ("DATA", "421 4.7.0 no data from 421@data.example"))
            equal(client.command("NOOP"), "(connection closed)")
        equal([re.search("(?m)^Subject: (.*)$", text)[1] for text in site.sendmail.delivered("alice")],
              ["after 554@data.example", "after 450@data.example", "after eom"])


def test_unknown():
    """Sendmail hands over the whole line of a command that it does not know, and nothing of those that it knows."""
    with SendmailSite() as site, site.client() as client:
        expect(client, ("FOOBAR 1 2", "502 5.5.1 FOOBAR 1 2: not here"), ("later x", "451 4.7.1 later x later"),
               ("TURN", '502 5.5.1 Command not implemented: "TURN"'), ("BDAT 3 LAST", "502 5.5.1 BDAT 3 LAST: not here"))
        greet(client)
        queue_id(send(client, "a@example.org", "alice@example.test"))
        expect(client, ok_sender("b@example.org"), ("XYZZY", "502 5.5.1 XYZZY: not here"), ALICE, DATA)
        queue_id(client.send_message("Subject: behind an unknown command\n\nhello"))
        # Behind a message Sendmail does not ask until the next one begins.
        expect(client, ("GONE", '500 5.5.1 Command unrecognized: "GONE"'), RSET, ("GONE", '500 5.5.1 Command unrecognized: "GONE"'),
               ok_sender("c@example.org"), ("GONE", "421 4.7.0 GONE: gone"))
        equal(client.command("NOOP"), "(connection closed)")


def test_hold_and_discard():
    with SendmailSite() as site, site.client() as client:
        greet(client)
        held = [(queue_id(send(client, sender, "alice@example.test", text="Subject: held\n\nhello")), why)
                for sender, why in (("hold@rcpt.example", "look at it"), ("hold@eom.example", "at eom"))]
        for name, why in held:
            wait_until(lambda name=name: site.sendmail.is_held(name), f"{name} is in quarantine")
            equal(site.sendmail.held_reason(name), why)
        for sender in ("drop@mail.example", "trash@rcpt.example", "drop@eom.example"):
            queue_id(send(client, sender, "alice@example.test", text="Subject: dropped\n\nhello"))
        queue_id(send(client, "a@example.org", "alice@example.test", text="Subject: behind them\n\nhello"))
        equal([re.search("(?m)^Subject: (.*)$", text)[1] for text in site.sendmail.delivered("alice")], ["behind them"])


def test_session_of_messages():
    """Messages of one session, with RSET and HELO in the gaps: no header, refusal or quarantine of one reaches the next."""
    with SendmailSite() as site, site.client() as client:
        greet(client)
        gaps = [[], ["RSET"], ["EHLO again.example.org"], ["MAIL FROM:<hold@rcpt.example>", "RCPT TO:<alice@example.test>", "RSET"],
                ["MAIL FROM:<trash@rcpt.example>", "RCPT TO:<alice@example.test>", "EHLO third.example.org"], ["MAIL FROM:<550@mail.example>"],
                ["MAIL FROM:<554@data.example>", "RCPT TO:<alice@example.test>", "DATA", "RSET"]]
        for number, gap in enumerate(gaps):
            say(client, *gap)
            name = queue_id(send(client, f"sender{number}@example.org", "alice@example.test", "carol@example.test", text=f"Subject: {number}\n\nhello"))
            check(not site.sendmail.is_held(name), f"message {number} is not held")
        for user in ("alice", "carol"):
            for number, text in enumerate(site.sendmail.delivered(user)):
                check(f"\nSubject: {number}\n" in text, text)
                equal(re.findall("(?m)^X-Rcpt: (.*)$", text), [f"for sender{number}@example.org"])
            equal(len(site.sendmail.delivered(user)), len(gaps))


def test_macros_are_facts():
    rules = r"""
at connect { [connect] log "{client_address} {client_name} {client_port} {server_name} {service}" }
at helo { [helo] log "{helo_name}" }
at mail { [mail] log "{sender} {size} {protocol_name} {queue_id}" }
at rcpt { [rcpt] log "{recipient} {queue_id}" }
at eom { [eom] log "{queue_id}" }
"""
    with SendmailSite(rules) as site:
        with site.client("198.51.100.7", "mail.example.net") as client:
            port = client.socket.getsockname()[1]
            greet(client, "client.example.net")
            check(client.command("MAIL FROM:<a@example.org> SIZE=500").startswith("250"), "MAIL")
            expect(client, ALICE, DATA)
            name = queue_id(client.send_message("Subject: macros\n\nhello"))
        site.milter.wait_log("rule=eom ")
        log = site.milter.log()
        for words in (f"198.51.100.7 mail.example.net {port} mx.example.test MTA", "client.example.net", f"a@example.org 500 esmtp {name}", f"alice@example.test {name}"):
            check(words in log, f"{words!r} is not in the log:\n{log}")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"sendmail": PrivateSendmail.why_not()}))
