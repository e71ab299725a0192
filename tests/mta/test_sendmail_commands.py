#!/usr/bin/env python3
"""A real Sendmail with the feature mailreeve: what a client hears at VRFY, EXPN, ETRN, NOOP, HELP and unknown commands, byte for byte; and that nothing that a client says there
changes what is asked.

Skipped where there can be no private Sendmail. With words on the command line only the tests whose names have one of them run.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import POLICYD, Daemon, Folder  # noqa: E402
from private_postfix import free_port  # noqa: E402
from private_sendmail import PrivateSendmail  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import check, equal  # noqa: E402

FEATURE = os.path.join(HERE, "..", "..", "packaging", "sendmail")

RULES = r"""
at connect {
    [net] reject 554 5.7.1 "{client_address}: not welcome" if client_address in 203.0.113.0/24
}
at vrfy {
    [root]  reject 550 5.7.1 "{recipient}: ask somebody else" if recipient.localpart == "root"
    [moved] reject 551 5.1.6 "please try <alice@there.example>" if recipient == "moved@example.test"
    [name]  reject 553 5.1.3 "(100%) \"{recipient}\"; $&client_name \\ %0" if recipient == "odd@example.test"
    [long]  reject 550 5.7.1 "{client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} {client_address} end" if recipient == "long@example.test"
    [lines] reject 550 5.7.1 "first" "second" if recipient == "lines@example.test"
    [name_of_client] log "{client_name} {client_port} {reverse_client_name} {server_port} {service} {server_name}" if recipient == "log@example.test"
}
at expn {
    [expn] reject 502 5.7.0 "{command}: no" if command == "EXPN team"
    [soon] tempfail 450 4.7.1 "{command}: soon" if command == "EXPN soon"
}
at etrn {
    [node] tempfail 459 4.7.1 "{etrn_domain} is not allowed" if etrn_domain under "b.example"
}
at unknown {
    [wiz]  disconnect 421 4.7.0 "{command}: good bye" if command ~ /^WIZ\b/
    [turn] reject 502 5.5.1 "{command}: no" if command in { "TURN", "SEND FROM:<a@b.example>", "FOO bar baz" }
    [later] tempfail 451 4.7.1 "{command}: soon" if command == "XSOON"
}
"""
EVERYTHING = """
at vrfy { [v] reject 550 5.7.1 "no" }
at expn { [e] reject 550 5.7.1 "no" }
at etrn { [t] tempfail 458 4.7.1 "no" }
at unknown { [u] reject 502 5.5.1 "no" }
"""


A_SESSION = 5


class Site:
    def __init__(self, rules=RULES, choices="", config="", run_as=None):
        self.folder = Folder()
        self.port = free_port()
        text = f"[mailreeve]\ndoors = socketmap\ndecisions = all\n{config}"
        self.arguments = (POLICYD, self.folder, self.folder.write("mail.rules", rules), text)
        self.daemon = self.new_daemon()
        feature = f"FEATURE(`mailreeve', `inet:{self.port}@127.0.0.1'{choices})dnl\n"
        self.sendmail = PrivateSendmail(features=feature, feature_folders=[FEATURE], settings={"confPRIVACY_FLAGS": "authwarnings"}, run_as=run_as)

    def new_daemon(self):
        return Daemon(*self.arguments, arguments=["--socketmap", f"inet:127.0.0.1:{self.port}"])

    def restart(self):
        self.daemon = self.new_daemon().start()

    def __enter__(self):
        try:
            self.daemon.start()
            self.sendmail.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.sendmail.stop()
        self.daemon.stop()
        self.folder.remove()

    def client(self, address="198.51.100.7", name="mail.example.net"):
        return self.sendmail.client(address, name)


def say(client, command):
    """The reply to a command of any bytes; the next one must be the next command's own."""
    client.socket.sendall((command if isinstance(command, bytes) else command.encode("latin-1")) + b"\r\n")
    return client.reply()


def expect(where, *dialogue):
    """`where` is a client or a site. After six VRFY in a session Sendmail begins to wait before each answer: on a site a few commands are a session."""
    if isinstance(where, Site):
        for start in range(0, len(dialogue), A_SESSION):
            with where.client() as client:
                expect(client, *dialogue[start : start + A_SESSION])
        return
    for command, reply in dialogue:
        equal(say(where, command), reply, command)
    equal(say(where, "RSET"), "250 2.0.0 Reset state", "each command has had one reply")


