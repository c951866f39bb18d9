# SPDX-License-Identifier: Apache-2.0
import json
import os
import urllib.parse

import house
import two_worlds


class Paging:
    """A FHIR server with long page links, which it forgets when it is told to."""

    def __init__(self, rows):
        self.rows, self.age = rows, 0
        self.server = house.Upstream(self.answer)

    def answer(self, path, handler):
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        params, names = dict(urllib.parse.parse_qsl(query)), path.split("/")
        if len(names) == 2:
            found = [r for r in self.rows if (r["resourceType"], r["id"]) == tuple(names)]
            return house.send(handler, json.dumps(found[0] if found else {"resourceType": "OperationOutcome"}), 200 if found else 404)
        if params.get("age", str(self.age)) != str(self.age):
            return house.send(handler, '{"resourceType":"OperationOutcome"}', 410)
        start, count, ids = int(params.get("start", 0)), int(params.get("_count", 100)), params.get("_id", "").split(",")
        rows = [r for r in self.rows if r["resourceType"] == names[0] and (ids == [""] or r["id"] in ids)]
        if params.get("_sort", "").startswith("-_lastUpdated"):
            rows = sorted(sorted(rows, key=lambda r: r["id"]), key=lambda r: r["meta"]["lastUpdated"], reverse=True)
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r, "search": {"mode": "match"}} for r in rows[start:start + count]]}
        if start + count < len(rows):
            more = urllib.parse.urlencode({**params, "start": start + count, "_count": count, "age": self.age, "state": "x" * 400})
            bundle["link"] = [{"relation": "next", "url": f"{self.server.url}/{names[0]}?{more}"}]
        return house.send(handler, json.dumps(bundle))


def world(secret):
    """Thirty readings; between the third and the fourth of them twenty of a program's, if they are there at all."""
    meta = {"versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z"}
    yield from ({**r, "meta": meta} for r in two_worlds.common(False) if r["resourceType"] in ("Patient", "Organization"))
    yield {"resourceType": "Organization", "id": "harbor-recovery", "name": "Harbor", "meta": meta}
    for number in range(50):
        hidden = 3 <= number < 23
        if secret or not hidden:
            yield two_worlds.observation(f"r{number:02}", "ann", "2024-01-01", number, place="harbor-recovery" if hidden else "lakeside-primary",
                                         meta={**meta, "lastUpdated": f"2025-01-01T00:00:{59 - number:02}Z"})


def page(h, path):
    status, _, text = h.ask(path, "exchange")
    if status != 200:
        return status, None
    bundle = json.loads(text)
    return ([e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "match"],
            next((link["url"].split("/fhir/", 1)[1] for link in bundle["link"] if link["relation"] == "next"), None))


def pages(h, path, between):
    got = []
    while path:
        ids, path = page(h, path)
        got.append(ids)
        between()
    return got


def scenario(sluice, folder):
    """A page link lives as long whether hidden rows stood before the next page or not: a lost place upstream is found again."""
    want = [f"r{n:02}" for n in (*range(3), *range(23, 50))]
    servers = [Paging(list(world(secret))) for secret in (True, False)]
    houses = []
    for server in servers:
        h = house.House(sluice, upstream=server.server.url + "\n  sorts: yes", extra="paging:\n  key-file: cursor.key\n")
        h.write("cursor.key", "")
        os.chmod(h.at("cursor.key"), 0o600)
        with open(h.at("cursor.key"), "wb") as out:
            out.write(bytes(range(32)))
        houses.append(h.start())
    try:
        for server, h in zip(servers, houses):
            def forget():
                server.age += 1

            def restart():
                h.stop()
                h.start()
            for path in ("Observation?patient=ann&_count=3", "Observation?_sort=-_lastUpdated&_count=7"):
                size = int(path[-1])
                parts = [want[i:i + size] for i in range(0, 30, size)]
                h.expect(f"page by page: {path}", pages(h, path, lambda: None) == parts)
                h.expect(f"where the EHR forgets its places: {path}", pages(h, path, forget) == parts)
                first, link = page(h, path)
                restart()
                h.expect(f"where the gateway has: {path}", (first, page(h, link)[0]) == (parts[0], parts[1]), page(h, link))
    finally:
        for h in houses:
            h.close()
    return sum(h.failures for h in houses)


house.main(scenario)
