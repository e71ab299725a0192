#!/usr/bin/env python3
"""test_maps.py: tables in Postfix's maps, built by the real postmap, and in databases of SQLite: the order of keys, every type, and maps that are built anew
under a running daemon."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean

from policyd_client import Policyd
from probe import check, run

KINDS = ("lmdb", "cdb")
POSTMAP = shutil.which("postmap", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

ACCESS = """
192.0.2         REJECT not from this network
192.0.2.3       OK
2001:db8        450 4.7.1 come back later
Evil.Example    REJECT the domain
.evil.example   REJECT below the domain
spam@Mixed.Example  REJECT this sender
@bulk.example   REJECT all of them
root@           HOLD
<>              REJECT no bounces
alice           500
broken          not an action
25              the port
here.example    mx1.here.example
"""

STORY = """
rules {
    table access   of net -> action     from KIND "FOLDER/access"
    table networks of net               from KIND "FOLDER/access.KIND"
    table hosts    of ip                from KIND "FOLDER/access"
    table senders  of address -> action from KIND "FOLDER/access"
    table whole    of address           from KIND "FOLDER/access" keys exact
    table helos    of domain -> action  from KIND "FOLDER/access"
    table quotas   of string -> int     from KIND "FOLDER/access"
    table actions  of string -> action  from KIND "FOLDER/access" on error tempfail
    table ports    of int -> string     from KIND "FOLDER/access"
    table routes   of domain -> domain  from KIND "FOLDER/access"
    table none     of string            from KIND "FOLDER/there-is-none" optional

    at rcpt when recipient.domain == "tables.example" {
        [networks] reject "networks" if recipient.localpart == "networks" and client_address in networks
        [hosts]    reject "hosts"    if recipient.localpart == "hosts" and client_address in hosts
        [whole]    reject "whole"    if recipient.localpart == "whole" and sender in whole
        [quotas]   reject "{quotas[sasl_username]}" if recipient.localpart == "quotas" and quotas[sasl_username] > 100
        [ports]    reject "{ports[client_port]}"    if recipient.localpart == "ports" and ports[client_port] is set
        [routes]   reject "{routes[recipient.localpart]}" if recipient.localpart == "here.example" and routes[recipient.localpart] is set
        [none]     reject "none"     if recipient.localpart == "none" and sasl_username in none
        [pass]     pass
    }
    at rcpt when recipient.localpart == "sender" { [sender] check senders[sender] }
    at rcpt when recipient.localpart == "helo" { [helo] check helos[helo_name] }
    at rcpt when recipient.localpart == "action" { [action] check actions[sasl_username] }
    at rcpt when recipient.localpart == "client" { [client] check access[client_address] }
    at rcpt { [after] tempfail "after" }
}

session "types" {
    client 192.0.2.3 port 25
    set sasl_username "alice"
    ehlo mail.evil.example
    mail <Spam+Tag@MIXED.example>
    rcpt <networks@tables.example> -> reject by networks
    rcpt <hosts@tables.example>    -> reject by hosts
    rcpt <whole@tables.example>    -> pass by pass
    rcpt <quotas@tables.example>   -> reject "500" by quotas
    rcpt <ports@tables.example>    -> reject "the port" by ports
    rcpt <none@tables.example>     -> pass by pass
    rcpt <sender@x.example>        -> reject "this sender" by sender
    rcpt <helo@x.example>          -> reject "below the domain" by helo
    rcpt <client@x.example>        -> pass by client
}

session "other keys" {
    client 192.0.2.4
    set sasl_username "broken"
    ehlo evil.example
    mail <anyone@bulk.example>
    rcpt <networks@tables.example> -> reject by networks
    rcpt <hosts@tables.example>    -> pass by pass
    rcpt <client@x.example>        -> reject "not from this network" by client
    rcpt <sender@x.example>        -> reject "all of them" by sender
    rcpt <helo@x.example>          -> reject "the domain" by helo
    rcpt <action@x.example>        -> tempfail 451 by action
    rset
    mail <>
    rcpt <sender@x.example>        -> reject "no bounces" by sender
    rset
    mail <spam@mixed.example>
    rcpt <whole@tables.example>    -> reject by whole
    rset
    mail <root@any.example>
    rcpt <sender@x.example>        -> tempfail "after" by after
}

