"""socketmap_server.py: a server of socket maps that does what a key tells it to: answers, or all that a server can do wrong.

Each connection has a thread of its own. It is ended with stop(), which closes the listener and all connections.
"""

import os
import re
import select
import socket
import threading


def netstring(text):
    return b"%d:%s," % (len(text), text)


class SocketmapServer:
    """`maps` has, by name of the map, what it has by key (bytes)."""

    def __init__(self, maps, path=None, port=0):
        self.maps = maps
        self.path = path
        self.lock = threading.Lock()
        self.asked = []  # (map, key) in the order in which they came
        self.connections = set()
        self.most = 0  # connections at once
        self.accepted = 0
        self.faults = []  # what the client did wrong
        self.release = threading.Event()  # "hold" waits for it
        self.four = threading.Barrier(4)
        self.dropped = set()
        family = socket.AF_UNIX if path else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        if path:
            self.listener.bind(path)
            os.chmod(path, 0o666)
        else:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", port))
            self.port = self.listener.getsockname()[1]
        self.listener.listen(16)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections.add(connection)
                self.accepted += 1
                self.most = max(self.most, len(self.connections))
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        pending = b""
        try:
            while True:
                match = re.match(rb"(0|[1-9][0-9]*):", pending)
                if match and len(pending) > match.end() + int(match[1]):
                    end = match.end() + int(match[1])
                    request, comma, pending = pending[match.end():end], pending[end:end + 1], pending[end + 1:]
                    if comma != b"," or pending or select.select([connection], [], [], 0)[0]:
                        self.faults.append(f"behind {request!r}: {comma!r} {pending!r}")
                    if not self.answer(connection, request):
                        return
                    continue
                data = connection.recv(65536)
                if not data:
                    return
                pending += data
        except OSError:
            pass
        finally:
            self.close(connection)

    def close(self, connection):
        with self.lock:
            self.connections.discard(connection)
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()

    def answer(self, connection, request):
        """False: this connection is over."""
        name, _, key = request.partition(b" ")
        with self.lock:
            self.asked.append((name.decode(), key.decode("latin-1")))
        special = getattr(self, "do_" + key.decode("latin-1").split("/")[0], None)
        if special:
            return special(connection, key)
        table = self.maps.get(name.decode())
        if table is None:
            connection.sendall(netstring(b"PERM no such map"))
        elif key in table:
            connection.sendall(netstring(b"OK " + table[key]))
        else:
            connection.sendall(netstring(b"NOTFOUND "))
        return True

    # What keys tell it to do; "silent/2" is as "silent".

    def do_split(self, connection, _):
        for byte in netstring(b"OK in pieces"):
            connection.sendall(bytes([byte]))
        return True

    def do_hold(self, connection, key):
        self.release.wait()
        connection.sendall(netstring(b"OK held for " + key))
        return True

    def do_four(self, connection, key):
        self.four.wait()
        connection.sendall(netstring(b"OK " + key))
        return True

    def do_garbage(self, connection, _):
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return True

    def do_comma(self, connection, _):
        connection.sendall(b"4:OK a;")
        return True

    def do_word(self, connection, _):
        connection.sendall(netstring(b"MAYBE later"))
        return True

    def do_huge(self, connection, _):
        connection.sendall(b"100001:OK " + b"x" * 100)
        return True

    def do_big(self, connection, _):
        connection.sendall(netstring(b"OK " + b"x" * 99997))
        return True

    def do_temp(self, connection, _):
        connection.sendall(netstring(b"TEMP no\r\ndatabase"))
        return True

    def do_timeout(self, connection, _):
        connection.sendall(netstring(b"TIMEOUT "))
        return True

    def do_perm(self, connection, _):
        connection.sendall(netstring(b"PERM never " + b"y" * 5000))
        return True

    def do_half(self, connection, _):
        connection.sendall(b"12:OK half")
        return False

    def do_close(self, _connection, _key):
        return False

    def do_twice(self, connection, _):
        connection.sendall(netstring(b"OK once") + netstring(b"OK for another"))
        return True

    def do_drop(self, connection, key):
        """Ends the connection the first time that it is asked, and answers the second time."""
        with self.lock:
            first = key not in self.dropped
            self.dropped.add(key)
        if not first:
            connection.sendall(netstring(b"OK at last"))
        return not first

    def hang_up(self):
        """Closes all connections, and goes on."""
        with self.lock:
            connections = list(self.connections)
        for connection in connections:
            self.close(connection)

    def stop(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        if self.path:
            os.unlink(self.path)
        self.release.set()
        self.four.abort()
        self.hang_up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
