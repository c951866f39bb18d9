# SPDX-License-Identifier: Apache-2.0
"""A FHIR server that others made, on loopback, for as long as a run needs it."""
import os
import socket
import subprocess
import time

SHARED = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "shared")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """`command`: of a port, a folder to work in and the most rows of a page, what to run. It says "ready", and ends with its input."""

    def __init__(self, command, folder, page):
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.root}/fhir"
        self.log = open(os.path.join(folder, "server.log"), "w+")
        self.process = subprocess.Popen(command(self.port, folder, page), stdin=subprocess.PIPE, stdout=self.log, stderr=self.log)

    def wait(self, line="ready", seconds=300):
        """Until it has said this line."""
        for _ in range(seconds * 5):
            with open(self.log.name, errors="replace") as log:
                text = log.read()
            if line + "\n" in text:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        raise SystemExit(f"the server did not say {line!r}:\n" + text[-3000:])

    def do(self, line):
        """Of a server that obeys lines: says one, and waits until it is done."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        self.wait("done " + line)

    def stop(self):
        self.process.stdin.close()  # it ends with its standard input
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
