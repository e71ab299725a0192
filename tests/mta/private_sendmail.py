#!/usr/bin/env python3
"""A private Sendmail: own configuration, queue and mail folders, loopback, a free port; started and removed by whoever needs it.

    with PrivateSendmail(milters=[milter(f"inet:{port}@127.0.0.1", flags="T")]) as sendmail:
        with sendmail.client("198.51.100.7", "mail.example.net") as client:
            print(client.command("EHLO client.example.net"))

Debian's sendmail-bin conflicts with postfix, so nothing is installed: its packages are downloaded with apt-get and unpacked below a cache folder, once:
$MAILREEVE_TEST_CACHE, else tests/mta/sendmail.cache in the build folder. .deb files that already lie there are used as they are. As a program:

    private_sendmail.py --fetch     download and unpack now; says why when that is not possible

Needs root (Sendmail changes its user to deliver), m4 and a C compiler for the little library that stands between Sendmail and syslog, DNS and the host's name
(sendmail_shim.c). The system's own mail server is not touched. Local domain example.test with alice, bob, carol and postmaster, and all of adelphia.net, as
with the private Postfix; the list team@mx.example.test; mail for other domains is thrown away. Mail is delivered before the reply to the dot is sent.
"""
import fcntl
import glob
import hashlib
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
from private_postfix import Maildirs, SmtpClient, can_connect, free_port, wait_until  # noqa: E402

PACKAGES = ("sendmail-bin", "sendmail-base", "sendmail-cf")
# Libraries that a machine may lack, and the packages that have them.
LIBRARIES = {"libwrap.so.0": "libwrap0", "libdb-5.3.so": "libdb5.3", "libldap-2.5.so.0": "libldap-2.5-0", "liblber-2.5.so.0": "libldap-2.5-0",
             "libsasl2.so.2": "libsasl2-2", "libnsl.so.2": "libnsl2", "liblockfile.so.1": "liblockfile1", "libtirpc.so.3": "libtirpc3"}
SENDMAIL = "usr/libexec/sendmail/sendmail"
CF = "usr/share/sendmail/cf"
USERS = ("alice@example.test", "bob@example.test", "carol@example.test", "postmaster@example.test", "forouzanb@adelphia.net")
SKIPPED = 77

SENDMAIL_MC = """\
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{name}')dnl
define(`QUEUE_DIR', `{root}/queue')dnl
define(`STATUS_FILE', `{root}/statistics')dnl
define(`HELP_FILE', `{root}/helpfile')dnl
define(`ALIAS_FILE', `text:-k0 -v1 -z| {root}/aliases')dnl
define(`confPID_FILE', `{root}/sendmail.pid')dnl
define(`confHOSTS_FILE', `{root}/hosts')dnl
define(`confSERVICE_SWITCH_FILE', `{root}/switch')dnl
define(`confTO_IDENT', `0')dnl
define(`confMAX_MESSAGE_SIZE', `10485760')dnl
define(`confDELIVERY_MODE', `i')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confQUEUE_LA', `10000')dnl
define(`confREFUSE_LA', `10000')dnl
define(`confDELAY_LA', `0')dnl
define(`confDEF_USER_ID', `nobody:nogroup')dnl
define(`confDONT_BLAME_SENDMAIL', `groupwritabledirpathsafe,mapinunsafedirpath,runprograminunsafedirpath,helpfileinunsafedirpath')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`LOCAL_MAILER_PATH', `/bin/sh')dnl
define(`LOCAL_MAILER_ARGS', `sh {root}/deliver $u')dnl
define(`LOCAL_MAILER_FLAGS', `n9')dnl
MODIFY_MAILER_FLAGS(`LOCAL', `-w')dnl
define(`LOCAL_SHELL_PATH', `/bin/sh')dnl
{settings}\
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`virtusertable', `text -k0 -v1 -z| {root}/users')dnl
DAEMON_OPTIONS(`Port={port}, Addr=127.0.0.1, Name=MTA')dnl
LOCAL_DOMAIN(`example.test adelphia.net')dnl
{milters}\
{features}\
MAILER(`local')dnl
MAILER(`smtp')dnl
{extra}"""

