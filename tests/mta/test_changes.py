#!/usr/bin/env python3
"""What rules do to a message and to its recipients, through a real Postfix (milter and policy door) and a real Sendmail: what is delivered, and to whom.

Postfix needs root; without a private Sendmail its part is left out. With words on the command line only the tests whose names have one of them run.
"""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from private_postfix import PrivatePostfix, free_port, wait_until  # noqa: E402
from private_sendmail import PrivateSendmail  # noqa: E402
from running import run_tests  # noqa: E402
from test_postfix import Site, check, equal, greet, send  # noqa: E402
from test_sendmail import SendmailSite  # noqa: E402

MILTER_RULES = r"""
at rcpt {
    [gone] remove recipient "{recipient}" if recipient == "bob@example.test" and sender == "gone@rules.example"
}
at eom when sender == "headers@rules.example" {
    [subject]  replace header "Subject" "[checked] {sender}"
    [received] delete header "Received" 1
    [last]     replace header "Received" last "by nobody"
    [twice]    replace header "X-Twice" "only one"
    [spam]     delete header "x-spam-status"
    [none]     delete header "X-None"
    [new]      replace header "X-New" "new"
    [prepend]  prepend header "X-First" "first"
    [append]   append header "X-Last" "last"
}
at eom {
    [add]      add recipient "carol@example.test" if sender == "add@rules.example"
    [copy]     bcc message "carol@example.test" if sender == "copy@rules.example"
    [sender]   change sender "bounces@example.test" if sender == "list@rules.example"
    [null]     change sender <> if sender == "robot@rules.example"
    [redirect] redirect message "carol@example.test" if sender == "redirect@rules.example"
    [hold]     quarantine message "look at it" if sender == "hold@rules.example"
    [undone]   redirect message "{sender.localpart}" if sender == "undone@rules.example"
}
"""

HEADERS = """\
Received: from one (1)
Received: from two (2)
Subject: before
X-Twice: a
Received: from three (3)
X-Spam-Status: no
X-Twice: b
X-Spam-Status: yes

{mark}
"""


def deliver(site, sender, *recipients, text=None):
    """Sends a message with a mark of its own; returns the mark."""
    deliver.count += 1
    mark = f"mark-{deliver.count}-of-{os.getpid()}"
    with site.client() as client:
        greet(client)
        reply = send(client, sender, *recipients, text=(text or "Subject: test\n\n{mark}\n").replace("{mark}", mark))
        check(reply.startswith("250"), f"the message: {reply}")
        deliver.reply = reply
    return mark


deliver.count = 0


def who_has(mta, mark):
    return sorted(user for user in ("alice", "bob", "carol", "postmaster") if any(mark in text for text in mta.delivered(user)))


def header_lines(text):
    """Header fields, unfolded."""
    return re.sub(r"\n[ \t]+", " ", text.split("\n\n", 1)[0]).split("\n")


# Through the milter: the same stories at Postfix and at Sendmail


def story_headers(site, mta):
    mark = deliver(site, "headers@rules.example", "alice@example.test", text=HEADERS)
    lines = header_lines(mta.wait_delivered("alice", mark))
    named = {name: [line.split(": ", 1)[1] for line in lines if line.lower().startswith(name + ": ")] for name in
             ("subject", "received", "x-twice", "x-spam-status", "x-new", "x-first", "x-last")}
    equal(named["subject"], ["[checked] headers@rules.example"])
    equal(named["x-twice"], ["only one"])
    equal(named["x-spam-status"], [])
    equal((named["x-new"], named["x-first"], named["x-last"]), (["new"], ["first"], ["last"]))
    equal([line for line in named["received"] if "with" not in line], ["from two (2)", "by nobody"], "the client's Received headers")
    check(len(named["received"]) == 3, f"the MTA's own Received: {named['received']}")
    mark = deliver(site, "plain@rules.example", "alice@example.test", text=HEADERS)
    lines = header_lines(mta.wait_delivered("alice", mark))
    check("Subject: before" in lines and not any(line.startswith(("X-First", "X-Last", "X-New")) for line in lines), f"the next message: {lines}")


