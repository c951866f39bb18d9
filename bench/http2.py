#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What does HTTP/2 to an upstream cost, or save, beside HTTP/1.1?

    http2.py --bare FILE [--folder DIR] [--rounds N] [--seconds S]

The bare proxy (bare_proxy.c: the gateway's listener and upstream connections and nothing between) twice, once in each protocol,
in front of the same nginx with files over TLS; asked in turn (wrk) for 8 KB and for 1 MB. Requests a second, and the processor
time of a request: the proxy's, all of it. Lines that begin with '=' are figures for run.sh.
"""
import argparse
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request

import gateway

NGINX = """worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  default_type application/fhir+json;
  open_file_cache max=10;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    ssl_certificate server.pem;
    ssl_certificate_key server.key;
    root {folder}/files;
  }}
}}
"""
SIZES = (("8 KB", "small", 8_000, 64), ("1 MB", "large", 1_000_000, 8))
PROTOCOLS = ("HTTP/1.1", "HTTP/2")


def ticks(process):
    """Processor time of all its threads, seconds."""
    fields = open(f"/proc/{process.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def connections_of(process, port):
    """How many it has open to a port of this machine: which protocol was spoken shows in their number."""
    held = set()
    for name in os.listdir(f"/proc/{process.pid}/fd"):
        held.add(os.readlink(f"/proc/{process.pid}/fd/{name}"))
    rows = (line.split() for line in open("/proc/net/tcp").readlines()[1:])
    return sum(row[2] == f"0100007F:{port:04X}" and f"socket:[{row[9]}]" in held for row in rows)


class Bench:
    def __init__(self, args):
        self.args, self.started = args, []
        self.folder = os.path.abspath(args.folder or tempfile.mkdtemp(prefix="sluice-http2-"))
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.at("files", "fhir", "Bundle"))
        for _, name, size, _ in SIZES:
            with open(self.at("files", "fhir", "Bundle", name), "w") as out:
                out.write('{"resourceType":"Bundle","id":"%s","x":"%s"}' % (name, "x" * (size - 60)))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.at("server.key"), "-out",
                        self.at("server.pem")], check=True, capture_output=True)
        self.upstream = gateway.free_port()
        with open(self.at("nginx.conf"), "w") as out:
            out.write(NGINX.format(folder=self.folder, port=self.upstream))

    def at(self, *names):
        return os.path.join(self.folder, *names)

    def start(self, *words):
        self.started.append(subprocess.Popen(words))
        return self.started[-1]

    def proxy(self, protocol, name):
        port = gateway.free_port()
        process = self.start(self.args.bare, str(port), f"https://127.0.0.1:{self.upstream}/fhir", f"Bundle/{name}", self.at("server.pem"),
                             *([] if protocol == "HTTP/2" else ["http1"]))
        for _ in range(100):
            try:
                if urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).status == 200:
                    return process, port
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"http2.py: {protocol} is not answered")

    def load(self, process, port, connections):
        """Requests a second, and microseconds of processor time for each."""
        before = ticks(process)
        said = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{self.args.seconds}", f"http://127.0.0.1:{port}/"],
                              capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in said or "Socket errors" in said:
            raise SystemExit("http2.py: not all was answered:\n" + said)
        requests = int(re.search(r"(\d+) requests in", said).group(1))
        return requests / self.args.seconds, 1e6 * (ticks(process) - before) / requests

    def compare(self, what, name, connections):
        proxies = {protocol: self.proxy(protocol, name) for protocol in PROTOCOLS}
        got = {protocol: [] for protocol in PROTOCOLS}
        for _ in range(self.args.rounds):
            for protocol, (process, port) in proxies.items():
                got[protocol].append(self.load(process, port, connections))
        for protocol in PROTOCOLS:
            rate, cost = (statistics.median(one[i] for one in got[protocol]) for i in (0, 1))
            print(f"{what}, {protocol}: {rate:.0f} requests/s, {cost:.0f} us of processor time each, "
                  f"{connections_of(proxies[protocol][0], self.upstream)} connections")
            print(f"= processor time of a request over TLS, {what}, {protocol}\t{cost:.0f}\tus\t-\t-")
        ratio = statistics.median(two[0] / one[0] for one, two in zip(got["HTTP/1.1"], got["HTTP/2"]))
        print(f"= requests/s over HTTP/2 against HTTP/1.1, {what}\t{ratio:.2f}\tx\t-\t-")
        for process, _ in proxies.values():
            process.terminate()

    def stop(self):
        for process in self.started:
            process.terminate()
            process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bare", required=True)
    parser.add_argument("--folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    bench = Bench(parser.parse_args())
    try:
        bench.start("nginx", "-p", bench.folder, "-c", bench.at("nginx.conf"))
        for what, name, _, connections in SIZES:
            bench.compare(what, name, connections)
    finally:
        bench.stop()


main()
