#!/usr/bin/env python3
"""What an SMTP client hears when a daemon is not there, dies, hangs, is stopped, reloaded or full: through a real Postfix and a real Sendmail, for each value of
the settings that say what the mail server does then.

packaging/man/failure.def has what is promised, and is printed in mailreeve-failure(7). Here each of its rows is made to happen, and the client's replies are
compared byte for byte; a row that nobody tests and a test without a row are failures too.

Skipped without root or Postfix. With words on the command line only the tests whose names have one of them run. --print shows the rows as they were heard.
"""
import os
import re
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")
sys.path[:0] = [HERE]
sys.dont_write_bytecode = True
from daemons import MILTER, POLICYD, Daemon, Folder  # noqa: E402
from private_postfix import PrivatePostfix, SmtpClient, free_port, wait_until  # noqa: E402
from private_sendmail import PrivateSendmail, milter  # noqa: E402
from running import chosen_tests, passes  # noqa: E402

USERS = ("alice", "bob")
GOOD = {"greeting": "220", "EHLO": "250", "MAIL": "250", "RCPT 1": "250", "RCPT 2": "250", "DATA": "354", "the message": "250", "next MAIL": "250",
        "next RCPT": "250"}
CLOSED = "(connection closed)"

# Refuses nobody who is not meant; a message that it has seen has the header.
RULES = """\
at rcpt {
    [no] reject 550 5.7.1 "not bob" if recipient.localpart == "nobody-here"
    [seen] prepend header "X-Seen" "by the rules"
}
"""
# What a reload brings in the midst of a transaction.
OTHER_RULES = RULES.replace("nobody-here", "bob")


def equal(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}\n  expected {expected!r}\n  got      {got!r}")


def check(condition, what):
    if not condition:
        raise AssertionError(what)


# The table


def promised():
    """{(door, mta, setting, failure): what is heard} of failure.def."""
    with open(os.path.join(SOURCE, "packaging", "man", "failure.def"), encoding="utf-8") as file:
        text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
    string = r'"((?:[^"\\]|\\.)*)"'
    rows = re.findall(rf"^FAILURE\((\w+), (\w+), {string}, {string}, {string}\)$", text, re.M)
    equal(len(rows), text.count("FAILURE("), "rows that can be read")
    return {row[:4]: row[4].replace('\\"', '"') for row in rows}


class Heard:
    """What the tests heard, against the table."""

    def __init__(self):
        self.rows, self.wrong, self.lock = {}, [], threading.Lock()
        self.table = promised()

    def tell(self, row, heard):
        with self.lock:
            self.rows[row] = heard
            if self.table.get(row) != heard:
                self.wrong.append(f"{', '.join(row)}:\n  promised {self.table.get(row)!r}\n  heard    {heard!r}")

    def tell_some(self, row, texts):
        """What a client may hear, which need not happen each time: nothing else was heard."""
        promise = self.table.get(row, "")
        allowed = promise[len(MAY_BE_HEARD):].split(" or ") if promise.startswith(MAY_BE_HEARD) else []
        with self.lock:
            self.rows[row] = promise
            strange = [text for text in sorted(texts) if text not in allowed]
            if strange:
                self.wrong.append(f"{', '.join(row)}:\n  promised {promise!r}\n  heard    {strange!r}")

    def print(self):
        order = [*FAILURES, UNDER_LOAD, FULL, *SOCKETMAP_FAILURES]
        for row, heard in sorted(self.rows.items(), key=lambda item: (*item[0][:3], order.index(item[0][3]))):
            print("FAILURE({}, {}, {}, {}, {})".format(*row[:2], *('"' + text.replace('"', '\\"') + '"' for text in (*row[2:], heard))))


FULL = "at its limit of sessions"
UNDER_LOAD = "stopped and started under load"
MAY_BE_HEARD = "may be heard: "
HEARD = Heard()


# A session with a failure in it


