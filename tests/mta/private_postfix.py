#!/usr/bin/env python3
"""A private Postfix: own configuration, queue and data folders, loopback, a free port; started and removed by whoever needs it.

    with PrivatePostfix({"smtpd_recipient_restrictions": "..."}) as postfix:
        with SmtpClient(postfix.port) as client:
            print(client.command("EHLO client.example.net"))

Needs root (Postfix does) and Debian's postfix package; the system's own Postfix, running or not, is not touched. Local domain example.test with
alice, bob, carol and postmaster; mail for them is delivered to maildirs that delivered(USER) reads, all other mail goes to the discard(8) transport.
XCLIENT is allowed from loopback, so that tests can come from any address. `services` are further smtpd listeners of the same Postfix, by name, each with
settings of its own that replace those of main.cf; ports[name] is where one listens.
"""
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.example.test
mydomain = example.test
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.test, adelphia.net
virtual_mailbox_maps = inline:{{ {{ alice@example.test = alice/ }} {{ bob@example.test = bob/ }} {{ carol@example.test = carol/ }} {{ postmaster@example.test = postmaster/ }} {{ forouzanb@adelphia.net = forouzanb/ }} }}
virtual_mailbox_base = {root}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_transport = virtual:
local_transport = discard:
default_transport = discard:
relay_transport = discard:
recipient_delimiter = +
smtpd_authorized_xclient_hosts = 127.0.0.1
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
smtpd_tls_security_level = none
smtpd_recipient_restrictions = reject_unauth_destination
smtputf8_enable = yes
append_dot_mydomain = no
in_flow_delay = 0s
"""

MASTER_CF = """\
{listen} inet n - n - {processes} smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
smtp unix - - n - - smtp
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
verify unix - - n - 1 verify
"""


given_ports = set()
giving_a_port = threading.Lock()


def free_port():
    """A port on 127.0.0.1 that nobody listens on and that this program has not been given before. Not one of those that the kernel takes for outgoing connections:
    between now and its use, and while a daemon restarts, any client on the machine could get such a port."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        low, high = map(int, limits.read().split())
    candidates = [port for port in range(10240, 65536) if not low <= port <= high and port not in given_ports] or list(range(low, high))
    while True:
        port = random.choice(candidates)  # tests that run at the same time look for ports too
        with giving_a_port, socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in given_ports:
                given_ports.add(port)
                return port


def wait_until(condition, what, seconds=120):
    """Polls until condition() is true; its value is returned. `what` may be a function, when it shows what is there in the end. Only a failed test takes so long."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise RuntimeError(f"waited {seconds} s in vain: {what() if callable(what) else what}")
        time.sleep(0.02)


def can_connect(port, host="127.0.0.1"):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


class Maildirs:
    """Where a mail server of the tests delivers: `mail` is the folder with the maildirs, log() what the server says when mail does not come."""

    def delivered(self, user):
        """The messages in a user's maildir, oldest first."""
        folder = os.path.join(self.mail, user, "new")
        paths = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
        texts = []
        for path in sorted(paths, key=lambda path: os.stat(path).st_mtime_ns):
            with open(path, encoding="utf-8", errors="replace") as text:
                texts.append(text.read())
        return texts

    def wait_delivered(self, user, words):
        """The first message for a user that has these words, as soon as it is there."""
        return wait_until(lambda: next((text for text in self.delivered(user) if words in text), None), lambda: f"{user} gets {words!r}: {self.log()[-3000:]}")


