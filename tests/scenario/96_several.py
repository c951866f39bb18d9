# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

import house

PATH = "MedicationRequest?patient=amara"


def under(h, port, base):
    """The house's configuration, under an address and path of its own; tokens for it."""
    text = open(h.at("sluice.yaml")).read()
    url = f"http://localhost:{port}{base}"
    text = text.replace(f"listen: 127.0.0.1:{h.port}", f"listen: 127.0.0.1:{port}\n  base: {base}").replace(h.base, url)
    h.write("sluice.yaml", text + f"paging:\n  key-file: {h.at('cursor.key')}\n")
    h.port, h.base, h.path = port, url, base
    h.tokens = {name: h.token(name, purpose) for name, purpose in house.CALLERS.items()}


def ask(h, path, token=None):
    text = h.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 f"Authorization: Bearer {token or h.tokens['ward']}\r\n\r\n".encode())
    head, _, body = text.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


def ids(h, path):
    status, body = ask(h, f"{h.path}/{path}")
    return sorted(e["resource"]["id"] for e in json.loads(body)["entry"] if e["search"]["mode"] == "match") if status == 200 else status


def next_of(body):
    return next(link["url"] for link in json.loads(body)["link"] if link["relation"] == "next")


def refused(h, other, what, word):
    """Two configurations that do not go together are told, and nothing is served."""
    text = open(other.at("sluice.yaml")).read()
    other.write("other.yaml", what(text))
    done = subprocess.run([h.sluice, "serve", "--config", h.at("sluice.yaml"), "--config", other.at("other.yaml")], capture_output=True,
                          text=True, timeout=20)
    h.expect(f"{word}: refused", done.returncode == 1 and word in done.stderr, done.stderr)


def scenario(sluice, folder):
    """two upstreams behind one address, each under its own path: one's patients, directives and pages are not the other's"""
    records, consents = house.clinic(folder)
    a, b = house.House(sluice, records=records, consents=consents), house.House(sluice, records=records)
    key = os.urandom(32)
    for h, base in ((a, "/clinic-a/fhir"), (b, "/clinic-b/fhir")):
        with open(h.at("cursor.key"), "wb") as out:
            out.write(key)
        os.chmod(h.at("cursor.key"), 0o600)
        under(h, a.port, base)
    refused(a, b, lambda text: text.replace("/clinic-b/fhir", "/clinic-a/fhir/more"), "server.base")
    refused(a, b, lambda text: text.replace("store: policy", f"store: {a.at('policy')}"), "policy.store")
    refused(a, b, lambda text: text.replace(f"127.0.0.1:{a.port}", f"127.0.0.1:{a.port + 1}"), "server.listen")
    write = a.at("sluice.yaml")
    run = a.sluice
    a.sluice = a.write("both", f"#!/bin/sh\nexec {run} serve --config {write} --config {b.at('sluice.yaml')}\n") or a.at("both")
    os.chmod(a.at("both"), 0o700)
    a.start()
    a.sluice = run
    one, other = ids(a, PATH), ids(b, PATH)
    a.expect("what a patient permitted at one is given there", "amara-otp-methadone" in one, one)
    a.expect("and not at the other, whose patient of the same id permitted nothing", other == [x for x in one if "otp" not in x], other)
    for h in (a, b):
        status, body = ask(h, f"{h.path}/{PATH}")
        urls = [e["fullUrl"] for e in json.loads(body)["entry"] if e["search"]["mode"] == "match"]
        a.expect(f"{h.path}: its own links", urls and all(url.startswith(h.base + "/") for url in urls), urls)
        a.expect(f"{h.path}: metadata of its own", json.loads(ask(h, h.path + "/metadata")[1])["implementation"]["url"] == h.base)
    a.expect("a token for one is none for the other", ask(b, f"{b.path}/{PATH}", a.tokens["ward"])[0] == 401)
    page = next_of(ask(a, f"{a.path}/Condition?patient=amara&_count=1")[1]).split(str(a.port))[1]
    a.expect("a page link leads on", ask(a, page)[0] == 200)
    b_page = next_of(ask(b, f"{b.path}/Condition?patient=amara&_count=1")[1]).split(str(a.port))[1]
    a.expect("and likewise at the other", ask(b, b_page)[0] == 200)
    status, crossed = ask(b, page.replace(a.path, b.path))
    a.expect("but not across, though they share a key", status == 400, (status, crossed))
    for path in ("/fhir/Patient/amara", "/clinic-c/fhir/Patient/amara", "/clinic-a/fhirx/Patient/amara", "/clinic-a"):
        a.expect(f"{path}: not there", ask(a, path)[0] == 404)
    for h, at in ((a, a), (b, b)):
        h.expect("its ledger has its own answers", sum(r["status"] == 200 for r in at.ledger()) >= 2)
    a.close()
    b.close()
    return a.failures + b.failures


house.main(scenario)
