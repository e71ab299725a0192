#!/usr/bin/env python3
"""The stories of tests/scenario that go "through mta", through a real Sendmail with mailreeve-milter.

    test_stories_sendmail.py [--verbose] [SCENARIO ...]        from the build folder; without a scenario: all of tests/scenario

The verdict and the rule must be what the story expects of the milter door, and the client must hear the reply: Sendmail puts the address before the text of some
codes, which is taken off first. Skipped where there can be no private Sendmail.
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "real")]
sys.dont_write_bytecode = True
from daemons import MILTER  # noqa: E402
from private_postfix import free_port  # noqa: E402
from private_sendmail import PrivateSendmail, milter  # noqa: E402
from test_doors import SCENARIOS, SERVER, Log, Outcome, PostfixStory, Report, World, mailreeve, refusal, split_reply, tell_to_postfix  # noqa: E402


PATIENCE = 3  # greetings of one session


class SendmailStory(PostfixStory):
    """SMTP as a client speaks it; the client connects from the address of the story."""

    def __init__(self, sendmail, log):  # the client connects at its step
        self.sendmail, self.doors, self.logs = sendmail, ["milter"], {"milter": log}
        self.client = self.arrival = None
        self.greetings = 0

    def connect(self, step):
        self.arrival, self.greetings = step, 0
        self.client = self.sendmail.client(step["argument"], step.get("name"), greeting=None)
        return self.client.greeting

    def command(self, step):
        if step["step"] == "client":
            return self.connect(step)
        if step["step"] in ("helo", "ehlo"):
            self.greetings += 1
            if self.greetings >= PATIENCE:
                # Each further one makes the client wait, twice as long as the one before: the story goes on in a new connection.
                self.client.close()
                self.connect(self.arrival)
        return super().command(step)

    def tell(self, step):
        reply = self.command(step)
        code, enhanced, lines = split_reply(reply) if re.match(r"\d{3}", reply) else ("421", None, [])
        outcome = refusal(reply, code, enhanced, [re.sub(r"^<[^ ]*>\.\.\. ", "", line) for line in lines]) if code[0] in "45" else Outcome(reply)
        got = Outcome(reply)
        self.logs["milter"].read(got)
        outcome.rule, outcome.effects = got.rule, got.effects
        if not outcome.refused:
            outcome.outcome = got.outcome
        return "milter", outcome

    def close(self):
        if self.client is not None:
            self.client.close()


def tell_story(path, story, index, sessions, port, sendmail, report):
    with World(path, story, index) as world:
        if not world.can_be_alone("milter"):
            return
        daemon = world.daemon(MILTER, "milter", f"inet:127.0.0.1:{port}")
        daemon.port = port
        with daemon:
            for session in sessions:
                tell_to_postfix(path, session, "Sendmail with milter", SendmailStory(sendmail, Log(daemon)), report)


def main():
    reason = PrivateSendmail.why_not()
    if reason:
        print(f"skipped: no private Sendmail: {reason}")
        sys.exit(77)
    arguments = sys.argv[1:]
    report = Report("--verbose" in arguments)
    paths = [argument for argument in arguments if argument != "--verbose"] or sorted(glob.glob(os.path.join(SCENARIOS, "*.scenario")))
    stories = [(os.path.relpath(path), story) for path in paths for story in mailreeve("test", "--print", path)]
    port = free_port()
    with PrivateSendmail([milter(f"inet:{port}@127.0.0.1")], hostname=SERVER, features="FEATURE(`promiscuous_relay')dnl\n") as sendmail:
        for path, story in [(path, story) for path, story in stories if story["server"] == SERVER]:
            for index in range(len(story["rules"])):
                sessions = [session for session in story["sessions"] if session["mta"] and session["rules"] == index and "milter" in session["doors"]]
                if sessions:
                    tell_story(path, story, index, sessions, port, sendmail, report)
    print(f"through Sendmail: {report.steps} steps, {report.failures} wrong")
    sys.exit(1 if report.failures or report.steps == 0 else 0)


if __name__ == "__main__":
    main()