def test_replies():
    with Site() as site:
        expect(site,
               ("VRFY alice", "250 2.1.5 <alice@mx.example.test>"),
               ("VRFY root", "550 5.7.1 root: ask somebody else"),
               ("VRFY <root@example.test>", "550 5.7.1 root@example.test: ask somebody else"),
               ("VRFY The Root <root@example.test>", "550 5.7.1 root@example.test: ask somebody else"),
               ("VRFY moved@example.test", "551 5.1.6 please try <alice@there.example>"),
               ("VRFY odd@example.test", "553 5.1.3 (100%) 'odd@example.test'; $&client_name / %0"),
               ("VRFY lines@example.test", "550 5.7.1 first second"),
               ("VRFY long@example.test", "550 5.7.1 " + ("198.51.100.7 " * 16 + "end")[:220].rstrip()),
               ("VRFY alice,root", "501 5.5.4 One address at a time"),
               ("VRFY alice root", "501 5.5.4 One address at a time"),
               ("VRFY", "501 5.5.2 Argument required"),
               ("EXPN team", "502 5.7.0 EXPN team: no"),
               ("EXPN soon", "450 4.7.1 EXPN soon: soon"),
               ("EXPN alice", "250 2.1.5 <alice@mx.example.test>"),
               ("ETRN b.example", "459 4.7.1 b.example is not allowed"),
               ("ETRN @mail.b.example", "459 4.7.1 mail.b.example is not allowed"),
               ("ETRN c.example", "250 2.0.0 Queuing for node c.example started"),
               ("TURN", "502 5.5.1 TURN: no"),
               ("SEND FROM:<a@b.example>", "502 5.5.1 SEND FROM:<a@b.example>: no"),
               ("FOO bar  baz", "502 5.5.1 FOO bar baz: no"),
               ("XSOON", "451 4.7.1 XSOON: soon"),
               ("XOTHER", '500 5.5.1 Command unrecognized: "XOTHER"'),
               ("NOOP", "250 2.0.0 OK"),
               ("WIZARD", '500 5.5.1 Command unrecognized: "WIZARD"'))
        with site.client() as client:
            check(say(client, "HELP").startswith("214-2.0.0 This is sendmail version 8."), "HELP")
            equal(say(client, "WIZ"), "421 4.7.0 WIZ: good bye", "WIZ")
            equal(client.socket.recv(1), b"", "the connection is closed")
        with site.client("203.0.113.5", "bad.example.net") as client:
            refused = "554 5.7.1 203.0.113.5: not welcome"
            expect(client, *((command, refused) for command in ("VRFY alice", "EXPN alice", "ETRN c.example", "XOTHER")))


def test_facts():
    with Site() as site, site.client() as client:
        port = client.socket.getsockname()[1]
        say(client, "VRFY log@example.test")
        line = next(line for line in site.daemon.log().splitlines() if "mail.example.net" in line and "MTA" in line)
        check(line.endswith(f"mail.example.net {port} mail.example.net {site.sendmail.port} MTA mx.example.test\""), line)
        decision = site.daemon.decisions()[-1]
        equal((decision["client"], decision["recipient"], decision["phase"], decision["door"]), ("198.51.100.7", "log@example.test", "vrfy", "socketmap"), "the decision")


# What a client may say behind a command, with quotes, mail syntax, Sendmail's macros and map arguments, controls, bytes of the rewriting engine, and more than fits.
HOSTILE = [b'"', b'"root', b'"a b"@c', b"<", b">", b"<>", b"(", b")", b"(root)", b"a (b) c", b"<root", b"root>", b"\\", b"a\\", b"a\\ b", b"\\\"", b"a,", b",", b";", b":;",
           b"$&{client_addr}", b"$j", b"$", b"$#error $: x", b"$(mailreeve_vrfy x $)", b"$>mailreeve_answer pass", b"$| 2", b"%0", b"%1 %%", b"%", b"<> argument= b",
           b"a<>client_address= 10.0.0.1", b"x <> argument= pass", b"pass", b"refuse x", b"OK pass", b"\x01\x02\x1f\x7f", b"\t", b"a\tb", b"caf\xe9", b"caf\xc3\xa9", b"\xff", b"\xff\x86",
           b"x" * 250, b"x" * 300, b"x." * 300, b"x " * 300, b"x" * 2000, b"(" * 100, b'"' + b"y" * 600 + b'"', b"@" * 50, b"[192.0.2.1]", b"a@b" * 40]
HOSTILE += [b"a" + bytes([byte]) + b" pass" for byte in range(0x80, 0xa0)]
HOSTILE += [bytes([byte]) + b"error " + bytes([byte]) + b"pass" for byte in range(0x80, 0xa0)]
HOSTILE += [b"a " + bytes([byte]) + b"check_mail b" for byte in range(0x80, 0xa0)]


def test_hostile_arguments():
    """With rules that refuse everything no argument gets through: what is not refused by a rule Sendmail refuses itself, with exactly one reply."""
    with Site(EVERYTHING) as site:
        let_through = []
        for verb, own in ((b"VRFY", "550 5.7.1 no"), (b"EXPN", "550 5.7.1 no"), (b"ETRN", "458 4.7.1 no"), (b"XFOO", "502 5.5.1 no")):
            for start in range(0, len(HOSTILE), A_SESSION):
                with site.client() as client:
                    for argument in HOSTILE[start : start + A_SESSION]:
                        reply = say(client, verb + b" " + argument)
                        check(say(client, "RSET") == "250 2.0.0 Reset state", f"{verb} {argument!r}: {reply!r} and more")
                        if reply != own and not reply.startswith("5"):
                            let_through.append((verb, argument, reply))
        # Sendmail shows no ruleset what it cannot cut into tokens; a queue run for a node that has no such name does nothing.
        unseen = [argument for argument in HOSTILE if len(argument) > 256 or argument[:1] == b"\x96" or not argument.strip(b"()<>\\\t") or argument == b"(root)"]
        wrong = [each for each in let_through if each[0] != b"ETRN" or each[1] not in unseen]
        check(not wrong, f"{wrong}")
        for decision in site.daemon.decisions():
            check(decision["client"] == "198.51.100.7" and decision["door"] == "socketmap" and decision["rule"] in ("v", "e", "t", "u"), f"{decision}")
        check("malformed" not in site.daemon.log(), "a request that the daemon cannot read")


