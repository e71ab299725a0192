#!/usr/bin/env python3
"""mailreeve-milter over its socket: what an MTA would see and get. One function a promise; a name or several on the command line runs only these."""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mta")]
from daemons import MILTER, Daemon, Folder  # noqa: E402
from miltermta import Closed, MilterMta  # noqa: E402
from private_postfix import wait_until  # noqa: E402
from probe import DnsServer  # noqa: E402
from running import run_in_folders  # noqa: E402



def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {got!r}")


def said(answer):
    """An answer in one text."""
    return "nothing" if answer is None else answer.reply if answer.action == "reply" else answer.action


def milter(folder, rules, **options):
    return Daemon(MILTER, folder, rules=folder.write("mail.rules", rules), **options)


def is_served(daemon):
    """A whole session works: the daemon is well."""
    with MilterMta(daemon.listen) as mta:
        mta.session("192.0.2.99")
        answers = mta.message("<well@client.test>", "<well@server.test>")
        equal(said(answers[-1]), "continue", "a plain session")
        mta.quit()


def check_counts(daemon, counts):
    """What the daemon tells when it ends."""
    equal(daemon.stop(), 0, "the end")
    equal(re.findall(r"stopped: (.*)", daemon.log()), [counts])


# What is said


def test_changes(folder):
    """The calls that change a message, and that only what the rules may do is negotiated."""
    rules = """
at rcpt { [gone] remove recipient "{recipient}" if recipient == "gone@d.test" }
at eom {
    [subject] replace header "Subject" "new {sender}"
    [hop] delete header "X-Hop" last
    [stamp] append header "X-Stamp" "s"
    [top] prepend header "X-Top" "t"
    [copy] bcc message "copy@d.test"
    [from] change sender <>
    [hold] quarantine message "why"
}
"""
    with milter(folder, rules) as daemon:
        with MilterMta(daemon.listen) as mta:
            mta.session()
            equal([name for name in ("ADDHDRS", "CHGBODY", "ADDRCPT", "DELRCPT", "CHGHDRS", "QUARANTINE", "CHGFROM", "ADDRCPT_PAR") if mta.asked_action(name)],
                  ["ADDHDRS", "ADDRCPT", "DELRCPT", "CHGHDRS", "QUARANTINE", "CHGFROM"])
            for _ in range(2):
                mta.mail("<a@c.test>")
                for recipient in ("<x@d.test>", "<Gone@d.test>"):
                    equal(said(mta.rcpt(recipient)), "continue")
                mta.data()
                headers = [("X-Hop", "1"), ("SUBJECT", "old"), ("x-hop", "2"), ("X-Other", "\xff")]
                equal(mta.end(headers=headers).changes,
                      [("change", 2, "X-Hop", ""), ("change", 1, "Subject", "new a@c.test"), ("not to", "<Gone@d.test>"), ("to", "<copy@d.test>"),
                       ("add", "X-Stamp", "s"), ("insert", 0, "X-Top", "t"), ("from", "<>"), ("quarantine", "why")])
            mta.mail("<b@c.test>")
            mta.rcpt("<gone@d.test>")
            mta.abort()
            mta.mail("<b@c.test>")
            mta.rcpt("<x@d.test>")
            mta.data()
            equal(mta.end(headers=[]).changes, [("add", "Subject", "new b@c.test"), ("to", "<copy@d.test>"), ("add", "X-Stamp", "s"),
                                               ("insert", 0, "X-Top", "t"), ("from", "<>"), ("quarantine", "why")])
    with milter(folder, 'at eom { [copy] bcc message "copy@d.test" if recipient_count < 3 }') as daemon:
        with MilterMta(daemon.listen) as mta:
            mta.session()
            equal((mta.asked_action("ADDRCPT"), mta.asked_action("DELRCPT"), mta.asked_action("ADDHDRS"), mta.declined("L")), (True, False, False, True))
        # An MTA that cannot: the message goes on without, and the log says so.
        with MilterMta(daemon.listen, actions=0x100) as mta:
            mta.session()
            equal(said(mta.message("<a@c.test>", "<x@d.test>")[-1]), "continue")


