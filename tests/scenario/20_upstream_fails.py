# SPDX-License-Identifier: Apache-2.0
import json
import time

import house

CANARY = "CANARY-UPSTREAM"
GOOD = {"resourceType": "Bundle", "type": "searchset", "entry": [
    {"fullUrl": "http://upstream/fhir/Patient/kei", "resource": {"resourceType": "Patient", "id": "kei"}, "search": {"mode": "match"}}]}


def hang(handler):
    try:
        time.sleep(8)
        house.send(handler, "{}")
    except OSError:
        pass


def half(handler):
    house.send(handler, json.dumps(GOOD)[:60], length=len(json.dumps(GOOD)))
    handler.close_connection = True


def nothing(handler):
    handler.close_connection = True
    handler.connection.close()


def answers():
    """By name: what the upstream does, and how Sluice answers."""
    good = json.dumps(GOOD)
    return {
        "html": lambda h: house.send(h, f"<html>{CANARY}</html>", kind="text/html"),
        "html-as-json": lambda h: house.send(h, f"<html>{CANARY}</html>"),
        "half": half,
        "nothing": nothing,
        "hang": hang,
        "error-with-data": lambda h: house.send(h, json.dumps({"resourceType": "OperationOutcome", "text": CANARY}), status=500),
        "forbidden": lambda h: house.send(h, CANARY, status=403),
        "empty": lambda h: house.send(h, ""),
        "duplicate-keys": lambda h: house.send(h, good.replace('"type"', f'"type":"{CANARY}","type"', 1)),
        "trailing": lambda h: house.send(h, good + CANARY),
        "not-a-bundle": lambda h: house.send(h, json.dumps({"resourceType": "Patient", "id": CANARY})),
        "redirect": lambda h: house.send(h, "", status=302, headers=[("Location", "http://127.0.0.1:1/")]),
        "deep": lambda h: house.send(h, '{"resourceType":"Bundle","entry":' + "[" * 200000),
    }


def scenario(sluice, folder):
    """whatever the upstream does, the answer is whole or 503, and says nothing of it"""
    mode = {"now": "good"}
    table = answers()

    def answer(path, handler):
        if mode["now"] == "good" or not path.startswith("/fhir/Patient"):
            empty = {"resourceType": "Bundle", "type": "searchset"}
            house.send(handler, json.dumps(GOOD if path.startswith("/fhir/Patient") else empty))
        else:
            table[mode["now"]](handler)

    upstream = house.Upstream(answer)
    h = house.House(sluice, upstream=upstream.url)
    h.write("sluice.yaml", open(h.at("sluice.yaml")).read().replace("upstream:\n", "upstream:\n  total-ms: 1500\n  connect-ms: 500\n"))
    h.start()
    h.expect("a good answer comes through", h.ids("Patient?_id=kei") == ["kei"])
    first = None
    for name in table:
        mode["now"] = name
        status, head, body = h.ask("Patient?_id=kei")
        h.expect(f"{name}: 503", status == 503, status)
        h.expect(f"{name}: an OperationOutcome", b'"OperationOutcome"' in body, body[:200])
        h.expect(f"{name}: nothing of the upstream", CANARY.encode() not in body and str(upstream.port) not in head)
        first = first or body
        h.expect(f"{name}: the same words as every failure", body == first)
    mode["now"] = "good"
    h.expect("and it answers again", h.ids("Patient?_id=kei") == ["kei"])
    records = h.ledger()
    h.expect("every refusal is in the ledger", sum(r["status"] == 503 for r in records) == len(table), len(records))
    h.expect("no refusal released anything", all(not r["released"] for r in records if r["status"] != 200))
    h.expect("the operator is told why", "upstream" in h.logged().lower())
    h.close()
    return h.failures


house.main(scenario)
