# SPDX-License-Identifier: Apache-2.0
"""A server of the scenarios that speaks HTTP/2 over TLS, and HTTP/1.1 to who does not choose it: python3-h2 (Debian) reads
what it is sent and says what is good; what is wicked it says in frames of its own."""
import io
import os
import select
import socket
import ssl
import subprocess
import sys
import threading
import time

try:
    import h2.config
except ImportError:  # a Python that is not Debian's
    sys.path.append("/usr/lib/python3/dist-packages")
    import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack

DATA, HEADERS, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def number(value, bits=7, mark=0):
    """RFC 7541 5.1"""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([mark | value])
    out, value = bytes([mark | limit]), value - limit
    while value > 127:
        out, value = out + bytes([value % 128 | 128]), value // 128
    return out + bytes([value])


def block(*fields):
    """Fields as literals that no table remembers, in whatever order and case they come."""
    out = b""
    for name, value in fields:
        name, value = name.encode("latin-1"), value.encode("latin-1")
        out += b"\x10" + number(len(name)) + name + number(len(value)) + value
    return out


def certificate(folder):
    """A key and a certificate of localhost, the latter its own authority: the paths."""
    key, made = os.path.join(folder, "h2.key"), os.path.join(folder, "h2.pem")
    if not os.path.exists(made):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", made], check=True,
                       capture_output=True)
    return key, made


class Request:
    """What is asked; and, as the handlers of http.server, where the answer is put."""

    def __init__(self, conn, stream, fields):
        named = {name.lower(): value for name, value in fields}
        self.conn, self.stream, self.number, self.fields = conn, stream, 0, fields
        self.command, self.path = named.get(":method"), named.get(":path")
        self.headers = {name.title(): value for name, value in named.items() if not name.startswith(":")}
        self.taken, self.wfile, self.said, self.status = b"", io.BytesIO(), [], 200

    @property
    def rfile(self):
        return io.BytesIO(self.taken)

    def send_response(self, status):
        self.status = status

    def send_header(self, name, value):
        self.said.append((name, value))

    def end_headers(self):
        pass