def test_reply_bytes(folder):
    rules = r"""
at connect { [net] disconnect 421 4.3.2 "{client_address} is too much" if client_address == 192.0.2.66 }
at helo { [out] disconnect 521 5.7.1 "no service" if helo_name == "out.test" }
at mail { [bad] reject 550 5.7.1 "sender {sender} is not welcome" if sender == "bad@a.test"
          [slow] tempfail "not now" if sender == "slow@a.test" }
at rcpt { [two] reject 550 5.1.1 "first 100%" "second {recipient}" if recipient == "two@d.test"
          [utf] reject 553 5.1.3 "caf\xc3\xa9 {recipient.localpart}" if recipient.domain == "utf.test"
          [plain] tempfail if recipient == "plain@d.test" }
at data { [data] reject "no data for {sender}" if sender == "data@a.test" }
at eom { [eom] reject 552 5.3.4 "too big" if sender == "big@a.test"
         [trash] discard message "trash" if sender == "trash@a.test"
         [hold] quarantine message "look at {sender}" if sender == "hold@a.test"
         [head] prepend header "X-Seen" "by {server_name}" }
at expn { [expn] reject "no lists" }
at unknown { [cmd] reject 502 5.5.1 "{command} is not for you" if command ~ /^FOO/ }
""".replace("\\xc3\\xa9", "\u00e9")
    with milter(folder, rules) as daemon:
        with MilterMta(daemon.listen) as mta:
            mta.negotiate()
            equal(said(mta.connect("x.test", "192.0.2.66")), "421 4.3.2 192.0.2.66 is too much")
        with MilterMta(daemon.listen) as mta:
            mta.negotiate()
            mta.connect("x.test", "192.0.2.1")
            equal(said(mta.unknown("FOOBAR")), "502 5.5.1 FOOBAR is not for you")
            equal(said(mta.unknown("FOO bar baz\r\n")), "502 5.5.1 FOO bar baz is not for you")
            equal(said(mta.unknown("EXPN list")), "502 5.5.1 no lists")
            equal(said(mta.unknown("HELP")), "continue")
            equal(said(mta.helo("x.test")), "continue")
            equal(said(mta.mail("<bad@a.test>")), "550 5.7.1 sender bad@a.test is not welcome")
            equal(said(mta.mail("<slow@a.test>")), "451 4.7.1 not now")
            answers = mta.message("<ok@a.test>", "<two@d.test>", "<plain@d.test>", "<jo%n@utf.test>", "<c@d.test>")
            equal(said(answers[1]), "550-5.1.1 first 100%%\r\n550 5.1.1 second two@d.test")
            equal(said(answers[2])[:9], "450 4.7.1")
            equal(said(answers[3]), "553 5.1.3 caf?? jo%%n")
            equal([said(answer) for answer in answers[4:]], ["continue", "continue", "continue"])
            equal(answers[-1].changes, [("insert", 0, "X-Seen", "by mx.example.test")])
            equal(said(mta.message("<data@a.test>", "<c@d.test>")[2]), "554 5.7.1 no data for data@a.test")
            mta.abort()
            equal(said(mta.message("<big@a.test>", "<c@d.test>")[-1]), "552 5.3.4 too big")
            equal(said(mta.message("<trash@a.test>", "<c@d.test>")[-1]), "discard")
            answer = mta.message("<hold@a.test>", "<c@d.test>")[-1]
            equal((answer.action, answer.changes), ("continue", [("quarantine", "look at hold@a.test"), ("insert", 0, "X-Seen", "by mx.example.test")]))
            equal(said(mta.helo("out.test")), "521 5.7.1 no service")
            mta.quit()
        daemon.wait_log(r"quarantine_message look at hold@a.test \[hold\]")
        lines = daemon.decisions()
        bad = next(line for line in lines if line.get("rule") == "bad")
        equal({key: bad[key] for key in ("client", "sender", "phase", "outcome", "door", "queue_id")},
              {"client": "192.0.2.1", "sender": "<bad@a.test>", "phase": "mail", "outcome": "reject", "door": "milter", "queue_id": "QUEUEID"})


