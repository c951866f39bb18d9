# SPDX-License-Identifier: Apache-2.0
import gzip
import json
import urllib.parse

import house

PAGE = 4  # rows of a page of the server, whatever it is asked for


class Server:
    """A FHIR server with the manners of real ones: absolute references and links, pages of its own size, gzip, and parameters
    it does not know ignored."""
    size = PAGE

    def __init__(self, records, name=None):
        """`name`: the base URL it gives itself, with its slashes escaped in JSON."""
        self.rows = {}
        self.asked = []
        for line in open(records):
            row = json.loads(line)
            self.rows[(row["resourceType"], row["id"])] = row
        self.server = house.Upstream(self.answer)
        self.url = f"http://127.0.0.1:{self.server.port}/fhir"
        self.base = name or self.url

    def dress(self, row):
        """References under the server's own address."""
        if isinstance(row, list):
            return [self.dress(one) for one in row]
        if not isinstance(row, dict):
            return row
        out = {key: self.dress(value) for key, value in row.items()}
        if isinstance(out.get("reference"), str) and out["reference"].split("/")[0].isalpha() and "/" in out["reference"]:
            out["reference"] = f"{self.base}/{out['reference']}"
        return out

    def send(self, handler, value, status=200):
        text = json.dumps(value)
        body = gzip.compress((text if self.base == self.url else text.replace("/", "\\/")).encode())
        head = (f"HTTP/1.1 {status} Fine\r\nContent-Type: application/fhir+json;charset=UTF-8\r\nContent-Encoding: gzip\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        handler.wfile.write(head.encode() + body)

    def answer(self, path, handler):
        self.asked.append(path)
        path, _, query = path.removeprefix("/fhir").lstrip("/").partition("?")
        params = dict(urllib.parse.parse_qsl(query))
        if "_getpages" in params:
            kind, patient, start = params["_getpages"].split("|")
            if patient.startswith("="):
                return self.some(handler, kind, patient[1:].split(","), int(start))
            return self.page(handler, kind, patient, int(start))
        names = path.split("/")
        if len(names) == 2:
            row = self.rows.get((names[0], names[1]))
            return self.send(handler, self.dress(row), 200) if row else self.send(
                handler, {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}, 404)
        if "_id" in params:
            return self.some(handler, names[0], params["_id"].split(","), 0)
        return self.page(handler, names[0], params.get("patient", params.get("subject", "")), 0)

    def some(self, handler, kind, ids, start):
        rows = [self.rows[(kind, i)] for i in ids if (kind, i) in self.rows]
        more = f"{kind}|={','.join(ids)}|{start + self.size}" if start + self.size < len(rows) else None
        self.bundle(handler, rows[start:start + self.size], more)

    def page(self, handler, kind, patient, start):
        def about(row):
            wanted = {"Patient/" + one.removeprefix("Patient/") for one in patient.split(",")}
            return not patient or any(row.get(key, {}).get("reference") in wanted for key in ("subject", "patient"))
        rows = [row for (name, _), row in sorted(self.rows.items()) if name == kind and about(row)]
        more = f"{kind}|{patient}|{start + self.size}" if start + self.size < len(rows) else None
        self.bundle(handler, rows[start:start + self.size], more)

    def bundle(self, handler, rows, more=None):
        out = {"resourceType": "Bundle", "type": "searchset", "total": 4711, "entry": [
            {"fullUrl": f"{self.base}/{row['resourceType']}/{row['id']}", "resource": self.dress(row), "search": {"mode": "match"}}
            for row in rows]}
        if more:
            out["link"] = [{"relation": "next", "url": f"{self.base}?_getpages={urllib.parse.quote(more)}"}]
        self.send(handler, out)


def pages(h, path, caller):
    """The ids of each page, following `next`."""
    out = []
    while path:
        status, head, body = h.ask(path, caller)
        if status != 200:
            return status
        bundle = json.loads(body)
        out.append([e["resource"]["id"] for e in bundle["entry"] if e["search"]["mode"] == "match"])
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        path = following[0].split("/fhir/")[1] if following else None
    return out


def scenario_of_names(sluice, records, consents, mine):
    """A server behind a proxy, which goes by the name that its users know: told so, Sluice follows its links."""
    server = Server(records[0], "https://ehr.example/r4")
    stranger = house.House(sluice, consents=consents, upstream=server.url).start()
    known = house.House(sluice, consents=consents, upstream=f"{server.url}\n  known-as: {server.base}").start()
    path = "Observation?patient=amara&_count=3"
    known.expect("links to somewhere unknown are not followed: 503", pages(stranger, path, "ward") == 503)
    one, two = pages(mine, path, "ward"), pages(known, path, "ward")
    known.expect("known-as: the same records", sorted(sum(one, [])) == sorted(sum(two, [])), (one, two))
    for path in (path, "Patient/bruno/$everything", "Condition/bruno-pc-diabetes"):
        one, two = mine.ask(path), known.ask(path)
        known.expect(f"{path}: {one[0]}, and nothing of the server's name", one[0] == two[0] and b"ehr.example" not in two[2], two)
    one, two = [h.ask("Condition/bruno-pc-diabetes")[2].replace(b"\\/", b"/") for h in (mine, known)]
    known.expect("references are the same", json.loads(one)["subject"] == json.loads(two)["subject"] == {"reference": "Patient/bruno"}, two)
    for h in (stranger, known):
        h.close()
    return stranger.failures + known.failures


MANY = 400  # Observations, each of a visit of its own


class Wide(Server):
    """One patient with many visits, whose ids are as long as ids may be. A line of more than 8 KiB is too long for it."""

    def __init__(self):
        self.asked, self.posted, self.longest, self.base = [], 0, 0, ""
        visit = [f"{number:04d}".rjust(64, "v") for number in range(MANY)]
        rows = [{"resourceType": "Patient", "id": "kei"}]
        rows += [{"resourceType": "Encounter", "id": v, "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": "Patient/kei"},
                  "serviceProvider": {"reference": "Organization/lakeside-primary"}} for v in visit]
        rows += [{"resourceType": "Observation", "id": f"o{v[60:]}", "status": "final", "code": {"text": "pulse"}, "subject": {"reference": "Patient/kei"},
                  "encounter": {"reference": f"Encounter/{v}"}} for v in visit]
        self.rows = {(row["resourceType"], row["id"]): row for row in rows}
        self.server = house.Upstream(self.answer)
        self.url = self.base = f"http://127.0.0.1:{self.server.port}/fhir"

    def answer(self, path, handler):
        if handler.command == "POST" and not path.endswith("/_search"):
            return self.send(handler, {"resourceType": "OperationOutcome"}, 405)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        self.asked.append(path)
        self.posted += handler.command == "POST"
        self.longest = max(self.longest, len(path))
        kind, _, query = path.removeprefix("/fhir/").partition("?")
        params = dict(urllib.parse.parse_qsl(query + body))
        kind = kind.removesuffix("/_search")
        wanted = params["_id"].split(",") if "_id" in params else [i for k, i in self.rows if k == kind]
        self.bundle(handler, [self.rows[kind, i] for i in wanted if (kind, i) in self.rows])


