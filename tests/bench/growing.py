"""growing.py: parts `scale` and `regexes` of compare.py: what a request costs as the rules grow, and whether each answer is the plain evaluator's."""
import os
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from measuring import Null, head, instructions, measure, request_file, resident_kib, row, wrong_answers
from daemons import POLICYD, Daemon, program
from private_postfix import free_port
from scale import SIZES, Rules

ANSWERS = 20000


def instructions_of(folder, rules, path):
    """User-space instructions a request with these rules: what 5,000 more cost. Both runs at once: instructions are counted, not time."""
    def total(count):
        port = free_port()
        command = [program(POLICYD), "--foreground", "--rules", rules, "--listen", f"inet:127.0.0.1:{port}"]
        return instructions(command, port, os.path.join(folder.path, f"callgrind.{count}.log"), path, count)

    with ThreadPoolExecutor() as pool:
        few, many = pool.map(total, (1000, 6000))
    return (many - few) / 5000


def measure_size(folder, runs, rules, name):
    """Prints the rows of one number of rules; CPU of a request in us, the files of rules and of requests."""
    file = folder.write("rules", rules.text())
    path = request_file(folder, rules)
    start = time.monotonic()
    with Daemon(POLICYD, folder, file) as ours, Null("policy_null") as null:
        ready = time.monotonic() - start
        now, peak = (resident_kib(ours.process.pid, which) / 1024 for which in ("VmRSS", "VmHWM"))
        wrong, matched = wrong_answers(ours.port, rules, ANSWERS)
        print(f"{name}: ready after {ready:.2f} s, {now:.1f} MiB resident, {peak:.1f} MiB at its peak; "
              f"{wrong} of {ANSWERS} answers wrong (target: 0), {100 * matched / ANSWERS:.2f}% of them match a rule")
        a, b = [], []
        for _ in range(runs):
            a.append(measure("policy_load", ours.process.pid, ours.port, 8, 50000, path))
            b.append(measure("policy_load", null.process.pid, null.port, 8, 50000, path))
        row(f"{name}, CPU us a request", [20 * f["cpu"] for f in a], [20 * f["cpu"] for f in b], "")
        row(f"{name}, requests a second", [float(f["per_second"]) for f in a], [float(f["per_second"]) for f in b], ">= 0.7")
    return statistics.median(20 * f["cpu"] for f in a), file, path


def grow(folder, runs, sizes, counted, target, **shape):
    """`counted`: the sizes whose instructions are counted too; `target`: how many times those of the first size they may be."""
    first_cpu = first_count = None
    for size in sizes:
        cpu, file, path = measure_size(folder, runs, Rules(size, **shape), f"{size} rules")
        first_cpu = first_cpu or cpu
        print(f"{size} rules, CPU of a request against {sizes[0]} rules: {cpu / first_cpu:.3f} (target: <= 1.3)")
        if size in counted and shutil.which("valgrind") is not None:
            count = instructions_of(folder, file, path)
            first_count = first_count or count
            print(f"{size} rules, user-space instructions a request: {count:.0f}, {count / first_count:.3f} of those of {sizes[0]} rules (target: <= {target})")


def part_scale(folder, runs):
    if shutil.which("valgrind") is None:
        print("valgrind is not installed: no instructions are counted")
    head("rules of four kinds, IPv4, against the null responder", "null")
    grow(folder, runs, SIZES, SIZES, 1.1)
    head("rules of four kinds, IPv4 and IPv6 half and half, against the null responder", "null")
    grow(folder, runs, SIZES, (SIZES[0], SIZES[-1]), 1.1, seed=2, ipv6=0.5)


def part_regexes(folder, runs):
    head("regexes alone, each with a text that must be there, against the null responder", "null")
    grow(folder, runs, SIZES[:4], SIZES[:4], 1.5, kinds=("regex",))
