#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess
import time

import house


def scenario(sluice, folder):
    """the program table is checked, says what it makes of records, and lists what it does not name: by files and beside a gateway"""
    (records,), consents = house.clinic(folder)
    table = os.path.join(folder, "programs.yaml")
    h = house.House(sluice, records=[records])

    def run(*words, given=None):
        with open(given or os.devnull) as text:
            done = subprocess.run([h.sluice, "programs", *words], stdin=text, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    h.expect("a table in order", run("check", table)[:2] == (0, f"{table}: in order\n"))
    broken = os.path.join(folder, "broken.yaml")
    with open(broken, "w") as out:
        out.write("programs:\n  - source: Organization/x\n    is: programme\n  - {is: program, identifiers: [{npi: '1234567890'}]}\n")
    status, _, said = run("check", broken)
    h.expect("a table that is not, with each place", status == 1 and f"{broken}:3:9" in said and f"{broken}:4:" in said and
             'Did you mean "program"' in said and "[bad-npi]" in said, said)

    status, out, _ = run("check", table, records)
    lines = dict((line.split()[1], line) for line in out.splitlines()[:-1] if "/" in line)
    for name, words in {"Observation/bruno-otp-bp": "program  Observation/bruno-otp-bp  Organization/harbor-recovery",
                        "Condition/bruno-pc-diabetes": "not      Condition/bruno-pc-diabetes",
                        "Condition/lena-odd-oud": "unknown  Condition/lena-odd-oud",
                        "Encounter/jonas-detox-transfer":
                            "program  Encounter/jonas-detox-transfer  Organization/brigid-detox (by Location/brigid-detox-site)",
                        "Patient/petra": "program  Patient/petra  Organization/harbor-recovery"}.items():
        h.expect(f"what it makes of {name}", lines.get(name, "").startswith(words), lines.get(name))

    def sources(text):
        """source: volume; the last line is the sum."""
        return {m[2]: int(m[1]) for m in re.finditer(r"^ *(\d+)  (\S+)  ", text, re.M)}

    status, out, _ = run("unknown", "--programs", table, given=records)
    unknown = sources(out)
    h.expect("what it does not name, by volume", status == 0 and unknown.get("Organization/nobody-configured") == 1 and
             unknown.get("Practitioner/nobody-known") == 1 and list(unknown.values()) == sorted(unknown.values(), reverse=True), out)
    h.expect("with types and an example", "Condition 1; as Condition/lena-odd-oud" in out, out)
    h.expect("and no content", "Fentanyl" not in out and "Nwosu" not in out and "display" not in out)
    status, beside, said = run("unknown", "--config", h.at("sluice.yaml"))
    h.expect("of a gateway's store the same", status == 0 and sources(beside) == unknown, beside + said)

    configured = os.path.join(folder, "configured.yaml")
    with open(table) as old, open(configured, "w") as new:
        new.write(old.read() + "".join(f"  - {{source: {s}, is: not}}\n" for s in unknown if not s.startswith("(")))
    status, out, _ = run("unknown", "--programs", configured, given=records)
    h.expect("once they are in the table, they are gone", not [s for s in sources(out) if s in unknown and not s.startswith("(")], out)

    # Without an embedded store: what the label book of a gateway has come to know.
    def answer(path, handler):
        kind, ids = path.split("?")[0].rsplit("/", 1)[1], re.findall(r"_id=([^&]*)", path)
        there = {"Encounter": [{"resourceType": "Encounter", "id": "odd", "status": "finished", "class": {"code": "AMB"},
                                "subject": {"reference": "Patient/p"}, "serviceProvider": {"reference": "Organization/odd-place"}}],
                 "Organization": [{"resourceType": "Organization", "id": "odd-place"}],
                 "Observation": [] if ids else [{"resourceType": "Observation", "id": "a", "status": "final",
                                                 "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                                                 "subject": {"reference": "Patient/p"}, "encounter": {"reference": "Encounter/odd"}}]}
        house.send(handler, json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [
            {"resource": r, "search": {"mode": "match"}} for r in there.get(kind, [])]}))

    upstream = house.Upstream(answer)
    other = house.House(sluice, upstream=upstream.url, extra="labels:\n  book: book\n")
    other.start()
    h.expect("an ordinary record of unknown source goes", b'"a"' in other.ask("Observation?patient=p")[2])
    for _ in range(100):
        status, out, said = run("unknown", "--config", other.at("sluice.yaml"))
        if "odd-place" in out:
            break
        time.sleep(0.1)
    h.expect("and the book knows which", sources(out) == {"Organization/odd-place": 1}, out + said)
    other.close()
    bookless = house.House(sluice, upstream=upstream.url)
    h.expect("where there is nothing to look into, it says so", run("unknown", "--config", bookless.at("sluice.yaml"))[0] == 1)
    bookless.close()
    for words in ([], ["nonsense"], ["check"], ["check", "--programs"]):
        h.expect(f"usage: {' '.join(words) or 'nothing'}", run(*words)[0] == 2)
    failures = h.failures + other.failures
    h.close()
    return failures


if __name__ == "__main__":
    house.main(scenario)
