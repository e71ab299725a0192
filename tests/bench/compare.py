#!/usr/bin/env python3
"""What a policy hop costs, as ratios in one run. Run from the build folder, after `make bench-programs`: tests/bench/compare.py [PART ...] [--runs N] [--other BUILD_FOLDER]

The parts, what each needs and how to read its figures: README.md beside this file. Without a part: all of them.
"""
import argparse
import os
import shutil
import socket
import statistics
import threading
import time

from measuring import Null, ask, cpu_seconds, head, instructions, measure, read, request, resident_kib, row  # first: it says where the other folders are
from daemons import MILTER, POLICYD, Daemon, Folder, program
from private_postfix import PrivatePostfix, SmtpClient, free_port
from probe import DnsServer
from growing import part_regexes, part_scale
from peers import part_peers
from reloading import part_reload
from tables import part_tables


def part_policy(folder, runs):
    path = folder.write("requests", "".join(request(n) for n in range(1000)))
    rules = folder.write("ten.rules", read("ten.rules"))
    head("policy daemon, ten rules, against the null responder", "null")
    with Daemon(POLICYD, folder, rules) as ours, Null("policy_null") as null:
        for connections in (8, 128):
            a, b = [], []
            for _ in range(runs):
                a.append(measure("policy_load", ours.process.pid, ours.port, connections, 100000, path))
                b.append(measure("policy_load", null.process.pid, null.port, connections, 100000, path))
            label = f"{connections} connections, "
            row(label + "CPU us a request", [10 * f["cpu"] for f in a], [10 * f["cpu"] for f in b], "<= 1.5")
            row(label + "requests a second", [float(f["per_second"]) for f in a], [float(f["per_second"]) for f in b], ">= 0.7")
            row(label + "p99 us", [float(f["p99_us"]) for f in a], [float(f["p99_us"]) for f in b], "<= 1.5")
            assert all(f["ruled"] == "0" for f in a), "a rule matched"


def part_instructions(folder, _):
    if shutil.which("valgrind") is None:
        print("\ninstructions: valgrind is not installed, left out")
        return
    path = folder.write("requests", "".join(request(n) for n in range(1000)))
    rules = folder.write("ten.rules", read("ten.rules"))
    log = os.path.join(folder.path, "callgrind.log")
    figures = []
    for name in ("mailreeve-policyd", "null"):
        totals = []
        for count in (2000, 12000):
            port = free_port()
            command = ([program(POLICYD), "--foreground", "--rules", rules, "--listen", f"inet:127.0.0.1:{port}"] if name != "null"
                       else [program("tests/bench/policy_null"), str(port)])
            totals.append(instructions(command, port, log, path, count))
        figures.append((totals[1] - totals[0]) / 10000)
    print(f"\nuser-space instructions a request (callgrind): mailreeve-policyd {figures[0]:.0f}, null responder {figures[1]:.0f}")


def part_milter(folder, runs):
    rules = folder.write("ten.rules", read("ten.rules"))
    head("milter, ten rules, against a libmilter filter with the same steps", "null")
    with Daemon(MILTER, folder, rules) as ours:
        steps = measure("milter_load", ours.process.pid, ours.port, 10, 1, "a@adelphia.net")["steps"]
        with Null("milter_null", steps) as null:
            a, b = [], []
            for _ in range(runs):
                a.append(measure("milter_load", ours.process.pid, ours.port, 10000, 8, "a@adelphia.net"))
                b.append(measure("milter_load", null.process.pid, null.port, 10000, 8, "a@adelphia.net"))
            assert all(f["refused"] == "0" and f["steps"] == steps for f in a + b)
            row("CPU us a message", [100 * f["cpu"] for f in a], [100 * f["cpu"] for f in b], "<= 1.15")
            row("messages a second", [float(f["per_second"]) for f in a], [float(f["per_second"]) for f in b], ">= 0.95")


