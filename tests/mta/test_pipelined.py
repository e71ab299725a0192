#!/usr/bin/env python3
"""Messages of one session, pipelined (RFC 2920), with RSET in every gap: nothing of one message is seen by the next, through both doors of a real Postfix and the milter of a real Sendmail.

The first message leaves all that a message can leave: a score, a variable, a header to be added, an accept. It is given up behind each of its commands, or sent. Then the second one's
replies and what is delivered of it are what they are when it comes alone. Postfix needs root; without a private Sendmail its part is left out.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from private_postfix import PrivatePostfix  # noqa: E402
from private_sendmail import PrivateSendmail  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import Site, check, equal, greet  # noqa: E402
from test_sendmail import SendmailSite  # noqa: E402

RULES = r"""
at connect { score 1 }
at mail {
    score 10 if sender.localpart == "heavy"
    set message.who = sender.localpart
    [free] accept message if sender.localpart == "free"
}
at rcpt {
    score message 100 if recipient.localpart == "bob"
    set message.last = recipient.localpart
    [told] reject 552 5.7.1 "{message.who} after {message.last} has {score}" if recipient.localpart == "carol"
    [who] prepend header "X-Who" "{message.who} {score}"
}
"""
HEAVY = ["MAIL FROM:<heavy@rules.example>", "RCPT TO:<bob@example.test>", "RCPT TO:<alice@example.test>"]
FREE = ["MAIL FROM:<free@rules.example>", "RCPT TO:<bob@example.test>", "RCPT TO:<carol@example.test>"]
SECOND = ["MAIL FROM:<light@rules.example>", "RCPT TO:<carol@example.test>", "RCPT TO:<alice@example.test>", "DATA"]
GAPS = [["RSET"], ["RSET", "RSET"], ["RSET", "MAIL FROM:<heavy@rules.example>", "RSET"], ["RSET", *FREE, "RSET"]]


def text(mark):
    return f"Subject: pipelined\r\n\r\n{mark}\r\n."


def pipeline(client, lines):
    """Sends the lines at once; the reply to each."""
    client.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())
    return [client.reply() for _ in lines]


def second_message(mta, client, before, what):
    """What is before it, and the second message behind it in one group; its replies and what is delivered."""
    second_message.count += 1
    mark = f"second-{second_message.count}-of-{os.getpid()}"
    replies = pipeline(client, [*before, *SECOND])
    equal([reply[:3] for reply in replies[-4:]], ["250", "552", "250", "354"], f"{what}: {replies}")
    check(replies[-3].endswith("light after carol has 1"), f"{what}: {replies[-3]}")
    end = pipeline(client, [text(mark), "NOOP"])
    equal([reply[:3] for reply in end], ["250", "250"], f"{what}: {end}")
    header = mta.wait_delivered("alice", mark).split("\n\n", 1)[0]
    equal(re.findall("(?m)^X-Who:.*$", header), ["X-Who: light 1"], what)
    return replies[: len(before)]


second_message.count = 0


def story(site, mta, score):
    """`score`: what a message from heavy@ has behind bob@, whom the policy door, which judges each recipient alone, has forgotten at the next one."""
    with site.client() as client:
        greet(client)
        replies = pipeline(client, [*HEAVY[:2], "RCPT TO:<carol@example.test>"])
        check(replies[-1].endswith(f"heavy after carol has {score}"), f"what the first one leaves: {replies}")
    for first in (HEAVY, FREE):
        for gap in GAPS:
            with site.client() as client:
                greet(client)
                for given_up in range(len(first) + 1):
                    before = first[:given_up] + gap
                    replies = second_message(mta, client, before, f"{before}")
                    check(all(reply.startswith("250") for reply in replies), f"{before}: {replies}")
        with site.client() as client:
            greet(client)
            for gap in ([], *GAPS):
                replies = pipeline(client, [*first, "DATA"])
                equal(replies[-1][:3], "354", f"{first}: {replies}")
                replies = second_message(mta, client, [text("first"), *gap], f"{first[0]}, sent, {gap}")
                check(all(reply.startswith("250") for reply in replies), f"sent, {gap}: {replies}")


def test_postfix_policy():
    with Site("policy", rules=RULES) as site:
        story(site, site.postfix, 11)


def test_postfix_policy_asked_everywhere():
    with Site("policy", rules=RULES, everywhere=True) as site:
        story(site, site.postfix, 11)


def test_postfix_milter():
    with Site("milter", rules=RULES) as site:
        story(site, site.postfix, 111)


def test_postfix_both():
    with Site("policy milter", rules=RULES) as site:
        story(site, site.postfix, 11)


def test_sendmail_milter():
    with SendmailSite(rules=RULES) as site:
        story(site, site.sendmail, 111)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
