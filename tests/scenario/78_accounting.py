# SPDX-License-Identifier: Apache-2.0
import json
from datetime import datetime, timedelta, timezone

import house


def scenario(sluice, folder):
    """what went on a consent is in the patient's accounting, and in an intermediary's list, for as long as the law says"""
    records, consents = house.clinic(folder)
    h = house.House(sluice, records=records, consents=consents)
    h.start()
    for kind in ("MedicationRequest", "Condition", "Observation", "Patient"):
        h.ask(f"{kind}?patient=amara" if kind != "Patient" else "Patient/amara", "exchange")
        h.ask(f"{kind}?patient=amara" if kind != "Patient" else "Patient/amara", "desk")
    record = h.ledger(every=True)  # rows are numbered as the ledger's entries are
    h.stop()
    owed = [(i, r) for i, r in enumerate(record)
            if any("account" in item.get("duties", []) and "Patient/amara" in item["patient"] for item in r.get("released", []))]
    h.expect("something went on a consent, and something else did not", 0 < len(owed) < len(record), len(owed))
    h.write("named.yaml", "clients:\n  - {id: exchange, organization-name: North Exchange, address: 1 Main Street}\n")

    def ask(*words, patient="Patient/amara", at=None, expect=0):
        instant = (at or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return h.run("ledger", "accounting", "--patient", patient, "--ledger", h.at("ledger"), "--at", instant, *words,
                     expect=expect)

    rows = json.loads(ask("--json", "--registry", h.at("named.yaml")))
    h.expect("each of these is a row, and no other", [row["entry"] for row in rows["disclosures"]] == [i for i, _ in owed]
             and rows["count"] == len(owed), rows)
    first = rows["disclosures"][0]
    h.expect("with date, recipient, address, description, purpose and consent",
             first["recipient"] == "North Exchange" and first["address"] == "1 Main Street" and
             first["purpose"] == "treatment" and first["basis"].startswith("Consent/") and
             first["date"] == owed[0][1]["time"][:10] and first["description"], first)
    h.expect("text says the same", ask("--registry", h.at("named.yaml")).count("North Exchange, 1 Main Street") == len(owed),
             ask())
    h.expect("of nobody else", json.loads(ask("--json", patient="Patient/nobody"))["count"] == 0, "")

    now = datetime.now(timezone.utc)
    later = now.replace(year=now.year + 3, day=min(now.day, 28)) + timedelta(days=5)
    h.expect("three years and days later none is left", json.loads(ask("--json", at=later))["count"] == 0, "")
    h.expect("in six years they still are", json.loads(ask("--json", "--years", "6", at=later))["count"] == len(owed), "")

    day = now.strftime("%Y-%m-%d")
    mine = json.loads(ask("--intermediary", "--requested", day, "--json"))
    h.expect("an intermediary lists the entities, and by when it answers", mine["count"] == len(owed) and
             mine["answer-by"] == (now + timedelta(days=30)).strftime("%Y-%m-%d") and
             not any("person" in row for row in mine["disclosures"]), mine)
    ask("--years", "5", expect=2)
    ask("--requested", day, expect=2)
    ask(patient="amara", expect=2)
    h.close()
    return h.failures


house.main(scenario)
