"""policyd_client.py: what tests of the policy daemon share: a daemon in a folder of its own, and connections as Postfix makes them.

Waiting has no sleeps: it is reading what the daemon logs and answers. Every process that is started is ended by its own process object.
"""

import os
import pwd
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time

from probe import PATIENCE, check

PROGRAM = os.environ.get("POLICYD", "./mailreeve-policyd")


def request(state="RCPT", **attributes):
    """The bytes of a request; attributes given as None are left out."""
    values = {
        "protocol_name": "ESMTP",
        "client_address": "192.0.2.25",
        "client_name": "mail.example.org",
        "client_port": "45678",
        "reverse_client_name": "mail.example.org",
        "server_address": "127.0.0.1",
        "server_port": "25",
        "helo_name": "mail.example.org",
        "sender": "sender@example.org",
        "recipient": "user@example.test",
        "recipient_count": "0",
        "queue_id": "",
        "instance": "1.2.3.4",
        "size": "0",
        **attributes,
    }
    lines = ["request=smtpd_access_policy", f"protocol_state={state}"]
    lines += [f"{name}={value}" for name, value in values.items() if value is not None]
    return ("\n".join(lines) + "\n\n").encode()


class Client:
    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.connect(address)  # without a timeout: then it waits when the queue is full
        self.socket.settimeout(PATIENCE)
        self.pending = b""

    def send(self, data):
        self.socket.sendall(data)

    def answer(self):
        """The action of the next answer, None when the connection ends first."""
        while b"\n\n" not in self.pending:
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                return None
            if not data:
                check(not self.pending, f"half an answer: {self.pending!r}")
                return None
            self.pending += data
        line, self.pending = self.pending.split(b"\n\n", 1)
        check(line.startswith(b"action=") and b"\n" not in line, f"not an answer: {line!r}")
        return line[len(b"action=") :].decode()

    def ask(self, state="RCPT", **attributes):
        self.send(request(state, **attributes))
        return self.answer()

    def has_answer(self):
        return bool(self.pending) or bool(select.select([self.socket], [], [], 0)[0])

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Policyd:
    """mailreeve-policyd with these rules, listening on a unix and an inet socket."""

    def __init__(self, rules, settings="", policy_settings="", resolver=None, arguments=(), expect_start=True):
        self.folder = tempfile.TemporaryDirectory(prefix="mailreeve-policyd-")
        self.path = self.folder.name
        os.chmod(self.path, 0o755)
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.path, nobody.pw_uid, nobody.pw_gid)
            arguments = ("--user", "nobody", *arguments)
        self.unix = os.path.join(self.path, "policy.sock")
        self.rules_path = os.path.join(self.path, "mailreeve.rules")
        self.config_path = os.path.join(self.path, "mailreeve.conf")
        self.write_rules(rules)
        self.write_config(settings, policy_settings, resolver)
        self.command = [PROGRAM, "--config", self.config_path, "--foreground", *arguments]
        self.process = None
        if expect_start:
            self.start()

    def write_config(self, settings="", policy_settings="", resolver=None):
        text = f"[mailreeve]\nrules = {self.rules_path}\nserver_name = mx.example.test\n{settings}\n"
        text += f"resolver = {resolver}\n" if resolver else "resolver = 127.0.0.1@9\n"
        text += f"[policy]\nlisten = unix:{self.unix} inet:127.0.0.1:0\nsocket_mode = 0666\n{policy_settings}\n"
        self.write_file(self.config_path, text)

    def write_rules(self, text):
        self.write_file(self.rules_path, text)

    @staticmethod
    def write_file(path, text):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def start(self):
        # GLib's own allocator hands memory from thread to thread in ways that the thread sanitizer cannot see, and hides what is taken from the heap.
        environment = {"G_SLICE": "always-malloc", **os.environ}
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment)
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        ready = self.wait_for("ready: ")
        self.inet = ("127.0.0.1", int(ready.split("inet:127.0.0.1:")[1].split(",")[0].split()[0]))

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.lines.append(None)
            self.changed.notify_all()

    def wait_for(self, text, times=1):
        """The line that has `text` for the `times`th time."""
        end = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                found = [line for line in self.lines if line is not None and text in line]
                if len(found) >= times:
                    return found[times - 1]
                check(None not in self.lines, f"the daemon ended without saying {text!r}: {self.lines[-5:]}")
                check(time.monotonic() < end, f"the daemon does not say {text!r}: {self.lines[-5:]}")
                self.changed.wait(1)

    def count(self, text):
        with self.changed:
            return sum(1 for line in self.lines if line is not None and text in line)

    def reload(self):
        """Asks for a reload and waits for its end; true when it was good."""
        good, bad = self.count("reloaded: "), self.count("reload failed")
        self.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        with self.changed:
            while True:
                lines = [line for line in self.lines if line is not None]
                if sum("reloaded: " in line for line in lines) > good:
                    return True
                if sum("reload failed" in line for line in lines) > bad:
                    return False
                check(time.monotonic() < end, "the reload does not end")
                self.changed.wait(1)

    def client(self, inet=False):
        return Client(self.inet if inet else self.unix)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait_end()

    def wait_end(self):
        code = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stderr.close()
        self.process = None
        return code

    def status(self, name):
        """A line of /proc/PID/status, without its name."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(name + ":"):
                    return line.split(":", 1)[1].strip()
        return ""

    def bytes_read(self):
        with open(f"/proc/{self.process.pid}/io", encoding="utf-8") as file:
            return int(file.readline().split()[1])

    @staticmethod
    def is_sanitized():
        """A sanitizer's memory is not the daemon's."""
        with open(PROGRAM, "rb") as file:
            program = file.read()
        return any(name in program for name in (b"__asan_init", b"__tsan_init", b"__ubsan_handle"))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.process is not None:
            code = self.stop()
            if kind is None:
                check(code == 0, f"the daemon ended with {code}: {self.lines[-30:]}")
        self.folder.cleanup()