def story_recipients(site, mta):
    mark = deliver(site, "gone@rules.example", "alice@example.test", "Bob@example.test", "postmaster@example.test")
    mta.wait_delivered("alice", mark)
    mta.wait_delivered("postmaster", mark)
    equal(who_has(mta, mark), ["alice", "postmaster"], "a recipient less")
    lonely = deliver(site, "gone@rules.example", "bob@example.test")
    for sender in ("add@rules.example", "copy@rules.example"):
        mark = deliver(site, sender, "alice@example.test")
        mta.wait_delivered("alice", mark)
        mta.wait_delivered("carol", mark)
        equal(who_has(mta, mark), ["alice", "carol"], "a recipient more")
    mark = deliver(site, "redirect@rules.example", "alice@example.test", "bob@example.test")
    mta.wait_delivered("carol", mark)
    equal(who_has(mta, mark), ["carol"], "redirected")
    mark = deliver(site, "undone@rules.example", "alice@example.test", "bob@example.test")
    mta.wait_delivered("alice", mark)
    mta.wait_delivered("bob", mark)
    equal(who_has(mta, mark), ["alice", "bob"], "redirected to no address")
    equal(who_has(mta, lonely), [], "nobody is left")
    wait_until(lambda: re.search("undone redirect message: is not user@domain: undone", site.milter.log()), "the log tells of it")


def story_hold(site, mta):
    mark = deliver(site, "hold@rules.example", "alice@example.test")
    queue_id = re.search(r"queued as (\w+)|2.0.0 (\w+) Message accepted", deliver.reply)
    wait_until(lambda: mta.is_held(queue_id[1] or queue_id[2]), f"held: {deliver.reply}")
    equal(who_has(mta, mark), [])


def story_sender_postfix(site, mta):
    for sender, becomes in (("list@rules.example", "<bounces@example.test>"), ("robot@rules.example", "<>")):
        text = mta.wait_delivered("alice", deliver(site, sender, "alice@example.test"))
        equal([line for line in header_lines(text) if line.startswith("Return-Path:")], [f"Return-Path: {becomes}"])


def story_sender_sendmail(site, mta):
    for sender, becomes in (("list@rules.example", "<bounces@example.test>"), ("robot@rules.example", "<>")):
        mta.wait_delivered("alice", deliver(site, sender, "alice@example.test"))
        wait_until(lambda: re.search(f"Milter .*chgfrom.*{re.escape(becomes.strip('<>'))}|from={re.escape(becomes)}", mta.log()), f"a sender {becomes} in {mta.log()[-2000:]}")


def run_stories(site, mta, stories):
    for story in stories:
        try:
            story(site, mta)
        except Exception as problem:
            raise AssertionError(f"{story.__name__}: {problem}") from problem
    check("did not take" not in site.milter.log(), f"the MTA takes all: {site.milter.log()}")


def test_postfix_milter():
    with Site("milter", rules=MILTER_RULES) as site:
        run_stories(site, site.postfix, [story_headers, story_recipients, story_hold, story_sender_postfix])


def test_sendmail_milter():
    with SendmailSite(rules=MILTER_RULES) as site:
        run_stories(site, site.sendmail, [story_headers, story_recipients, story_hold, story_sender_sendmail])


# Through the policy door