session "IPv6" {
    client 2001:db8::1
    ehlo client.example
    mail <a@x.example>
    rcpt <client@x.example>        -> tempfail 450 4.7.1 "come back later" by client
}
"""


def postmap(kind, folder, text, *flags):
    """Builds FOLDER/access as an administrator does."""
    source = os.path.join(folder, "access")
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    result = subprocess.run([POSTMAP, *flags, f"{kind}:{source}"], capture_output=True, text=True, check=False)
    check(result.returncode == 0, result.stderr)
    os.chmod(f"{source}.{kind}", 0o644)


def stories():
    for kind in KINDS:
        for flags in ((), ("-N",)):  # -N: keys and values with a NUL at their end
            with tempfile.TemporaryDirectory() as folder:
                postmap(kind, folder, ACCESS, *flags)
                scenario = os.path.join(folder, "maps.scenario")
                with open(scenario, "w", encoding="utf-8") as file:
                    file.write(STORY.replace("KIND", kind).replace("FOLDER", folder))
                result = subprocess.run(["./mailreeve", "test", scenario], capture_output=True, text=True, check=False)
                check(result.returncode == 0, f"{kind} {flags}: {result.stdout}{result.stderr}")


def table_test():
    """mailreeve table test: found, by which key, not found, failed."""
    with tempfile.TemporaryDirectory() as folder:
        postmap("lmdb", folder, ACCESS)
        rules = os.path.join(folder, "mail.rules")
        with open(rules, "w", encoding="utf-8") as file:
            file.write('table access of net -> action from lmdb "access"\ntable actions of string -> action from lmdb "access"\nat rcpt { pass }\n')
        for arguments, code, printed in (
            (("access", "192.0.2.1"), 0, "192.0.2.1: found by 192.0.2 -> REJECT not from this network\n"),
            (("access", "192.0.3.1"), 1, "192.0.3.1: not found\n"),
            (("actions", "Broken"), 3, 'Broken: failed: the value of "broken" is "not an action": '),
        ):
            result = subprocess.run(["./mailreeve", "table", "test", rules, *arguments], capture_output=True, text=True, check=False)
            check(result.returncode == code and result.stdout.startswith(printed), f"{arguments}: {result}")


def built_anew_under_a_daemon():
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            postmap(kind, folder, "192.0.2.25 REJECT one\n")
            rules = f'table access of net -> action from {kind} "{folder}/access"\nat rcpt {{ [access] check access[client_address] }}\n'
            with Policyd(rules) as daemon, daemon.client() as client:
                check(client.ask() == "550 5.7.1 one", "the first map")
                postmap(kind, folder, "192.0.2.25 REJECT two\n")
                check(client.ask() == "550 5.7.1 two", "built anew")
                many = "".join(f"k{number} value {number}\n" for number in range(20000))
                postmap(kind, folder, many + "192.0.2 REJECT three\n")
                check(client.ask() == "550 5.7.1 three", "grown")
                check(daemon.reload(), "a reload")
                check(client.ask(instance="2") == "550 5.7.1 three", "after a reload")
                path = f"{folder}/access.{kind}"
                os.unlink(path)
                check(daemon.reload(), "a reload without the map")
                daemon.wait_for("the old content stays")
                check(client.ask(instance="3") == "550 5.7.1 three", "without the map")
                with open(path, "w", encoding="utf-8") as file:
                    file.write("half a map")
                check(client.ask(instance="4") == "550 5.7.1 three", "with half a map")
                daemon.wait_for("the old content stays", 2)
                os.unlink(path)
                postmap(kind, folder, "192.0.2.25 REJECT four\n")
                check(client.ask(instance="5") == "550 5.7.1 four", "there again")


def overwrite(path, content, at_once=True):
    """The same file with another content, as cp makes it: in pieces, of which some are asked for."""
    with open(path, "r+b", buffering=0) as file:
        file.truncate(0)
        size = len(content) if at_once else max(1, len(content) // 7)
        for start in range(0, len(content), size):
            file.write(content[start : start + size])
            yield


def put(path, make):
    """Another thing in its place."""
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    make(path + ".other")
    if os.path.isdir(path + ".other") and not os.path.islink(path + ".other"):
        os.unlink(path)
    os.rename(path + ".other", path)
    yield


def sparse(path):
    with open(path, "wb") as file:
        file.truncate(5 << 30)


def cut(path, size):
    os.truncate(path, size)
    yield


def spoilers(good):
    """What can befall a file, each in steps."""
    garbage = bytes((number * 37 + number // 256) % 256 for number in range(len(good)))
    return (
        lambda path: cut(path, 0),
        lambda path: cut(path, len(good) // 2),
        lambda path: cut(path, 2049),
        lambda path: overwrite(path, garbage),
        lambda path: overwrite(path, good[: len(good) // 2] + garbage[len(good) // 2 :], at_once=False),
        lambda path: overwrite(path, good, at_once=False),
        lambda path: put(path, os.mkfifo),
        lambda path: put(path, os.mkdir),
        lambda path: put(path, lambda other: os.symlink("/dev/zero", other)),
        lambda path: put(path, lambda other: os.symlink("nowhere", other)),
        lambda path: put(path, sparse),
    )


def spoiled_under_a_daemon():
    """Whatever becomes of a map, the daemon answers: by the map or that it could not look; and it goes on with the next good one."""
    many = "".join(f"k{number} value {number}\n" for number in range(3000))
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            rules = f'table access of net -> action from {kind} "{folder}/access"\nat rcpt {{ [access] check access[client_address] }}\n'
            postmap(kind, folder, many + "192.0.2.25 REJECT good\n")
            path = f"{folder}/access.{kind}"
            with open(path, "rb") as file:
                good = file.read()

            def restore():
                with open(path + ".new", "wb") as file:
                    file.write(good)
                os.chmod(path + ".new", 0o644)
                if os.path.isdir(path) and not os.path.islink(path):
                    os.rmdir(path)
                os.rename(path + ".new", path)

            with Policyd(rules) as daemon, daemon.client() as client:
                for number, spoil in enumerate(spoilers(good)):
                    check(client.ask(instance=f"{number}.g") == "550 5.7.1 good", f"{kind} {number}: before")
                    for step, _ in enumerate(spoil(path)):
                        got = client.ask(instance=f"{number}.{step}")
                        check(got in ("550 5.7.1 good", "DUNNO") or got.startswith("451 4.3.0"), f"{kind} {number}: {got}")
                    check(daemon.reload(), f"{kind} {number}: a reload")
                    restore()
                check(client.ask(instance="last") == "550 5.7.1 good", f"{kind}: at the end")
                told = [line for line in daemon.lines if line and "the old content stays" in line]
                check(len(told) < 5 * len(spoilers(good)), f"{kind}: told all the time: {len(told)}")


QUOTA = """
table quota of string -> int from sqlite "FOLDER/quota.db: select n from quota where login = ?"
table pairs of (address, address) from sqlite "FOLDER/quota.db: select 1 from pairs where sender = ? and recipient = ?" on error skip
at rcpt {
    [pair]  reject 550 5.7.1 "not you" if (sender, recipient) in pairs
    [quota] reject 552 5.2.2 "{quota[sasl_username]} are too many" if quota[sasl_username] > 100
}
"""

SQLITE_STORY = """
rules {QUOTA_RULES}
session "a database" {
    client 192.0.2.1
    set sasl_username "alice"
    ehlo client.example
    mail <Pest@b.example>
    rcpt <boss@here.example>  -> reject 550 "not you" by pair
    rcpt <other@here.example> -> reject 552 "500 are too many" by quota
    rset
    set sasl_username "bob"
    mail <a@b.example>
    rcpt <third@here.example> -> pass
    rset
    set sasl_username "carol"
    mail <a@b.example>
    rcpt <third@here.example> -> tempfail 451 by quota
}
"""


def sql(path, text):
    database = sqlite3.connect(path)
    database.executescript(text)
    database.close()


def database():
    """SQLite in a story, on the command line, and in a daemon."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "quota.db")
        sql(path, """
            create table quota (login text primary key, n);
            insert into quota values ('alice', 500), ('bob', 20), ('carol', 'many');
            create table pairs (sender text, recipient text);
            insert into pairs values ('pest@b.example', 'boss@here.example');
        """)
        os.chmod(path, 0o644)
        rules = QUOTA.replace("FOLDER", folder)
        scenario = os.path.join(folder, "quota.scenario")
        with open(scenario, "w", encoding="utf-8") as file:
            file.write(SQLITE_STORY.replace("QUOTA_RULES", rules.replace("\n", "\n    ") + "\n"))
        result = subprocess.run(["./mailreeve", "test", scenario], capture_output=True, text=True, check=False)
        check(result.returncode == 0, f"{result.stdout}{result.stderr}")
        rules_path = os.path.join(folder, "quota.rules")
        with open(rules_path, "w", encoding="utf-8") as file:
            file.write(rules)
        for arguments, code, printed in (
            (("quota", "alice"), 0, "alice: found by alice -> 500\n"),
            (("quota", "dave"), 1, "dave: not found\n"),
            (("quota", "carol"), 3, 'carol: failed: the value of "carol" is "many": not a whole number\n'),
            (("pairs", "PEST@b.example", "boss@here.example"), 0, "PEST@b.example, boss@here.example: found by pest@b.example, boss@here.example\n"),
        ):
            result = subprocess.run(["./mailreeve", "table", "test", rules_path, *arguments], capture_output=True, text=True, check=False)
            check(result.returncode == code and result.stdout == printed, f"{arguments}: {result}")
        with Policyd(rules) as daemon, daemon.client() as client:
            check(client.ask(sasl_username="alice") == "552 5.2.2 500 are too many", "the daemon asks the database")
            check(client.ask(sasl_username="bob", instance="2") == "DUNNO", "below the limit")
            check(daemon.reload(), "a reload")
            sql(path, "update quota set n = 600; insert into quota values ('erin', 700)")
            check(client.ask(sasl_username="erin", instance="3") == "552 5.2.2 700 are too many", "what was written is found")
            sql(path, "drop table quota")
            check(client.ask(sasl_username="frank", instance="4").startswith("451 4.3.0"), "a failure")
            check(client.ask(sender="pest@b.example", recipient="boss@here.example", instance="5") == "550 5.7.1 not you", "the other table")


