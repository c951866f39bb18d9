# SPDX-License-Identifier: Apache-2.0
"""Two gateways asked the same, and their answers held against each other byte for byte.

One thing alone is not compared as it stands: the bytes of a sealed cursor, which are random. Their length is, and each is
replaced by its place in the order in which cursors appeared. A packed answer with one in it is compared unpacked.
"""
import json
import re
from dataclasses import dataclass, replace

from houses import EMERGENCY, Line, plain

CURSOR = re.compile(rb"_cursor=([-\w]+)")
NEXT = (re.compile(rb'"relation":"next","url":"([^"]+)"'), re.compile(rb'<relation value="next"/><url value="([^"]+)"'))
SELF = re.compile(rb'"relation":"self","url":"[^"]*"')
PAGES = 60  # of one answer, at most


@dataclass
class Answer:
    head: bytes
    body: bytes
    closed: bool
    took: float
    text: bytes = b""  # unpacked

    @property
    def status(self):
        return int(self.head.split(b" ", 2)[1]) if self.head.count(b" ") >= 2 else 0


class Cursors:
    def __init__(self):
        self.order = {}

    def replace(self, data):
        def name(match):
            number = self.order.setdefault(match.group(1), len(self.order))
            return b"_cursor=<%d:%d>" % (number, len(match.group(1)))
        return CURSOR.sub(name, data)


@dataclass
class Finding:
    group: str
    caller: str
    request: object
    page: int
    one: Answer
    two: Answer
    told: tuple  # both answers as compared

    def __str__(self):
        lines = [f"{self.group}, as {self.caller}: {self.request}" + (f" (page {self.page})" if self.page > 1 else "")]
        for name, x, y in (("head", self.told[0][0], self.told[1][0]), ("body", self.told[0][1], self.told[1][1])):
            if x != y:
                at = next((i for i, (p, q) in enumerate(zip(x, y)) if p != q), min(len(x), len(y)))
                cut = lambda t: t[max(0, at - 150):at + 150].decode(errors="replace")
                lines.append(f"    {name} differs at {at} of {len(x)} and {len(y)}:\n      A …{cut(x)}…\n      B …{cut(y)}…")
        return "\n".join(lines + self.members())

    def members(self):
        """Of Bundles: which entries the one has and the other has not."""
        names = []
        for answer in (self.one, self.two):
            try:
                names.append([e.get("fullUrl", "?").split("/fhir/")[-1] for e in json.loads(answer.text).get("entry", [])])
            except (ValueError, AttributeError):
                return []
        alone = [[n for n in mine if n not in others] for mine, others in (names, names[::-1])]
        return [f"      in {side} alone: {', '.join(a[:8])}" for side, a in zip("AB", alone) if a]


class Pair:
    """Two gateways, and a caller's connection to each."""

    def __init__(self, group, tokens, gateways, mask=None):
        self.group, self.tokens, self.gateways, self.mask = group, tokens, gateways, mask
        self.lines = {}
        self.turn = 0

    def close(self):
        for pair in self.lines.values():
            for line in pair:
                line.close()

    def ask_one(self, caller, side, data, head_only):
        if caller not in self.lines:
            self.lines[caller] = [Line(g) for g in self.gateways]
        head, body, closed, took = self.lines[caller][side].ask(data, head_only)
        return Answer(head, body, closed, took, plain(head, body))

    def ask(self, caller, requests):
        """The same request of both (two requests: one with each gateway's own cursor), in turns who goes first."""
        extra = (EMERGENCY,) if caller == "er" else ()
        answers = [None, None]
        self.turn ^= 1
        for side in ((0, 1) if self.turn else (1, 0)):
            request = requests[side]
            answers[side] = self.ask_one(caller, side, request.bytes(self.tokens[caller], extra), request.method == "HEAD")
        return answers

    def told(self, request, answer, cursors):
        """What is compared."""
        head, text = answer.head, answer.text
        if answer.text is not answer.body and CURSOR.search(text):
            head = re.sub(rb"(?i)\r\ncontent-length: \d+", b"", head)
        head, text = cursors.replace(head), cursors.replace(text)
        return head + (b"\r\n<closed>" if answer.closed else b""), text

    def compare(self, caller, request, visit=None):
        """Every page of it: how many answers were compared, and the first difference."""
        cursors, requests, pages = [Cursors(), Cursors()], [request, request], 0
        while True:
            answers = self.ask(caller, requests)
            pages += 1
            told = tuple(self.told(request, a, c) for a, c in zip(answers, cursors))
            if self.mask:
                told = self.mask(request, *told)
            if visit:
                visit(request, answers, pages)
            if told[0] != told[1]:
                return pages, Finding(self.group, caller, request, pages, *answers, told)
            following = [next_of(a) for a in answers]
            if not request.follow or None in following or pages >= PAGES:
                return pages, None
            requests = [replace(request, path=path, params=(), body=b"") for path in following]

    def shrink(self, caller, finding):
        """The smallest request that still shows a difference of this kind."""
        best, tries = finding, 0
        while tries < 60:
            for candidate in best.request.smaller():
                tries += 1
                _, found = self.compare(caller, candidate)
                if found and (found.one.status, found.two.status) == (finding.one.status, finding.two.status):
                    best = found
                    break
                if tries >= 60:
                    return best
            else:
                return best
        return best


def next_of(answer):
    for pattern in NEXT:
        match = pattern.search(answer.text)
        if match:
            return match.group(1).decode().replace("&amp;", "&").split("/fhir/", 1)[-1]
    return None


def views(answer):
    """The records in an answer: (name, version, text) each."""
    if answer.status != 200 or not answer.text.startswith(b"{"):
        return
    try:
        body = json.loads(answer.text)
    except ValueError:
        return
    for one in [body] + [e["resource"] for e in body.get("entry", []) if "resource" in e]:
        version = one.get("meta", {}).get("versionId")
        if version and "id" in one:
            yield f"{one['resourceType']}/{one['id']}", version, json.dumps(one).encode()