class PrivatePostfix(Maildirs):
    """Settings are main.cf parameters that replace or add to the ones above."""

    def __init__(self, settings=None, processes=50, root=None, services=None, port=None):
        self.settings = settings or {}
        self.services = services or {}
        self.processes = processes
        self.root = root or tempfile.mkdtemp(prefix="private-postfix.")
        self.port = port or free_port()
        self.ports = {name: free_port() for name in self.services}
        self.master = None

    @staticmethod
    def available():
        return os.geteuid() == 0 and os.path.exists("/usr/lib/postfix/sbin/master")

    @classmethod
    def why_not(cls):
        """Why there can be no Postfix here; None when there can be one."""
        return None if cls.available() else "needs root and Debian's postfix package"

    @property
    def config(self):
        return os.path.join(self.root, "etc")

    @property
    def mail(self):
        return os.path.join(self.root, "mail")

    def start(self):
        os.chmod(self.root, 0o755)
        for folder in ("etc", "queue", "data"):
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
        shutil.chown(os.path.join(self.root, "data"), "postfix", "postfix")
        os.makedirs(self.mail, exist_ok=True)
        nobody = pwd.getpwnam("nobody")
        os.chown(self.mail, nobody.pw_uid, nobody.pw_gid)
        with open(os.path.join(self.config, "main.cf"), "w", encoding="utf-8") as out:
            text = MAIN_CF.format(root=self.root, uid=nobody.pw_uid, gid=nobody.pw_gid)
            out.write("".join(line + "\n" for line in text.splitlines() if line.split(" =")[0] not in self.settings))
            for name, value in self.settings.items():
                out.write(f"{name} = {value}\n")
        with open(os.path.join(self.config, "master.cf"), "w", encoding="utf-8") as out:
            out.write(MASTER_CF.format(listen=f"127.0.0.1:{self.port}", processes=self.processes))
            for name, settings in self.services.items():
                out.write(f"127.0.0.1:{self.ports[name]} inet n - n - {self.processes} smtpd\n")
                out.write("".join(f"  -o {{ {key} = {value} }}\n" for key, value in {"syslog_name": f"postfix/{name}", **settings}.items()))
        # Postfix waits until its configuration has not been written to for two seconds.
        for name in ("main.cf", "master.cf"):
            path = os.path.join(self.config, name)
            written = os.stat(path).st_mtime - 10
            os.utime(path, (written, written))
        self.make_queue()
        environment = dict(os.environ, MAIL_CONFIG=self.config)
        self.master = subprocess.Popen(["/usr/lib/postfix/sbin/master", "-d", "-c", self.config], env=environment, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(lambda: all(map(can_connect, [self.port, *self.ports.values()])) or self.master.poll() is not None, "Postfix listens")
        if self.master.poll() is not None:
            raise RuntimeError("Postfix did not start: " + self.log())
        return self

    def make_queue(self):
        """The queue's folders, which postfix-files(5) lists. `postfix check` makes them too, but first looks through the whole installation, which takes seconds."""
        with open("/etc/postfix/postfix-files", encoding="utf-8") as files:
            rows = [line.split(":") for line in files.read().splitlines() if line.startswith("$queue_directory")]
        for path, kind, owner, group, mode, _ in rows:
            folder = path.replace("$queue_directory", os.path.join(self.root, "queue"))
            if kind != "d":
                raise RuntimeError(f"{path} of postfix-files is no folder")
            os.makedirs(folder, exist_ok=True)
            shutil.chown(folder, owner.replace("$mail_owner", "postfix"), {"-": None, "$setgid_group": "postdrop"}[group])
            os.chmod(folder, int(mode, 8))

    def log(self):
        try:
            with open(os.path.join(self.root, "mail.log"), encoding="utf-8", errors="replace") as text:
                return text.read()
        except OSError:
            return ""

    def is_held(self, queue_id):
        return os.path.exists(os.path.join(self.root, "queue", "hold", queue_id))

    def stop(self, keep_files=False):
        if self.master is not None and self.master.poll() is None:
            self.master.send_signal(signal.SIGTERM)
            try:
                self.master.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.master.pid, signal.SIGKILL)
                self.master.wait()
        self.master = None
        if not keep_files:
            shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


class SmtpClient:
    """SMTP as a person types it: command(line) sends it and returns the whole reply as text without the last line end."""

    def __init__(self, port, host="127.0.0.1", timeout=60):
        self.socket = socket.create_connection((host, port), timeout)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                return "\n".join(lines) if lines else "(connection closed)"
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                return "\n".join(lines)

    def command(self, line):
        try:
            self.socket.sendall(line.encode("utf-8", "surrogateescape") + b"\r\n")
            return self.reply()
        except (BrokenPipeError, ConnectionResetError):
            return "(connection closed)"

    def send_message(self, text):
        """What follows 354: lines, then the dot."""
        return self.command(text.replace("\n", "\r\n") + "\r\n.")

    def come_from(self, address, name="[UNAVAILABLE]", port=45678):
        """XCLIENT: the session starts anew as if from this address."""
        return self.command(f"XCLIENT ADDR={address} NAME={name} PORT={port}")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
