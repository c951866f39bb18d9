# SPDX-License-Identifier: Apache-2.0
import json
import threading
import time

import house

MB = 1 << 20


def condition(number="a", more=""):
    return ('{"resourceType":"Condition","id":"%s","subject":{"reference":"Patient/kei"},"code":{"coding":[{"system":'
            '"http://hl7.org/fhir/sid/icd-10-cm","code":"E11.9"}]}%s}' % (number, more))


def bundle(*rows):
    return '{"resourceType":"Bundle","type":"searchset","entry":[%s]}' % ",".join('{"resource":%s}' % row for row in rows)


def large_answers():
    """What an upstream sends, and whether it may be answered."""
    many = ",".join('"k%d":%d' % (i, i) for i in range(1000000))
    contained = ",".join('{"resourceType":"Medication","id":"m%d"}' % i for i in range(10000))
    notes = ",".join('{"text":"n%d"}' % i for i in range(200000))
    return {
        "a million unknown keys": (bundle(condition(more="," + many)), {200, 503}),
        "a million times the same key": (bundle(condition(more=',"k":1' * 1000000)), {503}),
        "10,000 contained resources": (bundle(condition(more=',"contained":[' + contained + "]")), {200, 503}),
        "200,000 notes": (bundle(condition(more=',"note":[' + notes + "]")), {200}),
        "5,000 rows": (bundle(*[condition("c%d" % i) for i in range(5000)]), {200}),
        "deep": (bundle(condition(more=',"x":' + "[" * 65 + "]" * 65)), {503}),
        "deeper than any stack": ("[" * (20 * MB), {503}),
        "one string of 30 MiB": (bundle(condition(more=',"note":[{"text":"' + "x" * (30 * MB) + '"}]')), {200}),
        "more than 32 MiB": (bundle(condition(more=',"note":[{"text":"' + "x" * (33 * MB) + '"}]')), {503}),
        "a reference to itself": (bundle(condition(more=',"evidence":[{"detail":[%s]}]' % ",".join(
            ['{"reference":"Condition/a"}'] * 50000))), {200, 503}),
    }


def upstream(texts):
    """Answers each search of Conditions with the text for the patient asked for; knows patients, and nothing else."""
    def answer(path, handler):
        kind, _, query = path.rpartition("/")[2].partition("?")
        names = [name for name in texts if f"={name}&" in query + "&" or f"%2F{name}&" in query + "&"]
        try:
            if kind == "Condition" and names:
                return house.send(handler, texts[names[0]].replace("Patient/kei", "Patient/" + names[0]))
            if kind == "Patient" and names:
                return house.send(handler, bundle('{"resourceType":"Patient","id":"%s"}' % names[0]))
            return house.send(handler, bundle())
        except OSError:
            handler.close_connection = True  # more than the gateway takes
    server = house.Upstream(answer)
    server.server.handle_error = lambda *_: None
    return server


def resident(h):
    with open(f"/proc/{h.server.pid}/status") as status:
        return int(next(line for line in status if line.startswith("VmRSS")).split()[1]) // 1024


def large(sluice):
    cases = large_answers()
    names = {f"t{i}": name for i, name in enumerate(cases)}
    server = upstream({key: cases[name][0] for key, name in names.items()})
    h = house.House(sluice, upstream=server.url)
    h.start()
    for key, name in names.items():
        began = time.monotonic()
        status, _, body = h.ask(f"Condition?patient={key}&_count=500")
        took = time.monotonic() - began
        h.expect(f"{name}: {status}, {len(body) >> 10} KiB in {took:.1f} s", status in cases[name][1] and took < 12, body[:200])
        h.expect("and no content in a refusal", status == 200 or b"Condition" not in body, body[:200])
    h.expect("it answers still", h.ask("Condition?patient=other")[0] == 200)
    print(f"  resident: {resident(h)} MiB")
    h.close()
    return h.failures


def small(sluice, folder):
    """A budget of 16 MiB for all exchanges: 503 and nothing worse; and it is all given back."""
    text = bundle(*[condition("c%d" % i, ',"note":[{"text":"%s"}]' % ("x" * 1000)) for i in range(400)])
    server = upstream({"t0": text})
    h = house.House(sluice, upstream=server.url, extra="limits:\n  memory: 16777216\n  connections-peer: 64\n")
    h.start()
    seen = []

    def one():
        for _ in range(3):
            seen.append(h.ask("Condition?patient=t0&_count=500")[0])
    threads = [threading.Thread(target=one) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    h.expect("of too many at once some are answered, and the others 503", set(seen) == {200, 503}, {s: seen.count(s) for s in set(seen)})
    h.expect("afterwards one is answered", h.ask("Condition?patient=t0&_count=500")[0] == 200)

    form = b"Content-Type: application/x-www-form-urlencoded\r\n"
    head = (f"POST /fhir/Condition/_search HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {h.tokens['ward']}\r\n").encode() + form
    body = b"code=" + b"x" * (10 * MB - 5)
    answer = h.raw(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    h.expect("a body of 10 MiB is refused", answer[9:12] in (b"400", b"413", b"414", b"503"), answer[:200])
    answer = h.raw(head + b"Content-Length: %d\r\n\r\n" % (10 * MB + 1))
    h.expect("one byte more is refused before it comes", answer[9:12] == b"413", answer[:200])

    held, firsts = [], []
    for _ in range(60):
        held.append(h.connect())
        held[-1].sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (10 * MB))
        firsts.append(held[-1].recv(12)[9:12])
    h.expect("bodies are counted in the budget before they come", (firsts.count(b"100"), firsts.count(b"503")) == (1, 59), firsts)
    with h.connect() as more:
        more.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n")
        h.expect("and a short request is answered or told to come later", more.recv(100)[9:12] in (b"200", b"503"))
    beyond = [h.connect() for _ in range(8)]
    beyond[-1].settimeout(5)
    try:
        h.expect("more connections than a peer may have are closed", beyond[-1].recv(1) == b"")
    except ConnectionResetError:
        h.expect("more connections than a peer may have are closed", True)
    for sock in held + beyond:
        sock.close()
    for _ in range(200):
        if h.ask("Condition?patient=t0&_count=500")[0] == 200:
            break
        time.sleep(0.05)
    h.expect("when they have gone, all is as before", h.ask("Condition?patient=t0&_count=500")[0] == 200 and h.ask("metadata", "")[0] == 200)
    h.close()
    return h.failures


def scenario(sluice, folder):
    """large answers and bodies, and little memory: refused or answered, in time that grows with the size"""
    return large(sluice) + small(sluice, folder)


house.main(scenario)
