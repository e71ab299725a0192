#!/usr/bin/env python3
"""test_redis.py: tables in a real Redis server, over TCP and a unix socket: every type of key, values, failures, passwords, and a server that stops and comes back."""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the source folder may be read-only, and stays clean
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "mta")]

from daemons import MILTER, Daemon, Folder  # noqa: E402
from miltermta import MilterMta  # noqa: E402
from policyd_client import Policyd  # noqa: E402
from private_postfix import free_port  # noqa: E402
from probe import PATIENCE, check, run  # noqa: E402

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")


class Redis:
    """A server in a folder of its own, that keeps nothing."""

    def __init__(self, *settings):
        self.folder = tempfile.TemporaryDirectory(prefix="mailreeve-redis-")
        os.chmod(self.folder.name, 0o755)
        self.path = os.path.join(self.folder.name, "redis.sock")
        self.port = free_port()
        self.settings = settings
        self.process = None

    def start(self):
        command = [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path, "--unixsocketperm", "777", "--save", "",
                   "--appendonly", "no", "--dir", self.folder.name, "--daemonize", "no", *self.settings]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while not self.is_there():
            check(self.process.poll() is None and time.monotonic() < end, "the server does not start")
            time.sleep(0.01)

    def is_there(self):
        try:
            return self.say("PING") in ("+PONG", "-NOAUTH Authentication required.")
        except OSError:
            return False

    def say(self, *words):
        """The first line of the reply to a command."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(self.path)
            parts = [word.encode() for word in words]
            client.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with client.makefile("rb") as replies:
                return replies.readline().decode().rstrip("\r\n")

    def fill(self, text):
        """A command a line, its words with tabs between."""
        for line in filter(None, (line.strip() for line in text.splitlines())):
            reply = self.say(*line.split("\t"))
            check(reply and not reply.startswith("-"), f"{line}: {reply}")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()


CONTENT = """
SET	net:192.0.2	REJECT not from this network
SET	net:192.0.2.3	OK
SET	ip:192.0.2.3	1
HSET	senders	spam@mixed.example	REJECT this sender
HSET	senders	@bulk.example	REJECT all of them
HSET	senders	<>	REJECT no bounces
SADD	helos	.evil.example
HSET	quota	alice	500
HSET	quota	carol	many
ZADD	scores	7	alice
SET	port:25	the port
SADD	pairs:pest@b.example	boss@here.example
SADD	ham	a
"""

TABLES = """
table access   of net -> action        from redis "WHERE: get net:?"
table hosts    of ip                   from redis "WHERE: exists ip:?"
table senders  of address -> action    from redis "WHERE: hget senders ?"
table whole    of address              from redis "WHERE: hexists senders ?" keys exact
table helos    of domain               from redis "WHERE: sismember helos ?"
table quota    of string -> int        from redis "WHERE: hget quota ?"
table scores   of string -> int        from redis "WHERE: zscore scores ?"
table ports    of int -> string        from redis "WHERE: get port:?"
table pairs    of (address, address)   from redis "WHERE: sismember pairs:? ?"
table wrong    of string -> string     from redis "WHERE: get ham?" on error skip
"""

RULES = """
at rcpt when recipient.domain == "tables.example" {
    [hosts]   reject "hosts"  if recipient.localpart == "hosts" and client_address in hosts
    [whole]   reject "whole"  if recipient.localpart == "whole" and sender in whole
    [quota]   reject "{quota[sasl_username]}"  if recipient.localpart == "quota" and quota[sasl_username] > 100
    [none]    reject "none"   if recipient.localpart == "none" and (quota["dave"] default 3) == 3
    [scores]  reject "scores" if recipient.localpart == "scores" and scores[sasl_username] == 7
    [ports]   reject "{ports[client_port]}"    if recipient.localpart == "ports" and ports[client_port] is set
    [helos]   reject "helos"  if recipient.localpart == "helos" and helo_name in helos
    [pairs]   reject "pairs"  if recipient.localpart == "pairs" and (sender, "boss@here.example") in pairs
    [wrong]   reject "wrong"  if recipient.localpart == "wrong" and wrong[""] is set
    [pass]    pass
}
at rcpt when recipient.localpart == "sender" { [sender] check senders[sender] }
at rcpt when recipient.localpart == "client" { [client] check access[client_address] }
at rcpt { [after] tempfail "after" }
"""

SESSIONS = """
session "types" {
    client 192.0.2.3 port 25
    set sasl_username "alice"
    ehlo mail.evil.example
    mail <Spam+Tag@MIXED.example>
    rcpt <hosts@tables.example>  -> reject by hosts
    rcpt <whole@tables.example>  -> pass by pass
    rcpt <quota@tables.example>  -> reject "500" by quota
    rcpt <none@tables.example>   -> reject by none
    rcpt <scores@tables.example> -> reject by scores
    rcpt <ports@tables.example>  -> reject "the port" by ports
    rcpt <helos@tables.example>  -> reject by helos
    rcpt <pairs@tables.example>  -> pass by pass
    rcpt <wrong@tables.example>  -> pass by pass
    rcpt <sender@x.example>      -> reject "this sender" by sender
    rcpt <client@x.example>      -> pass by client
}
session "other keys" {
    client 192.0.2.4
    set sasl_username "carol"
    ehlo evil.example
    mail <Pest@b.example>
    rcpt <pairs@tables.example>  -> reject by pairs
    rcpt <helos@tables.example>  -> pass by pass
    rcpt <hosts@tables.example>  -> pass by pass
    rcpt <quota@tables.example>  -> tempfail 451 by quota
    rcpt <client@x.example>      -> reject "not from this network" by client
    rset
    mail <anyone@bulk.example>
    rcpt <sender@x.example>      -> reject "all of them" by sender
    rset
    mail <>
    rcpt <sender@x.example>      -> reject "no bounces" by sender
    rset
    mail <spam@mixed.example>
    rcpt <whole@tables.example>  -> reject by whole
}
"""


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def tool(*arguments):
    return subprocess.run(["./mailreeve", *arguments], capture_output=True, text=True, check=False)


def stories():
    with Redis() as redis:
        redis.fill(CONTENT)
        for where in (f"unix:{redis.path}", f"127.0.0.1:{redis.port}", f"localhost:{redis.port}"):
            rules = (TABLES + RULES).replace("WHERE", where).replace("\n", "\n    ")
            text = "rules {" + rules + "\n}\n" + SESSIONS
            result = tool("test", write(os.path.join(redis.folder.name, "redis.scenario"), text))
            check(result.returncode == 0, f"{where}: {result.stdout}{result.stderr}")


def table_test():
    """mailreeve table test: found and by which key, not found, failed; another database; no server."""
    with Redis() as redis:
        redis.fill(CONTENT)
        path = os.path.join(redis.folder.name, "mail.rules")
        rules = TABLES + 'table other of string -> int from redis "WHERE database=3: hget quota ?"\n' + "at rcpt { pass }\n"
        write(path, rules.replace("WHERE", f"unix:{redis.path}"))
        for arguments, code, printed in (
            (("quota", "alice"), 0, "alice: found by alice -> 500\n"),
            (("access", "192.0.2.9"), 0, "192.0.2.9: found by 192.0.2 -> REJECT not from this network\n"
             "    looked up, in this order: 192.0.2.9, 192.0.2, 192.0, 192\n"),
            (("pairs", "pest@b.example", "boss@here.example"), 0, "pest@b.example, boss@here.example: found by pest@b.example, boss@here.example\n"),
            (("quota", "dave"), 1, "dave: not found\n"),
            (("other", "alice"), 1, "alice: not found\n"),
            (("quota", "carol"), 3, 'carol: failed: the value of "carol" is "many": not a whole number\n'),
            (("wrong", ""), 3, ": failed: WRONGTYPE Operation against a key holding the wrong kind of value\n"),
        ):
            result = tool("table", "test", path, *arguments)
            check(result.returncode == code and result.stdout == printed, f"{arguments}: {result}")
        redis.stop()
        check(tool("check", path).returncode == 0, "check needs no server")
        result = tool("table", "test", path, "quota", "alice")
        check(result.returncode == 3 and result.stdout.startswith("alice: failed: cannot connect: "), f"no server: {result}")


def silent():
    """A server that takes the connection and says nothing: the look-up fails, well before the deadline."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as listening:
        where = f"127.0.0.1:{listening.getsockname()[1]}"
        path = write(os.path.join(folder, "mail.rules"), f'table t of string from redis "{where}: exists ?"\nat rcpt {{ pass }}\n')
        result = tool("table", "test", path, "t", "a")
        check(result.returncode == 3 and result.stdout == "a: failed: no answer within 5 s\n", f"{result}")


