# SPDX-License-Identifier: Apache-2.0
import datetime
import json
import os
import shutil

import house

PATIENT = {"resourceType": "Patient", "id": "p", "active": True, "name": [{"family": "Byrd", "given": ["Ada"]}],
           "telecom": [{"system": "phone", "value": "555-0100"}], "birthDate": "1974-12-25",
           "address": [{"line": ["1 Main St"], "city": "Burlington", "state": "VT", "postalCode": "05401"}]}
CLAIM = {"resourceType": "Claim", "id": "claim", "status": "active", "use": "claim", "created": "2026-01-05",
         "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "professional"}]},
         "patient": {"reference": "Patient/p"}, "provider": {"reference": "Organization/lakeside-primary"},
         "priority": {"coding": [{"code": "normal"}]}, "insurance": [{"sequence": 1, "focal": True, "coverage": {"display": "plan"}}],
         "item": [{"sequence": 1, "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "99213"}]},
                   "quantity": {"value": 1}, "net": {"value": 80.10, "currency": "USD"}},
                  {"sequence": 2, "productOrService": {"coding": [{"system": "http://www.ama-assn.org/go/cpt", "code": "85025"}]},
                   "net": {"value": 11.00, "currency": "USD"}}],
         "total": {"value": 91.10, "currency": "USD"}}
COUNT = {"resourceType": "Observation", "id": "count", "status": "final", "subject": {"reference": "Patient/p"},
         "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]}, "effectiveDateTime": "2026-01-05",
         "valueQuantity": {"value": 13.10, "unit": "g/dL"}, "device": {"display": "the analyzer"}}
GOAL = {"resourceType": "Goal", "id": "goal", "lifecycleStatus": "active", "description": {"text": "walk"},
        "subject": {"reference": "Patient/p"}}
BILLED = """
  - id: billed
    title: What is billed, without its prices
    others: none
    records:
      - {type: Claim, keep: [status, type, use, patient, created, provider, priority, insurance, item.sequence, item.productOrService]}
"""
AGED = [{"resourceType": "Condition", "id": f"at{age}", "subject": {"reference": "Patient/p"}, "code": {"coding": [
    {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "I10"}]}, "onsetAge": {
        "value": age, "unit": "years", "system": "http://unitsofmeasure.org", "code": "a"}} for age in (30, 60, 89, 93, 95)]
RULES = """
  - {id: plan-sees-bills, title: The plan sees what is billed., verdict: release, data: [billing], to: [health-plan], for: [payment], limit-to: billed}
  - {id: records-are-held, title: The officer decides what an agent gets of findings., verdict: hold, data: [chart], to: [ai-agent], for: any}
  - {id: study-sees-years, title: Research sees the person without names and days., verdict: release, data: [demographic, chart], to: [research-feed], for: [research], change: [dates-to-year, ages-over-89, no-names, no-address-below-state, no-contact, no-identifiers], then: {notify: yes, review-within: 30 days}}
"""


def edited(folder):
    """The shipped policy, with a narrower list for bills, what is held, and what is changed."""
    shipped = os.path.join(house.ROOT, "consent")
    for name in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(shipped, name), os.path.join(folder, name))
    os.remove(os.path.join(folder, "policies", "house", "invariants.yaml"))  # which would refuse research a person
    rules = os.path.join(folder, "policies", "house", "rules.yaml")
    with open(rules) as file:
        text = file.read()
    with open(rules, "w") as file:
        file.write(text.replace("data: [billing, demographic, chart, received-under-tpo]", "data: [demographic, chart, received-under-tpo]")
                   + RULES)
    lists = os.path.join(folder, "policies", "house", "element-lists.yaml")
    with open(lists, "a") as file:
        file.write(BILLED)
    return os.path.join(folder, "policies")


