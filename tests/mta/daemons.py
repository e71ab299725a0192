#!/usr/bin/env python3
"""Starts mailreeve-policyd or mailreeve-milter on loopback for a test or a demonstration, and reads their log.

    with Folder() as folder:
        rules = folder.write("mail.rules", "at rcpt { ... }")
        with Daemon(POLICYD, folder, rules=rules) as policyd:
            ... policyd.port, policyd.unix_path, policyd.log(), policyd.decisions()

Paths of programs are relative to the build folder: MAILREEVE_BUILD, else the current one.
"""
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from private_postfix import free_port, wait_until

POLICYD = "mailreeve-policyd"
MILTER = "mailreeve-milter"


def program(path):
    """The built program: an absolute path, or one below the build folder."""
    return path if os.path.isabs(path) else os.path.join(os.environ.get("MAILREEVE_BUILD", os.getcwd()), path)


class Folder:
    """A temporary folder that the unprivileged daemons can reach and write to."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="mailreeve-test.")
        os.chmod(self.path, 0o755)
        self.sockets = os.path.join(self.path, "run")
        os.mkdir(self.sockets)
        os.chmod(self.sockets, 0o1777)

    def write(self, name, text):
        path = os.path.join(self.path, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, 0o644)
        return path

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


def is_told(ready):
    """READY=1 of sd_notify(3) has come."""
    try:
        return b"READY=1" in ready.recv(4096)
    except BlockingIOError:
        return False


class Daemon:
    """One of the two daemons, in the foreground, with its log in a file; `config` is the text of a mailreeve.conf (optional)."""

    def __init__(self, path, folder, rules, config=None, resolver=None, arguments=(), listen=None, name=None):
        self.name = name or os.path.basename(path)
        self.folder = folder
        self.log_path = os.path.join(folder.path, f"{self.name}.{time.monotonic_ns()}.log")
        self.port = None
        self.listen = listen
        if listen is None:
            self.port = free_port()
            self.listen = f"inet:127.0.0.1:{self.port}"
        self.command = [program(path), "--foreground", "--rules", rules, "--listen", self.listen]
        if config is not None:
            self.command += ["--config", folder.write(f"{self.name}.conf", config)]
        if resolver is not None:
            self.command += ["--resolver", resolver]
        self.command += list(arguments)
        self.process = None

    @property
    def unix_path(self):
        return self.listen[len("unix:"):] if self.listen.startswith("unix:") else None

    def start(self):
        """Returns when it says that it is ready: sockets are bound before rules are read, so one can connect earlier, and a reload would come too early."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, open(self.log_path, "wb") as log:
            ready.bind("")  # a name that Linux chooses, in its abstract namespace
            ready.setblocking(False)
            # The thread sanitizer does not understand GLib's own allocator.
            environment = {"G_SLICE": "always-malloc", **os.environ, "NOTIFY_SOCKET": "@" + ready.getsockname()[1:].decode()}
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment)
            wait_until(lambda: self.process.poll() is not None or is_told(ready), lambda: f"{self.name} is ready:\n{self.log()}")
        if self.process.poll() is not None:
            raise RuntimeError(f"{shlex.join(self.command)} ended with {self.process.returncode}:\n{self.log()}")
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            return text.read()

    def decisions(self, start=0):
        """The decision lines from the `start`th on, as dictionaries."""
        lines = [line for line in self.log().splitlines() if re.search(r"\bphase=\w+ ", line)]
        return [logfmt(line) for line in lines[start:]]

    def wait_log(self, pattern, count=1):
        """Waits until the log has `count` matches."""
        wait_until(lambda: len(re.findall(pattern, self.log())) >= count, lambda: f"{self.name} logs {pattern!r}:\n{self.log()}")

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self.process.returncode

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()


def logfmt(line):
    """key=value and key="quoted value" of a line, as a dictionary."""
    return {key: (quoted if quoted is not None else plain)
            for key, quoted, plain in ((m[1], m[2], m[3]) for m in re.finditer(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))', line))}
