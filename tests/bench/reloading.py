"""reloading.py: part `reload` of compare.py: what a client notices of a reload while the policy daemon is asked as fast as it answers.

During a run `with` the daemon reloads without a pause: a SIGHUP follows each reload that is done. So every request of the run meets one.
"""
import threading

from measuring import head, measure, request_file, row, wait_until
from daemons import POLICYD, Daemon
from scale import Rules

SIZES = (10, 100000)
REQUESTS = 100000


def done(daemon):
    return daemon.log().count("reloaded: ")


def reload_until(daemon, stop, failures):
    """Runs in a thread of its own."""
    try:
        while not stop.is_set():
            before = done(daemon)
            daemon.reload()
            wait_until(lambda: done(daemon) > before, "the daemon has reloaded", 120)
    except Exception as error:  # pylint: disable=broad-except
        failures.append(error)


def during_reloads(daemon, *arguments):
    stop, failures, before = threading.Event(), [], done(daemon)
    thread = threading.Thread(target=reload_until, args=(daemon, stop, failures))
    thread.start()
    wait_until(lambda: "reloading" in daemon.log(), "the first reload has begun")
    try:
        figures = measure(*arguments)
    finally:
        stop.set()
        thread.join()
    assert not failures, failures
    figures["reloads"] = done(daemon) - before
    return figures


def part_reload(folder, runs):
    head("policy daemon at full load, during reloads and without", "without")
    for size in SIZES:
        rules = Rules(size, ipv6=0.5)
        path = request_file(folder, rules)
        with Daemon(POLICYD, folder, folder.write("rules", rules.text())) as ours:
            arguments = ("policy_load", ours.process.pid, ours.port, 8, REQUESTS, path)
            measure(*arguments)
            a, b = [], []
            for _ in range(runs):
                b.append(measure(*arguments))
                a.append(during_reloads(ours, *arguments))
            ruled = {f["ruled"] for f in a + b}
            assert len(ruled) == 1, f"other answers during a reload: {ruled}"
            for name, key, target in (("p99 us", "p99_us", "<= 2"), ("p50 us", "p50_us", ""), ("requests a second", "per_second", "")):
                row(f"{size} rules, {name}", [float(f[key]) for f in a], [float(f[key]) for f in b], target)
            print(f"{size} rules: {sum(f['reloads'] for f in a)} reloads in {runs} runs")