def scenario(sluice, folder):
    """a plan gets the limited claim; research the changed person, which no search sees behind; what is held is not there, and in the queue"""
    records = os.path.join(folder, "records.ndjson")
    with open(records, "w") as file:
        for record in (PATIENT, CLAIM, COUNT, GOAL, *AGED, {"resourceType": "Organization", "id": "lakeside-primary"}):
            file.write(json.dumps(record) + "\n")
    h = house.House(sluice, records=[records], policies=edited(folder))
    h.start()

    # ---- Limits ----
    read = lambda path, caller: (lambda a: (a[0], json.loads(a[2])))(h.ask(path, caller))
    status, claim = read("Claim/claim", "plan")
    h.expect("the plan gets the claim", status == 200, status)
    h.expect("each line with what is billed, and no price", [sorted(i) for i in claim.get("item", [])] == [["productOrService", "sequence"]] * 2, claim)
    h.expect("and no total", "total" not in claim and "insurance" in claim, claim)
    h.expect("other callers' claims are whole", read("Claim/claim", "ward")[1].get("total", {}).get("value") == 91.1)
    _, count = read("Observation/count", "plan")
    h.expect("a finding goes by the payer's minimum", "valueQuantity" in count and "device" not in count, count)
    nothing = h.ask("Goal/no-such", "plan")
    goal = h.ask("Goal/goal", "plan")
    same = lambda a, b: a[0] == b[0] and a[2] == b[2]
    h.expect("what no list names is as if it were not there", same(goal, nothing), (goal, nothing))
    h.expect("a search by what was cut finds nothing", h.ids("Observation?device=Device/x", "plan") == [])

    # ---- Changes ----
    _, person = read("Patient/p", "study")
    h.expect("a day is a year, names and numbers are gone", person.get("birthDate") == "1974" and "name" not in person
             and person.get("address") == [{"state": "VT", "postalCode": "054"}] and "telecom" not in person, person)
    h.expect("a search by the day finds nothing", h.ids("Patient?birthdate=1974-12-25", "study") == [])
    h.expect("nor tells before or after", h.ids("Patient?birthdate=gt1974-12-26", "study") == ["p"] and
             h.ids("Patient?birthdate=lt1974-12-01", "study") == ["p"])
    h.expect("by the year it finds", h.ids("Patient?birthdate=1974", "study") == ["p"] and h.ids("Patient?birthdate=1975", "study") == [])
    h.expect("by the postal code, what is left of it", h.ids("Patient?address-postalcode=05401", "study") == [] and
             h.ids("Patient?address-postalcode:exact=054", "study") == ["p"])
    for query, ids in (("90", ["at93", "at95"]), ("ge90", ["at93", "at95"]), ("gt60", ["at89", "at93", "at95"]), ("93", []), ("gt93", []), ("lt90", [
            "at30", "at60", "at89"]), ("90||years", ["at93", "at95"]), ("95|http://unitsofmeasure.org|a", []), ("90|http://unitsofmeasure.org|a", [
            "at93", "at95"])):
        h.expect(f"an age is found as it is shown: {query}", h.ids(f"Condition?onset-age={query}", "study") == ids,
                 h.ids(f"Condition?onset-age={query}", "study"))
    order = [e["resource"]["id"] for e in read("Condition?_sort=-onset-age", "study")[1]["entry"] if e["search"]["mode"] == "match"]
    h.expect("and put in order as it is shown", order == ["at93", "at95", "at89", "at60", "at30"], order)
    h.expect("who treats searches by the day", h.ids("Patient?birthdate=1974-12-25", "ward") == ["p"])

    # ---- The queue ----
    missing = h.ask("Observation/no-such", "agent")
    held = h.ask("Observation/count", "agent")
    h.expect("what is held is as if it were not there", same(held, missing), (held, missing))
    for _ in range(3):
        h.ask("Observation?patient=p", "agent")
    queue = lambda *words, **more: h.run("queue", *words, "--store", h.at("policy"), "--ledger", h.at("ledger"), **more)
    lines = [l for l in queue("list").splitlines() if l.startswith("*")]
    held_lines = [l for l in lines if "records-are-held" in l and "Observation/count" in l]
    h.expect("it stands in the queue, once however often asked", len(held_lines) == 1, lines)
    duty = [l for l in lines if "study-sees-years" in l and "Patient/p" in l]
    due = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)).strftime("%Y-%m-%d")
    h.expect("and so does what the officer is told and must review, with its day", len(duty) == 1 and "told, to review" in duty[0] and due in duty[0], duty)
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=31)).strftime("%Y-%m-%dT%H:%M:%SZ")
    h.expect("after which it is overdue", "OVERDUE" in queue("list", "--at", later))
    number = held_lines[0].split()[1]
    h.expect("an entry tells how often it was asked", "asked: 4 times" in queue("show", number), queue("show", number))
    queue("done", number, "--why", "the agent does not need it", "--by", "officer")
    h.expect("done, it is off the list", number not in [l.split()[1] for l in queue("list").splitlines() if l.startswith("*")])
    h.expect("and on the longer one, with who and why", "done-by: officer" in queue("show", number) and
             "done-why: the agent does not need it" in queue("show", number))
    queue("done", number, "--why", "again", "--by", "officer", expect=1)
    h.ask("Observation/count", "agent")
    again = [l for l in queue("list").splitlines() if l.startswith("*") and "records-are-held" in l]
    h.expect("asked again, it is a new entry", len(again) == 1 and again[0].split()[1] != number, again)
    released = [i for r in h.ledger() for i in r["released"] if i["item"] == "Claim/claim" and "limited-to" in i]
    h.expect("the ledger says by which list a release was limited", released and released[0]["limited-to"] == ["billed"], released)
    h.close()
    return h.failures


house.main(scenario)
