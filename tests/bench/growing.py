"""growing.py: parts `scale` and `regexes` of compare.py: what a request costs as the rules grow, and whether each answer is the plain evaluator's."""
import os
import re
import shutil
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from measuring import Null, head, instructions, measure, request_file, resident_kib, row, settle, wrong_answers
from daemons import POLICYD, Daemon, program
from private_postfix import free_port
from scale import SIZES, Rules

ANSWERS = 20000


def instructions_of(folder, rules, path, daemon=POLICYD):
    """User-space instructions a request with these rules: what 5,000 more cost. Both runs at once: instructions are counted, not time."""
    def total(count):
        port = free_port()
        command = [program(daemon), "--foreground", "--rules", rules, "--listen", f"inet:127.0.0.1:{port}"]
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


def libhs_of(build):
    """What the programs in a build folder say of libhs: "with libhs 5.4.2" or "without libhs"."""
    version = subprocess.run([os.path.join(build, "mailreeve"), "--version"], check=True, capture_output=True, text=True).stdout
    return re.search(r"with(out)? libhs( [0-9.]+)?", version)[0]


def measure_bare(folder, runs, builds):
    """A thousand regexes without a text that must be there, in each build: {what it says of libhs: its folder}."""
    def rules():  # the same ones, and then the same requests, for each
        return Rules(1000, kinds=("bare_regex",))

    file, path = folder.write("rules", rules().text()), request_file(folder, rules())
    figures, null_figures = {name: [] for name in builds}, []
    with ExitStack() as stack:
        null = stack.enter_context(Null("policy_null"))
        daemons = {name: stack.enter_context(Daemon(os.path.join(build, POLICYD), folder, file)) for name, build in builds.items()}
        for name, daemon in daemons.items():
            settle(daemon.process, daemon.port, path)
            wrong, matched = wrong_answers(daemon.port, rules(), ANSWERS)
            print(f"{name}: {resident_kib(daemon.process.pid) / 1024:.1f} MiB resident; "
                  f"{wrong} of {ANSWERS} answers wrong (target: 0), {100 * matched / ANSWERS:.2f}% of them match a rule")
        for _ in range(runs):
            null_figures.append(measure("policy_load", null.process.pid, null.port, 8, 10000, path))
            for name, daemon in daemons.items():
                figures[name].append(measure("policy_load", daemon.process.pid, daemon.port, 8, 10000, path))
    for name in builds:
        row(f"{name}, CPU us a request", [100 * f["cpu"] for f in figures[name]], [100 * f["cpu"] for f in null_figures], "")
        row(f"{name}, requests a second", *([float(f["per_second"]) for f in one] for one in (figures[name], null_figures)), "")
    if shutil.which("valgrind") is not None:
        for name, build in builds.items():
            count = instructions_of(folder, file, path, os.path.join(build, POLICYD))
            print(f"{name}, user-space instructions a request: {count:.0f}")


def part_regexes(folder, runs, other=None):
    """`other`: the build folder whose programs are asked too; only of use when one of both has libhs and the other has not."""
    head("regexes alone, each with a text that must be there, against the null responder", "null")
    grow(folder, runs, SIZES[:4], SIZES[:4], 1.5, kinds=("regex",))
    builds = {libhs_of(build): build for build in (os.path.dirname(program(POLICYD)), other) if build is not None}
    head("1000 regexes, none with a text that must be there, against the null responder", "null")
    if len(builds) < 2:
        print(f"only {next(iter(builds))}: for both, name a build folder that was configured the other way (--with-hyperscan=no or yes) as --other")
    measure_bare(folder, runs, builds)
