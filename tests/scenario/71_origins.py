# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess

import house

P = {"reference": "Patient/p"}
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"


def ref(text, **more):
    return {"reference": text, **more}


def made(kind, ident, **members):
    return {"resourceType": kind, "id": ident, **members}


DIRECTORY = [made("Organization", "harbor", name="Harbor"), made("Organization", "unit", partOf=ref("Organization/harbor")),
             made("Organization", "lake", name="Lakeside"), made("Location", "site", managingOrganization=ref("Organization/unit")),
             made("PractitionerRole", "role", organization=ref("Organization/harbor")), made("Patient", "p"),
             made("Group", "circle", type="person", actual=True, managingEntity=ref("Organization/harbor")),
             made("Encounter", "theirs", status="finished", subject=P, serviceProvider=ref("Organization/harbor")),
             made("Encounter", "ours", status="finished", subject=P, serviceProvider=ref("Organization/lake"))]


def observation(**members):
    return made("Observation", "x", status="final", code={"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                **{"subject": P, **members})


def plan(**members):
    return made("CarePlan", "x", status="active", intent="plan", subject=P, encounter=ref("Encounter/ours"), **members)


# By each of these the program made it, or it is about the program's: the whole record stays behind.
WITHHELD = {
    "performer": observation(performer=[ref("Organization/harbor")]),
    "unit of the program": observation(performer=[ref("Organization/unit")]),
    "role": observation(performer=[ref("PractitionerRole/role")]),
    "version": observation(performer=[ref("Organization/harbor/_history/2")]),
    "another name of the server": observation(performer=[ref("https://ehr.example/fhir/Organization/harbor")]),
    "another name and version": observation(performer=[ref("https://ehr.example/fhir/Organization/harbor/_history/2")]),
    "meta.source": observation(meta={"source": "https://ehr.example/fhir/Organization/harbor#7"}),
    "encounter": observation(encounter=ref("Encounter/theirs")),
    "contained unit": observation(performer=[ref("#o")], contained=[made("Organization", "o", partOf=ref("Organization/harbor"))]),
    "subject is its place": observation(subject=ref("Location/site")),
    "subject is its group": observation(subject=ref("Group/circle")),
    "focus is the program": observation(focus=[ref("Organization/harbor")]),
    "focus is its visit": observation(focus=[ref("Encounter/theirs")]),
}
# By each of these it is mentioned: the words beside the reference go with it, the rest stays.
CUT = {
    "addresses": plan(addresses=[ref("Encounter/theirs", display="TRACE")]),
    "another name of the server": plan(supportingInfo=[ref("https://ehr.example/fhir/Organization/harbor", display="TRACE")]),
    "extension": plan(extension=[{"url": "http://x.example", "valueReference": ref("Organization/harbor", display="TRACE")}]),
    "half of a primitive": plan(_status={"extension": [{"url": "http://x.example", "valueReference": ref("Organization/harbor")}]}),
    "assigner": plan(identifier=[{"value": "TRACE", "assigner": ref("Organization/harbor")}]),
    "contained": plan(contained=[made("Condition", "c", subject=P, encounter=ref("Encounter/theirs"), code={"text": "TRACE"})],
                      addresses=[ref("#c", display="TRACE")]),
}
# The same of a place that is no program: released whole, to the last word.
RELEASED = {
    "performer": observation(performer=[ref("Organization/lake", display="Lakeside")]),
    "another server's": observation(performer=[ref("https://other.example/fhir/Organization/lake", display="TRACE")]),
    "mention": plan(supportingInfo=[ref("Encounter/ours", display="TRACE")]),
}


def escaped(text):
    """Every string value with its first letter as an escape: the same verdict."""
    def walk(value, key=None):
        if isinstance(value, dict):
            return {k: walk(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v, key) for v in value]
        return f"\0{ord(value[0]):04x}{value[1:]}" if isinstance(value, str) and value else value
    return json.dumps(walk(json.loads(text))).replace("\\u0000", "\\u")


def scenario(sluice, folder):
    """what a program made stays behind and what mentions it is cut, by whatever path and in whatever spelling"""
    failures = 0

    def ask(resource):
        done = subprocess.run([sluice, "segment", "--policy", os.path.join(house.ROOT, "consent", "policies"), "--as",
                               "treating-provider", "--for", "TREAT", "--programs", "Organization/harbor"],
                              input="".join(json.dumps(r) + "\n" for r in DIRECTORY) + resource + "\n", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return next((line for line in done.stdout.splitlines() if json.loads(line)["id"] == "x"), None)

    def expect(what, true, detail):
        nonlocal failures
        if not true:
            failures += 1
            print(f"  FAILED: {what}: {detail}")

    for form in (lambda text: text, escaped):
        for name, resource in WITHHELD.items():
            expect(f"{name}: withheld", ask(form(json.dumps(resource))) is None, resource)
        for name, resource in CUT.items():
            out = ask(form(json.dumps(resource)))
            clean = out and "TRACE" not in json.dumps(json.loads(out)) and "harbor" not in out and "theirs" not in out
            expect(f"{name}: cut", clean, out)
        for name, resource in RELEASED.items():
            out = json.loads(ask(form(json.dumps(resource))) or "{}")
            expect(f"{name}: released whole", {k: v for k, v in out.items() if k != "meta"} == resource, out)
    bundle = {"resourceType": "Bundle", "type": "collection", "meta": {"security": [{"code": "42CFRPart2", "system":
              "http://terminology.hl7.org/CodeSystem/v3-ActCode"}]}, "entry": [{"resource": r} for r in DIRECTORY]}
    done = subprocess.run([sluice, "segment", "--policy", os.path.join(house.ROOT, "consent", "policies"), "--as",
                           "treating-provider", "--for", "TREAT", "--programs", "Organization/harbor"],
                          input=json.dumps(bundle), capture_output=True, text=True)
    expect("the labels of a Bundle are of what is in it", done.returncode == 0 and "42CFRPart2" not in done.stdout, done.stdout[:300])
    print(f"  {2 * (len(WITHHELD) + len(CUT) + len(RELEASED)) + 1} cases, {failures} failed")
    return failures


house.main(scenario)
