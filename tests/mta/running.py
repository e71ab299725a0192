"""Runs the tests of a script: its functions named test_...; words on the command line choose those whose names have one of them.

    if __name__ == "__main__":
        sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))

        sys.exit(run_in_folders(globals()))     for tests that take a folder of their own each
"""
import sys
import time
import traceback

from daemons import Folder

SKIPPED = 77


def chosen_tests(namespace):
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    return [(name, test) for name, test in namespace.items() if name.startswith("test_") and (not words or any(word in name for word in words))]


def passes(name, test, *arguments):
    begun = time.monotonic()
    try:
        test(*arguments)
        print(f"ok: {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        return True
    except Exception:
        print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
        return False


def run_in_folders(namespace):
    """The exit status."""
    chosen, failures = chosen_tests(namespace), 0
    for name, test in chosen:
        with Folder() as folder:
            failures += not passes(name, test, folder)
    return 1 if failures or not chosen else 0


def run_tests(namespace, servers):
    """The exit status. `servers`: the mail servers that the tests need, and why one is not there (None: it is); a test needs the one that its name says, else the first."""
    reasons = {name: reason for name, reason in servers.items() if reason}
    if len(reasons) == len(servers):
        print("skipped: " + "; ".join(f"no private {name.capitalize()}: {reason}" for name, reason in reasons.items()))
        return SKIPPED
    chosen = chosen_tests(namespace)
    failures = 0
    for name, test in chosen:
        server = next((server for server in servers if server in name.split("_")), next(iter(servers)))
        if server in reasons:
            print(f"left out: {name}: no private {server.capitalize()}: {reasons[server]}")
            continue
        failures += not passes(name, test)
    return 1 if failures or not chosen else 0