class Session:
    """Two recipients, a message, and the beginning of a second message, as a client sends them; `before` has functions that run before a step."""

    def __init__(self, port, subject, before):
        self.port, self.subject, self.before = port, subject, before
        self.replies = []   # (step, reply)
        self.queue_id = None

    def step(self, client, name, line):
        """True when the reply is the good one; nothing is said to a server that has closed."""
        if self.closed:
            return False
        self.before.get(name, lambda: None)()
        reply = line(client) if callable(line) else client.command(line)
        self.replies.append((name, reply))
        return reply.startswith(GOOD[name])

    @property
    def closed(self):
        return bool(self.replies) and (self.replies[-1][1].endswith(CLOSED) or self.replies[-1][1].startswith("421"))

    def run(self):
        self.before.get("greeting", lambda: None)()
        with SmtpClient(self.port) as client:
            self.replies.append(("greeting", client.greeting))
            self.step(client, "EHLO", "EHLO client.example.net")
            if self.step(client, "MAIL", "MAIL FROM:<a@example.org>"):
                taken = [self.step(client, f"RCPT {number}", f"RCPT TO:<{user}@example.test>") for number, user in enumerate(USERS, 1)]
                if any(taken) and self.step(client, "DATA", "DATA"):
                    if self.step(client, "the message", lambda client: client.send_message(f"Subject: {self.subject}\n\nhello")):
                        self.queue_id = re.search(r"queued as (\S+)|2\.0\.0 (\S+) Message", self.replies[-1][1]).group(1, 2)
                        self.queue_id = self.queue_id[0] or self.queue_id[1]
                elif not self.closed:
                    client.command("RSET")
            # An event that the filter wants no reply to tells nothing about it, so the recipient is asked too.
            if self.step(client, "next MAIL", "MAIL FROM:<b@example.org>"):
                self.step(client, "next RCPT", f"RCPT TO:<{USERS[1]}@example.test>")
        return self

    def refusals(self):
        """(step, reply) where the reply is not the good one, without what differs from session to session."""
        for name, reply in self.replies:
            if not reply.startswith(GOOD[name]):
                text = re.sub(r"<(?:alice|bob)@example\.test>", "<RECIPIENT>", reply.split("\n")[0])
                yield name, re.sub(r"<[ab]@example\.org>", "<SENDER>", text).replace("mx.example.test", "HOST")

    def heard(self, fate):
        """In one line: replies that are not the good ones, equal ones together; what became of the message."""
        by_text = {}
        for name, text in self.refusals():
            by_text.setdefault(text, []).append(name)
        parts = [f"{', '.join(names)}: {text}" for text, names in by_text.items() if text != CLOSED]
        if any(text == CLOSED for text in by_text):
            parts.append("the connection is closed")
        return "; ".join([*parts, *([fate] if fate else [])])


def fate_of(server, session):
    """What became of the session's message."""
    if session.queue_id is None:
        return ""
    words = f"Subject: {session.subject}\n"

    def found():
        if server.is_held(session.queue_id):
            return "on hold"
        user = USERS[0] if session.replies[3][1].startswith("250") else USERS[1]
        for text in server.delivered(user):
            if words in text:
                count = text.count("X-Seen: by the rules\n")
                return ("delivered unfiltered", "delivered", "delivered with each header twice")[count]
        return None
    return wait_until(found, lambda: f"{session.subject}: {session.queue_id} is delivered or held: {server.log()[-3000:]}")


# What can happen to a daemon: each returns what to do before which step, and how the daemon is made well again