DAEMON = """
table quota of string -> int from redis "WHERE: hget quota ?"
table names of string        from redis "WHERE: exists name:?" on error skip
at rcpt {
    [name]  reject 550 5.7.1 "not you" if sasl_username in names
    [quota] reject 552 5.2.2 "{quota[sasl_username]} are too many" if quota[sasl_username] > 100
}
"""


def ask_until(client, expected, name):
    """Asks until the answer is this, with another key twice a second: failures are kept, and the back-off behind them is short."""
    start = time.monotonic()
    while True:
        number = int((time.monotonic() - start) * 2)
        answer = client.ask(sasl_username=f"{name}{number}", instance=f"{name}.{number}")
        if answer == expected:
            return
        check(time.monotonic() < start + PATIENCE, f"{expected} expected, not {answer}")
        time.sleep(0.01)


def daemon():
    """The policy daemon: starts without the server, finds it when it comes, and does as the rules say while it is gone."""
    with Redis() as redis:
        redis.stop()
        rules = DAEMON.replace("WHERE", f"127.0.0.1:{redis.port}")
        with Policyd(rules) as policyd, policyd.client() as client:
            policyd.wait_for("look-ups fail until it answers", 2)
            redis.start()
            redis.fill("".join(f"HSET\tquota\tfirst{number}\t600\n" for number in range(100)))
            ask_until(client, "552 5.2.2 600 are too many", "first")
            redis.fill("HSET\tquota\tbob\t20\nSET\tname:eve\tx")
            check(client.ask(sasl_username="bob", instance="2") == "DUNNO", "below the limit")
            check(client.ask(sasl_username="eve", instance="3") == "550 5.7.1 not you", "in the set")
            check(policyd.reload(), "a reload")
            redis.stop()
            check(client.ask(sasl_username="new", instance="4").startswith("451 4.3.0"), "without the server")
            check(client.ask(sasl_username="bob", instance="5") == "DUNNO", "what is known is kept")
            redis.start()
            redis.fill("".join(f"HSET\tquota\tback{number}\t700\n" for number in range(100)))
            ask_until(client, "552 5.2.2 700 are too many", "back")