class Counting(Server):
    """Gives as many rows as it is asked for."""

    def answer(self, path, handler):
        self.size = int(dict(urllib.parse.parse_qsl(path.partition("?")[2])).get("_count", self.size))
        super().answer(path, handler)


def scenario_of_pages(sluice, records, consents):
    """The row that says whether there is a next page is on the same page of the server."""
    server = Counting(records[0])
    h = house.House(sluice, consents=consents, upstream=server.url, extra="labels:\n  book: book\n").start()
    path = "Observation?patient=gita&_count=1"
    first = pages(h, path, "ward")
    server.asked.clear()
    h.expect("the same pages again", len(first) > 2 and pages(h, path, "ward") == first, first)
    searches = [one for one in server.asked if "Observation" in one]
    h.expect("each page is asked for once", len(searches) <= len(first) + 1, (len(first), searches))
    h.close()
    return h.failures


def scenario_of_many(sluice):
    """A search that has to look up a visit for each of its rows asks for them many at a time."""
    server = Wide()
    h = house.House(sluice, upstream=server.url, extra="labels:\n  book: book\n").start()
    path = f"Observation?patient=kei&_count={MANY}"
    found = h.ids(path)
    h.expect("all are there", found == sorted(i for k, i in server.rows if k == "Observation"), found if isinstance(found, int) else len(found))
    cold = len(server.asked)
    h.expect(f"a cold search over {MANY} visits makes a handful of questions more", cold <= 12, [one[:60] for one in server.asked])
    h.expect("a long one goes by POST, and none has a long line", server.posted > 0 and server.longest < 8192, (server.posted, server.longest))
    h.close()
    return h.failures