class Victim:
    """A daemon at a fixed address, with what a failure needs to do to it."""

    def __init__(self, path, folder, name, config="", door=None, rules=RULES, other_rules=OTHER_RULES, arguments=()):
        self.folder, self.rules, self.other_rules = folder, rules, other_rules
        self.rules_name = f"{name}.rules"
        self.door = door or ("milter" if path == MILTER else "policy")
        self.daemon = Daemon(path, folder, folder.write(self.rules_name, rules), f"[mailreeve]\ndoors = {self.door}\n{config}", arguments=arguments, name=name)

    def kill(self):
        self.daemon.process.kill()
        self.daemon.process.wait()

    def freeze(self):
        self.daemon.process.send_signal(signal.SIGSTOP)
        # The signal is on its way until the kernel says that the process has stopped.
        wait_until(self.is_frozen, "the daemon has stopped")

    def is_frozen(self):
        with open(f"/proc/{self.daemon.process.pid}/status", encoding="ascii") as status:
            return "\nState:\tT" in status.read()

    def restart(self):
        """SIGTERM and a new daemon; a message under way through the milter comes to its end, so the new one is started when the old one has gone."""
        equal(self.daemon.stop(), 0, f"{self.daemon.name} ends well")
        self.daemon.start()

    def crash_and_start(self):
        self.kill()
        self.daemon.start()

    def ask_to_stop(self):
        self.daemon.process.send_signal(signal.SIGTERM)
        self.daemon.wait_log("stopping")

    def wait_gone(self):
        equal(self.daemon.process.wait(60), 0, f"{self.daemon.name} ends well")

    def reload_other(self):
        count = len(re.findall("reloaded: ", self.daemon.log()))
        self.folder.write(self.rules_name, self.other_rules)
        self.daemon.reload()
        self.daemon.wait_log("reloaded: ", count + 1)

    def reload_broken(self):
        self.folder.write(self.rules_name, "at rcpt { reject ")
        self.daemon.reload()
        self.daemon.wait_log("the old rules stay in force")

    def make_well(self):
        """Running, with the first rules."""
        process = self.daemon.process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGCONT)
        self.daemon.stop()
        self.folder.write(self.rules_name, self.rules)
        self.daemon.start()


FAILURES = {
    "not running": {"greeting": Victim.kill},
    "killed after MAIL": {"RCPT 1": Victim.kill},
    "killed between two recipients": {"RCPT 2": Victim.kill},
    "killed before the final dot": {"the message": Victim.kill},
    "hanging": {"greeting": Victim.freeze},
    "hanging between two recipients": {"RCPT 2": Victim.freeze},
    "hanging at the final dot": {"the message": Victim.freeze},
    "killed and started between two recipients": {"RCPT 2": Victim.crash_and_start},
    "stopped between two recipients": {"RCPT 2": Victim.ask_to_stop, "next MAIL": Victim.wait_gone},
    "stopped and started between two messages": {"next MAIL": Victim.restart},
    "reloaded between two recipients": {"RCPT 2": Victim.reload_other},
    "reloaded with broken rules": {"RCPT 1": Victim.reload_broken},
}


def run_failures(victim, mta, setting, port, fate):
    """Each failure with this setting, one after the other."""
    for number, (failure, plan) in enumerate(FAILURES.items()):
        victim.make_well()
        before = {step: (lambda act=act: act(victim)) for step, act in plan.items()}
        session = Session(port, f"{mta} {victim.door} {setting} {number}", before).run()
        HEARD.tell((victim.door.upper(), mta, setting, failure), session.heard(fate(session)))
    victim.make_well()


def in_threads(jobs):
    """Runs all; the first thing that went wrong in one is raised."""
    problems = []

    def run(job):
        try:
            job()
        except Exception as problem:
            problems.append(problem)
    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


# Postfix

SHORT = {"milter_connect_timeout": "2s", "milter_command_timeout": "2s", "milter_content_timeout": "2s",
         "smtpd_policy_service_timeout": "2s", "smtpd_policy_service_retry_delay": "1s", "smtpd_recipient_restrictions": "reject_unauth_destination"}
MILTER_SETTINGS = [f"milter_default_action = {action}" for action in ("tempfail", "accept", "reject", "quarantine")]
POLICY_DEFAULT = "smtpd_policy_service_default_action"
POLICY_SETTINGS = [f"{POLICY_DEFAULT} = {action}" for action in ("451 4.3.5 Server configuration problem", "451 4.3.2 Please try again later", "DUNNO")]


