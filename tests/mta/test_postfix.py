#!/usr/bin/env python3
"""A real Postfix with the policy door, with the milter, with both, with smtpd_delay_reject yes and no: what an SMTP client is told and what is delivered.

Skipped without root or Postfix. With words on the command line only the tests whose names have one of them run.
"""
import os
import re
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import MILTER, POLICYD, Daemon, Folder  # noqa: E402
from private_postfix import PrivatePostfix, SmtpClient, wait_until  # noqa: E402
from probe import DnsServer  # noqa: E402
from running import run_tests  # noqa: E402

ZONE = """\
7.100.51.198.zen.example.test A 127.0.0.4
7.100.51.198.zen.example.test TXT "see https://zen.example.test/"
8.100.51.198.dead.example.test SERVFAIL
"""

RULES = r"""
table nets of net { 203.0.113.0/24 }
table listed of address { "forouzanb@adelphia.net" }
dnslist zen of ip "zen.example.test"
dnslist dead of ip "dead.example.test" on error tempfail

at connect {
    [net] reject 550 5.7.1 "{client_address}: not welcome" if client_address in nets
    [bye] disconnect 421 4.7.0 "{client_address}: go away" if client_address == 198.51.100.66
}
at helo {
    [name] reject 504 5.5.2 "{helo_name}: need a fully-qualified name" if helo_name !~ /\./
}
at mail {
    [big] reject 552 5.3.4 "{size} is too much" if size > 1M
    [sender] reject 550 5.1.8 "{sender} at mail" if sender == "refused@at-mail.example"
}
at rcpt {
    [postmaster] accept recipient if recipient.localpart == "postmaster"
    [listed] reject 550 5.7.1 "{sender} is not welcome here" if sender in listed
    [zen] reject 550 5.7.1 "{client_address} is listed, {dnslist.text}" if client_address in zen
    [dead] reject 550 5.7.1 "listed" if client_address in dead
    [two] reject 550 5.7.1 "100% no" "second line" if sender == "two@lines.example"
    [part] tempfail 452 4.2.2 "{recipient} is full" if recipient == "bob+full@example.test"
    [out] disconnect 421 4.7.0 "that was enough" if recipient == "bob+out@example.test"
    [hold] quarantine message "look at it" if recipient == "bob+hold@example.test"
    [trash] discard message "trash" if recipient == "bob+trash@example.test"
    [head] prepend header "X-Rcpt" "for {sender}"
    [open] accept recipient if recipient.domain == "foreign.example"
}
"""
MESSAGE_RULES = r"""
at data {
    [data] reject 554 5.7.1 "no data from {sender}" if sender == "no@data.example"
}
at eom {
    [end] tempfail 451 4.7.1 "not this message" if sender == "no@end.example"
}
at expn, unknown {
    [command] reject 502 5.5.1 "{command}: not here"
}
at connect {
    [esmtp] log "says EHLO" if protocol_name == esmtp
}
"""


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {got!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


class Site:
    """A Postfix with its daemons. `doors` is "policy", "milter" or "policy milter"; everywhere: the policy door is asked in all restriction lists."""

    def __init__(self, doors, delay="yes", rules=RULES, everywhere=False, settings=None, dns=None, config=""):
        self.doors, self.delay, self.rules, self.everywhere = doors.split(), delay, rules, everywhere
        self.settings, self.dns = settings or {}, dns
        self.config = f"[mailreeve]\ndoors = {doors}\n{config}"
        self.policyd = self.milter = self.postfix = None
        self.folder = Folder()

    @property
    def daemons(self):
        return [daemon for daemon in (self.policyd, self.milter) if daemon is not None]

    def daemon(self, path):
        return Daemon(path, self.folder, self.rules_path, self.config, resolver=self.dns.address if self.dns else None).start()

    def __enter__(self):
        self.rules_path = self.folder.write("mail.rules", self.rules)
        try:
            settings = {"smtpd_delay_reject": self.delay, "smtpd_policy_service_retry_delay": "1s", **self.settings}
            if "policy" in self.doors:
                self.policyd = self.daemon(POLICYD)
                ask = f"check_policy_service inet:127.0.0.1:{self.policyd.port}"
                settings.update({"smtpd_recipient_restrictions": f"reject_unauth_destination, {ask}", "smtpd_etrn_restrictions": ask})
                if "milter" not in self.doors:
                    settings.update({"smtpd_data_restrictions": ask, "smtpd_end_of_data_restrictions": ask})
                if self.everywhere:
                    for name in ("client", "helo", "sender"):
                        settings[f"smtpd_{name}_restrictions"] = ask
                    settings["smtpd_relay_restrictions"] = f"{ask}, reject_unauth_destination"
            if "milter" in self.doors:
                self.milter = self.daemon(MILTER)
                settings["smtpd_milters"] = f"inet:127.0.0.1:{self.milter.port}"
            self.postfix = PrivatePostfix(settings).start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, *_):
        if self.postfix is not None:
            self.postfix.stop()
        ended = [(daemon, daemon.stop()) for daemon in self.daemons]
        bad = [daemon for daemon, status in ended if status != 0]
        for daemon in bad if kind is None else self.daemons:
            print(f"--- the end of {daemon.name}'s log")
            print("\n".join(daemon.log().splitlines()[-15:]))
        self.folder.remove()
        if kind is None:
            equal([daemon.name for daemon in bad], [], "daemons that did not end well")

    def client(self, address="192.0.2.1", name="[UNAVAILABLE]"):
        client = SmtpClient(self.postfix.port)
        greeting = client.come_from(address, name)
        check(greeting.startswith("220"), f"XCLIENT: {greeting}")
        return client

    def check_refused(self, reply, recipient, text):
        """Compares a reply to RCPT. Behind the policy door Postfix's own words stand between the enhanced code and the text: by the list that asks."""
        if "policy" in self.doors:
            code, enhanced, rest = text.split(" ", 2)
            asked = f"<{recipient}>: Recipient address rejected"
            if self.everywhere:
                words = re.search(r"<[^ ]*>: (Client host|Helo command|Sender address|Recipient address) rejected", reply)
                asked = words[0] if words else "(a restriction list's name)"
            text = f"{code} {enhanced} {asked}: {rest}"
        equal(reply, text)

    def replace_rules(self, text):
        self.folder.write("mail.rules", text)
        for daemon in self.daemons:
            count = len(re.findall("reloaded: |reload failed", daemon.log()))
            daemon.reload()
            daemon.wait_log("reloaded: |reload failed", count + 1)

    def decisions(self, rule):
        return [line for daemon in self.daemons for line in daemon.decisions() if line.get("rule") == rule]


