# SPDX-License-Identifier: Apache-2.0
import json
import random
import urllib.parse

import house
import two_worlds


class Sorting:
    """A FHIR server of many rows that knows _sort, :not and :missing; `lies`: it says so, and gives them in another order;
    `late`: those that come first behind the others."""

    def __init__(self, rows):
        self.rows, self.lies, self.late, self.given = rows, False, False, 0
        self.server = house.Upstream(self.answer)

    def matching(self, kind, params):
        rows = [r for r in self.rows if r["resourceType"] == kind]
        for name, value in params.items():
            if name in ("patient", "subject"):
                rows = [r for r in rows if r.get("subject", {}).get("reference", "").endswith("/" + value.split("/")[-1])]
            elif name == "_id":
                rows = [r for r in rows if r["id"] in value.split(",")]
            elif name == "status:not":
                rows = [r for r in rows if r["status"] not in value.split(",")]
        for word in reversed([w for w in params.get("_sort", "").split(",") if w and not self.lies]):
            name = word.lstrip("-")
            key = {"_lastUpdated": lambda r: r["meta"]["lastUpdated"], "_id": lambda r: r["id"], "status": lambda r: r["status"]}[name]
            rows = sorted(rows, key=key, reverse=word.startswith("-"))
        return rows[90:] + rows[:90] if self.late and "_sort" in params else rows

    def answer(self, path, handler):
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        params = dict(urllib.parse.parse_qsl(query))
        names, start, count = path.split("/"), int(params.pop("start", 0)), min(int(params.pop("_count", 100)), 40)
        if len(names) == 2:
            found = [r for r in self.rows if (r["resourceType"], r["id"]) == tuple(names)]
            return house.send(handler, json.dumps(found[0]), 200) if found else house.send(handler, '{"resourceType":"OperationOutcome"}', 404)
        rows = self.matching(names[0], params)
        self.given += len(rows[start:start + count]) if names[0] == "Observation" else 0
        bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r, "search": {"mode": "match"}} for r in rows[start:start + count]]}
        if start + count < len(rows):
            more = urllib.parse.urlencode({**params, "_count": count, "start": start + count})
            bundle["link"] = [{"relation": "next", "url": f"{self.server.url}/{names[0]}?{more}"}]
        return house.send(handler, json.dumps(bundle))


def many(seed):
    """A house of 180 readings, two in three of a program's; many of one instant."""
    rng = random.Random(seed)
    yield from (r for r in two_worlds.common(True) if r["resourceType"] in ("Patient", "Organization", "Encounter"))
    for number in range(180):
        hidden = rng.random() < 0.66
        instant = f"2025-0{rng.randint(1, 9)}-0{rng.randint(1, 4)}T00:00:00Z"
        row = two_worlds.observation(f"r{rng.randrange(16 ** 6):06x}{number}", rng.choice(("ann", "bob")), "2024-01-01", number,
                                     place="harbor-recovery" if hidden else "lakeside-primary", meta={"versionId": "1", "lastUpdated": instant})
        yield {**row, "status": rng.choice(("final", "amended", "final"))}
    yield {"resourceType": "Organization", "id": "harbor-recovery", "name": "Harbor"}


def pages(h, path):
    """The ids of all pages, as long as they are answered."""
    ids, sizes = [], []
    while path:
        status, _, text = h.ask(path, "exchange")
        if status != 200:
            return status
        bundle = json.loads(text)
        got = [e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "match"]
        ids, sizes = ids + got, sizes + [len(got)]
        path = next((link["url"].split("/fhir/", 1)[1] for link in bundle["link"] if link["relation"] == "next"), None)
    return ids, sizes, bundle.get("total") if len(sizes) == 1 else None


def scenario(sluice, folder):
    """In a large house, what cannot be cut orders and narrows upstream: the same answers, of fewer rows."""
    rows = [{"meta": {"versionId": "1", "lastUpdated": "2025-01-01T00:00:00Z"}, **row} for row in many(7)]
    servers = [Sorting(rows), Sorting(rows), Sorting(rows)]
    plain, able, wrong = (house.House(sluice, upstream=s.server.url + more, extra=extra).start() for s, more, extra in (
        (servers[0], "", ""), (servers[1], "\n  sorts: yes", "limits:\n  rows: 178\n"), (servers[2], "\n  sorts: yes", "")))
    try:
        for path in ("Observation?_sort=-_lastUpdated&_count=20", "Observation?_sort=_lastUpdated&_count=17", "Observation?_sort=status,-_lastUpdated&_count=25",
                     "Observation?_sort=-_id&_count=50", "Observation?patient=ann&_sort=-_lastUpdated", "Observation?_sort=_lastUpdated&status:not=final&_count=20",
                     "Observation?status:not=final,amended", "Observation?patient=bob&status:missing=true", "Observation?patient=ann&_sort=_id&_count=30"):
            want = pages(plain, path)
            plain.expect(f"answered: {path}", isinstance(want, tuple), want)
            able.expect(f"the same, ordered there: {path}", pages(able, path) == want)
            servers[2].lies, servers[2].late = True, False
            wrong.expect(f"the same, where it was in disorder: {path}", pages(wrong, path) == want)
            servers[2].lies, servers[2].late = False, True
            wrong.expect(f"each of them once, where it gets into disorder: {path}", sorted(pages(wrong, path)[0]) == sorted(want[0]))
        for path in ("Observation?_sort=-date", "Observation?_sort=code"):
            able.expect(f"what may be cut is ordered here, and reads all: {path}", pages(able, path) == 503)
        before = servers[1].given
        able.expect("one page", able.ask("Observation?_sort=-_lastUpdated&_count=5", "exchange")[0] == 200)
        able.expect("reads no more than it needs", servers[1].given - before <= 80, servers[1].given - before)
    finally:
        for h in (plain, able, wrong):
            h.close()
    return plain.failures + able.failures + wrong.failures


house.main(scenario)