def test_three_round_trips(folder):
    with milter(folder, 'at rcpt { [no] reject "no" if recipient == "no@d.test" and client_address in 192.0.2.0/24 }') as daemon:
        with MilterMta(daemon.listen) as mta:
            mta.session()
            equal([said(answer) for answer in mta.message("<a@b.test>", "<c@d.test>")], ["nothing", "continue", "nothing", "continue"])
            equal(mta.round_trips, 3, "negotiation, RCPT, end")
            equal("".join(mta.sent), "OCMRE", "what the MTA sends; HELO, DATA, headers and body are declined")
            equal(said(mta.message("<a@b.test>", "<no@d.test>")[1]), "550 5.7.1 no")
            mta.quit()


def test_held_refusals(folder):
    rules = """
at connect { [net] reject 550 5.7.1 "{client_address} is not welcome" if client_address in 203.0.113.0/24 }
at helo { [name] reject 504 5.5.2 "what a name" if helo_name !~ /[.]/ }
at rcpt { [pm] accept recipient if recipient.localpart == "postmaster"
          [nobody] reject 550 5.1.1 "nobody" if recipient == "nobody@d.test" }
"""
    with milter(folder, rules) as daemon:
        with MilterMta(daemon.listen) as mta:
            mta.session("203.0.113.9")
            for _ in range(2):
                answers = mta.message("<a@b.test>", "<c@d.test>", "<e@d.test>", "<postmaster@d.test>", "<nobody@d.test>")
                no = "550 5.7.1 203.0.113.9 is not welcome"
                equal([said(answer) for answer in answers], ["nothing", no, no, "continue", no, "nothing", "continue"])
            equal([said(answer) for answer in mta.message("<a@b.test>", "<c@d.test>", "<e@d.test>")[1:]], [no, no, "nothing", "nothing"])
            mta.quit()
        with MilterMta(daemon.listen) as mta:
            mta.session(name="localhost")
            equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "504 5.5.2 what a name")
            mta.helo("good.name.test")
            equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "continue")
            mta.quit()
        with MilterMta(daemon.listen) as mta:
            mta.session("203.0.113.77")
            mta.quit()
        daemon.wait_log(r"client=203\.0\.113\.77.*rule=net")


def test_delay_reject(folder):
    rules = 'at connect { [net] reject "no" }'
    with milter(folder, rules, config="[milter]\ndelay_reject=no\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.negotiate()
        equal(said(mta.connect("x.test", "192.0.2.1")), "550 5.7.1 no")
    with milter(folder, rules, config="[milter]\ndelay_reject=mail\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        equal(said(mta.mail("<a@b.test>")), "550 5.7.1 no")


def test_unknown_command_inside_a_message(folder):
    """libmilter takes no end of a message right behind an unknown command: DATA must have come between, whatever the rules read."""
    rules = 'at unknown { [cmd] reject 502 5.5.1 "{command}: not here" }\nat eom { [end] reject 554 5.7.1 "seen" }\n'
    with milter(folder, rules) as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        mta.mail("<a@b.test>")
        mta.rcpt("<c@d.test>")
        equal(said(mta.unknown("XYZZY")), "502 5.5.1 XYZZY: not here")
        mta.data()
        equal(said(mta.end()), "554 5.7.1 seen")


def test_two_doors(folder):
    rules = 'at connect, rcpt { [no] reject "no" }\nat eom { [late] reject "late" }'
    with milter(folder, rules, config="[mailreeve]\ndoors=policy milter\n") as daemon, MilterMta(daemon.listen) as mta:
        mta.session()
        equal([said(answer) for answer in mta.message("<a@b.test>", "<c@d.test>")], ["nothing", "nothing", "nothing", "554 5.7.1 late"])
        mta.quit()


def test_macros(folder):
    rules = 'at rcpt { [f] reject "{sasl_username} {reverse_client_name} {service} {encryption_protocol}" }'
    with milter(folder, rules) as daemon:
        macros = {"j": "mx.test", "{daemon_name}": "submission", "{auth_authen}": "alice", "{client_ptr}": "ptr.test", "{tls_version}": "TLSv1.3"}
        with MilterMta(daemon.listen, macros=macros) as mta:
            mta.session()
            equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "550 5.7.1 alice ptr.test submission TLSv1.3")
            equal(sorted(mta.asked[0]), ["j", "{client_ptr}", "{daemon_name}"])
        with MilterMta(daemon.listen, macros=macros, actions=0x21) as mta:  # no SETSYMLIST: the usual macros
            mta.session()
            equal(mta.asked, {})
            equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "550 5.7.1 alice  submission ")