def say(client, *lines):
    """The replies' first lines to these commands."""
    return [client.command(line).split("\n")[0] for line in lines]


def greet(client, name="mail.example.org"):
    check(client.command(f"EHLO {name}").startswith("250"), "EHLO")


def send(client, sender, *recipients, text="Subject: test\n\nhello"):
    """A whole message; the reply to it."""
    check(client.command(f"MAIL FROM:<{sender}>").startswith("250"), f"MAIL {sender}")
    for recipient in recipients:
        reply = client.command(f"RCPT TO:<{recipient}>")
        check(reply.startswith("250"), f"RCPT {recipient}: {reply}")
    reply = client.command("DATA")
    check(reply.startswith("354"), f"DATA: {reply}")
    return client.send_message(text)


# Stories that are the same whatever the doors: each takes a site

TEXTBOOK = ["HELO mail.adelphia.net", "MAIL FROM: forouzanb@adelphia.net", "RCPT TO: forouzanb@adelphia.net"]
TEXTBOOK_MESSAGE = "From: Forouzan\nTO: Forouzan\nThis is a test message\nto show SMTP in action."


def story_textbook(site):
    """Accepted with rules that let it pass; refused by a rules file that lists the sender; 451 with one whose look-up fails."""
    plain = site.rules.replace('{ "forouzanb@adelphia.net" }', '{ "other@adelphia.net" }')
    site.replace_rules(plain)
    with site.client("68.168.78.100") as client:
        equal([reply[:3] for reply in say(client, *TEXTBOOK, "DATA")], ["250", "250", "250", "354"])
        check(client.send_message(TEXTBOOK_MESSAGE).startswith("250"), "the message")
        check(client.command("QUIT").startswith("221"), "QUIT")
    text = site.postfix.wait_delivered("forouzanb", "to show SMTP in action.")
    equal(text.count("\nX-Rcpt: for forouzanb@adelphia.net\n"), 1, "the header of the rules")
    site.replace_rules(site.rules)
    with site.client("68.168.78.100") as client:
        site.check_refused(say(client, *TEXTBOOK)[-1], "forouzanb@adelphia.net", "550 5.7.1 forouzanb@adelphia.net is not welcome here")
    with site.client("198.51.100.8") as client:
        greet(client)
        replies = say(client, "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>")
        check(replies[1].startswith("451 4.3.0 "), replies[1])