def spoiled_database():
    """The same of a database."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "quota.db")
        sql(path, "create table quota (login text primary key, n);" + "".join(f"insert into quota values ('u{number}', 500);" for number in range(1000)))
        with open(path, "rb") as file:
            good = file.read()
        rules = f'table quota of string -> int from sqlite "{path}: select n from quota where login = ?"\nat rcpt {{ [quota] reject "over" if quota[sasl_username] > 100 }}\n'

        def restore():
            with open(path + ".new", "wb") as file:
                file.write(good)
            os.chmod(path + ".new", 0o644)
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            os.rename(path + ".new", path)

        restore()
        asked = iter(range(1000))
        with Policyd(rules) as daemon, daemon.client() as client:
            for number, spoil in enumerate(spoilers(good)):
                key = next(asked)
                check(client.ask(instance=f"{key}", sasl_username=f"u{key}") == "550 5.7.1 over", f"{number}: before")
                for _ in spoil(path):
                    key = next(asked)
                    got = client.ask(instance=f"{key}", sasl_username=f"u{key}")
                    check(got in ("550 5.7.1 over", "DUNNO") or got.startswith("451 4.3.0"), f"{number}: {got}")
                restore()
            key = next(asked)
            check(client.ask(instance=f"{key}", sasl_username=f"u{key}") == "550 5.7.1 over", "at the end")


def main():
    maps = subprocess.run(["postconf", "-m"], capture_output=True, text=True, check=False, env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin"}) if POSTMAP else None
    missing = [kind for kind in KINDS if maps is None or kind not in maps.stdout.split()]
    if missing:
        print("Postfix has no maps of " + ", ".join(missing))
        sys.exit(77)
    run([stories, table_test, built_anew_under_a_daemon, spoiled_under_a_daemon, database, spoiled_database])


main()
