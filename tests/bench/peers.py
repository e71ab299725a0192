"""peers.py: part `peers` of compare.py: the same rules in postfwd1 (one process), postfwd2 (prefork and a cache process), mailfromd, and ours.

The peers run on loopback with files of their own, without DNS and without a log, and with their caches of answers switched off: it is rules that are held
against rules. Each must give the right answers, matches and others, before its figures count.
"""
import os
import pwd
import re
import shutil
import signal
import subprocess

from measuring import Null, can_connect, free_port, head, measure, request_file, row, wait_until, wrong_answers
from daemons import MILTER, POLICYD, Daemon
from miltermta import MilterMta
from scale import Rules

SIZES = (1, 100, 1000)
TARGETS = {1: ">= 15", 100: ">= 300", 1000: ">= 2000"}  # requests a second, ours against postfwd2
CHECKED = 60  # answers of each peer, half of them matches
RUN_SECONDS = 1.5
PACKAGES = {"postfwd1": "postfwd", "postfwd2": "postfwd", "mailfromd": "mailfromd"}


def installed(name):
    """Its path, or None: a user's PATH has no /usr/sbin."""
    return shutil.which(name, path=os.environ["PATH"] + os.pathsep + "/usr/sbin")


def group(leader):
    """The processes of a group: (pid, CPU ticks with those of the children that it has waited for)."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as text:
                fields = text.read().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append((int(pid), sum(map(int, fields[11:15]))))
    return found


class Peer:
    """A server with its children, known by their process group."""

    def __init__(self, name, port, leader, process=None):
        self.name, self.port, self.leader, self.process = name, port, leader, process

    def cpu(self):
        return sum(ticks for _, ticks in group(self.leader)) / os.sysconf("SC_CLK_TCK")

    def gone(self):
        return (self.process is None or self.process.poll() is not None) and not group(self.leader)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for how in (signal.SIGTERM, signal.SIGKILL):
            for pid, _ in group(self.leader):
                try:
                    os.kill(pid, how)
                except ProcessLookupError:
                    pass
            try:
                wait_until(self.gone, f"{self.name} ends", 10)
                return
            except Exception:  # pylint: disable=broad-except
                if how == signal.SIGKILL:
                    raise


def unprivileged():
    """The switches that name who the server is to run as."""
    if os.getuid() != 0:
        return ["-u", pwd.getpwuid(os.getuid()).pw_name]
    return ["-u", "nobody", "-g", "nogroup"]


def postfwd_text(rules):
    """client_address is compared as a number, sender_domain as a text, the others by regex without regard to case."""
    operators = {"address": "client_address={}/32", "network": "client_address={}", "domain": "sender_domain=={}"}
    return "".join(f"id=r{number}; {operators.get(kind, fact + '=~{}').format(value)}; action=550 5.7.1 rule {number}\n"
                   for number, (kind, fact, value) in enumerate(rules.terms))


def postfwd(name, folder, rules):
    port = free_port()
    file = folder.write(f"{name}.cf", postfwd_text(rules))
    pidfile = os.path.join(folder.sockets, f"{name}.{port}.pid")
    command = [installed(name), "-f", file, "-i", "127.0.0.1", "-p", str(port), "--pidfile", pidfile, *unprivileged(), "-d", "--cache", "0", "--nodns", "--perfmon",
               "--norulestats"]
    if name == "postfwd2":
        command += ["--no_parent_cache", "--cache_port", os.path.join(folder.sockets, f"{name}.{port}.cache.socket")]
    log = os.path.join(folder.path, f"{name}.{port}.log")
    with open(log, "wb") as out:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, check=True, timeout=60)

    def leader():
        try:
            with open(pidfile, encoding="ascii") as text:
                return int(text.read().strip() or 0)
        except FileNotFoundError:
            return 0

    wait_until(leader, f"{name} writes its pid file; {log}", 60)
    pid = leader()
    peer = Peer(name, port, os.getpgid(pid))
    try:
        wait_until(lambda: can_connect(port), f"{name} listens", 60)
    except BaseException:
        peer.__exit__()
        raise
    return peer


def mailfromd_condition(kind, fact, value):
    """What is the same for all rules, as the domain of the sender, is worked out once, so that a rule is one comparison."""
    if kind == "address":
        return f"address = {int(value)}"
    if kind == "network":
        return f"(address & {int(value.netmask)}) = {int(value.network_address)}"
    if kind == "domain":
        return f'domain = "{value}"'
    pattern = value.replace("\\d", "[0-9]")  # its regexes are POSIX's
    return f"{'sender' if fact == 'sender' else 'helo'} matches '{pattern}'"


def mailfromd_text(rules):
    lines = [f'  if {mailfromd_condition(*term)} reject (550, 5.7.1, "rule {number}") fi' for number, term in enumerate(rules.terms)]
    return "\n".join(["#pragma regex +extended +icase", "number address 0", 'string helo ""', 'string sender ""', 'string domain ""',
                      "prog connect do set address inet_aton(${client_addr}) done", "prog helo do set helo $1 done",
                      "prog envfrom do set sender ${mail_addr} set domain tolower(domainpart(sender)) done", "prog envrcpt do", *lines, "done", ""])


def mailfromd(folder, rules):
    port = free_port()
    file = folder.write("rules.mfl", mailfromd_text(rules))
    state = os.path.join(folder.sockets, f"mailfromd.{port}")
    os.mkdir(state)
    os.chmod(state, 0o1777)
    log = os.path.join(folder.path, f"mailfromd.{port}.log")
    command = [installed("mailfromd"), "--no-config", "--no-preprocessor", "--foreground", "--stderr", f"--port=inet:{port}@127.0.0.1", f"--state-directory={state}",
               f"--pidfile={state}/pid", file]
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=state)
    peer = Peer("mailfromd", port, process.pid, process)
    try:
        wait_until(lambda: process.poll() is not None or can_connect(port), f"mailfromd listens; {log}", 60)
        if process.poll() is not None:
            with open(log, encoding="utf-8", errors="replace") as text:
                raise RuntimeError(f"mailfromd ended with {process.returncode}:\n{text.read()[:2000]}")
    except BaseException:
        peer.__exit__()
        raise
    return peer


def wrong_verdicts(port, rules, count):
    """The same as wrong_answers, through the milter protocol."""
    wrong = 0
    for number in range(count):
        facts = rules.request(number % 2 == 0)
        macros = {"j": "mx.example.test", "i": "QUEUEID", "{daemon_name}": "mx.example.test", "{client_addr}": facts["client_address"],
                  "{mail_addr}": facts["sender"], "{rcpt_addr}": "alice@example.test"}
        with MilterMta(f"inet:127.0.0.1:{port}", macros=macros) as mta:
            mta.negotiate()
            mta.connect("mail.example.org", facts["client_address"])
            mta.helo(facts["helo_name"])
            mta.mail(f"<{facts['sender']}>")
            answer = mta.rcpt("<alice@example.test>")
            mta.quit()
        found = re.fullmatch(r"550 5\.7\.1 rule (\d+)", answer.reply or "")
        wrong += (int(found[1]) if found else None) != rules.verdict(facts) or (found is None and answer.action not in ("continue", "accept"))
    return wrong


def count_for(load, port, *arguments):
    """So many that a run takes about RUN_SECONDS."""
    few = measure(load, lambda: 0, port, 20, *arguments) if load == "milter_load" else measure(load, lambda: 0, port, arguments[0], 20, *arguments[1:])
    return max(20, min(100000, int(float(few["per_second"]) * RUN_SECONDS)))


def rate(figures):
    return [float(f["per_second"]) for f in figures]


def cost(figures, key):
    return [f["cpu"] / int(f[key]) * 1e6 for f in figures]


def compare_policy(folder, runs, size):
    rules = Rules(size)
    path = request_file(folder, rules)
    with Daemon(POLICYD, folder, folder.write("rules", rules.text())) as ours, Null("policy_null") as null, \
            postfwd("postfwd1", folder, rules) as one, postfwd("postfwd2", folder, rules) as two:
        servers = {"ours": (ours.port, ours.process.pid), "null": (null.port, null.process.pid), "postfwd1": (one.port, one.cpu), "postfwd2": (two.port, two.cpu)}
        for name in ("ours", "postfwd1", "postfwd2"):
            wrong, _ = wrong_answers(servers[name][0], rules, CHECKED, 2)
            assert wrong == 0, f"{name}, {size} rules: {wrong} of {CHECKED} answers wrong"
        counts = {name: count_for("policy_load", port, 8, path) for name, (port, _) in servers.items()}
        figures = {name: [] for name in servers}
        for _ in range(runs):
            for name, (port, clock) in servers.items():
                figures[name].append(measure("policy_load", clock, port, 8, counts[name], path))
    for name, target in (("postfwd2", TARGETS[size]), ("postfwd1", ""), ("null", ">= 0.7")):
        row(f"{size} rules, requests a second: {name}", rate(figures["ours"]), rate(figures[name]), target)
        row(f"{size} rules, CPU us a request: {name}", cost(figures["ours"], "requests"), cost(figures[name], "requests"), "")


def compare_milter(folder, runs, size):
    rules = Rules(size)
    with Daemon(MILTER, folder, folder.write("rules", rules.text())) as ours, mailfromd(folder, rules) as peer:
        servers = {"ours": (ours.port, ours.process.pid), "mailfromd": (peer.port, peer.cpu)}
        for name, (port, _) in servers.items():
            wrong = wrong_verdicts(port, rules, CHECKED)
            assert wrong == 0, f"{name}, {size} rules: {wrong} of {CHECKED} answers wrong"
        counts = {name: count_for("milter_load", port, 8, "a@adelphia.net") for name, (port, _) in servers.items()}
        figures = {name: [] for name in servers}
        for _ in range(runs):
            for name, (port, clock) in servers.items():
                figures[name].append(measure("milter_load", clock, port, counts[name], 8, "a@adelphia.net"))
                assert figures[name][-1]["refused"] == "0"
    row(f"{size} rules, CPU us a message", cost(figures["ours"], "sessions"), cost(figures["mailfromd"], "sessions"), "<= 0.1" if size == 1000 else "")
    row(f"{size} rules, messages a second", rate(figures["ours"]), rate(figures["mailfromd"]), "")


def part_peers(folder, runs):
    missing = sorted({package for name, package in PACKAGES.items() if installed(name) is None})
    if missing:
        raise SystemExit(f"peers: not installed: {' '.join(missing)} (Debian: apt-get install {' '.join(missing)})")
    print(f"\npeers: caches of answers, DNS and logs off; each gave {CHECKED} right answers, half of them matches, before it was measured")
    head("policy protocol, IPv4 rules of four kinds", "peer")
    for size in SIZES:
        compare_policy(folder, runs, size)
    head("milter protocol, the same rules", "mailfromd")
    for size in SIZES:
        compare_milter(folder, runs, size)