def story_held_refusals(site):
    """A client that connect refuses: at each recipient of each message; postmaster is spared."""
    with site.client("203.0.113.9") as client:
        greet(client)
        for number in (1, 2):
            check(client.command(f"MAIL FROM:<{number}@example.org>").startswith("250"), "MAIL")
            for user in ("alice", "bob"):
                recipient = f"{user}@example.test"
                site.check_refused(client.command(f"RCPT TO:<{recipient}>"), recipient, "550 5.7.1 203.0.113.9: not welcome")
            check(client.command("RCPT TO:<postmaster@example.test>").startswith("250"), "postmaster is spared")
            equal(client.command("RCPT TO:<alice@example.test>")[:9], "550 5.7.1", "behind a spared recipient")
            check(client.command("DATA").startswith("354"), "DATA")
            check(client.send_message(f"Subject: to postmaster {number}\n\nhello").startswith("250"), "a message to postmaster")
        client.command("MAIL FROM:<3@example.org>")
        equal(client.command("RCPT TO:<bob@example.test>")[:9], "550 5.7.1", "third message")
        check(client.command("DATA")[:3] in ("503", "554"), "no valid recipients")
        check(client.command("RSET").startswith("250"), "RSET")
        equal(say(client, "MAIL FROM:<4@example.org>", "RCPT TO:<bob@example.test>")[1][:9], "550 5.7.1", "after RSET")
    for number in (1, 2):
        site.postfix.wait_delivered("postmaster", f"Subject: to postmaster {number}\n")


def story_helo(site):
    with site.client() as client:
        replies = say(client, "HELO laptop", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>")
        site.check_refused(replies[2], "alice@example.test", "504 5.5.2 laptop: need a fully-qualified name")
        client.command("RSET")
        replies = say(client, "EHLO good.example.org", "MAIL FROM:<a@example.org>", "RCPT TO:<alice@example.test>")
        equal([reply[:3] for reply in replies], ["250"] * 3, "a second EHLO replaces the first")


def story_size(site):
    """The declared size refuses before the message is sent."""
    with site.client() as client:
        greet(client)
        replies = say(client, "MAIL FROM:<a@example.org> SIZE=2000000", "RCPT TO:<alice@example.test>")
        site.check_refused(replies[1 if "policy" in site.doors else 0], "alice@example.test", "552 5.3.4 2000000 is too much")
        client.command("RSET")
        equal(say(client, "MAIL FROM:<a@example.org> SIZE=1000", "RCPT TO:<alice@example.test>")[1][:3], "250")


def story_dnslist(site):
    with site.client("198.51.100.7") as client:
        greet(client)
        say(client, "MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<alice@example.test>"), "alice@example.test", "550 5.7.1 198.51.100.7 is listed, see https://zen.example.test/")
        check(client.command("RCPT TO:<postmaster@example.test>").startswith("250"), "a rule in front decides")


def story_lines(site):
    """Several lines and a per cent sign: two lines through the milter, one through the policy door."""
    with site.client() as client:
        greet(client)
        client.command("MAIL FROM:<two@lines.example>")
        got = client.command("RCPT TO:<alice@example.test>")
        if "policy" in site.doors:
            site.check_refused(got, "alice@example.test", "550 5.7.1 100% no second line")
        else:
            equal(got, "550-5.7.1 100% no\n550 5.7.1 second line")


