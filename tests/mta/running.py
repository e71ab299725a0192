"""Runs the tests of a script: its functions named test_...; words on the command line choose those whose names have one of them.

    if __name__ == "__main__":
        sys.exit(run_tests(globals(), {"postfix": PrivatePostfix.why_not(), "sendmail": PrivateSendmail.why_not()}))
"""
import sys
import traceback

SKIPPED = 77


def run_tests(namespace, servers):
    """The exit status. `servers`: the mail servers that the tests need, and why one is not there (None: it is); a test needs the one that its name says, else the first."""
    reasons = {name: reason for name, reason in servers.items() if reason}
    if len(reasons) == len(servers):
        print("skipped: " + "; ".join(f"no private {name.capitalize()}: {reason}" for name, reason in reasons.items()))
        return SKIPPED
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    chosen = [(name, test) for name, test in namespace.items() if name.startswith("test_") and (not words or any(word in name for word in words))]
    failures = 0
    for name, test in chosen:
        server = next((server for server in servers if server in name.split("_")), next(iter(servers)))
        if server in reasons:
            print(f"left out: {name}: no private {server.capitalize()}: {reasons[server]}")
            continue
        try:
            test()
            print("ok:", name, flush=True)
        except Exception:
            failures += 1
            print(f"FAILED: {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failures or not chosen else 0