def test_postfix_policy():
    """Each change once for the message, though each of its recipients is a question; two changes with two questions."""
    port = free_port()
    rules = f"""
at rcpt {{
    [no]       reject 550 5.1.1 "no such user" if recipient == "bob+no@example.test"
    [redirect] redirect message "carol@example.test" if sender == "redirect@rules.example"
    [copy]     bcc message "carol@example.test" if sender == "copy@rules.example"
    [head]     prepend header "X-Copied" "yes" if sender == "copy@rules.example"
    [hold]     quarantine message "look at it" if sender == "hold@rules.example"
    [filter]   filter message "smtp:[127.0.0.1]:{port}" if sender == "filter@rules.example"
    [drop]     bcc message "postmaster@example.test" if recipient == "bob+refused@example.test"
    [refuse]   reject 550 5.1.1 "refused after an effect" if recipient == "bob+refused@example.test"
}}
at eom {{
    [late]     redirect message "carol@example.test" if sender == "late@rules.example"
}}
"""
    with Site("policy", rules=rules) as site:
        mta = site.postfix
        mark = deliver(site, "redirect@rules.example", "alice@example.test", "bob@example.test")
        mta.wait_delivered("carol", mark)
        equal(who_has(mta, mark), ["carol"], "redirected")
        mark = deliver(site, "late@rules.example", "alice@example.test", "bob@example.test")
        mta.wait_delivered("carol", mark)
        equal(who_has(mta, mark), ["carol"], "redirected at the end")
        mark = deliver(site, "copy@rules.example", "alice@example.test", "bob@example.test")
        for user in ("alice", "bob", "carol"):
            equal(mta.wait_delivered(user, mark).count("\nX-Copied: yes\n"), 1, "a header and a copy")
        equal(sum(mark in text for text in mta.delivered("carol")), 1, "one copy")
        mark = deliver(site, "hold@rules.example", "alice@example.test")
        wait_until(lambda: mta.is_held(re.search(r"queued as (\w+)", deliver.reply)[1]), "held")
        equal(who_has(mta, mark), [])
        with site.client() as client:
            greet(client)
            client.command("MAIL FROM:<a@rules.example>")
            check(client.command("RCPT TO:<bob+refused@example.test>").startswith("550"), "refused")
            check(client.command("RCPT TO:<alice@example.test>").startswith("250"), "accepted")
            client.command("DATA")
            check(client.send_message("Subject: after\n\nafter a refusal").startswith("250"), "sent")
        mta.wait_delivered("alice", "after a refusal")
        equal(who_has(mta, "after a refusal"), ["alice"], "effects of a refused recipient")
        # The filter is another Postfix: what comes to it was sent there by FILTER.
        with PrivatePostfix({"myhostname": "filter.example.test"}, port=port) as second:
            mark = deliver(site, "filter@rules.example", "alice@example.test", "bob@example.test")
            for user in ("alice", "bob"):
                check("by filter.example.test" in second.wait_delivered(user, mark), "through the filter")
            equal(who_has(mta, mark), [], "not delivered beside the filter")


# Groups of recipients

GROUP_RULES = """
table policies of address -> string { "alice@example.test" -> "strict", "bob@example.test" -> "loose", "carol@example.test" -> "strict" }
at rcpt {
    [group] group recipients by policies[recipient]
}
"""


def send_in_groups(site, sender, recipients, text):
    """A client that keeps what is answered 4xx for the next transaction; the recipients of each."""
    transactions, left = [], list(recipients)
    with site.client() as client:
        greet(client)
        while left:
            check(len(transactions) < 10, f"the client is done: {left} is left")
            client.command(f"MAIL FROM:<{sender}>")
            replies = {recipient: client.command(f"RCPT TO:<{recipient}>") for recipient in left}
            taken = [recipient for recipient in left if replies[recipient].startswith("250")]
            later = [recipient for recipient in left if replies[recipient].startswith("452 4.5.3 ")]
            equal(sorted(taken + later), sorted(left), f"{replies}")
            check(client.command("DATA").startswith("354"), "DATA")
            check(client.send_message(f"Subject: groups\n\n{text}").startswith("250"), "the message")
            transactions.append(taken)
            left = later
    return transactions


def story_groups(site, mta):
    mark = f"groups of {os.getpid()}"
    everyone = ["alice@example.test", "bob@example.test", "carol@example.test"]
    equal(send_in_groups(site, "a@rules.example", everyone, mark), [["alice@example.test", "carol@example.test"], ["bob@example.test"]])
    for user in ("alice", "bob", "carol"):
        mta.wait_delivered(user, mark)
        equal(sum(mark in text for text in mta.delivered(user)), 1, f"{user} gets it once")
    with site.client() as client:  # never twice in a transaction
        greet(client)
        client.command("MAIL FROM:<a@rules.example>")
        replies = [client.command(f"RCPT TO:<{recipient}>")[:3] for recipient in ("alice@example.test", "bob@example.test", "BOB@example.test")]
        equal(replies, ["250", "452", "250"])


def test_groups_policy():
    with Site("policy", rules=GROUP_RULES) as site:
        story_groups(site, site.postfix)
        site.policyd.wait_log("came again in the message that it was sent away from")


def test_groups_policy_asked_everywhere():
    with Site("policy", rules=GROUP_RULES, everywhere=True) as site:
        story_groups(site, site.postfix)


def test_groups_milter():
    with Site("milter", rules=GROUP_RULES) as site:
        story_groups(site, site.postfix)


def test_groups_both():
    with Site("policy milter", rules=GROUP_RULES) as site:
        story_groups(site, site.postfix)


def test_groups_sendmail():
    with SendmailSite(rules=GROUP_RULES) as site:
        story_groups(site, site.sendmail)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