def story_headers(site):
    """A header in front, exactly once, whatever the number of recipients and refusals among them."""
    with site.client() as client:
        greet(client)
        for number in (1, 2):
            sender = f"head{number}@example.org"
            check(client.command(f"MAIL FROM:<{sender}>").startswith("250"), "MAIL")
            site.check_refused(client.command("RCPT TO:<bob+full@example.test>"), "bob+full@example.test", "452 4.2.2 bob+full@example.test is full")
            for user in ("alice", "bob", "carol"):
                check(client.command(f"RCPT TO:<{user}@example.test>").startswith("250"), user)
            check(client.command("DATA").startswith("354"), "DATA")
            check(client.send_message(f"Subject: head {number} {site.delay}\n\nhello").startswith("250"), "the message")
    for number in (1, 2):
        for user in ("alice", "bob", "carol"):
            text = site.postfix.wait_delivered(user, f"Subject: head {number} {site.delay}\n")
            equal(text.count(f"\nX-Rcpt: for head{number}@example.org\n"), 1, text)


def story_hold_and_discard(site):
    with site.client() as client:
        greet(client)
        reply = send(client, "hold@example.org", "alice@example.test", "bob+hold@example.test", text="Subject: held\n\nhello")
        check(reply.startswith("250"), reply)
        held = reply.split()[-1]
        reply = send(client, "trash@example.org", "alice@example.test", "bob+trash@example.test", text="Subject: trashed\n\nhello")
        check(reply.startswith("250"), reply)
        reply = send(client, "behind@example.org", "alice@example.test", text="Subject: behind trash\n\nhello")
        check(reply.startswith("250"), reply)
    wait_until(lambda: site.postfix.is_held(held), f"{held} is on hold: {site.postfix.log()[-3000:]}")
    site.postfix.wait_delivered("alice", "Subject: behind trash\n")
    check(not any("Subject: trashed\n" in text or "Subject: held\n" in text for text in site.postfix.delivered("alice")), "neither is delivered")


def story_disconnect(site):
    with site.client() as client:
        greet(client)
        client.command("MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<bob+out@example.test>"), "bob+out@example.test", "421 4.7.0 that was enough")
        equal(client.command("NOOP"), "(connection closed)")


def story_never_a_relay(site):
    """A rule that accepts a recipient does not make Postfix take mail for foreign domains."""
    with site.client() as client:
        greet(client)
        client.command("MAIL FROM:<a@example.org>")
        reply = client.command("RCPT TO:<someone@foreign.example>")
        check(re.match("[45]54 [45].7.1 ", reply) and "Relay access denied" in reply, reply)
        check(client.command("RCPT TO:<alice@example.test>").startswith("250"), "a good recipient behind it")


def story_message(site):
    """Refusals at DATA and at the end of the message."""
    with site.client() as client:
        greet(client)
        say(client, "MAIL FROM:<no@data.example>", "RCPT TO:<alice@example.test>")
        expected = "554 5.7.1 no data from no@data.example"
        if "milter" not in site.doors:
            expected = "554 5.7.1 <DATA>: Data command rejected: no data from no@data.example"
        equal(client.command("DATA"), expected)
        client.command("RSET")
        reply = send(client, "no@end.example", "alice@example.test")
        expected = "451 4.7.1 not this message"
        if "milter" not in site.doors:
            expected = "451 4.7.1 <END-OF-MESSAGE>: End-of-data rejected: not this message"
        equal(reply, expected)
        client.command("RSET")
        check(send(client, "yes@end.example", "alice@example.test").startswith("250"), "the next message")


def story_commands(site):
    """EXPN and commands that Postfix does not know are the milter's; the session goes on."""
    with site.client() as client:
        equal(say(client, "EXPN staff", "FOOBAR 1 2"), ["502 5.5.1 EXPN: not here", "502 5.5.1 FOOBAR: not here"])
        greet(client)
        equal(say(client, "EXPN staff", "foobar"), ["502 5.5.1 EXPN: not here", "502 5.5.1 foobar: not here"])
        check(send(client, "a@example.org", "alice@example.test").startswith("250"), "a message behind them")


