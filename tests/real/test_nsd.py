#!/usr/bin/env python3
"""test_nsd.py: the look-up thread and libunbound against NSD, a real name server, with zones as lists publish them.

Skipped (77) only where nsd is not installed.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean

from probe import PATIENCE, Probe, check, run

NSD = shutil.which("nsd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

ZONE = """$ORIGIN zen.test.
$TTL 120
@ IN SOA ns.zen.test. postmaster.zen.test. 1 3600 600 86400 30
@ IN NS ns
ns IN A 127.0.0.1
2.0.0.127 IN A 127.0.0.2
2.0.0.127 IN A 127.0.0.4
2.0.0.127 IN A 127.0.0.10
2.0.0.127 IN TXT "https://zen.test/query/" "ip/127.0.0.2"
99.2.0.192 300 IN A 127.0.0.3
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2 IN A 127.0.0.2
7.2.0.192 IN A 127.255.255.252
8.2.0.192 IN A 192.0.2.80
spam.example IN A 127.0.1.2
*.wild.example IN A 127.0.1.4
big IN TXT "%s" "%s" "%s" "%s" "%s" "%s" "%s" "%s"
""" % tuple(letter * 250 for letter in "abcdefgh")


def free_port():
    """A port that is free for UDP and TCP; nsd must be told one."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


class Nsd:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.port = free_port()
        path = self.folder.name
        with open(os.path.join(path, "zone"), "w", encoding="ascii") as file:
            file.write(ZONE)
        with open(os.path.join(path, "nsd.conf"), "w", encoding="ascii") as file:
            file.write(
                f'server:\n  ip-address: 127.0.0.1@{self.port}\n  username: ""\n  chroot: ""\n  zonesdir: "{path}"\n  database: ""\n'
                f'  pidfile: ""\n  xfrdfile: "{path}/xfrd"\n  xfrdir: "{path}"\n  zonelistfile: "{path}/zones"\n  server-count: 1\n'
                f'remote-control:\n  control-enable: no\nzone:\n  name: zen.test\n  zonefile: zone\n'
            )
        self.process = subprocess.Popen(
            [NSD, "-d", "-V", "2", "-c", os.path.join(path, "nsd.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        said = []
        for line in self.process.stderr:
            said.append(line)
            if "nsd started" in line:
                break
        check("nsd started" in "".join(said), "nsd does not start: " + "".join(said))
        self.address = f"127.0.0.1@{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        self.folder.cleanup()


def records():
    with Nsd() as server, Probe(server.address) as probe:
        cases = [
            ("2.0.0.127.zen.test", "A", "found", 120, "127.0.0.2 127.0.0.4 127.0.0.10"),
            ("99.2.0.192.zen.test", "A", "found", 300, "127.0.0.3"),
            ("2.0.0.127.zen.test", "TXT", "found", 120, '"https://zen.test/query/ip/127.0.0.2"'),
            ("3.0.0.127.zen.test", "A", "not-found", 30, ""),
            ("2.0.0.127.zen.test", "AAAA", "not-found", 30, ""),
            # Too big for a datagram of 1232 bytes: asked again over TCP.
            ("big.zen.test", "TXT", "found", 120, '"' + "".join(letter * 250 for letter in "abcdefgh") + '"'),
        ]
        for name, kind, state, ttl, rest in cases:
            got = probe.ask(name, kind)
            check((got[0], got[3]) == (state, rest), f"{name} {kind}: {got}")
            check(ttl - 2 <= got[1] <= ttl, f"{name} {kind}: ttl {got[1]}, not {ttl}")
        check(probe.ask("outside.example")[0] == "failed", "a zone that this server refuses")


def lists():
    with Nsd() as server, Probe(server.address) as probe:
        cases = [
            ("zen.test - 127.0.0.2", "listed 127.0.0.2 zen.test https://zen.test/query/ip/127.0.0.2"),
            ("zen.test 127.0.0.[4..7] 127.0.0.2", "listed 127.0.0.4 zen.test https://zen.test/query/ip/127.0.0.2"),
            ("zen.test 127.0.0.[5..7] 127.0.0.2", "not listed"),
            ("zen.test - 192.0.2.99", "listed 127.0.0.3 zen.test "),
            ("zen.test - 2001:db8::1", "listed 127.0.0.2 zen.test "),
            ("zen.test - 192.0.2.7", "failed list refuses to answer: 127.255.255.252"),
            ("zen.test - 192.0.2.8", "failed answer outside 127.0.0.0/8"),
            ("zen.test - spam.example", "listed 127.0.1.2 zen.test "),
            ("zen.test - a.wild.example", "listed 127.0.1.4 zen.test "),
            ("zen.test - ham.example", "not listed"),
            ("zen.test - 192.0.2.1", "not listed"),
        ]
        for command, expected in cases:
            got = probe.say("list " + command)
            check(got == expected, f"{command}: {got!r}")


if not NSD:
    print("nsd is not installed")
    sys.exit(77)
run([records, lists])
