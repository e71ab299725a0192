#!/usr/bin/env python3
"""test_socketmap_table.py: tables from socketmap: every type in stories and on the command line, a daemon with a server that does everything wrong, restarts, and the same
questions with Postfix's client and with our own server."""

import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean

from policyd_client import Policyd, request
from probe import PATIENCE, check, run
from socketmap_server import SocketmapServer

POSTMAP = shutil.which("postmap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

MAPS = {
    "access": {
        b"192.0.2": b"REJECT not from this network",
        b"192.0.2.3": b"OK",
        b"evil.example": b"REJECT the domain",
        b".evil.example": b"REJECT below the domain",
        b"spam@mixed.example": b"REJECT this sender",
        b"@bulk.example": b"REJECT all of them",
        b"<>": b"REJECT no bounces",
        b"broken": b"not an action",
        b"25": b"the port",
        b"pest@b.example\tboss@here.example": b"",
        b"alice": b"500",
    }
}

STORY = """
rules {
    table access  of net -> action      from socketmap "SERVER:access"
    table hosts   of ip                 from socketmap "SERVER:access"
    table senders of address -> action  from socketmap "SERVER:access"
    table whole   of address            from socketmap "SERVER:access" keys exact
    table helos   of domain -> action   from socketmap "SERVER:access"
    table quotas  of string -> int      from socketmap "SERVER:access"
    table actions of string -> action   from socketmap "SERVER:access"
    table ports   of int -> string      from socketmap "SERVER:access"
    table pairs   of (address, address) from socketmap "SERVER:access"
    table gone    of string             from socketmap "unix:/nowhere/socket:access" on error skip

    at rcpt when recipient.domain == "tables.example" {
        [gone]   reject "gone"   if sasl_username in gone
        [hosts]  reject "hosts"  if recipient.localpart == "hosts" and client_address in hosts
        [whole]  reject "whole"  if recipient.localpart == "whole" and sender in whole
        [quotas] reject "{quotas[sasl_username]}" if recipient.localpart == "quotas" and (quotas[sasl_username] default 7) > 100
        [ports]  reject "{ports[client_port]}"    if recipient.localpart == "ports" and ports[client_port] is set
        pass
    }
    at rcpt {
        [pair]   reject "not you"                  if (sender, recipient) in pairs
        [client] check access[client_address]      if recipient.localpart == "client"
        [sender] check senders[sender]             if recipient.localpart == "sender"
        [helo]   check helos[helo_name]            if recipient.localpart == "helo"
        [action] check actions[sasl_username]      if recipient.localpart == "action"
        [after]  tempfail "after"
    }
}

session "found" {
    client 192.0.2.3 port 25
    set sasl_username "alice"
    ehlo mail.evil.example
    mail <spam@mixed.example>
    rcpt <hosts@tables.example>   -> reject "hosts" by hosts
    rcpt <whole@tables.example>   -> reject "whole" by whole
    rcpt <quotas@tables.example>  -> reject "500" by quotas
    rcpt <ports@tables.example>   -> reject "the port" by ports
    rcpt <none@tables.example>    -> pass
    rcpt <sender@x.example>       -> reject "this sender" by sender
    rcpt <helo@x.example>         -> reject "below the domain" by helo
    rcpt <client@x.example>       -> pass by client
}

session "other keys" {
    client 192.0.2.4
    set sasl_username "broken"
    ehlo evil.example
    mail <anyone@bulk.example>
    rcpt <hosts@tables.example>   -> pass
    rcpt <whole@tables.example>   -> pass
    rcpt <client@x.example>       -> reject "not from this network" by client
    rcpt <sender@x.example>       -> reject "all of them" by sender
    rcpt <helo@x.example>         -> reject "the domain" by helo
    rcpt <action@x.example>       -> tempfail 451 by action
    rset
    mail <>
    rcpt <sender@x.example>       -> reject "no bounces" by sender
    rset
    mail <Pest@b.example>
    rcpt <boss@here.example>      -> reject "not you" by pair
    rcpt <other@here.example>     -> tempfail "after" by after
}
"""

RULES = """
table users of string -> string from socketmap "SERVER:users"
at rcpt { [found] reject 550 5.7.1 "<{users[sasl_username]}>" if users[sasl_username] is set }
"""
USERS = {"users": {f"u{number}".encode(): f"value {number}".encode() for number in range(200)}}
FAILED = "451 4.3.0"


def stories():
    """Both doors, over TCP by name and over a unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "map.sock")
        with SocketmapServer(MAPS) as inet, SocketmapServer(MAPS, path) as local:
            for address in (f"inet:localhost:{inet.port}", f"unix:{path}"):
                scenario = os.path.join(folder, "maps.scenario")
                with open(scenario, "w", encoding="utf-8") as file:
                    file.write(STORY.replace("SERVER", address))
                result = subprocess.run(["./mailreeve", "test", scenario], capture_output=True, text=True, check=False)
                check(result.returncode == 0, f"{address}: {result.stdout}{result.stderr}")
            check(not inet.faults + local.faults, f"{inet.faults} {local.faults}")
            check(("access", "192.0") in local.asked or ("access", "192.0.2") in local.asked, "shorter networks are asked")


def table_test():
    """mailreeve table test: found, by which key, not found, failed; the order of the tries."""
    with tempfile.TemporaryDirectory() as folder, SocketmapServer(MAPS) as server:
        rules = os.path.join(folder, "mail.rules")
        where = f"inet:127.0.0.1:{server.port}"
        with open(rules, "w", encoding="utf-8") as file:
            file.write(f'table senders of address -> action from socketmap "{where}:access"\n'
                       f'table pairs of (address, address) from socketmap "{where}:access"\n'
                       f'table quotas of string -> int from socketmap "{where}:access"\n'
                       f'table none of string from socketmap "{where}:nothing"\n'
                       "at rcpt { pass }\n")
        for arguments, code, printed in (
            (("senders", "U+x@Bulk.example"), 0, "U+x@Bulk.example: found by @bulk.example -> REJECT all of them\n"
             "    looked up, in this order: u+x@bulk.example, u@bulk.example, @bulk.example, bulk.example, .example, u+x@, u@\n"),
            (("senders", "a@b.c.example"), 1, "a@b.c.example: not found\n"
             "    looked up, in this order: a@b.c.example, @b.c.example, b.c.example, .c.example, .example, a@\n"),
            (("pairs", "Pest@b.example", "boss@here.example"), 0, "Pest@b.example, boss@here.example: found by pest@b.example, boss@here.example\n"),
            (("quotas", "broken"), 3, 'broken: failed: the value of "broken" is "not an action": not a whole number\n'),
            (("none", "x"), 3, f"x: failed: {where}:nothing: PERM: no such map\n"),
        ):
            result = subprocess.run(["./mailreeve", "table", "test", rules, *arguments], capture_output=True, text=True, check=False)
            check(result.returncode == code and result.stdout == printed, f"{arguments}: {result}")
        tried = [key for _, key in server.asked if key.endswith("c.example") or key in ("example", ".example", "a@")]
        check(tried == ["a@b.c.example", "@b.c.example", "b.c.example", ".c.example", ".example", "a@"], f"the tries: {tried}")


class Asking:
    """A daemon, and questions with a user each."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.client = daemon.client()
        self.count = 0

    def send(self, client, user):
        self.count += 1
        client.send(self.bytes(user))

    def bytes(self, user):
        return request(sasl_username=user, instance=f"i{self.count}")

    def ask(self, user):
        self.send(self.client, user)
        return self.client.answer()

    def good(self, number):
        got = self.ask(f"u{number}")
        check(got == f"550 5.7.1 <value {number}>", f"u{number}: {got}")


def rules_for(server):
    address = f"unix:{server.path}" if server.path else f"inet:127.0.0.1:{server.port}"
    return RULES.replace("SERVER", address)


def everything_wrong():
    """Each failure is one of its question only, and its reason is told."""
    with SocketmapServer(USERS) as server, Policyd(rules_for(server)) as daemon:
        asking = Asking(daemon)
        asking.good(0)
        for number, (key, reason) in enumerate((
            ("temp", r"TEMP: no\r\ndatabase"),
            ("timeout", "TIMEOUT"),
            ("perm", "PERM: never yyy"),
            ("garbage", "no netstring: HTTP/1.1 400"),
            ("comma", "a netstring that does not end in a comma"),
            ("word", "a reply that is none of OK"),
            ("huge", "a netstring that is too long"),
            ("half", "the server closed the connection"),
            ("close", "the server closed the connection"),
        )):
            got = asking.ask(key)
            check(got.startswith(FAILED), f"{key}: {got}")
            line = daemon.wait_for(reason)
            check(len(line) < 1000, f"a long reason: {line}")
            asking.good(number + 1)
        check(asking.ask("split") == "550 5.7.1 <in pieces>", "a reply in pieces")
        check(asking.ask("big").startswith("550 5.7.1 <xxx"), "the longest reply")
        check(asking.ask("twice") == "550 5.7.1 <once>", "a reply too much")
        asking.good(20)  # not "for another"
        check(asking.ask("nobody") == "DUNNO", "not found")
        check(not server.faults, f"{server.faults}")


def kept_connections():
    """One connection for questions one after the other; one that is closed as idle costs no question."""
    with SocketmapServer(USERS) as server, Policyd(rules_for(server)) as daemon:
        asking = Asking(daemon)
        for number in range(20):
            asking.good(number)
        check(server.accepted == 1, f"{server.accepted} connections")
        check(asking.ask("drop") == "550 5.7.1 <at last>", "asked again over a new connection")
        server.hang_up()
        asking.good(30)
        asked = len(server.asked)
        asking.good(30)
        check(len(server.asked) == asked, "an answer is kept")


def side_by_side():
    """Eight at once: four connections, each with one question at a time."""
    with SocketmapServer(USERS) as server, Policyd(rules_for(server)) as daemon:
        asking = Asking(daemon)
        clients = [daemon.client() for _ in range(8)]
        for number, client in enumerate(clients):
            asking.send(client, f"four/{number}")
        for number, client in enumerate(clients):
            got = client.answer()
            check(got == f"550 5.7.1 <four/{number}>", f"{number}: {got}")
            client.close()
        check(server.most == 4 and not server.faults, f"{server.most} connections, {server.faults}")


def late_answers():
    """A server that is silent costs one deadline, and what it says later is nobody's answer."""
    with SocketmapServer(USERS) as server, Policyd(rules_for(server)) as daemon:
        asking = Asking(daemon)
        asking.good(0)
        got = asking.ask("hold")
        check(got.startswith(FAILED), f"a silent server: {got}")
        server.release.set()
        for number in range(1, 6):
            asking.good(number)


def restarts():
    """Absent at the start, there, gone, and there again; the daemon starts without it, and reloads."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "map.sock")
        with Policyd(RULES.replace("SERVER", f"unix:{path}")) as daemon:
            asking = Asking(daemon)
            users = iter(range(200))

            def wait_good():
                end = time.monotonic() + PATIENCE
                while (got := asking.ask(f"u{(number := next(users))}")).startswith(FAILED):
                    check(time.monotonic() < end, f"the server is not found again: {got}")
                    select.select([], [], [], 0.5)  # it is left alone for a while
                check(got == f"550 5.7.1 <value {number}>", got)

            check(asking.ask(f"u{next(users)}").startswith(FAILED), "no server")
            daemon.wait_for("cannot connect: no such file or directory")
            with SocketmapServer(USERS, path):
                wait_good()
                check(daemon.reload(), "a reload")
                wait_good()
            check(asking.ask(f"u{next(users)}").startswith(FAILED), "the server is gone")
            check(daemon.reload(), "a reload without the server")
            with SocketmapServer(USERS, path):
                wait_good()


def the_same_as_postfix():
    """postmap -q asks the same server and finds the same."""
    if POSTMAP is None:
        return
    with SocketmapServer(MAPS) as server:
        result = subprocess.run([POSTMAP, "-q", "spam@mixed.example", f"socketmap:inet:127.0.0.1:{server.port}:access"], capture_output=True, text=True, check=False)
        check(result.returncode == 0 and result.stdout == "REJECT this sender\n", f"{result}")


class MapDaemon(Policyd):
    def write_config(self, settings="", policy_settings="", resolver=None):
        super().write_config(settings, f"socketmap_listen = unix:{self.path}/maps\n{policy_settings}", resolver)


def our_own_server():
    """A table may ask the socket maps of mailreeve-policyd."""
    with MapDaemon('at vrfy { [root] reject 550 5.1.1 "no {recipient}" if recipient.localpart == "root" }\n') as daemon:
        rules = os.path.join(daemon.path, "other.rules")
        with open(rules, "w", encoding="utf-8") as file:
            file.write(f'table vrfy of string -> string from socketmap "unix:{daemon.path}/maps:mailreeve_vrfy"\n'
                       f'table none of string -> string from socketmap "unix:{daemon.path}/maps:none"\nat rcpt {{ pass }}\n')
        facts = "client_address= 192.0.2.25<>argument= "
        for name, key, code, end in (
            ("vrfy", facts + "alice", 0, "-> pass\n"),
            ("vrfy", facts + "root@x.example", 0, '-> refuse \\"550 5.1.1 no root@x.example\\"\n'),
            ("none", "x", 3, ":none: PERM: there is no such map\n"),
        ):
            result = subprocess.run(["./mailreeve", "table", "test", rules, name, key], capture_output=True, text=True, check=False)
            check(result.returncode == code and result.stdout.endswith(end), f"{name} {key}: {result}")


run([stories, table_test, everything_wrong, kept_connections, side_by_side, late_answers, restarts, the_same_as_postfix, our_own_server])