STORIES = [story_textbook, story_held_refusals, story_helo, story_size, story_dnslist, story_lines, story_headers, story_hold_and_discard, story_disconnect,
           story_never_a_relay, story_message]


def rules_for(doors):
    """All rules that these doors can do."""
    return RULES + MESSAGE_RULES.split("at expn")[0] + (MESSAGE_RULES[MESSAGE_RULES.index("at expn"):MESSAGE_RULES.index("at connect")] if "milter" in doors else "")


def run_stories(doors, delay, everywhere=False):
    with DnsServer(ZONE) as dns, Site(doors, delay, rules_for(doors), everywhere, dns=dns) as site:
        for story in STORIES + ([story_commands] if "milter" in doors else []):
            try:
                story(site)
            except Exception as problem:
                raise AssertionError(f"{story.__name__}: {problem}") from problem


def test_policy():
    run_stories("policy", "yes")


def test_policy_not_delayed():
    run_stories("policy", "no")


def test_policy_asked_everywhere():
    """Four restriction lists ask the same question for each recipient: the answers are one, headers come once."""
    run_stories("policy", "yes", everywhere=True)


def test_milter():
    run_stories("milter", "yes")


def test_milter_not_delayed():
    run_stories("milter", "no")


def test_both():
    run_stories("policy milter", "yes")


def test_both_not_delayed():
    run_stories("policy milter", "no")


def test_connect_not_delayed():
    """Asked in smtpd_client_restrictions without delay: the greeting has the refusal, and nothing else goes."""
    rules = 'at connect { [net] reject 550 5.7.1 "{client_address}: not you" if client_address in 203.0.113.0/24 }'
    with Site("policy", "no", rules, everywhere=True) as site:
        with SmtpClient(site.postfix.port) as client:
            equal(client.come_from("203.0.113.1"), "550 5.7.1 <unknown[203.0.113.1]>: Client host rejected: 203.0.113.1: not you")
            equal(say(client, "EHLO mail.example.org", "MAIL FROM:<a@example.org>"), ["503 5.7.0 Error: access denied for unknown[203.0.113.1]"] * 2)
        with site.client() as client:
            greet(client)
            check(send(client, "a@example.org", "alice@example.test").startswith("250"), "another client")


def test_other_questions():
    """HELO or EHLO, VRFY and ETRN: what else the policy door is told."""
    rules = """
at helo { [esmtp] reject 554 5.7.1 "EHLO is not for you" if protocol_name == esmtp and helo_name == "old.example.org" }
at vrfy { [vrfy] reject 550 5.1.1 "no {recipient.localpart} here" if recipient == "nobody@example.test" }
at etrn { [etrn] tempfail 458 4.7.1 "no queue for {etrn_domain}" if etrn_domain == "queue.example.org" }
"""
    with Site("policy", "yes", rules) as site, site.client() as client:
        check(client.command("HELO old.example.org").startswith("250"), "HELO")
        check(send(client, "a@example.org", "alice@example.test").startswith("250"), "with HELO")
        greet(client, "old.example.org")
        client.command("MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<alice@example.test>"), "alice@example.test", "554 5.7.1 EHLO is not for you")
        client.command("RSET")
        greet(client)
        equal(client.command("VRFY nobody@example.test"), "550 5.1.1 <nobody@example.test>: Recipient address rejected: no nobody here")
        check(client.command("VRFY alice@example.test").startswith("252"), "VRFY of another")
        equal(client.command("ETRN queue.example.org"), "458 4.7.1 <queue.example.org>: Etrn command rejected: no queue for queue.example.org")


class Cutter:
    """Stands between Postfix and the policy daemon, and cuts the connection after each answer."""

    def __init__(self, port):
        self.port, self.cuts = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"inet:127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                asker, _ = self.listener.accept()
            except OSError:
                return
            with asker, socket.create_connection(("127.0.0.1", self.port)) as daemon:
                for reader, writer in ((asker, daemon), (daemon, asker)):
                    data = b""
                    while not data.endswith(b"\n\n"):
                        part = reader.recv(65536)
                        if not part:
                            break
                        data += part
                    self.cuts += writer is asker  # before Postfix can go on
                    writer.sendall(data)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


