"""measuring.py: what the parts of compare.py share: null responders, load programs, CPU time, instructions, requests, and the table of ratios."""
import os
import re
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "mta"), os.path.join(HERE, "..", "real"), HERE]
sys.dont_write_bytecode = True

from daemons import program  # noqa: E402
from private_postfix import can_connect, free_port, wait_until  # noqa: E402


class Null:
    """A null responder on a port of its own."""

    def __init__(self, name, *arguments):
        self.port = free_port()
        # A session of its own, as our daemons have: the kernel's autogroups would else let it share the load program's turn on the processors.
        self.process = subprocess.Popen([program(f"tests/bench/{name}"), str(self.port), *arguments], start_new_session=True)
        wait_until(lambda: can_connect(self.port), f"{name} listens")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def cpu_seconds(pid):
    """User and system time of a process so far, of threads that have ended too, in nanoseconds' detail: its CPU-time clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_kib(pid, which="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return int(re.search(which + r":\s+(\d+)", text.read())[1])


def measure(load, server, *arguments):
    """Runs a load program; its figures as text, with the server's CPU seconds as `cpu`. `server` is a process, or what says how long a server has run."""
    clock = server if callable(server) else lambda: cpu_seconds(server)
    before = clock()
    output = subprocess.run([program(f"tests/bench/{load}"), *map(str, arguments)], check=True, capture_output=True, text=True).stdout
    figures = {key: value for key, value in re.findall(r"(\w+)=(\S+)", output)}
    figures["cpu"] = clock() - before
    return figures


def request(number):
    """A request with all attributes, 656 bytes, the sender and the client another one each time."""
    lines = ["request=smtpd_access_policy", "protocol_state=RCPT", "protocol_name=ESMTP", f"client_address=192.0.2.{number % 250 + 1}",
             f"client_name=mail{number % 1000:03d}.adelphia.net", "client_port=4567", f"reverse_client_name=mail{number % 1000:03d}.adelphia.net",
             "server_address=127.0.0.1", "server_port=25", f"helo_name=mail{number % 1000:03d}.adelphia.net", f"sender=user{number:06d}@adelphia.net",
             "recipient=alice+ext@example.test", "recipient_count=0", "queue_id=", f"instance=2181.6b044141.a6e25.{number:06x}", "size=0", "etrn_domain=",
             "stress=", "sasl_method=", "sasl_username=", "sasl_sender=", "ccert_subject=", "ccert_issuer=", "ccert_fingerprint=",
             "ccert_pubkey_fingerprint=", "encryption_protocol=", "encryption_cipher=", "encryption_keysize=0", "policy_context=",
             "compatibility_level=3.8", "mail_version=3.8.0", "tls_sni="]
    return "\n".join(lines) + "\n\n"


def row(name, ours, null, target):
    """Prints medians, the median of the ratios pair by pair, their spread, and what was to be shown."""
    ratios = [a / b for a, b in zip(ours, null)]
    middle = statistics.median(ratios)
    print(f"{name:46} {statistics.median(ours):12.2f} {statistics.median(null):12.2f} {middle:7.3f}  {min(ratios):.3f}..{max(ratios):.3f}  {target}")
    return middle


def head(title, base):
    print(f"\n{title}\n{'':46} {'mailreeve':>12} {base:>12} {'ratio':>7}  spread        target")


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def settle(process, port, path):
    """Asks what makes it compile all that it compiles while it runs, on threads of their own, and waits until they have ended: it answers as it will from then on."""
    before = threads(process.pid)
    subprocess.run([program("tests/bench/policy_load"), str(port), "1", "1000", path], check=True, stdout=subprocess.DEVNULL)
    wait_until(lambda: threads(process.pid) <= before, "regexes are compiled", 900)


def instructions(command, port, log, path, count):
    """User-space instructions of a server until it has answered `count` requests, after as many as it needs to settle: callgrind's total."""
    process = subprocess.Popen(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--log-file={log}", *command],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: can_connect(port), "the server under callgrind listens", 120)
    ask(port, request(0))  # it listens before it has read its rules
    settle(process, port, path)
    subprocess.run([program("tests/bench/policy_load"), str(port), "1", str(count), path], check=True, stdout=subprocess.DEVNULL)
    process.terminate()
    process.wait()
    with open(log, encoding="utf-8") as text:
        return int(re.search(r"Collected\s*:\s*(\d+)", text.read())[1])


def ask(port, text):
    """One policy question over a connection of its own; how long the answer took, in ms."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        start = time.monotonic()
        connection.sendall(text.encode())
        reply = b""
        while not reply.endswith(b"\n\n"):
            part = connection.recv(4096)
            assert part, "closed without an answer"
            reply += part
        return (time.monotonic() - start) * 1000, reply.decode().strip()


def with_facts(text, facts):
    for name, value in facts.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, count=1, flags=re.M)
    return text


def wrong_answers(port, rules, count, every=100):
    """How many of `count` requests, one in `every` made to match, are not answered as the plain evaluator says; and how many match, as it says."""
    wrong = matched = 0
    with socket.create_connection(("127.0.0.1", port)) as connection:
        answers = connection.makefile("r", encoding="ascii", newline="\n")
        for number in range(count):
            facts = rules.request(number % every == 0)
            connection.sendall(with_facts(request(number), facts).encode())
            action = answers.readline()
            answers.readline()
            expected = rules.verdict(facts)
            matched += expected is not None
            found = re.search(r"rule (\d+)", action)
            wrong += (int(found[1]) if found else None) != expected or (found is None and action != "action=DUNNO\n")
    return wrong, matched


def request_file(folder, rules):
    """A thousand requests, ten of them made to match a rule, for policy_load."""
    return folder.write("requests", "".join(with_facts(request(n), rules.request(n % 100 == 0)) for n in range(1000)))


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as text:
        return text.read()
