#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much memory do open TLS connections hold?

    idle_tls.py PORT PID CA COUNT [--path PATH --token FILE]

Opens COUNT TLS connections to 127.0.0.1 and leaves them idle; then asks PATH once on each and leaves them idle again. After
each it reads the process's anonymous memory (RssAnon of /proc/PID/status). Prints the three figures in MiB: before, open,
and after a request on each.
"""
import argparse
import resource
import socket
import ssl
import sys


def anonymous(pid):
    """MiB."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) / 1024
    raise SystemExit("idle_tls: the process is gone")


def connect(port, context):
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="localhost")


def ask(connection, path, token):
    """One request, its whole answer read; the connection stays open."""
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "") + "\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += receive(connection)
    head, body = answer.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit("idle_tls: " + head.splitlines()[0].decode())
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += receive(connection)


def receive(connection):
    more = connection.recv(65536)
    if not more:
        raise SystemExit("idle_tls: the gateway closed a connection")
    return more


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("pid", type=int)
    parser.add_argument("ca")
    parser.add_argument("count", type=int)
    parser.add_argument("--path", default="/fhir/metadata")
    parser.add_argument("--token")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))
    token = open(args.token).read().strip() if args.token else None
    context = ssl.create_default_context(cafile=args.ca)
    before = anonymous(args.pid)
    connections = [connect(args.port, context) for _ in range(args.count)]
    ask(connections[0], args.path, token)  # answered after all handshakes before it
    idle = anonymous(args.pid)
    for connection in connections:
        ask(connection, args.path, token)  # fails if the gateway has closed one meanwhile
    asked = anonymous(args.pid)
    print(f"{before:.1f} {idle:.1f} {asked:.1f}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