def test_old_mta(folder):
    """An MTA that can neither leave out steps nor go without a reply, nor add headers."""
    rules = 'at connect { [net] reject "no" if client_address == 203.0.113.1 }\nat eom { prepend header "X" "y" }'
    with milter(folder, rules) as daemon:
        with MilterMta(daemon.listen, actions=0x2, steps=0x400) as mta:
            mta.negotiate()
            equal((mta.actions, mta.steps), (0, 0))
            equal(said(mta.connect("x", "192.0.2.1")), "continue")
            equal(said(mta.helo("x")), "continue")
            answers = mta.message("<a@b.test>", "<c@d.test>")
            equal([said(answer) for answer in answers], ["continue"] * 4)
            equal(answers[-1].changes, [])
            equal(said(mta.message("<a@b.test>", "<c@d.test>")[-1]), "continue")
        daemon.wait_log("did not take: prepend_header", 2)
        check_counts(daemon, "1 sessions, 0 steps at their deadline, 0 sessions refused, 0 replies not taken, 2 effects not taken")


def test_next_session_on_one_connection(folder):
    """SMFIC_QUIT_NC: another SMTP session, without negotiation."""
    with milter(folder, 'at rcpt { [f] reject "{client_address}" }') as daemon, MilterMta(daemon.listen) as mta:
        mta.session("192.0.2.1")
        equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "550 5.7.1 192.0.2.1")
        mta.send("K")
        mta.connect("y.test", "192.0.2.2")
        equal(said(mta.message("<a@b.test>", "<c@d.test>")[1]), "550 5.7.1 192.0.2.2")
        mta.quit()


# What goes wrong outside


