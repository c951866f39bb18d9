# SPDX-License-Identifier: Apache-2.0
"""The list of what remains observable (docs/residual.md), as the harness holds itself to it.

A row of its block `twins` says: name | worlds | caller | request | where. `worlds` are two that differ in the very thing the
residual is about (run.py makes them), and in nothing else that may show. `where` is all that may differ there:

    meta.lastUpdated    the value of a lastUpdated, a Last-Modified, and answers to what asks by it
    503                 the one fixed answer of a request that would cost too much, in the place of any other
"""
import json
import re
from dataclasses import dataclass

import battery

# What asks by the instant itself: which records answer, and which headers go with them, may differ with it.
WORDS = re.compile(rb"_lastUpdated|_since|If-Modified-Since")
MAY = {b"200", b"304", b"404"}
BY_INSTANT = re.compile(rb"(?i)^HTTP/1.1 \d+ [^\r]*|\r\n(content-length|content-type|content-encoding|vary|etag|last-modified|content-location): [^\r]*")
STAMP = re.compile(rb'("lastUpdated":"|<lastUpdated value=")[^"]*')
MODIFIED = re.compile(rb"(?i)(\r\nlast-modified: )[^\r]*")


@dataclass
class Row:
    name: str
    worlds: str
    caller: str
    asked: str
    where: str

    def request(self, world):
        path = re.sub(r"\{([\w-]+)\}", lambda m: world.ident(m.group(1)), self.asked)
        path, _, query = path.partition("?")
        params = tuple(tuple(p.split("=", 1)) for p in query.split("&")) if query else ()
        return battery.Request("residual", "GET", path, params)


def read(path):
    with open(path) as file:
        block = re.search(r"```twins\n(.*?)```", file.read(), re.S)
    rows = [[part.strip() for part in line.split(" | ")] for line in (block.group(1) if block else "").splitlines() if line.strip()]
    return [Row(*row) for row in rows if not row[0].startswith("#")]


def mask(rows, name):
    """What makes the two answers of such worlds the same where they may differ; nothing else does."""
    where = {row.where for row in rows if row.worlds == name}

    def masked(request, one, two):
        if "503" in where and one[0].startswith(b"HTTP/1.1 503") and not two[0].startswith(b"HTTP/1.1 503"):
            return (BOUND, BOUND) if is_bound(request, one) else (one, two)
        if "503" in where and b'"batch-response"' in one[1]:
            return entries(one, two)
        if "meta.lastUpdated" in where:
            if WORDS.search(request.target().encode() + request.body + "\n".join(request.headers).encode()):
                return by_instant(one, two)
            one, two = ((MODIFIED.sub(rb"\1", without_length(head)), STAMP.sub(rb"\1", text)) for head, text in (one, two))
        return one, two
    return masked if where else None


def by_instant(one, two):
    if not {told[0].split(b" ", 2)[1] for told in (one, two)} <= MAY:
        return one, two
    return tuple((BY_INSTANT.sub(b"", head), b"") for head, _ in (one, two))


def without_length(head):
    """Of a packed answer the length is that of other digits."""
    return re.sub(rb"(?i)\r\ncontent-length: \d+", b"", head) if re.search(rb"(?i)content-encoding: gzip", head) else head


def entries(one, two):
    """Of a batch each entry is an answer of its own: where A's is the refusal, B's may be any other. The Bundle's labels are
    those of what stands in it, and follow."""
    bundles = [json.loads(told[1]) for told in (one, two)]
    mine, others = (b.get("entry", []) for b in bundles)
    for i, entry in enumerate(mine[:len(others)]):
        outcome = entry.get("response", {})
        if outcome.get("status", "").startswith("503") and "resource" not in entry and "too-costly" in json.dumps(outcome):
            others[i], bundles[1]["meta"] = entry, bundles[0].get("meta")
    heads = [re.sub(rb"(?i)\r\ncontent-length: [^\r]*", b"", told[0]) for told in (one, two)]
    return tuple((head, json.dumps(b).encode()) for head, b in zip(heads, bundles))


BOUND = b"the bound of work", b""
FIXED = {}  # the one answer, as it first came in each format


def is_bound(request, told):
    """Always the same bytes: nothing of it tells what cost so much."""
    text = told[1] if request.method != "HEAD" else None
    if text is not None and b"too-costly" not in text:
        return False
    head = re.sub(rb"(?i)\r\nconnection: [^\r]*", b"", told[0])
    return FIXED.setdefault((request.method == "HEAD", b"xml" in head), (head, text)) == (head, text)