def test_policy_connection_cut_between_recipients():
    """Each question over a connection of its own: refusals stay, the header comes once."""
    with Folder() as folder, DnsServer(ZONE) as dns, \
            Daemon(POLICYD, folder, folder.write("mail.rules", RULES), "[mailreeve]\ndoors = policy\n", f"{dns.address}") as policyd, Cutter(policyd.port) as cutter:
        with PrivatePostfix({"smtpd_recipient_restrictions": f"reject_unauth_destination, check_policy_service {cutter.address}",
                             "smtpd_policy_service_retry_delay": "1s"}) as postfix, SmtpClient(postfix.port) as client:
            client.come_from("192.0.2.1")
            greet(client)
            check(send(client, "cut@example.org", "alice@example.test", "carol@example.test", "bob@example.test", text="Subject: cut\n\nhello").startswith("250"), "message")
            for user in ("alice", "bob", "carol"):
                equal(postfix.wait_delivered(user, "Subject: cut\n").count("\nX-Rcpt: "), 1, "the header comes once")
            client.command("MAIL FROM:<forouzanb@adelphia.net>")
            for user in ("alice", "bob"):
                equal(client.command(f"RCPT TO:<{user}@example.test>")[:9], "550 5.7.1", user)
            equal(cutter.cuts, 5, "connections")


def reload_story(doors):
    """HUP between messages and inside one: a message keeps the rules that it began with, the next one has the new ones."""
    old = 'at rcpt { [old] reject 550 5.7.1 "old" if recipient.localpart == "bob" }'
    new = old.replace("old", "new")
    with Site(doors, "yes", old) as site, site.client() as client:
        greet(client)
        client.command("MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<bob@example.test>"), "bob@example.test", "550 5.7.1 old")
        site.replace_rules(new)
        site.check_refused(client.command("RCPT TO:<bob@example.test>"), "bob@example.test", "550 5.7.1 old")
        check(client.command("RCPT TO:<alice@example.test>").startswith("250"), "alice")
        client.command("RSET")
        client.command("MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<bob@example.test>"), "bob@example.test", "550 5.7.1 new")
        site.replace_rules("at rcpt { this is wrong }")
        check(all("reload failed" in daemon.log() for daemon in site.daemons), "a bad file is told")
        client.command("RSET")
        client.command("MAIL FROM:<a@example.org>")
        site.check_refused(client.command("RCPT TO:<bob@example.test>"), "bob@example.test", "550 5.7.1 new")


def test_reload_policy():
    reload_story("policy")


def test_reload_milter():
    reload_story("milter")


def killed_story(doors):
    """A killed daemon: Postfix does what it is told to do then; the daemon comes back at its address and all is as before."""
    with Site(doors, "yes", 'at rcpt { [bob] reject 550 5.7.1 "no" if recipient.localpart == "bob" }') as site:
        def asked():
            with site.client() as client:
                greet(client)
                client.command("MAIL FROM:<a@example.org>")
                return client.command("RCPT TO:<bob@example.test>")
        site.check_refused(asked(), "bob@example.test", "550 5.7.1 no")
        victim = site.daemons[0]
        victim.process.kill()
        victim.process.wait()
        check(asked().startswith("451 4.3.5 " if doors == "policy" else "451 4.7.1 ") or doors == "milter", "Postfix without its daemon")
        victim.start()
        site.check_refused(asked(), "bob@example.test", "550 5.7.1 no")


def test_killed_policyd():
    killed_story("policy")


def test_killed_milter():
    killed_story("milter")