def milter():
    with Redis() as redis, Folder() as folder:
        redis.fill("SADD\tbanned\tspam@client.test")
        rules = f'table banned of address from redis "unix:{redis.path}: sismember banned ?"\nat rcpt {{ [banned] reject 550 5.7.1 "not you" if sender in banned }}\n'
        with Daemon(MILTER, folder, rules=folder.write("mail.rules", rules)) as program:
            for sender, refused in (("<spam@client.test>", True), ("<well@client.test>", False)):
                with MilterMta(program.listen) as mta:
                    mta.session("192.0.2.99")
                    answers = mta.message(sender, "<user@server.test>")
                    check(any(answer and "not you" in str(answer.reply) for answer in answers) == refused, f"{sender}: {answers}")
                    mta.quit()


def password():
    """A password comes out of its file, and never into the log."""
    with Redis("--requirepass", "open-sesame") as redis:
        secret = os.path.join(redis.folder.name, "password")

        def write_secret(text):
            write(secret, text + "\n", 0o600)
            if os.geteuid() == 0:
                os.chown(secret, pwd.getpwnam("nobody").pw_uid, -1)

        write_secret("wrong-word")
        rules = f'table names of string from redis "127.0.0.1:{redis.port} user=default password_file={secret}: exists name:?"\nat rcpt {{ [name] reject 550 5.7.1 "not named" if sasl_username not in names }}\n'
        with Policyd(rules) as policyd, policyd.client() as client:
            policyd.wait_for("WRONGPASS; look-ups fail until it answers")
            check(client.ask(sasl_username="a").startswith("451 4.3.0"), "a wrong password")
            write_secret("open-sesame")
            check(policyd.reload(), "a reload")
            ask_until(client, "550 5.7.1 not named", "b")
            os.unlink(secret)
            check(policyd.reload(), "a reload without the file")
            policyd.wait_for("the old content stays")
            check(not policyd.count("open-sesame") and not policyd.count("wrong-word"), "the password is in the log")


def main():
    if SERVER is None:
        print("there is no redis-server")
        sys.exit(77)
    run([stories, table_test, silent, daemon, milter, password])


main()
