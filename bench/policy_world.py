#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A policy of 200 rules, patients with 20 consents each, and random questions, for policy_bench.c; and the same in Cedar's
language and entities for cedar/. Made up, and the same every time.

    bench/policy_world.py FOLDER

    policy/             the rules in the language of docs/policy-words.md
    plain.ndjson        the Consents; disclosers.ndjson: the same, each limited to one discloser
    cases.tsv           patient, kinds, organization, treating?, emergency?, purpose, discloser, classes; one question a line
    cedar/              rules.cedar (one policy for each rule, one question for each class of the record), classes.cedar (the same
                        rules gathered into one policy for each class, one question for the record), entities.json, facts.json

What Cedar gets is what the facts come to, worked out here before anything is timed: of each patient, by kind of consent, the
set of {to, for, from} that his permits in force give, and the same of his denials. Cedar has no way to walk a list of consents.
"""
import json
import os
import random
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RULES, RELEASES, CONSENTS, PATIENTS, CASES = 200, 150, 20, 16, 4000
NEEDED = [f"c{n}" for n in range(24)]
RESTRICTING = [f"r{n}" for n in range(8)]
PARTIES = [f"p{n}" for n in range(12)]
KINDS = [f"k{n}" for n in range(6)]  # of consent
# No one lies below another in HL7's tree: a rule for one is not also one for another.
PURPOSES = {"treatment": "TREAT", "payment": "HPAYMT", "operations": "HOPERAT", "patient-request": "PATRQT", "research": "HRESCH",
            "public-health": "PUBHLTH", "marketing": "HMARKT"}
ORGANIZATIONS = [f"Organization/o{n}" for n in range(10)]
DISCLOSERS = ORGANIZATIONS[:6]
SYSTEM = "http://terminology.hl7.org/CodeSystem/"


def draw(of, least, most):
    """Some of a list, each once, in its order."""
    some = set(RANDOM.sample(range(len(of)), RANDOM.randint(least, most)))
    return [of[n] for n in sorted(some)]


# ---- Rules ----

def line():
    """All that it names must hold."""
    what = RANDOM.random()
    if what < 0.6:
        out = {"consent": draw(KINDS, 1, 2)}
        if RANDOM.random() < 0.4:
            out["purpose"] = draw(list(PURPOSES), 1, 3)
        return out
    if what < 0.75:
        return {"relationship": ["treating"]}
    return {"same-program": "yes"} if what < 0.9 else {"emergency": "declared"}


def rules():
    for n in range(RULES):
        release = n < RELEASES
        rule = {"id": f"rule-{n}", "verdict": "release" if release else "withhold",
                "data": draw(NEEDED, 1, 6) if release else draw(NEEDED + RESTRICTING, 1, 3),
                "to": draw(PARTIES, 1, 4 if release else 6), "for": draw(list(PURPOSES), 1, 3)}
        if not release and RANDOM.random() < 0.2:
            rule["to"] = "everyone"
        if release and RANDOM.random() < 0.5:
            rule["only-if"] = [line() for _ in range(RANDOM.randint(1, 2))]
        if not release or RANDOM.random() < 0.1:
            rule["unless"] = [line() for _ in range(RANDOM.randint(1, 3))]
        yield rule


def flow(value):
    """A value as YAML on one line; JSON is YAML, and words need no quotes."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(flow, value)) + "]" if isinstance(value, list) else str(value)


def write_policy(folder, made):
    os.makedirs(folder)
    with open(os.path.join(folder, "policy.yaml"), "w") as out:
        lists = os.path.relpath(os.path.join(ROOT, "consent", "terminology"), folder)
        out.write(f"title: Two hundred rules\nversion: '1'\nterminology: {lists}\nnotice:\n  version: none\n  statement: None.\n  short: None.\n")
    with open(os.path.join(folder, "rules.yaml"), "w") as out:
        out.write("layer: organization\nparties:\n")
        for party in PARTIES:
            out.write(f"  - {{id: {party}, title: Party {party}, kinds: [{party}]}}\n")
        out.write("classes:\n")
        for name in NEEDED:
            earned = "types: others" if name == NEEDED[0] else "text: yes"
            out.write(f"  - {{id: {name}, title: Class {name}, kind: needs-yes, earned-by: {{{earned}}}}}\n")
        for name in RESTRICTING:
            out.write(f"  - {{id: {name}, title: Class {name}, kind: only-restricts, earned-by: {{text: yes}}}}\n")
        out.write("consents:\n")
        for kind in KINDS:
            form = f'{{system: "urn:bench", code: {kind}}}'
            out.write(f"  - {{id: {kind}, title: Consent {kind}, forms: [{{categories: [{form}]}}]}}\n")
        out.write("rules:\n")
        for rule in made:
            out.write("  - " + flow({"id": rule["id"], "title": "A rule.", **{k: v for k, v in rule.items() if k != "id"}}) + "\n")


