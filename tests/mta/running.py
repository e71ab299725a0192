"""Runs the tests of a script: its functions named test_...; words on the command line choose those whose names have one of them. They mostly wait, for mail servers,
daemons and their timeouts, so a few run side by side, each in a process of its own.

    if __name__ == "__main__":
        sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))

        sys.exit(run_in_folders(globals()))     for tests that take a folder of their own each
"""
import os
import sys
import tempfile
import time
import traceback

from daemons import Folder

SKIPPED = 77
AT_ONCE = 4


def chosen_tests(namespace):
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    return [(name, test) for name, test in namespace.items() if name.startswith("test_") and (not words or any(word in name for word in words))]


def passes(name, test):
    begun = time.monotonic()
    try:
        test()
        print(f"ok: {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        return True
    except Exception:
        print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
        return False


def begin(name, test):
    """The process that runs the test; all that is printed there goes to `output`."""
    output = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        status = 1
        try:
            for standard in (1, 2):
                os.dup2(output.fileno(), standard)
            status = 0 if passes(name, test) else 1
        finally:
            sys.stdout.flush()
            os._exit(status)
    return process, output


def run_side_by_side(tests):
    """Runs (name, function) pairs; the exit status. What a test prints comes in one piece when it has ended."""
    waiting, running, failures = list(tests), {}, 0
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            process, output = begin(*waiting.pop(0))
            running[process] = output
        process, status = os.wait()
        with running.pop(process) as output:
            output.seek(0)
            print(output.read(), end="", flush=True)
        failures += status != 0
    return 1 if failures or not tests else 0


def in_a_folder(test):
    def run():
        with Folder() as folder:
            test(folder)
    return run


def run_in_folders(namespace):
    """The exit status."""
    return run_side_by_side([(name, in_a_folder(test)) for name, test in chosen_tests(namespace)])


def run_tests(namespace, servers):
    """The exit status. `servers`: the mail servers that the tests need, and why one is not there (None: it is); a test needs the one that its name says, else the first."""
    reasons = {name: reason for name, reason in servers.items() if reason}
    if len(reasons) == len(servers):
        print("skipped: " + "; ".join(f"no private {name.capitalize()}: {reason}" for name, reason in reasons.items()))
        return SKIPPED
    chosen = []
    for name, test in chosen_tests(namespace):
        server = next((server for server in servers if server in name.split("_")), next(iter(servers)))
        if server in reasons:
            print(f"left out: {name}: no private {server.capitalize()}: {reasons[server]}")
        else:
            chosen.append((name, test))
    return run_side_by_side(chosen)