def test_dns(folder):
    rules = """
dnslist zen of ip "zen.test" on error tempfail
at rcpt { [zen] reject "{client_address} is listed" if client_address in zen }
"""
    zone = "2.2.0.192.zen.test A 127.0.0.2 delay=100\n3.2.0.192.zen.test SILENT\n"
    with DnsServer(zone) as dns, milter(folder, rules, resolver=dns.address, config="[mailreeve]\ndeadline=300ms\n") as daemon:
        answers = {}

        def ask(address):
            with MilterMta(daemon.listen) as mta:
                mta.session(address)
                answers[address] = said(mta.message("<a@b.test>", "<c@d.test>")[1])
                mta.quit()
        threads = [threading.Thread(target=ask, args=(f"192.0.2.{last}",)) for last in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal(answers["192.0.2.1"], "continue")
        equal(answers["192.0.2.2"], "550 5.7.1 192.0.2.2 is listed")
        equal(answers["192.0.2.3"][:9], "451 4.3.0")
        daemon.wait_log("no answer within the deadline")
        check_counts(daemon, "3 sessions, 1 steps at their deadline, 0 sessions refused, 0 replies not taken, 0 effects not taken")


def test_many_wait(folder):
    """A burst of sessions that wait for a dead name server: libmilter leaves none of them without a worker, and those that are too many get their unknowns at once."""
    rules = 'dnslist zen of ip "zen.test" on error tempfail\nat rcpt { [zen] reject "listed" if client_address in zen }'
    with DnsServer("*.zen.test SILENT\n") as dns, milter(folder, rules, resolver=dns.address, config="[mailreeve]\ndeadline=60s\n") as daemon:
        sessions = [MilterMta(daemon.listen) for _ in range(280)]
        for number, mta in enumerate(sessions):
            mta.session(f"10.0.{number // 250}.{number % 250 + 1}")
            mta.mail("<a@b.test>")
        for mta in sessions[:256]:
            mta.rcpt("<c@d.test>", wait=False)

        def all_wait():
            with open(dns.log, encoding="utf-8") as log:
                return len(set(re.findall(r"query (\S+\.zen\.test)", log.read()))) >= 256
        wait_until(all_wait, "256 look-ups are under way")
        for mta in sessions[256:]:
            equal(said(mta.rcpt("<c@d.test>"))[:9], "451 4.3.0")
            mta.socket.close()
        equal(daemon.log().count('zen: too many sessions wait"'), 24)
        equal("within the deadline" in daemon.log(), False)
        daemon.process.send_signal(signal.SIGTERM)
        for mta in sessions[:256]:
            equal(said(mta.answer())[:9], "451 4.3.0")
            mta.socket.close()


def test_left_at_each_step(folder):
    rules = 'at connect, helo, mail, rcpt, data, eom, unknown { delay 0s }\nat rcpt { set message.x = recipient }\nat eom { [left] reject "{message.x}" if message.x is set and recipient_count > 1 }'
    steps = [lambda mta: mta.negotiate(), lambda mta: mta.connect("x.test", "192.0.2.1"), lambda mta: mta.helo("x.test"), lambda mta: mta.unknown("FOO"),
             lambda mta: mta.mail("<a@b.test>"), lambda mta: mta.rcpt("<c@d.test>"), lambda mta: mta.rcpt("<e@d.test>"), lambda mta: mta.data(),
             lambda mta: mta.end()]
    with milter(folder, rules) as daemon:
        for last in range(len(steps) + 1):
            for how in ("close", "quit", "abort and quit"):
                with MilterMta(daemon.listen) as mta:
                    for step in steps[:last]:
                        step(mta)
                    if how == "abort and quit":
                        mta.abort()
                    if how != "close":
                        mta.quit()
        with MilterMta(daemon.listen) as mta:
            mta.session()
            for _ in range(2):
                mta.message("<a@b.test>", "<c@d.test>", "<e@d.test>")
                equal(said(mta.message("<a@b.test>", "<c@d.test>")[-1]), "continue", "nothing of the message before is left")
                mta.mail("<a@b.test>")
                mta.rcpt("<c@d.test>")
                mta.rcpt("<e@d.test>")
                mta.abort()
                equal(said(mta.message("<a@b.test>", "<c@d.test>")[-1]), "continue", "nor of one that was given up")
        is_served(daemon)


def wait_closed(mta):
    """Nothing more is sent; the filter closes, whatever it says before."""
    try:
        mta.socket.shutdown(socket.SHUT_WR)
        while mta.socket.recv(4096):
            pass
    except OSError:
        pass


def test_garbage(folder):
    import random
    source = random.Random(7)
    with milter(folder, 'at connect, helo, mail, rcpt, data, eom, unknown { [x] log "seen" if server_name == "no.such.name" }') as daemon:
        inputs = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\0\0\0\1X", b"GET / HTTP/1.0\r\n\r\n", b"\0\0\0\rO\0\0\0\1\0\0\0\0\0\0\0\0", b"\0\0\0\5O\0\0\0\6"]
        inputs += [bytes(source.randrange(256) for _ in range(source.randrange(1, 200))) for _ in range(60)]
        for data in inputs:
            with MilterMta(daemon.listen) as mta:
                mta.send_raw(data)
                wait_closed(mta)
        for command in "CHMRTLNBEUAQKD\0":
            for data in (b"", b"\0", b"x", b"x\0", b"x\0" * 300, b"x\0004\xff", b"<" * 5000 + b"\0", b"\xff\xfe\r\n\0"):
                if command == "U" and not data.endswith(b"\0"):
                    continue  # libmilter itself reads beyond such a packet (no MTA sends one)
                with MilterMta(daemon.listen) as mta:
                    mta.negotiate()
                    mta.send(command, data)
                    try:
                        mta.send("M", b"<a@b.test>\0")
                        mta.send("R", data)
                        mta.send("Q")
                    except ConnectionError:
                        continue
                    wait_closed(mta)
        is_served(daemon)
        equal(daemon.process.poll(), None, "it lives")


def test_many_sessions(folder):
    with milter(folder, 'at rcpt { [no] reject "no" if recipient == "no@d.test" }', config="[milter]\nmax_connections=200\n") as daemon:
        sessions = [MilterMta(daemon.listen) for _ in range(201)]
        for mta in sessions[:200]:
            mta.session()
        late = sessions[200].negotiate()
        equal(said(late.connect("x.test", "192.0.2.1")), "tempfail", "one too many")
        for mta in sessions[:200]:
            equal(said(mta.message("<a@b.test>", "<no@d.test>")[1]), "550 5.7.1 no")
        for mta in sessions:
            mta.socket.close()

        def room():
            with MilterMta(daemon.listen) as mta:
                mta.session()
                return said(mta.message("<a@b.test>", "<no@d.test>")[1]) == "550 5.7.1 no" if not mta.declined("R") else False
        wait_until(room, "there is room again")
        equal(daemon.stop(), 0, "the end")
        daemon.wait_log("stopped: .* 0 steps at their deadline, [1-9][0-9]* sessions refused, 0 replies not taken, 0 effects not taken")


# Reload and stop


class Load:
    """Sessions one after the other in threads, until stopped; what they got at RCPT is counted, everything else is an error."""

    def __init__(self, daemon, threads=4):
        self.daemon, self.running, self.answers, self.errors = daemon, True, {}, []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        try:
            while self.running:
                with MilterMta(self.daemon.listen) as mta:
                    mta.session()
                    for _ in range(3):
                        answer = said(mta.message("<a@b.test>", "<c@d.test>")[1])
                        self.answers[answer] = self.answers.get(answer, 0) + 1
                    mta.quit()
        except Exception as error:  # noqa: BLE001
            self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        for thread in self.threads:
            thread.join()


def test_reload(folder):
    mail = 'at mail { tempfail if sender == "never@b.test" }\n'  # so that MAIL has an answer
    with milter(folder, mail + 'at rcpt { [r] reject "rules 0" }') as daemon:
        with MilterMta(daemon.listen) as old, Load(daemon) as load:
            old.session()
            old.mail("<a@b.test>")
            wait_until(lambda: "550 5.7.1 rules 0" in load.answers, "the first rules are in force")
            for number in range(1, 6):
                folder.write("mail.rules", mail + f'at rcpt {{ [r] reject "rules {number}" }}')
                daemon.reload()
                wait_until(lambda: f"550 5.7.1 rules {number}" in load.answers, f"rules {number} are in force")
            folder.write("mail.rules", 'at rcpt { reject "unfinished')
            daemon.reload()
            daemon.wait_log("the old rules stay in force")
            equal(said(old.rcpt("<c@d.test>")), "550 5.7.1 rules 0", "a message keeps its rules")
            old.abort()
            old.mail("<a@b.test>")
            equal(said(old.rcpt("<c@d.test>")), "550 5.7.1 rules 5", "the next one has those in force")
            old.abort()
            folder.write("mail.rules", mail + 'at rcpt { [r] reject "rules 6" }\nat data { reject "data" }')
            daemon.reload()
            wait_until(lambda: "550 5.7.1 rules 6" in load.answers, "rules 6 are in force")
            old.mail("<a@b.test>")
            equal(said(old.rcpt("<c@d.test>")), "550 5.7.1 rules 5", "a session whose steps do not suffice for the new rules keeps the old ones")
        equal(load.errors, [])
        equal(set(load.answers), {f"550 5.7.1 rules {number}" for number in range(7)})
        equal(daemon.stop(), 0)


def test_hang_up_twice_during_a_reload(folder):
    """Signals never reach libmilter, whose answer to SIGHUP would be to stop."""
    folder.write("big", "".join(f"user{number}@host{number}.example\n" for number in range(300000)))
    rules = 'table big of address from file "big"\nat rcpt {{ [r] reject "rules {}" if recipient not in big }}'
    with milter(folder, rules.format(0)) as daemon, Load(daemon, 2) as load:
        folder.write("mail.rules", rules.format(1))
        os.utime(os.path.join(folder.path, "big"))
        daemon.reload()
        daemon.wait_log(r"reloading")
        folder.write("mail.rules", rules.format(2))
        daemon.reload()
        daemon.reload()
        wait_until(lambda: "550 5.7.1 rules 2" in load.answers, "the last rules are in force")
        equal(daemon.process.poll(), None)
        for _ in range(20):
            daemon.reload()
        daemon.wait_log("reloaded: ", 3)
        load.running = False
    equal(load.errors, [])
    equal(daemon.process.returncode, 0)


def test_stop_with_a_callback_waiting(folder):
    rules = 'dnslist zen of ip "zen.test" on error tempfail\nat rcpt { delay 8s if client_address == 192.0.2.7\n [zen] reject "listed" if client_address in zen }'
    with DnsServer("3.2.0.192.zen.test SILENT\n") as dns, milter(folder, rules, resolver=dns.address, config="[mailreeve]\ndeadline=60s\n") as daemon:
        with MilterMta(daemon.listen) as waiting, MilterMta(daemon.listen) as delayed, MilterMta(daemon.listen) as sending, MilterMta(daemon.listen) as idle:
            idle.session()
            sending.session()
            sending.mail("<a@b.test>")
            equal(said(sending.rcpt("<c@d.test>")), "continue")
            waiting.session("192.0.2.3")
            waiting.mail("<a@b.test>")
            waiting.rcpt("<c@d.test>", wait=False)
            delayed.session("192.0.2.7")
            delayed.mail("<a@b.test>")
            delayed.rcpt("<c@d.test>", wait=False)
            dns.wait_count("query 3.2.0.192.zen.test", 1)
            daemon.wait_log("effect=\"delay 8000ms")
            begun = time.monotonic()
            daemon.process.send_signal(signal.SIGTERM)
            equal(said(waiting.answer())[:9], "451 4.3.0")
            equal(said(delayed.answer()), "continue")
            equal(said(sending.end()), "continue", "a message that is under way comes to its end")
            for mta in (waiting, delayed):
                mta.abort()
            try:
                idle.mail("<a@b.test>")
                equal(said(idle.rcpt("<c@d.test>")), "tempfail", "no new message")
            except (Closed, ConnectionError):
                pass  # it had ended already
            daemon.process.wait(60)
            equal(daemon.process.returncode, 0)
            equal(time.monotonic() - begun < 7, True, "nobody was waited for longer than needed")


def test_a_message_that_begins_during_the_stop(folder):
    """Its MAIL has no reply that could refuse it: the end does, since no rule has seen the sender."""
    rules = 'at eom { [bad] reject "bad" if sender == "a@b.test" }\nat unknown { reject if command == "BAR" }'
    with milter(folder, rules) as daemon:
        with MilterMta(daemon.listen) as sending, MilterMta(daemon.listen) as late:
            sending.session()
            sending.mail("<good@b.test>")
            equal(said(sending.unknown("FOO")), "continue", "so the milter has taken MAIL, which has no answer")
            late.session()
            daemon.process.send_signal(signal.SIGTERM)
            daemon.wait_log("stopping")
            try:
                equal(late.mail("<a@b.test>"), None)
                late.rcpt("<c@d.test>")
                late.data()
                equal(said(late.end()) in ("tempfail", "554 5.7.1 bad"), True, "whichever was first, the message or the stop")
            except (Closed, ConnectionError):
                pass  # the stop was first and closed the idle session: the MTA does what it does without a filter
            sending.data()
            equal(said(sending.end()), "continue")
            daemon.process.wait(60)
            equal(daemon.process.returncode, 0)


def test_stop_under_load(folder):
    with milter(folder, 'at rcpt { [no] reject "no" }\nat eom { log "end" }') as daemon:
        with MilterMta(daemon.listen) as stuck, Load(daemon) as load:
            stuck.session()
            wait_until(lambda: load.answers.get("550 5.7.1 no", 0) >= 50, "there is load")
            equal(daemon.stop(), 0)
            load.running = False
        equal(set(load.answers) <= {"550 5.7.1 no", "tempfail"}, True, load.answers)
        for error in load.errors:
            equal(isinstance(error, (Closed, OSError)), True, repr(error))


# The socket


def fails_to_start(daemon):
    """Its log, once it has ended by itself."""
    with open(daemon.log_path, "wb") as log:
        process = subprocess.Popen(daemon.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        equal(process.wait(60) != 0, True, "it started")
    finally:
        process.kill()
    return daemon.log()


def test_unix_socket(folder):
    path = os.path.join(folder.sockets, "milter")
    rules = 'at rcpt { [no] reject "no" if recipient == "no@d.test" }'
    first = milter(folder, rules, listen=f"unix:{path}", config="[milter]\nsocket_mode=0666\n", name="first").start()
    try:
        equal(os.stat(path).st_mode & 0o777, 0o666)
        equal("another daemon holds" in fails_to_start(milter(folder, rules, listen=f"unix:{path}", name="second")), True)
        is_served(first)
        first.process.kill()
        first.process.wait()
        equal(os.path.exists(path), True, "the socket of a dead daemon is left")
        with milter(folder, rules, listen=f"unix:{path}", name="third") as third:
            is_served(third)
            equal(third.stop(), 0)
        equal(os.path.exists(path), False, "a daemon that stops takes its socket along")
    finally:
        first.stop()
    with open(path, "w", encoding="utf-8") as file:
        file.write("precious")
    equal("not a socket" in fails_to_start(milter(folder, rules, listen=f"unix:{path}", name="fourth")), True)
    with open(path, encoding="utf-8") as file:
        equal(file.read(), "precious")


def test_peers(folder):
    rules = 'at rcpt { [no] reject "no" }'
    with milter(folder, rules, config="[milter]\nallow=192.0.2.0/24\n") as daemon:
        with MilterMta(daemon.listen) as mta:
            try:
                mta.negotiate()
                raise AssertionError("a stranger was served")
            except (Closed, ConnectionError):
                pass
        daemon.wait_log("not among those")
        equal(daemon.process.poll(), None)


def test_privileges(folder):
    with milter(folder, 'at rcpt { [no] reject "no" if recipient == "no@d.test" }') as daemon:
        is_served(daemon)
        with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
            status = file.read()
        uids = re.search(r"^Uid:\s+(.*)$", status, re.M)[1].split()
        equal(len(set(uids)) == 1 and uids[0] != "0", True, f"uids {uids}")
        if os.geteuid() == 0:
            groups = re.search(r"^Groups:\s*(.*)$", status, re.M)[1].split()
            equal("0" in groups, False, f"groups {groups}")
            equal(re.search(r"^CapEff:\s+0+$", status, re.M) is not None, True, "no capabilities")


if __name__ == "__main__":
    sys.exit(run_in_folders(globals()))