# ---- Consents ----

def coded(system, code):
    return {"coding": [{"system": system, "code": code}]}


def consent(patient, number):
    """As facts: what kind, to whom, for what, from whom."""
    return {"patient": patient, "number": number, "kind": RANDOM.choice(KINDS), "deny": RANDOM.random() < 0.1,
            "to": draw(ORGANIZATIONS, 2, 5), "for": [PURPOSES[p] for p in draw(list(PURPOSES), 1, 3)],
            "from": RANDOM.choice(DISCLOSERS)}


def fhir(fact, with_discloser):
    role = coded(SYSTEM + "v3-ParticipationType", "IRCP")
    return {"resourceType": "Consent", "id": f"{fact['patient']}-{fact['number']}", "status": "active",
            "scope": coded(SYSTEM + "consentscope", "patient-privacy"), "category": [coded("urn:bench", fact["kind"])],
            "patient": {"reference": f"Patient/{fact['patient']}"}, "dateTime": f"2025-01-{fact['number'] + 1:02}",
            "performer": [{"reference": f"Patient/{fact['patient']}"}],
            **({"organization": [{"reference": fact["from"]}]} if with_discloser else {}),
            "sourceReference": {"reference": "DocumentReference/signed"}, "policyRule": coded("urn:bench", fact["kind"]),
            "provision": {"type": "deny" if fact["deny"] else "permit", "period": {"start": "2025-01-01", "end": "2034-12-31"},
                          "actor": [{"role": role, "reference": {"reference": o}} for o in fact["to"]],
                          "purpose": [{"system": SYSTEM + "v3-ActReason", "code": p} for p in fact["for"]]}}


def consents(patient):
    """Of one kind, and to the same recipients, the later one would stand: no two are."""
    made = {}
    while len(made) < CONSENTS:
        fact = consent(patient, len(made))
        made.setdefault((fact["kind"], tuple(fact["to"])), fact)
    return list(made.values())


def known(facts, with_discloser):
    """Per patient, what Cedar is told."""
    out = {}
    for fact in facts:
        of = out.setdefault(fact["patient"], {"given": {k: [] for k in KINDS}, "denied": []})
        into = of["denied"] if fact["deny"] else of["given"][fact["kind"]]
        for discloser in [fact["from"]] if with_discloser else DISCLOSERS:
            for to in fact["to"]:
                into += [{"to": to, "for": purpose, "from": discloser} for purpose in fact["for"]]
    return out


# ---- Questions ----

def case():
    kinds = draw(PARTIES, 1, 2)
    classes = draw(NEEDED, 1, 3) + (draw(RESTRICTING, 1, 1) if RANDOM.random() < 0.3 else [])
    return [f"pt{RANDOM.randrange(PATIENTS)}", ",".join(kinds), RANDOM.choice(ORGANIZATIONS), str(RANDOM.randrange(2)),
            str(int(RANDOM.random() < 0.1)), PURPOSES[RANDOM.choice(list(PURPOSES))], RANDOM.choice(DISCLOSERS), ",".join(classes)]


# ---- Cedar ----

def any_of(parts):
    return parts[0] if len(parts) == 1 else "(" + " || ".join(parts) + ")"


def names(kind, words):
    return "[" + ", ".join(f'{kind}::"{w}"' for w in words) + "]"


def cedar_line(line):
    parts = []
    if "consent" in line:
        ask = "{to: principal.organization, for: context.purpose, from: context.discloser}"
        parts.append(any_of([f"context.given.{kind}.contains({ask})" for kind in line["consent"]]))
    if "purpose" in line:
        parts.append("action in " + names("Action", (PURPOSES[p] for p in line["purpose"])))
    if "relationship" in line:
        parts.append("context.treating")
    if "same-program" in line:
        parts.append("context.discloser == principal.organization")
    if "emergency" in line:
        parts.append("context.emergency")
    return "(" + " && ".join(parts) + ")"