class PostfixSite:
    """A Postfix with a listener and a daemon for each setting."""

    def __init__(self, config=""):
        self.folder = Folder()
        self.victims = {}
        services = {}
        for number, setting in enumerate(MILTER_SETTINGS + POLICY_SETTINGS):
            name = f"case{number}"
            path = MILTER if setting in MILTER_SETTINGS else POLICYD
            victim = self.victims[setting] = Victim(path, self.folder, name, config)
            address = f"inet:127.0.0.1:{victim.daemon.port}"
            wiring = {"smtpd_milters": address} if path == MILTER else {"smtpd_recipient_restrictions": f"reject_unauth_destination, check_policy_service {address}"}
            services[name] = {**wiring, setting.split(" = ")[0]: setting.split(" = ")[1]}
        self.postfix = PrivatePostfix(SHORT, services=services)

    def in_threads(self, function):
        """function(victim, mta, setting, port, fate) for each setting."""
        in_threads([lambda victim=victim, setting=setting: function(victim, "Postfix", setting, self.postfix.ports[victim.daemon.name], lambda session: fate_of(self.postfix, session))
                    for setting, victim in self.victims.items()])

    def __enter__(self):
        try:
            self.postfix.start()
            for victim in self.victims.values():
                victim.daemon.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.postfix.stop()
        for victim in self.victims.values():
            victim.daemon.stop()
        self.folder.remove()


def test_postfix():
    with PostfixSite() as site:
        site.in_threads(run_failures)


def restarts_under_load(victim, mta, setting, port, fate):
    """Sessions in a few threads while the daemon is stopped and started."""
    texts, sessions, lock = set(), [], threading.Lock()
    over = threading.Event()

    def client():
        while not over.is_set():
            session = Session(port, "load", {}).run()
            with lock:
                texts.update(text for _, text in session.refusals())
                sessions.append(session)
    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        for _ in range(3):
            count = len(sessions)
            wait_until(lambda: len(sessions) >= count + 5, "there is load")
            victim.restart()
    finally:
        over.set()
        for thread in clients:
            thread.join()
    HEARD.tell_some((victim.door.upper(), mta, setting, UNDER_LOAD), texts)
    session = Session(port, f"{mta} {victim.door} {setting} after the load", {}).run()
    equal(session.heard(fate(session)), "delivered", "a session after the load")


LIMITED = "[policy]\nmax_connections = 1\n[milter]\nmax_connections = 1\n"


def at_the_limit(victim, mta, setting, port, fate):
    """A daemon that may have one session, and has one. The look whether the mail server listens was a session too, and may not be over yet."""
    first = None

    def has_room():
        nonlocal first
        client = SmtpClient(port)
        replies = [client.command(line)[:3] for line in ("EHLO client.example.net", "MAIL FROM:<first@example.org>", f"RCPT TO:<{USERS[0]}@example.test>")]
        if replies == ["250"] * 3:
            first = client
        else:
            client.close()
        return first
    with wait_until(has_room, "the session that there is room for"):
        session = Session(port, f"{mta} full {setting}", {}).run()
        HEARD.tell((victim.door.upper(), mta, setting, FULL), session.heard(fate(session)))


def test_postfix_restarts_under_load():
    with PostfixSite() as site:
        site.in_threads(restarts_under_load)


def test_postfix_full():
    """A daemon that has as many sessions as it may have."""
    with PostfixSite(LIMITED) as site:
        site.in_threads(at_the_limit)


# The shipped examples, loaded as they are


EXAMPLES = os.path.join(SOURCE, "packaging", "examples")


