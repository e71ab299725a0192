"""tables.py: large tables in files, from a seed: how long a daemon takes until it is ready with them, and its memory then."""

import random
import time

from measuring import resident_kib  # first: it says where the other folders are
from daemons import POLICYD, Daemon

COUNT = 1_000_000


def network(chance):
    """Three of four are IPv4."""
    if chance.random() < 0.75:
        length = chance.choice((16, 20, 22, 24, 24, 24, 26, 28, 30, 32, 32))
        bits = chance.getrandbits(32) >> (32 - length) << (32 - length)
        return ".".join(str(bits >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"
    length = chance.choice((32, 40, 48, 48, 56, 64, 64, 64, 128))
    bits = (2 << 124 | chance.getrandbits(124)) >> (128 - length) << (128 - length)
    groups = [f"{bits >> shift & 0xffff:x}" for shift in range(112, -1, -16)]
    zeros = 0
    while zeros < 8 and groups[7 - zeros] == "0":
        zeros += 1
    return (":".join(groups[:8 - zeros]) + "::" if zeros > 1 else ":".join(groups)) + f"/{length}"


def domain(chance):
    """A third of them stand for all below."""
    name = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=chance.randint(5, 15)))
    return ("." if chance.random() < 0.3 else "") + name + "." + chance.choice(("com", "net", "org", "example", "co.uk", "info"))


def lines(make, seed=1):
    chance = random.Random(seed)
    entries = set()
    while len(entries) < COUNT:
        entries.add(make(chance))
    return "\n".join(sorted(entries)) + "\n"


KINDS = (
    ("networks", network, "table large of net from file \"{}\"\nat rcpt {{ [large] reject if client_address in large }}\n", 100),
    ("domains", domain, "table large of domain from file \"{}\"\nat rcpt {{ [large] reject if sender.domain in large }}\n", 150),
)


def part_tables(folder, runs):
    print(f"\ntables of {COUNT} lines: until the daemon is ready, and what it holds then (medians)")
    for name, make, rules, target in KINDS:
        path = folder.write(name, lines(make))
        rules_path = folder.write(f"{name}.rules", rules.format(path))
        seconds, resident, peak = [], [], []
        for _ in range(runs):
            start = time.monotonic()
            with Daemon(POLICYD, folder, rules_path) as daemon:
                seconds.append(time.monotonic() - start)
                resident.append(resident_kib(daemon.process.pid) / 1024)
                peak.append(resident_kib(daemon.process.pid, "VmHWM") / 1024)
        middle = runs // 2
        print(f"{name}: {sorted(seconds)[middle]:.2f} s (target: < 2), {sorted(resident)[middle]:.1f} MiB resident, at its peak "
              f"{sorted(peak)[middle]:.1f} (target: < {target})")