def scenario(sluice, folder):
    """a FHIR server in the place of the embedded store gives the same answers, and nothing of it shows"""
    records, consents = house.clinic(folder)
    server = Server(records[0])
    mine = house.House(sluice, records=records, consents=consents).start()
    theirs = house.House(sluice, consents=consents, upstream=server.url).start()
    for caller in ("ward", "exchange", "plan", "desk", "agent"):
        for path in ("Condition?patient=bruno", "Condition?patient=amara&_count=1", "Observation?patient=amara&_count=3",
                     "MedicationRequest?patient=chen&_count=2", "Claim?patient=amara", "Patient/bruno/Condition?_count=1",
                     "Condition?patient=bruno&code=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Ficd-10-cm%7CI10"):
            one, two = pages(mine, path, caller), pages(theirs, path, caller)
            h_sorted = [sorted(sum(x, [])) if isinstance(x, list) else x for x in (one, two)]
            shape = [[len(p) for p in x] if isinstance(x, list) else x for x in (one, two)]
            theirs.expect(f"{caller}: {path}: the same records, pages as full", h_sorted[0] == h_sorted[1] and shape[0] == shape[1],
                          (one, two))
        for path in ("Condition/bruno-otp-oud", "Condition/bruno-pc-diabetes", "Condition/nothing", "CarePlan/bruno-pc-plan"):
            one, two = mine.ask(path, caller), theirs.ask(path, caller)
            theirs.expect(f"{caller}: {path}: {one[0]}", one[0] == two[0], two)
            theirs.expect("nothing of the server's address", str(server.server.port).encode() not in two[2], two[2][:300])
    # What is ours to do is not asked of a server: order, absence, chains, includes. It is asked for less, and answers alike.
    for caller in ("ward", "exchange"):
        for path in ("Observation?patient=amara&_sort=-date&_count=5", "Observation?patient.birthdate=ge1900&_sort=-date,code&_total=accurate",
                     "Patient?_has:Condition:patient:code=I10", "Observation?patient=amara&status:not=final",
                     "Condition?patient=bruno&_include=Condition:encounter&_include:iterate=Encounter:service-provider&_sort=recorded-date",
                     "Patient?_id=bruno&_revinclude=Condition:patient", "Observation?patient=amara&_elements=code&_sort=date", "Observation?_summary=count"):
            one, two = [json.loads(h.ask(path, caller)[2]) for h in (mine, theirs)]
            ids = [[e["resource"].get("id") for e in x["entry"]] for x in (one, two)]
            theirs.expect(f"{caller}: {path}: the same, in the same order", ids[0] == ids[1] and one.get("total") == two.get("total"), (ids, one, two))
    theirs.expect("asked for what any server can do", not any(word in asked for asked in server.asked for word in (
        "_sort", "not=", "_include", "_revinclude", "_has", "patient.", "_elements", "_summary", "_total")), server.asked[-5:])
    one, two = mine.ask("Patient/bruno/$everything"), theirs.ask("Patient/bruno/$everything")
    ids = [sorted(e["resource"]["resourceType"] + "/" + e["resource"].get("id", "") for e in json.loads(x[2])["entry"]) for x in (one, two)]
    theirs.expect("everything: the same records", ids[0] == ids[1], (ids[0], ids[1]))
    theirs.expect("nothing of the server's address in everything", str(server.server.port).encode() not in two[2])
    theirs.expect("questions are our own", not any("_cursor" in asked or "amara%26" in asked for asked in server.asked))
    failures = scenario_of_names(sluice, records, consents, mine) + scenario_of_many(sluice) + scenario_of_pages(sluice, records, consents)
    mine.close()
    theirs.close()
    return failures + mine.failures + theirs.failures


house.main(scenario)