def example(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        return file.read()


def main_cf(text):
    """The parameters of a part of a main.cf."""
    lines = []
    for line in text.splitlines():
        if line[:1].isspace():
            lines[-1] += line
        elif line and not line.startswith("#"):
            lines.append(line)
    return {name.strip(): " ".join(value.split()) for name, value in (line.split("=", 1) for line in lines)}


def example_daemon(path, folder, doors, sockets):
    """A daemon with the shipped mailreeve.conf; only where its sockets are, and what doors there are, is another."""
    door = "milter" if path == MILTER else "policy"
    config = example("mailreeve.conf").replace("doors = policy milter", f"doors = {doors}").replace("/var/spool/postfix/mailreeve", sockets)
    return Daemon(path, folder, folder.write("mail.rules", RULES), config, listen=f"unix:{sockets}/{door}", name=door)


def recipient_replies(port):
    """The first refusal of a session with one recipient, or the reply to RCPT."""
    with SmtpClient(port) as client:
        client.command("EHLO client.example.net")
        reply = client.command("MAIL FROM:<a@example.org>")
        return client.command("RCPT TO:<nobody-here@example.test>") if reply.startswith("250") else reply


def check_example(name, doors, without):
    """`without`: for each daemon, what is heard at RCPT when it has gone."""
    settings = main_cf(example(name))
    submission = {"smtpd_sender_restrictions": "$mua_sender_restrictions", "smtpd_milters": "$mua_milters"}
    submission = {key: value for key, value in submission.items() if value[1:] in settings}
    submission["smtpd_recipient_restrictions"] = "reject_unauth_destination"  # nobody logs in here, so permit_sasl_authenticated would permit nobody
    local = "inline:{ { alice@example.test = alice/ } { nobody-here@example.test = nobody-here/ } }"
    postfix = PrivatePostfix({**settings, "virtual_mailbox_maps": local}, services={"submission": submission})
    sockets = os.path.join(postfix.root, "queue", "mailreeve")
    os.makedirs(sockets)
    with Folder() as folder, postfix:
        daemons = {path: example_daemon(path, folder, doors, sockets) for path in without}
        try:
            for daemon in daemons.values():
                daemon.start()
            ports = (postfix.port, postfix.ports["submission"])
            own = "550 5.7.1 <{}>: {} address rejected: not bob" if POLICYD in daemons else "550 5.7.1 not bob"
            equal(recipient_replies(ports[0]), own.format("nobody-here@example.test", "Recipient"), f"{name}: the rules")
            equal(recipient_replies(ports[1]), own.format("a@example.org", "Sender"), f"{name}: the rules at submission")
            for path, reply in without.items():
                daemons[path].process.kill()
                daemons[path].process.wait()
                equal(recipient_replies(ports[0]), reply, f"{name}: without {path}")
                answer = recipient_replies(ports[1])
                check(answer.startswith("250") or len(without) > 1 and answer.endswith("not bob"), f"{name}: submission without {path}: {answer}")
                daemons[path].start()
        finally:
            for daemon in daemons.values():
                daemon.stop()


AWAY_POLICY = "451 4.3.2 <nobody-here@example.test>: Recipient address rejected: Please try again later"
AWAY_MILTER = "451 4.7.1 Service unavailable - try again later"


def test_example_policy():
    check_example("postfix-policy.cf", "policy", {POLICYD: AWAY_POLICY})


def test_example_milter():
    check_example("postfix-milter.cf", "milter", {MILTER: AWAY_MILTER})


def test_example_both():
    check_example("postfix-both.cf", "policy milter", {POLICYD: AWAY_POLICY, MILTER: AWAY_MILTER})


def test_example_timeouts():
    """The mail servers wait longer than the daemons take, and not much longer."""
    deadline = int(re.search(r"^deadline = (\d+)s$", example("mailreeve.conf"), re.M)[1])
    for name, pattern in [(f"postfix-{doors}.cf", r"timeout=(\d+)s") for doors in ("policy", "milter", "both")] + [("sendmail-milter.mc", r"\b[CSRE]:(\d+)s")]:
        text = "\n".join(line for line in example(name).splitlines() if not re.match(r"#|dnl", line))
        seconds = [int(found) for found in re.findall(pattern, text)]
        check(seconds and all(deadline < each <= 30 for each in seconds), f"{name}: {seconds}")


def milter_example(daemon, submission):
    """The lines of sendmail-milter.mc, with submission on that port."""
    text = example("sendmail-milter.mc").replace("unix:/run/mailreeve/milter", f"inet:{daemon.port}@127.0.0.1")
    # Nobody logs in here, so the flag that demands it goes.
    return text.replace("Port=587, M=Ea", f"Port={submission}, Addr=127.0.0.1, M=E").replace("FEATURE(`no_default_msa')dnl\n", "")  # said already by PrivateSendmail


def test_example_sendmail():
    """Over TCP: Sendmail takes no socket below a folder that everybody may write to, which is where a test's are."""
    config = "[mailreeve]\ndoors = milter\n"
    with Folder() as folder, Daemon(MILTER, folder, folder.write("mail.rules", RULES.replace("nobody-here", "bob")), config) as daemon:
        port = free_port()
        with PrivateSendmail([milter_example(daemon, port)]) as sendmail:
            ports = (sendmail.port, port)
            equal([bob_at(each) for each in ports], ["550 5.7.1 <bob@example.test>... not bob"] * 2, "the rules")
            daemon.process.kill()
            daemon.process.wait()
            equal(bob_at(ports[0]), "451 4.3.2 Please try again later")
            check(bob_at(ports[1]).startswith("250 2.1.5"), "at submission")


def test_example_sendmail_commands():
    """Beside the lines of sendmail-milter.mc, so that one rules file is asked for all; without the daemon the commands are what the value says."""
    rules = RULES.replace("nobody-here", "bob") + "".join(f'at {phase} {{ [{phase}] reject 550 5.7.1 "not {phase}" }}\n' for phase in ("vrfy", "expn", "etrn", "unknown"))
    config = "[mailreeve]\ndoors = milter socketmap\n"
    with Folder() as folder:
        path, port = folder.write("mail.rules", rules), free_port()
        with Daemon(MILTER, folder, path, config) as filter_daemon, Daemon(POLICYD, folder, path, config, arguments=["--socketmap", f"inet:127.0.0.1:{port}"]) as policyd:
            commands = example("sendmail-commands.mc").replace("unix:/run/mailreeve/socketmap", f"inet:{port}@127.0.0.1")
            with PrivateSendmail([milter_example(filter_daemon, free_port())], features=commands, feature_folders=[os.path.join(SOURCE, "packaging", "sendmail")]) as sendmail:
                equal(bob_at(sendmail.port), "550 5.7.1 <bob@example.test>... not bob", "mail")
                asked = {"VRFY alice@example.test": "vrfy", "EXPN team": "expn", "ETRN example.test": "etrn", "XFOO": "unknown"}
                with SmtpClient(sendmail.port) as client:
                    client.command("EHLO client.example.net")
                    equal([client.command(line) for line in asked], [f"550 5.7.1 not {phase}" for phase in asked.values()], "commands")
                policyd.process.kill()
                policyd.process.wait()
                with SmtpClient(sendmail.port) as client:
                    client.command("EHLO client.example.net")
                    equal(client.command("VRFY alice@example.test"), "451 4.3.0 Policy is not available, try again later")
                policyd.start()


def bob_at(port):
    with SmtpClient(port) as client:
        client.command("EHLO client.example.net")
        reply = client.command("MAIL FROM:<a@example.org>")
        return client.command("RCPT TO:<bob@example.test>") if reply.startswith("250") else reply


# Sendmail: the flag F of a milter says what happens without it

SENDMAIL_SETTINGS = ["F=T", "F=4", "F=R", "no F"]


class SendmailSite:
    """A Sendmail and a daemon for each setting."""

    def __init__(self, config=""):
        self.folder = Folder()
        self.victims, self.servers = {}, {}
        for number, setting in enumerate(SENDMAIL_SETTINGS):
            victim = self.victims[setting] = Victim(MILTER, self.folder, f"sendmail{number}", config)
            flags = setting[2:] if setting.startswith("F=") else None
            self.servers[setting] = PrivateSendmail([milter(f"inet:{victim.daemon.port}@127.0.0.1", flags, "C:2s;S:2s;R:2s;E:4s")])

    def in_threads(self, function):
        """function(victim, mta, setting, port, fate) for each setting."""
        in_threads([lambda setting=setting, server=server: function(self.victims[setting], "Sendmail", setting, server.port, lambda session: fate_of(server, session))
                    for setting, server in self.servers.items()])

    def __enter__(self):
        try:
            for victim in self.victims.values():
                victim.daemon.start()
            for server in self.servers.values():
                server.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for server in self.servers.values():
            server.stop()
        for victim in self.victims.values():
            victim.daemon.stop()
        self.folder.remove()


def test_sendmail():
    with SendmailSite() as site:
        site.in_threads(run_failures)


def test_sendmail_restarts_under_load():
    with SendmailSite() as site:
        site.in_threads(restarts_under_load)


def test_sendmail_full():
    with SendmailSite(LIMITED) as site:
        site.in_threads(at_the_limit)


# The socket map door, which Sendmail asks about commands outside of messages

COMMANDS = {"VRFY": "VRFY alice@example.test", "EXPN": "EXPN team", "ETRN": "ETRN example.test"}
REFUSED = 'at vrfy, expn, etrn {{ [all] reject 550 5.7.1 "{}" }}\n'
SOCKETMAP_SETTINGS = ["tempfail", "pass"]
SOCKETMAP_FAILURES = {
    "not running": {"VRFY": Victim.kill},
    "killed between two commands": {"EXPN": Victim.kill},
    "hanging": {"VRFY": Victim.freeze},
    "killed and started between two commands": {"EXPN": Victim.crash_and_start},
    "stopped and started between two commands": {"EXPN": Victim.restart},
    "reloaded between two commands": {"EXPN": Victim.reload_other},
    "reloaded with broken rules": {"EXPN": Victim.reload_broken},
}


def impatient_feature(folder):
    """The shipped feature, but that it waits two seconds for an answer instead of ten."""
    with open(os.path.join(SOURCE, "packaging", "sendmail", "mailreeve.m4"), encoding="utf-8") as file:
        text = file.read()
    check(text.count("-d10s") >= 4, "the feature's timeouts")
    os.mkdir(os.path.join(folder.path, "feature"))
    folder.write("feature/mailreeve.m4", text.replace("-d10s", "-d2s"))
    return os.path.join(folder.path, "feature")


def command_session(port, before):
    """The rules refuse each command; what is heard instead, where it is something else."""
    parts = {}
    with SmtpClient(port) as client:
        client.command("EHLO client.example.net")
        for name, line in COMMANDS.items():
            before.get(name, lambda: None)()
            reply = client.command(line).replace("\n", " / ").replace("mx.example.test", "HOST")
            if reply != "550 5.7.1 not here":
                parts.setdefault(reply, []).append(name)
    return "; ".join(f"{', '.join(names)}: {reply}" for reply, names in parts.items()) or "the rules' refusals"


def test_sendmail_socketmap():
    def one(folder, feature, setting):
        port = free_port()
        victim = Victim(POLICYD, folder, f"map-{setting}", "", "socketmap", REFUSED.format("not here"), REFUSED.format("other rules"), ["--socketmap", f"inet:127.0.0.1:{port}"])
        with victim.daemon, PrivateSendmail(features=f"FEATURE(`mailreeve', `inet:{port}@127.0.0.1', `{setting}')dnl\n", feature_folders=[feature]) as sendmail:
            for failure, plan in SOCKETMAP_FAILURES.items():
                victim.make_well()
                heard = command_session(sendmail.port, {step: (lambda act=act: act(victim)) for step, act in plan.items()})
                HEARD.tell(("SOCKETMAP", "Sendmail", f"FEATURE(`mailreeve', SOCKET, `{setting}')", failure), heard)
            victim.make_well()
            equal(command_session(sendmail.port, {}), "the rules' refusals", "all is well again")
    with Folder() as folder:
        feature = impatient_feature(folder)
        in_threads([lambda setting=setting: one(folder, feature, setting) for setting in SOCKETMAP_SETTINGS])


def main():
    if not PrivatePostfix.available():
        print("skipped: a private Postfix needs root and Debian's postfix package")
        sys.exit(77)
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    no_sendmail = PrivateSendmail.why_not()
    if no_sendmail:
        print(f"without Sendmail: {no_sendmail}")
    tests = [(name, test) for name, test in chosen_tests(globals()) if not (no_sendmail and "sendmail" in name)]
    # They wait for timeouts most of the time. Threads, for what they hear comes together.
    with ThreadPoolExecutor(4) as pool:
        failures = list(pool.map(lambda pair: passes(*pair), tests)).count(False)
    if "--print" in sys.argv:
        HEARD.print()
    for wrong in HEARD.wrong:
        print("WRONG:", wrong)
    missing = [] if words else [row for row in HEARD.table if row not in HEARD.rows and not (no_sendmail and row[1] == "Sendmail")]
    for row in missing:
        print("NOT TESTED:", ", ".join(row))
    sys.exit(1 if failures or HEARD.wrong or missing else 0)


if __name__ == "__main__":
    main()