def test_resolver_that_never_answers():
    """The deadline makes the look-up fail; its on error says what then."""
    rules = 'dnslist dead of ip "dead.test" on error tempfail\ndnslist skip of ip "skip.test"\nat rcpt {\n' \
            '[skip] reject "skip" if client_address in skip and recipient.localpart == "alice"\n[dead] reject "dead" if client_address in dead and recipient.localpart == "bob"\n}'
    with DnsServer("*.dead.test SILENT\n*.skip.test SILENT\n") as dns:
        for doors in ("policy", "milter"):
            with Site(doors, "yes", rules, dns=dns, config="deadline = 500ms\n") as site, site.client() as client:
                greet(client)
                client.command("MAIL FROM:<a@example.org>")
                check(client.command("RCPT TO:<alice@example.test>").startswith("250"), f"{doors}: dnslists are skipped")
                check(client.command("RCPT TO:<bob@example.test>").startswith("451 4.3.0"), f"{doors}: on error tempfail")


LOAD_RULES = r"""
table nets of net { 203.0.113.0/24 }
dnslist zen of ip "zen.example.test"
at connect { [net] reject 550 5.7.1 "not welcome" if client_address in nets }
at rcpt {
    [bob] reject 550 5.1.1 "no bob" if recipient.localpart == "bob"
    [zen] reject 550 5.7.1 "listed" if client_address in zen
    [head] prepend header "X-Rcpt" "for {sender}"
}
at eom { [bad] reject 554 5.7.1 "bad message" if sender == "bad@example.org" }
"""
LISTED = 7


def load_session(port, number):
    """One session of a mixed load; what was wrong with it, or None. A connection that ends early is told as "closed"."""
    address = (f"203.0.113.{number % 200 + 1}", f"198.51.100.{LISTED}", f"192.0.2.{number % 200 + 1}")[number % 3]
    bad = number % 2 == 0
    with SmtpClient(port) as client:
        client.come_from(address)
        replies = say(client, "EHLO mail.example.org", f"MAIL FROM:<{'bad' if bad else 'good'}@example.org>", "RCPT TO:<bob@example.test>", "RCPT TO:<alice@example.test>")
        expected = ["250", "250", "550", "250" if number % 3 == 2 else "550"]
        if number % 3 == 2:
            replies += [client.command("DATA"), client.send_message(f"Subject: load {number}\n\nhello")]
            expected += ["354", "554" if bad else "250"]
        got = [reply[:3] for reply in replies]
        return None if got == expected else f"session {number} from {address}: expected {expected}, got {replies}"


def run_sessions(count, session, workers=8):
    """Runs session(number) for each number in a few threads; what they returned, without None."""
    numbers, results, lock = iter(range(count)), [], threading.Lock()

    def work():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                result = session(number)
            except Exception as problem:
                result = f"session {number}: {problem!r}"
            with lock:
                results.append(result)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    return threads, results


def test_reload_under_load():
    """200 sessions through both doors while both daemons are told to reload again and again: none gets a wrong answer."""
    with DnsServer(ZONE) as dns, Site("policy milter", "yes", LOAD_RULES, dns=dns) as site:
        reloads = 0
        threads, results = run_sessions(200, lambda number: load_session(site.postfix.port, number))
        while any(thread.is_alive() for thread in threads):
            for daemon in site.daemons:
                daemon.reload()
                daemon.reload()
            reloads += 1
            for daemon in site.daemons:
                daemon.wait_log("reloaded: ", reloads)
        equal([result for result in results if result], [], "wrong sessions")
        equal(len(results), 200)
        check(reloads >= 3, f"{reloads} reloads")
        for number in range(200):
            if number % 6 == 5:
                equal(site.postfix.wait_delivered("alice", f"Subject: load {number}\n").count("\nX-Rcpt: for good@example.org\n"), 1)


def test_stop_under_load():
    """SIGTERM in the midst of it: both end in good order, every reply before is right, and what comes after is Postfix's temporary failure."""
    with DnsServer(ZONE) as dns, Site("policy milter", "yes", LOAD_RULES, dns=dns) as site:
        def session(number):
            wrong = load_session(site.postfix.port, number)
            return None if wrong is None or "451" in wrong or "421" in wrong else wrong
        threads, results = run_sessions(80, session)
        wait_until(lambda: len(results) >= 30, "sessions are under way")
        for daemon in site.daemons:
            equal(daemon.stop(), 0, f"{daemon.name} ends well")
        for thread in threads:
            thread.join()
        equal([result for result in results if result], [], "wrong sessions")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not()}))
