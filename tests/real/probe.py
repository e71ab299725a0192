"""probe.py: what the tests with a real resolver share: starting a DNS server and resolver_probe, and talking to the probe.

Everything that is started is ended by its own process object. Waiting has no sleeps: it is reading what the programs print.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
os.umask(0o022)  # the daemons take no rules that others may write
PATIENCE = 60  # seconds for one line of the probe; only a test that has failed takes so long


class TestFailure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise TestFailure(text)


def run(tests):
    """Runs the test functions in order, prints a line for each, and ends the program."""
    failures = 0
    for test in tests:
        name = test.__name__.replace("_", " ")
        try:
            test()
            print("ok:", name, flush=True)
        except TestFailure as problem:
            failures += 1
            print("FAILED:", name, "-", problem, flush=True)
    sys.exit(1 if failures else 0)


class DnsServer:
    """slow_dns.py with this zone, and its log."""

    def __init__(self, zone, *arguments):
        self.folder = tempfile.TemporaryDirectory()
        self.log = os.path.join(self.folder.name, "log")
        zone_file = os.path.join(self.folder.name, "zone")
        self.zone_file = zone_file
        with open(zone_file, "w", encoding="utf-8") as file:
            file.write(zone)
        command = [sys.executable, os.path.join(HERE, "slow_dns.py"), "--zone", zone_file, "--log", self.log, "--end-with-stdin", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = "127.0.0.1@" + self.process.stdout.readline().strip()

    def events(self):
        """Each line of the log without its time, in order."""
        with open(self.log, encoding="utf-8") as file:
            return [line.split(None, 1)[1].strip() for line in file if line.endswith("\n")]

    def zone(self, text):
        """Another zone from now on. A question behind it may still find the old one, so the caller waits for what it wants to see."""
        with open(self.zone_file, "w", encoding="utf-8") as file:
            file.write(text)
        self.process.send_signal(signal.SIGHUP)

    def count(self, start):
        return sum(1 for event in self.events() if event == start or event.startswith(start + " "))

    def wait_count(self, start, count):
        """Until so many events begin with these words."""
        end = time.monotonic() + PATIENCE
        while self.count(start) < count:
            check(time.monotonic() < end, f"the DNS server does not see {start!r}: {self.events()[-5:]}")
            time.sleep(0.01)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.folder.cleanup()


class Probe:
    def __init__(self, address):
        program = os.environ.get("RESOLVER_PROBE", "tests/real/resolver_probe")
        self.process = subprocess.Popen([program, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pending = b""

    def send(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())
        self.process.stdin.flush()

    def line(self):
        while b"\n" not in self.pending:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            check(ready, "the probe says nothing")
            data = os.read(self.process.stdout.fileno(), 65536)
            check(data, "the probe has ended")
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def ask(self, name, kind="A"):
        """Asks and waits for this answer: (state, ttl, cached, rest)."""
        self.send(f"ask {name} {kind}")
        return self.answer(name, kind)

    def answer(self, name, kind="A"):
        words = self.line().split(" ", 6)
        check(words[:3] == ["answer", name, kind], f"answer to {name} {kind} expected, not {words}")
        rest = words[6] if len(words) > 6 else ""
        return words[3], int(words[4].split("=")[1]), words[5] == "cached=1", rest

    def say(self, line):
        self.send(line)
        return self.line()

    def counts(self):
        return {key: int(value) for key, value in (word.split("=") for word in self.say("counts").split()[1:])}

    def stop(self):
        """What is still printed after the end of its input."""
        self.process.stdin.close()
        lines = [self.line()]
        while lines[-1] != "stopped":
            lines.append(self.line())
        check(self.process.wait() == 0, "the probe failed at its end")
        return lines[:-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None and not self.process.stdin.closed:
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
