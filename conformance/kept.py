# SPDX-License-Identifier: Apache-2.0
"""Whoever writes a record of which a part was hidden leaves that part as it is: in the server's own record, before and after.

Every record of which a writer is shown less than the server has is read through the gateway, sent back with one thing changed, read
again and asked for its history; and the server is asked what it has now. What must have changed there is what was sent, and nothing else.
"""
import json
import urllib.error
import urllib.request

FHIR = "Content-Type: application/fhir+json"
PATCH = "Content-Type: application/json-patch+json"
CHANGE = ("language", "en")  # every resource has it, and no rule is about it


def grants(types):
    """For those who treat, and for partners: the types at hand. Consents are granted by themselves."""
    who = {"clinicians": "treating-provider", "partners": "hie-partner"}
    named = ", ".join(sorted(set(types) - {"Consent"}))
    return "layer: organization\nwrites:\n" + "".join(
        f"  - {{id: {name}, title: They write., to: [{party}], for: [treatment], may: [create, update, patch], types: [{named}]}}\n"
        for name, party in who.items())


def said(row):
    """What it says, but for what a server makes of a version."""
    return row and {name: value for name, value in row.items() if name != "meta"}


def stands(base, name):
    """What the server itself has. None: nothing."""
    request = urllib.request.Request(f"{base}/{name}", headers={"Cache-Control": "no-cache", "Accept": "application/fhir+json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError:
        return None


def is_within(view, row):
    """Does every text of the one stand in the other? Else a rule has changed something, and it is no plain part of it."""
    if isinstance(view, dict):
        return isinstance(row, dict) and all(name in row and is_within(value, row[name]) for name, value in view.items())
    if isinstance(view, list):
        return isinstance(row, list) and all(any(is_within(one, other) for other in row) for one in view)
    return view == row


def takes(view, row):
    """An entry that can be taken out of a list with hidden entries in it: its name and place in both; or None."""
    for name, seen in view.items():
        if isinstance(seen, list) and len(seen) > 1 and len(seen) < len(row.get(name, [])) and f"_{name}" not in row:
            at = [i for i, one in enumerate(row[name]) if one == seen[0]]
            if len(at) == 1:
                return name, at[0]
    return None


def without(row, name, at):
    return {**row, name: row[name][:at] + row[name][at + 1:]}


def edits(view, row):
    """What is sent, and what must stand in the server afterwards: (method, content type, body, row)."""
    changed = {**view, CHANGE[0]: CHANGE[1]}
    yield "PUT", FHIR, changed, {**row, CHANGE[0]: CHANGE[1]}
    yield "PATCH", PATCH, [{"op": "replace", "path": f"/{CHANGE[0]}", "value": "de"}], {**row, CHANGE[0]: "de"}
    taken = takes(view, row)
    if taken:
        yield "PUT", FHIR, without({**view, CHANGE[0]: "de"}, taken[0], 0), without({**row, CHANGE[0]: "de"}, *taken)


def is_refused(status, row):
    """403: nobody granted it. 400: the record holds what R4 does not know, so that nothing can be written to it."""
    return status == 403 or (status == 400 and "vendorFlag" in row)


def check_one(ask, base, name, view, row, told):
    """The edits of one record, each on what the one before left. Gives what went otherwise than it should."""
    earlier = [said(view)]
    for method, kind, body, wanted in edits(view, said(row)):
        status, _, text = ask(name, method, (kind, f'If-Match: W/"{view["meta"]["versionId"]}"'), json.dumps(body).encode())
        told[f"{method} {status}"] += 1
        if status != 200:
            return [] if len(earlier) == 1 and is_refused(status, row) else [f"{name}: {method} {status}"]
        now = stands(base, name)
        if said(now) != wanted:
            return [f"{name}: {method} left {json.dumps(said(now))[:1500]} in the place of {json.dumps(wanted)[:1500]}"]
        view = json.loads(ask(name, "GET", (), b"")[2])
        earlier.insert(0, said(view))
    status, _, text = ask(f"{name}/_history", "GET", (), b"")
    listed = [said(entry.get("resource")) for entry in json.loads(text).get("entry", []) if entry.get("request")] if status == 200 else status
    shown = listed[:len(earlier)] if listed != status else listed  # the versions before are of whoever wrote before
    told["histories"] += shown == earlier
    return [] if shown == earlier else [f"{name}: the history is {[str(one)[-160:] for one in shown] if listed != status else status}, not {[str(one)[-160:] for one in earlier]}"]


def check(ask, base, names, told, most=1000):
    """ask(path, method, headers, body) as one writer: (status, head, body). Gives what went wrong, and counts into `told`."""
    wrong = []
    for name in names:
        row = stands(base, name)
        status, _, text = ask(name, "GET", (), b"") if row else (404, "", b"")
        view = json.loads(text) if status == 200 and text.startswith(b'{"resourceType"') else None
        if not view or "meta" not in view or said(view) == said(row) or not is_within(said(view), said(row)):
            continue
        told["partly seen"] += 1
        wrong += check_one(ask, base, name, view, row, told)
        if told["partly seen"] >= most:
            break
    return wrong