def cedar_who(rule):
    """Party and purpose, then the lines."""
    parts = [] if rule["to"] == "everyone" else ["principal in " + names("Party", rule["to"])]
    parts.append("action in " + names("Action", (PURPOSES[p] for p in rule["for"])))
    if "only-if" in rule:
        parts.append(any_of([cedar_line(l) for l in rule["only-if"]]))
    if "unless" in rule:
        parts.append("!" + any_of([cedar_line(l) for l in rule["unless"]]).join(("(", ")")))
    return " && ".join(parts)


DENIED = ('forbid(principal, action, resource) when { context.denied.contains({to: principal.organization, for: context.purpose, '
          'from: context.discloser}) };\n')


def cedar_by_rule(made):
    """One policy a rule. A record goes if every class of it is allowed, each asked by itself."""
    out = [DENIED, 'permit(principal, action, resource in Kind::"only-restricts");\n']
    for rule in made:
        effect = "permit" if rule["verdict"] == "release" else "forbid"
        out.append(f'@id("{rule["id"]}") {effect}(principal, action, resource) when '
                   f'{{ resource in {names("Class", rule["data"])} && {cedar_who(rule)} }};\n')
    return "".join(out)


def cedar_by_class(made):
    """One policy a class, which forbids what no release of it allows; one a withholding rule. The record is asked once."""
    out = [DENIED, "permit(principal, action, resource);\n"]
    for name in NEEDED:
        yes = [f"({cedar_who(r)})" for r in made if r["verdict"] == "release" and name in r["data"]]
        unless = f" unless {{ {' || '.join(yes)} }}" if yes else ""
        out.append(f'forbid(principal, action, resource) when {{ context.classes.contains("{name}") }}{unless};\n')
    for rule in made:
        if rule["verdict"] == "withhold":
            data = "[" + ", ".join(f'"{c}"' for c in rule["data"]) + "]"
            out.append(f'forbid(principal, action, resource) when {{ context.classes.containsAny({data}) && {cedar_who(rule)} }};\n')
    return "".join(out)


def entities(cases):
    def entity(kind, name, parents=(), **attributes):
        return {"uid": {"type": kind, "id": name}, "attrs": attributes, "parents": [{"type": k, "id": n} for k, n in parents]}
    yield from (entity("Party", p) for p in PARTIES)
    yield from (entity("Kind", k) for k in ("needs-yes", "only-restricts"))
    yield from (entity("Class", c, [("Kind", "needs-yes" if c in NEEDED else "only-restricts")]) for c in NEEDED + RESTRICTING)
    for kinds, organization in sorted({(c[1], c[2]) for c in cases}):
        yield entity("Recipient", f"{kinds}@{organization}", [("Party", k) for k in kinds.split(",")], organization=organization)


def main():
    global RANDOM
    RANDOM = random.Random(20261122)
    folder = sys.argv[1]
    made = list(rules())
    write_policy(os.path.join(folder, "policy"), made)
    facts = [fact for p in range(PATIENTS) for fact in consents(f"pt{p}")]
    cases = [case() for _ in range(CASES)]
    os.makedirs(os.path.join(folder, "cedar"))
    for name, with_discloser in (("plain", False), ("disclosers", True)):
        with open(os.path.join(folder, f"{name}.ndjson"), "w") as out:
            out.writelines(json.dumps(fhir(f, with_discloser), separators=(",", ":")) + "\n" for f in facts)
        with open(os.path.join(folder, "cedar", f"{name}.json"), "w") as out:
            json.dump(known(facts, with_discloser), out)
    with open(os.path.join(folder, "cases.tsv"), "w") as out:
        out.writelines("\t".join(c) + "\n" for c in cases)
    for name, text in (("rules.cedar", cedar_by_rule(made)), ("classes.cedar", cedar_by_class(made)),
                       ("entities.json", json.dumps(list(entities(cases))))):
        with open(os.path.join(folder, "cedar", name), "w") as out:
            out.write(text)


if __name__ == "__main__":
    main()