DELIVER = """\
# Puts the message on standard input into a maildir of the user named.
umask 022
mkdir -p "{root}/mail/$1/tmp" "{root}/mail/$1/new" && file=$(mktemp "{root}/mail/$1/tmp/XXXXXXXX") && cat >"$file" && chmod 644 "$file" && mv "$file" "{root}/mail/$1/new/"
"""


class NotAvailable(Exception):
    """Why there can be no Sendmail here."""


def cache_folder():
    default = os.path.join(os.environ.get("MAILREEVE_BUILD", os.getcwd()), "tests", "mta", "sendmail.cache")
    return os.path.abspath(os.environ.get("MAILREEVE_TEST_CACHE", default))


def run(command, **how):
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)


def unpack(cache, package, tree):
    """Unpacks one package, which is downloaded when its .deb is not in the cache folder."""
    pattern = os.path.join(cache, package + "_*.deb")
    if not glob.glob(pattern):
        result = run(["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package], cwd=cache)
        if not glob.glob(pattern):
            raise NotAvailable(f"Debian's package {package} is neither in {cache} nor can it be downloaded: {' '.join(result.stdout.split())[-300:]}")
    result = run(["dpkg-deb", "-x", sorted(glob.glob(pattern))[-1], tree])
    if result.returncode != 0:
        raise NotAvailable(f"{package} cannot be unpacked: {result.stdout}")


def library_path(tree):
    return ":".join(sorted({os.path.dirname(path) for path in glob.glob(os.path.join(tree, "usr/lib/*/lib*.so.*")) + glob.glob(os.path.join(tree, "lib/*/lib*.so.*"))}))


def missing_libraries(tree):
    result = run(["ldd", os.path.join(tree, SENDMAIL)], env={**os.environ, "LD_LIBRARY_PATH": library_path(tree)})
    return re.findall(r"(\S+) => not found", result.stdout)


def build_tree(cache, tree):
    making = tempfile.mkdtemp(prefix="unpacking.", dir=cache)
    try:
        for package in PACKAGES:
            unpack(cache, package, making)
        while missing_libraries(making):
            name = missing_libraries(making)[0]
            if name not in LIBRARIES:
                raise NotAvailable(f"Sendmail needs {name}, and no package is known to have it")
            unpack(cache, LIBRARIES[name], making)
            if name in missing_libraries(making):
                raise NotAvailable(f"Sendmail needs {name}, which is not in {LIBRARIES[name]}")
        # With its setgid bit on the loader would ignore LD_PRELOAD.
        os.chmod(os.path.join(making, SENDMAIL), 0o755)
        os.chmod(making, 0o755)
        os.rename(making, tree)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def compile_shim(cache):
    source = os.path.join(HERE, "sendmail_shim.c")
    with open(source, "rb") as text:
        path = os.path.join(cache, f"sendmail_shim.{hashlib.sha256(text.read()).hexdigest()[:16]}.so")
    if not os.path.exists(path):
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise NotAvailable("no C compiler")
        result = run([compiler, "-O1", "-fPIC", "-shared", "-o", path + ".new", source, "-ldl"])
        if result.returncode != 0:
            raise RuntimeError(f"{source} does not compile:\n{result.stdout}")
        os.rename(path + ".new", path)
    return path


def fetch():
    """The unpacked packages and the shim: made when they are not there. Tests that run at the same time wait for each other here."""
    if shutil.which("dpkg-deb") is None or shutil.which("apt-get") is None:
        raise NotAvailable("not a Debian system: no apt-get and dpkg-deb")
    if shutil.which("m4") is None:
        raise NotAvailable("no m4")
    cache = cache_folder()
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tree = os.path.join(cache, "root")
        if not os.path.isdir(tree):
            build_tree(cache, tree)
        return tree, compile_shim(cache)


def milter(where, flags="T", timeouts="C:10s;S:10s;R:10s;E:30s", name="mailreeve"):
    """The m4 line for a milter: `where` is Sendmail's spelling, inet:PORT@HOST or unix:PATH; `flags` what a failing filter means: T, R, 4 or none."""
    failing = f", F={flags}" if flags else ""
    return f"INPUT_MAIL_FILTER(`{name}', `S={where}{failing}, T={timeouts}')dnl\n"


class ConnectedClient(SmtpClient):
    """An SMTP client on a socket that is connected already."""

    def __init__(self, connected):
        self.socket = connected
        self.file = connected.makefile("rb")
        self.greeting = self.reply()


class PrivateSendmail(Maildirs):
    """
    milters:  lines made by milter(), in order
    settings: m4 defines that replace or add to the ones above: {"confPRIVACY_FLAGS": "novrfy"}
    features: m4 text before the mailers: FEATURE(...); the features in `feature_folders` can be used like Sendmail's own
    extra:    m4 text behind the mailers: LOCAL_CONFIG, LOCAL_RULESETS. Rules need real tabs.
    run_as:   a user for RunAsUser
    hostname: what the server calls itself
    """

    def __init__(self, milters=(), settings=None, features="", extra="", feature_folders=(), run_as=None, root=None,
                 hostname="mx.example.test"):
        self.milters, self.settings, self.features, self.extra = list(milters), dict(settings or {}), features, extra
        self.feature_folders, self.run_as, self.hostname = list(feature_folders), run_as, hostname
        self.tree, self.shim = fetch()
        self.root = root or tempfile.mkdtemp(prefix="private-sendmail.")
        self.port = free_port()
        self.daemon = None

    @staticmethod
    def why_not():
        """Why there can be no Sendmail here; None when there can be one."""
        if os.geteuid() != 0:
            return "not root"
        try:
            fetch()
        except NotAvailable as reason:
            return str(reason)
        return None

    @property
    def mail(self):
        return os.path.join(self.root, "mail")

    def path(self, *names):
        return os.path.join(self.root, *names)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(self.path(name), 0o644)

    def link_cf(self):
        """Sendmail's m4 files as links, so that features from elsewhere can stand among them."""
        os.makedirs(self.path("cf", "feature"), exist_ok=True)
        for name in os.listdir(os.path.join(self.tree, CF)):
            if name != "feature":
                os.symlink(os.path.join(self.tree, CF, name), self.path("cf", name))
        for folder in [os.path.join(self.tree, CF, "feature"), *self.feature_folders]:
            for path in glob.glob(os.path.join(folder, "*.m4")):
                os.symlink(os.path.abspath(path), self.path("cf", "feature", os.path.basename(path)))

    def make_cf(self):
        settings = dict(self.settings)
        if self.run_as:
            settings["confRUN_AS_USER"] = self.run_as
        self.write("sendmail.mc", SENDMAIL_MC.format(
            name=self.hostname, root=self.root, port=self.port, milters="".join(self.milters), features=self.features, extra=self.extra,
            settings="".join(f"define(`{name}', `{value}')dnl\n" for name, value in settings.items())))
        result = subprocess.run(["m4", f"-D_CF_DIR_={self.root}/cf/", self.path("cf", "m4", "cf.m4"), self.path("sendmail.mc")], check=False,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if result.returncode != 0 or "*** ERROR" in result.stderr:
            raise RuntimeError(f"m4: {result.stderr}")
        # Mail for elsewhere keeps the mailer that it would have, but the mailer is a program that throws it away. (Without $u in its arguments Sendmail would
        # speak SMTP with that program.)
        cf = re.sub(r"^(M\w+,\s+P=)\[IPC\](.*(?:\n\s.*)*?\n?\s+A=)TCP \$h", rf"\1/bin/sh\2sh {self.root}/discard $u", result.stdout, flags=re.M)
        self.write("sendmail.cf", cf)

    def start(self):
        os.chmod(self.root, 0o755)
        owner = pwd.getpwnam(self.run_as or "nobody")
        for name, mode in (("queue", 0o700), ("clients", 0o755), ("names", 0o755)):
            os.makedirs(self.path(name), exist_ok=True)
            os.chmod(self.path(name), mode)
        self.write("statistics", "")
        if self.run_as:
            for name in ("queue", "statistics"):
                os.chown(self.path(name), owner.pw_uid, owner.pw_gid)
        os.makedirs(self.mail, exist_ok=True)
        os.chown(self.mail, owner.pw_uid, owner.pw_gid)
        self.write("mail.log", "")
        os.chmod(self.path("mail.log"), 0o666)
        self.write("name", self.hostname + "\n")
        self.write("hosts", f"127.0.0.1 {self.hostname} localhost\n")
        self.write("switch", "hosts files\naliases files\npasswd files\n")
        self.write("users", "".join(f"{user}|{user.split('@')[0]}\n" for user in USERS) + "@example.test|error:5.1.1:550 User unknown\n")
        self.write("aliases", "team|alice, bob\n")
        self.write("deliver", DELIVER.format(root=self.root))
        self.write("discard", "cat >/dev/null\n")
        shutil.copy(os.path.join(self.tree, "etc/mail/helpfile"), self.path("helpfile"))
        if not os.path.isdir(self.path("cf")):
            self.link_cf()
        self.make_cf()
        self.launch()
        return self

    def launch(self):
        environment = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": library_path(self.tree), "LD_PRELOAD": self.shim, "SENDMAIL_SHIM_FOLDER": self.root, "TZ": "UTC"}
        with open(self.path("output"), "ab") as output:
            self.daemon = subprocess.Popen([os.path.join(self.tree, SENDMAIL), "-bD", "-C", self.path("sendmail.cf")], env=environment, cwd=self.root,
                                           stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        wait_until(lambda: can_connect(self.port) or self.daemon.poll() is not None, f"Sendmail listens: {self.log()[-2000:]}")
        if self.daemon.poll() is not None:
            raise RuntimeError("Sendmail did not start: " + self.log()[-3000:])

    def log(self):
        text = ""
        for name in ("output", "mail.log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as log:
                    text += log.read()
        return text

    def client(self, address=None, name=None, greeting="220", timeout=60):
        """A client that is connected from this address, whose name in the DNS is `name` (both ways; an IPv6 client's name is localhost)."""
        if address is None:
            return SmtpClient(self.port, timeout=timeout)
        if name:
            self.write(f"names/{address}", name + "\n")
            self.write(f"names/{name}", address + "\n")
        sock = socket.socket()
        try:
            sock.settimeout(timeout)
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            self.write(f"clients/{port}", address + "\n")
            sock.connect(("127.0.0.1", self.port))
            client = ConnectedClient(sock)
        except BaseException:
            sock.close()
            raise
        if greeting and not client.greeting.startswith(greeting):
            client.close()
            raise AssertionError(f"greeting: {client.greeting}")
        return client

    def is_held(self, queue_id):
        """Quarantined messages have queue files of their own kind."""
        return os.path.exists(self.path("queue", "hf" + queue_id))

    def held_reason(self, queue_id):
        with open(self.path("queue", "hf" + queue_id), encoding="utf-8", errors="replace") as text:
            return next((line[1:].rstrip("\n") for line in text if line.startswith("q")), None)

    def stop(self, keep_files=False):
        if self.daemon is not None:
            # The processes of open sessions outlive the daemon: they are in its group.
            try:
                os.killpg(self.daemon.pid, signal.SIGTERM)
                self.daemon.wait(10)
            except ProcessLookupError:
                self.daemon.wait()
            except subprocess.TimeoutExpired:
                os.killpg(self.daemon.pid, signal.SIGKILL)
                self.daemon.wait()
        self.daemon = None
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


def main():
    if sys.argv[1:] != ["--fetch"]:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        tree, _ = fetch()
    except NotAvailable as reason:
        print(f"no Sendmail for the tests: {reason}", file=sys.stderr)
        return SKIPPED
    print(f"Sendmail for the tests is in {tree}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