def message(size):
    """A message of about `size` bytes: a usual header, a text, and an attachment in base64 that fills it up."""
    head = ["Received: from mail.example.org (mail.example.org [198.51.100.7])\r\n\tby mx.example.test (Postfix) with ESMTPS id 4DD52A84CC7\r\n"
            "\tfor <alice@example.test>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)",
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=adelphia.net; s=mail;\r\n\th=from:to:subject:date; bh=" + "A" * 43 + "=;\r\n\tb=" + "B" * 172,
            "Date: Mon, 23 Nov 2026 10:00:00 +0000", "From: =?utf-8?q?Andr=C3=A9?= <a@adelphia.net>", "To: Alice <alice@example.test>",
            "Subject: =?utf-8?b?UmVwb3J0IGZvciBOb3ZlbWJlcg==?=", "Message-ID: <20261123100000.1@adelphia.net>", "MIME-Version: 1.0",
            "Content-Type: multipart/mixed; boundary=\"=_part\"", "User-Agent: Mutt/2.2.9"]
    text = "".join(f"Line {number} of a text that says nothing much, as most do.\r\n" for number in range(12))
    parts = "\r\n".join(head) + "\r\n\r\n--=_part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + \
        "--=_part\r\nContent-Type: application/pdf; name=\"report.pdf\"\r\nContent-Disposition: attachment; filename=\"report.pdf\"\r\n" + \
        "Content-Transfer-Encoding: base64\r\n\r\n"
    line = "JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\r\n"
    return parts + line * ((size - len(parts)) // len(line)) + "\r\n--=_part--\r\n"


def part_message(folder, runs):
    rules = folder.write("message.rules", read("message.rules"))
    head("milter, header and MIME rules, against a libmilter filter with the same callbacks", "null")
    with Daemon(MILTER, folder, rules) as ours:
        path = folder.write("message", message(4096))
        steps = measure("milter_load", ours.process.pid, ours.port, 10, 1, "a@adelphia.net", path)["steps"]
        with Null("milter_null", steps) as null:
            for name, size, count, target in (("4 KiB", 4096, 4000, ">= 0.85"), ("1 MiB", 1 << 20, 100, "")):
                path = folder.write("message", message(size))
                a, b = [], []
                for _ in range(runs):
                    a.append(measure("milter_load", ours.process.pid, ours.port, count, 8, "a@adelphia.net", path))
                    b.append(measure("milter_load", null.process.pid, null.port, count, 8, "a@adelphia.net", path))
                assert all(f["refused"] == "0" and f["steps"] == steps for f in a + b)
                row(f"{name}, messages a second", [float(f["per_second"]) for f in a], [float(f["per_second"]) for f in b], target)
                row(f"{name}, CPU us a message", [f["cpu"] / count * 1e6 for f in a], [f["cpu"] / count * 1e6 for f in b], "")
        mib = (statistics.median(f["cpu"] for f in a) - statistics.median(f["cpu"] for f in b)) / 100 * 1000
        print(f"CPU a MiB beyond what the null filter takes: {mib:.2f} ms")
    with Daemon(MILTER, folder, rules) as ours:
        measure("milter_load", ours.process.pid, ours.port, 20, 1, "a@adelphia.net", folder.write("message", message(4096)))
        before = resident_kib(ours.process.pid, "VmHWM")
        measure("milter_load", ours.process.pid, ours.port, 1, 1, "a@adelphia.net", folder.write("message", message(50_000_000)))
        cost = (resident_kib(ours.process.pid, "VmHWM") - before) / 1024
        print(f"memory: a message of 50 MB costs {cost:.2f} MiB at its peak (target: message_memory, 1 MiB here, and 1 MiB more)")


def part_rounds(folder, _):
    rules = folder.write("rcpt.rules", read("rcpt.rules"))
    with Daemon(MILTER, folder, rules) as ours:
        figures = measure("milter_load", ours.process.pid, ours.port, 1, 1, "a@adelphia.net")
        print(f"\nround trips of a one-recipient message, rules at rcpt only: {figures['round_trips']} (target: 3)")
        assert figures["round_trips"] == "3"


def rcpt_sessions(port, sessions, clients=8):
    """RCPT-only sessions a second from a few clients at once."""
    left = [sessions]
    lock = threading.Lock()

    def client():
        while True:
            with lock:
                if left[0] == 0:
                    return
                left[0] -= 1
            with SmtpClient(port) as smtp:
                for line in ("EHLO client.example.net", "MAIL FROM:<a@adelphia.net>", "RCPT TO:<alice@example.test>"):
                    assert smtp.command(line).startswith("250"), line
                smtp.command("QUIT")

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sessions / (time.monotonic() - start)


def part_postfix(folder, runs):
    """Also through the null filter: what a milter costs Postfix before it does anything."""
    if not PrivatePostfix.available():
        print("\npostfix: needs root and Postfix, left out")
        return
    rules = folder.write("ten.rules", read("ten.rules"))
    head("RCPT-only sessions through a private Postfix", "no policy")
    with Daemon(POLICYD, folder, rules) as policyd, Daemon(MILTER, folder, rules) as milter:
        steps = measure("milter_load", milter.process.pid, milter.port, 10, 1, "a@adelphia.net")["steps"]
        check = f"reject_unauth_destination, check_policy_service inet:127.0.0.1:{policyd.port}"
        # Messages that never come to their end use up the tokens of Postfix's flow control: it would slow each session down to half a second.
        settings = {"in_flow_delay": "0s"}
        with Null("milter_null", steps) as null, PrivatePostfix(settings) as plain, \
                PrivatePostfix({**settings, "smtpd_recipient_restrictions": check}) as policy, \
                PrivatePostfix({**settings, "smtpd_milters": f"inet:127.0.0.1:{milter.port}"}) as through_milter, \
                PrivatePostfix({**settings, "smtpd_milters": f"inet:127.0.0.1:{null.port}"}) as through_null:
            ports = (plain.port, policy.port, through_milter.port, through_null.port)
            for port in ports:
                rcpt_sessions(port, 200)
            rates, cpu = [], []
            for _ in range(runs):
                before = [cpu_seconds(filter_.process.pid) for filter_ in (milter, null)]
                rates.append([rcpt_sessions(port, 1500) for port in ports])
                cpu.append([(cpu_seconds(filter_.process.pid) - start) / 1500 * 1e6 for filter_, start in zip((milter, null), before)])
            row("sessions a second, policy door", [r[1] for r in rates], [r[0] for r in rates], ">= 0.9")
            row("sessions a second, milter", [r[2] for r in rates], [r[0] for r in rates], "")
            row("sessions a second, null filter", [r[3] for r in rates], [r[0] for r in rates], "")
            print("and the filter's own cost there, against the null filter's")
            row("milter, CPU us a session of Postfix", [c[0] for c in cpu], [c[1] for c in cpu], "<= 1.15")


def part_memory(folder, _):
    rules = folder.write("ten.rules", read("ten.rules"))
    with Daemon(POLICYD, folder, rules) as ours:
        start = resident_kib(ours.process.pid)
        path = folder.write("requests", "".join(request(n) for n in range(10)))
        measure("policy_load", ours.process.pid, ours.port, 8, 5000, path)
        before = resident_kib(ours.process.pid)
        text = request(1).encode()
        idle = []
        for _ in range(5000):
            connection = socket.create_connection(("127.0.0.1", ours.port))
            connection.sendall(text)
            assert connection.recv(100).startswith(b"action=")
            idle.append(connection)
        after = resident_kib(ours.process.pid)
        for connection in idle:
            connection.close()
        print(f"\nmemory: {start / 1024:.1f} MiB resident at start with ten rules (target: < 25); "
              f"{(after - before) / 5000:.2f} KiB an idle policy connection, of 5,000 that have asked once (target: <= 8)")
    with Daemon(MILTER, folder, rules) as ours:
        print(f"memory: mailreeve-milter {resident_kib(ours.process.pid) / 1024:.1f} MiB resident at start with ten rules")


def part_dns(folder, runs):
    lists = [f"list{number}.example.test" for number in range(10)]
    zone = "".join(f"*.{name} A 127.0.0.2 delay=100\n" for name in lists)
    rules = "".join(f'dnslist list{number} of ip "{name}"\n' for number, name in enumerate(lists))
    rules += "at rcpt {\n    accept recipient if recipient.localpart == \"postmaster\"\n    [listed] reject \"listed\" if "
    rules += " and ".join(f"client_address in list{number}" for number in range(10)) + "\n}\n"
    with DnsServer(zone) as dns, Daemon(POLICYD, folder, folder.write("dns.rules", rules), resolver=dns.address) as policyd:
        waits, free = [], []
        for number in range(runs):
            text = request(number).replace("recipient=alice+ext@", "recipient=alice@")
            result = []
            waiting = threading.Thread(target=lambda: result.append(ask(policyd.port, text)))
            waiting.start()
            dns.wait_count("query", 10 * (number + 1))
            for _ in range(10):
                took, reply = ask(policyd.port, text.replace("recipient=alice@", "recipient=postmaster@"))
                assert waiting.is_alive() and reply == "action=DUNNO", reply
                free.append(took)
            waiting.join()
            took, reply = result[0]
            assert reply.startswith("action=550"), reply
            waits.append(took)
        print(f"\nten DNS look-ups of 100 ms each in one phase: {statistics.median(waits):.1f} ms (target: about 100); "
              f"a request that needs none, meanwhile: {statistics.median(free):.2f} ms, at most {max(free):.2f}")


PARTS = {"policy": part_policy, "instructions": part_instructions, "scale": part_scale, "regexes": part_regexes, "peers": part_peers,
         "reload": part_reload, "tables": part_tables, "milter": part_milter, "message": part_message, "rounds": part_rounds, "postfix": part_postfix,
         "memory": part_memory, "dns": part_dns}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--other", type=os.path.abspath, help="for regexes: a build folder that was configured with libhs where this one is without it, or the other way")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} processors, {arguments.runs} interleaved runs, medians")
    for name in arguments.parts or PARTS:
        with Folder() as folder:
            PARTS[name](folder, arguments.runs, *([arguments.other] if name == "regexes" else []))


if __name__ == "__main__":
    main()