class Connection:
    """One client, in one thread: an SSL object is nobody's to share. What is to be said later is put off with `after`."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.put_off, self.pending, self.open, self.requests = [], {}, set(), {}
        self.asked, self.gone, self.mute = 0, False, False
        self.h2 = None

    def after(self, seconds, call):
        self.put_off.append((time.monotonic() + seconds, call))

    def raw(self, *frames):
        try:
            self.sock.setblocking(True)
            self.sock.settimeout(5)
            self.sock.sendall(b"".join(frames))
        except OSError:
            self.gone = True

    def flush(self):
        data = self.h2.data_to_send() if self.h2 else b""
        if data and not self.gone:
            self.raw(data)

    def close(self):
        self.gone = True

    # ---- Good answers ----

    def reply(self, request, status, fields, body):
        if not self.h2:
            head = f"HTTP/1.1 {status} Fine\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields)
            return self.raw(head.encode() + b"\r\n" + body)
        self.open.discard(request.stream)
        self.h2.send_headers(request.stream, [(":status", str(status))] + [(n.lower(), v) for n, v in fields], end_stream=not body)
        if body:
            self.pending[request.stream] = body
        self.drain()

    def drain(self):
        for stream in list(self.pending):
            while stream in self.pending:
                room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if room <= 0:
                    break
                piece, rest = self.pending[stream][:room], self.pending[stream][room:]
                self.h2.send_data(stream, piece, end_stream=not rest)
                if rest:
                    self.pending[stream] = rest
                else:
                    del self.pending[stream]
        self.flush()

    def answer(self, request):
        act = self.server.act
        about = not act or not self.server.about or self.server.about(request)
        if about:
            self.server.asked += 1
            self.asked += 1
            request.number = self.asked
        if not (about and act and act(self, request)):
            self.good(request)

    def good(self, request):
        self.server.say(request.path, request)
        said = [(n, str(v)) for n, v in request.said]
        self.reply(request, request.status, said, request.wfile.getvalue())

    # ---- What comes ----

    def serve(self):
        if self.sock.selected_alpn_protocol() == "h2":
            self.server.spoken.append("h2")
            self.greet()
            take = self.take_frames
        else:
            self.server.spoken.append("http/1.1")
            self.buffered = b""
            take = self.take_lines
        while not self.gone:
            due = min((when for when, _ in self.put_off), default=time.monotonic() + 0.1)
            if not self.sock.pending():
                select.select([self.sock], [], [], max(0, min(0.1, due - time.monotonic())))
            now = time.monotonic()
            for one in [one for one in self.put_off if one[0] <= now]:
                self.put_off.remove(one)
                one[1]()
            if self.mute:
                time.sleep(0.02)
            elif not self.gone:
                self.receive(take)

    def receive(self, take):
        self.sock.setblocking(False)
        try:
            data = self.sock.recv(65536)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        if data:
            take(data)
        else:
            self.gone = True

    def greet(self):
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self.server.settings)
        self.h2.initiate_connection()
        self.flush()

    def take_frames(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                self.open.add(event.stream_id)
                self.server.at_once = max(self.server.at_once, len(self.open))
                request = Request(self, event.stream_id, event.headers)
                self.requests[event.stream_id] = request
            elif isinstance(event, h2.events.DataReceived):
                self.requests[event.stream_id].taken += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.open.discard(event.stream_id)
                self.pending.pop(event.stream_id, None)
                self.server.resets += 1
            elif isinstance(event, h2.events.PingAckReceived):
                self.server.pongs += 1
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.server.goodbyes.append(event.error_code)
            elif isinstance(event, h2.events.WindowUpdated):
                self.drain()
            if isinstance(event, h2.events.StreamEnded):
                self.flush()
                self.answer(self.requests.pop(event.stream_id))
        self.flush()

    def take_lines(self, data):
        self.buffered += data
        while b"\r\n\r\n" in self.buffered and not self.gone:
            head, _, rest = self.buffered.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = [tuple(line.split(": ", 1)) for line in lines]
            length = int(dict((n.lower(), v) for n, v in fields).get("content-length", 0))
            if len(rest) < length:
                return
            method, path, _ = first.split(" ")
            request = Request(self, 0, [(":method", method), (":path", path)] + fields)
            request.taken, self.buffered = rest[:length], rest[length:]
            self.answer(request)


class Server:
    """`say(path, request)` puts the good answer into the request, as house.send does; `act(connection, request)`, asked first of
    those that `about` says, may say something else, and then gives true."""

    def __init__(self, folder, say):
        key, made = certificate(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(made, key)
        self.context.set_alpn_protocols(["h2", "http/1.1"])
        self.authority = made
        self.say, self.act, self.about = say, None, None
        self.settings = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100}
        self.connections = self.asked = self.at_once = self.resets = self.pongs = 0
        self.goodbyes, self.spoken, self.live = [], [], set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}/fhir"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            sock, _ = self.listener.accept()
            self.connections += 1
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn = None
        try:
            sock = self.context.wrap_socket(sock, server_side=True)
            conn = Connection(self, sock)
            self.live.add(conn)
            conn.serve()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.live.discard(conn)
            sock.close()

    def anew(self, protocols=("h2", "http/1.1"), streams=100, window=65535):
        """Closes what there is; what is opened next is offered this."""
        self.context.set_alpn_protocols(list(protocols))
        known = h2.settings.SettingCodes
        self.settings = {known.MAX_CONCURRENT_STREAMS: streams, known.INITIAL_WINDOW_SIZE: window}
        for conn in list(self.live):
            conn.close()
        while self.live:
            time.sleep(0.01)
        self.connections = self.at_once = self.resets = 0
        self.spoken = []
