# SPDX-License-Identifier: Apache-2.0
import house

SMUGGLED = b"GET /fhir/Patient/amara HTTP/1.1\r\nHost: x\r\n\r\n"


def shapes(token):
    """By name: bytes, and the statuses that refuse them."""
    auth = b"Authorization: Bearer " + token.encode() + b"\r\n"
    get = b"GET /fhir/Patient?_id=kei HTTP/1.1\r\nHost: localhost\r\n" + auth
    post = b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n" + auth
    return {
        "two Content-Lengths": (post + b"Content-Length: 6\r\nContent-Length: 5\r\n\r\n_id=k" + SMUGGLED, {400}),
        "both framings": (post + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED, {400}),
        "space before the colon": (get + b"X-A : b\r\n\r\n", {400}),
        "bare line feed": (get.replace(b"\r\n", b"\n") + b"\n", {400}),
        "folded header": (get + b"X-A: b\r\n c\r\n\r\n", {400}),
        "NUL in a header": (get + b"X-A: b\0c\r\n\r\n", {400}),
        "chunk size with a sign": (post + b"Transfer-Encoding: chunked\r\n\r\n+5\r\n_id=k\r\n0\r\n\r\n", {400}),
        "an oversized chunk size": (post + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", {400, 413}),
        "no Host": (get.replace(b"Host: localhost\r\n", b"") + b"\r\n", {400}),
        "two Hosts": (get + b"Host: other\r\n\r\n", {400}),
        "HTTP/2.0": (get.replace(b"HTTP/1.1", b"HTTP/2.0") + b"\r\n", {505}),
        "a long request line": (b"GET /fhir/" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414}),
        "long headers": (get + b"X-A: " + b"b" * 70000 + b"\r\n\r\n", {431}),
        "an absolute target": (get.replace(b"GET /fhir", b"GET http://elsewhere/fhir") + b"\r\n", {400}),
        "dot segments": (get.replace(b"/fhir/Patient?_id=kei", b"/fhir/../fhir/metadata") + b"\r\n", {400}),
        "an encoded slash": (get.replace(b"/fhir/Patient?_id=kei", b"/fhir/Patient%2fkei") + b"\r\n", {400}),
        "a body that never ends": (post + b"Content-Length: 99999999999\r\n\r\n", {413}),
    }


def refusals():
    """By name: path, method, headers, body, statuses."""
    return {
        "an unknown parameter": ("Patient?favourite=blue", "GET", (), b"", {400}),
        "an unknown modifier": ("Patient?name:sounds-like=x", "GET", (), b"", {400}),
        "an unknown type": ("Pancake", "GET", (), b"", {404}),
        "an unknown operation": ("Patient/kei/$explode", "GET", (), b"", {400, 404}),
        "an update": ("Patient/kei", "PUT", ("Content-Type: application/fhir+json",), b"{}", {428}),
        "a deletion": ("Patient/kei", "DELETE", (), b"", {403}),
        "a page": ("Patient/kei", "GET", ("Accept: text/html",), b"", {406}),
        "a method override": ("Patient/kei", "GET", ("X-HTTP-Method-Override: DELETE",), b"", {400}),
        "a form of another type": ("Patient/_search", "POST", ("Content-Type: application/json",), b"{}", {415}),
    }


def scenario(sluice, folder):
    """malformed and unsupported requests are refused, each with an OperationOutcome and an entry in the ledger"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents, tls=True)
    h.start()
    for name, (data, statuses) in shapes(h.tokens["ward"]).items():
        answer = h.raw(data, timeout=3)
        status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
        h.expect(f"{name} is refused", status in statuses and answer.count(b"HTTP/1.1 ") == 1, answer[:300])
        h.expect(f"{name}: an OperationOutcome", b'"OperationOutcome"' in answer, answer[:300])
    for name, (path, method, headers, body, statuses) in refusals().items():
        status, _, text = h.ask(path, method=method, headers=headers, body=body)
        h.expect(f"{name} is refused", status in statuses, (status, text[:200]))
        h.expect(f"{name}: an OperationOutcome", b'"OperationOutcome"' in text, text[:200])
    h.expect("no token: 401", h.ask("Patient/kei", caller="")[0] == 401)
    h.expect("a token of nobody: 401", h.ask("Patient/kei", caller="e30.e30.e30")[0] == 401)
    broken = h.tokens["ward"][:-4] + "AAAA"
    h.expect("a broken signature: 401", h.ask("Patient/kei", caller=broken)[0] == 401)
    status, _, body = h.ask("metadata", caller="")
    h.expect("metadata needs no token", status == 200 and b'"CapabilityStatement"' in body, status)
    h.expect("and it answers still", h.ids("Patient?_id=kei") == ["kei"])
    h.expect("each is in the ledger", len(h.ledger()) >= len(shapes("")) + len(refusals()) + 5)
    h.close()
    return h.failures


house.main(scenario)