def test_hostile_arguments_beside_one_rule():
    """No spelling of an argument makes another command, or another client, of it."""
    rules = 'at vrfy { [root] reject 550 5.7.1 "no {recipient}" if recipient.localpart == "root" }\nat connect { [net] reject 550 5.7.1 "net" if client_address == 10.0.0.1 }\n'
    with Site(rules) as site:
        for start in range(0, len(HOSTILE), A_SESSION):
            with site.client() as client:
                for argument in HOSTILE[start : start + A_SESSION]:
                    reply = say(client, b"VRFY " + argument)
                    check("net" not in reply.split(), f"{argument!r}: {reply!r}")
                    check(say(client, "RSET") == "250 2.0.0 Reset state", f"{argument!r}: {reply!r} and more")
        for argument in ("root", "<root>", "ROOT <root@example.test>", "root@mx.example.test", " root ", '"root"', "(comment) root", "root (comment)", "(a)root(b)"):
            with site.client() as client:
                check(say(client, f"VRFY {argument}").startswith("550 5.7.1 no root"), f"{argument!r} is let through")


def test_nothing_about_noop():
    rules = 'at unknown { [out] disconnect 421 4.7.0 "out" }\n'
    with Site(rules) as site, site.client() as client:
        expect(client, ("NOOP", "250 2.0.0 OK"), ("NOOP alice", "250 2.0.0 OK"), ("VERB", "250 2.0.0 Verbose mode"))
        equal(site.daemon.decisions(), [], "decisions")
    with Site(rules + 'at vrfy { [v] reject "v" }', ", `tempfail', `noop'") as site, site.client() as client:
        equal(say(client, "NOOP"), "421 4.7.0 out", "NOOP")
        equal(client.socket.recv(1), b"", "the connection is closed")
    with Site('at unknown { [no] reject 502 5.5.1 "no" }\n', ", `tempfail', `noop'") as site, site.client() as client:
        expect(client, ("NOOP", "250 2.0.0 OK"), ("FOO", "502 5.5.1 no"))


AWAY = "451 4.3.0 Policy is not available, try again later"


def test_daemon_away():
    """Not running when a session begins, and gone within one."""
    for choices, vrfy in (("", AWAY), (", `tempfail'", AWAY), (", `pass'", "250 2.1.5 <alice@mx.example.test>")):
        with Site(EVERYTHING, choices) as site:
            with site.client() as client:
                equal(say(client, "VRFY alice"), "550 5.7.1 no", "while it is there")
                site.daemon.stop()
                for _ in range(2):
                    expect(client, ("VRFY alice", vrfy), ("XFOO", '500 5.5.1 Command unrecognized: "XFOO"'))
            with site.client() as client:
                expect(client, ("VRFY alice", vrfy), ("EXPN alice", vrfy), ("ETRN c.example", vrfy if vrfy == AWAY else "250 2.0.0 Queuing for node c.example started"))
                site.restart()
            with site.client() as client:
                equal(say(client, "VRFY alice"), "550 5.7.1 no", "when it is back")


def test_restart_within_a_session():
    """The connection that Sendmail had is closed: one question goes unanswered, the next one opens another."""
    with Site(EVERYTHING) as site, site.client() as client:
        equal(say(client, "VRFY alice"), "550 5.7.1 no", "before")
        site.daemon.stop()
        site.restart()
        expect(client, ("VRFY alice", AWAY), ("VRFY alice", "550 5.7.1 no"), ("EXPN alice", "550 5.7.1 no"))


def test_reload_within_a_session():
    with Site(EVERYTHING) as site, site.client() as client:
        equal(say(client, "VRFY alice"), "550 5.7.1 no", "before")
        site.folder.write("mail.rules", 'at vrfy { [v] reject 551 5.1.6 "moved" }\n')
        site.daemon.reload()
        site.daemon.wait_log("reloaded: ")
        equal(say(client, "VRFY alice"), "551 5.1.6 moved", "after")


def test_mistakes_in_the_feature():
    """The second and the third argument are words of the feature."""
    for choices, words in ((", `temfail'", "the second argument is tempfail or pass"), (", `pass', `nop'", "the third argument is noop or nothing")):
        try:
            with Site(EVERYTHING, choices):
                pass
        except RuntimeError as problem:
            check(words in str(problem), f"{problem}")
        else:
            check(False, f"{choices} is taken")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"sendmail": PrivateSendmail.why_not()}))
