# SPDX-License-Identifier: Apache-2.0
import os
import time

import house

house.REGISTRY += """  - id: court
    kinds: [court]
    organization: Organization/court
    purposes: [HLEGAL]
  - id: police
    kinds: [law-enforcement]
    purposes: [HLEGAL]
  - id: phone
    kinds: [patient-app]
    roles: [patient]
    purposes: [PATRQT]
"""
house.CALLERS.update({"court": "HLEGAL", "police": "HLEGAL"})

ORDER = {"patient": "Patient/jonas", "form": "2.64", "until": "2099-12-31", "court": "Circuit Court", "case": "In re Doe 26-118",
         "instrument": "subpoena 26-118-7", "notice": "patient and program, 2026-09-01", "recipients": ["Organization/court"],
         "items": ["Encounter/jonas-detox-stay"], "why": "ordered", "by": "officer"}


def add(h, kind, fields, expect=0):
    words = ["register", "add", kind, "--store", h.at("policy")]
    for key, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{key}", one]
    h.run(*words, expect=expect)
    lines = h.run("register", "list", "--store", h.at("policy")).splitlines()
    return lines[-1].lstrip("* ").split()[0] if lines else ""


def end(h, number):
    h.run("register", "end", number, "--why", "done", "--by", "officer", "--store", h.at("policy"))


def until(what, wanted, seconds=3):
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        if what() == wanted:
            return True
        time.sleep(0.05)
    return False


def a_court_gets_what_is_ordered(h):
    seen = lambda caller="court", kind="Condition": h.ids(f"{kind}?patient=jonas", caller)
    h.expect("without an order a court gets nothing", seen() == [] and seen(kind="Encounter") == [], seen())
    ward = seen("ward")
    for half in ("instrument", "court", "case", "notice"):
        number = add(h, "court-order", {k: v for k, v in ORDER.items() if k != half})
        time.sleep(0.4)
        h.expect(f"an order without its {half} is nothing", seen() == [], seen())
        shown = h.run("register", "show", number, "--store", h.at("policy"))
        h.expect(f"and the register says so ({half})", "nothing yet" in shown, shown)
        end(h, number)
    number = add(h, "court-order", ORDER)
    h.expect("both halves: what it names goes, and what hangs on that visit",
             until(lambda: (seen(), seen(kind="Encounter")), (["jonas-detox-alcohol"], ["jonas-detox-stay"])), (seen(), seen(kind="Encounter")))
    status, _, body = h.ask("Condition/jonas-detox-alcohol", "court")
    h.expect("it is marked", status == 200 and b"RedisclosureProhibitionMark" in body, (status, body[:400]))
    h.expect("to nobody else", seen("ward") == ward and seen("police") == [] and seen("plan") == h.ids("Condition?patient=jonas", "plan"))
    h.expect("of another patient nothing", h.ids("Condition?patient=kei", "court") == [])
    end(h, number)
    h.expect("ended, it is over for the next response", until(seen, []), seen())
    for what, fields in (("another recipient", {"recipients": ["Organization/other"]}), ("another record", {"items": ["Encounter/x"]}),
                         ("another patient", {"patient": "Patient/kei"}), ("a last day that is past", {"until": "2026-01-31"})):
        number = add(h, "court-order", {**ORDER, **fields})
        time.sleep(0.4)
        h.expect(f"an order with {what} gives nothing", seen() == [], (what, seen()))
        end(h, number)
    number = add(h, "court-order", {**ORDER, "recipients": ["client:police"]})
    time.sleep(0.4)
    h.expect("an order for other ends never serves a prosecution", seen("police") == [], seen("police"))
    end(h, number)
    number = add(h, "court-order", {**ORDER, "recipients": ["client:police"], "form": "2.65"})
    h.expect("one to prosecute does", until(lambda: seen("police"), ["jonas-detox-alcohol"]), seen("police"))
    end(h, number)
    add(h, "court-order", {**ORDER, "form": "2.66"}, expect=1)


def a_restriction_is_kept(h):
    seen = lambda caller: h.ids("Condition?patient=nora", caller)
    before = {c: seen(c) for c in ("ward", "exchange", "plan")}
    one = before["exchange"][0]
    number = add(h, "agreed-restriction", {"patient": "Patient/nora", "items": [f"Condition/{one}"], "recipients": ["party:hie-partner"],
                                           "why": "asked for", "by": "officer"})
    h.expect("the partner loses what was agreed to be kept from it",
             until(lambda: seen("exchange"), [x for x in before["exchange"] if x != one]), seen("exchange"))
    h.expect("others do not", {c: seen(c) for c in ("ward", "plan")} == {c: before[c] for c in ("ward", "plan")})
    h.expect("by name it is not there", h.ask(f"Condition/{one}", "exchange")[0] == 404)
    rest = [h.ask(f"Condition/{x}", "exchange")[2] for x in before["exchange"] if x != one]
    end(h, number)
    h.expect("ended, it is there again", until(lambda: seen("exchange"), before["exchange"]), seen("exchange"))
    h.expect("and the others never told of it", rest == [h.ask(f"Condition/{x}", "exchange")[2] for x in before["exchange"] if x != one])


def a_hold_is_not_seen(h):
    token = h.run("token", "issue", "--key", h.at("issuer.pem"), "--issuer", house.ISSUER, "--audience", h.base, "--client", "phone",
                  "--user", "nora", "--fhir-user", "Patient/nora", "--patient", "nora", "--role", "patient", "--scope", "patient/*.rs",
                  "--purpose", "PATRQT").strip()
    h.tokens["nora"] = token
    seen = lambda: h.ids("Condition?patient=nora", "nora")
    before, ward = seen(), h.ids("Condition?patient=nora", "ward")
    h.expect("the patient reads her record", len(before) > 1, before)
    one = before[0]
    number = add(h, "endangerment", {"patient": "Patient/nora", "items": [f"Condition/{one}"], "professional": "Dr. A. Reyes, license 123",
                                     "review": "2099-01-01", "why": "would endanger her", "by": "officer"})
    h.expect("what is held is not there for her", until(seen, [x for x in before if x != one]), seen())
    held, never = h.ask(f"Condition/{one}", "nora"), h.ask("Condition/never-was", "nora")
    h.expect("as if it had never been", held[0] == never[0] == 404 and held[2].replace(one.encode(), b"") == never[2].replace(b"never-was", b""),
             (held, never))
    h.expect("who treats her has it", h.ids("Condition?patient=nora", "ward") == ward)
    add(h, "endangerment", {"patient": "Patient/nora", "why": "x", "by": "officer"}, expect=1)
    end(h, number)
    h.expect("ended, it is there again", until(seen, before), seen())


def scenario(sluice, folder):
    """a court gets what it ordered with both halves there; what was agreed to be kept stays; a hold leaves no trace"""
    records, consents = house.clinic(os.path.join(folder, "clinic"))
    h = house.House(sluice, records=records, consents=consents).start()
    for part in (a_court_gets_what_is_ordered, a_restriction_is_kept, a_hold_is_not_seen):
        part(h)
    h.close()
    return h.failures


house.main(scenario)
