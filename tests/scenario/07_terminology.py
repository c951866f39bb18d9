# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import subprocess

import house

SCT, LOCAL = "http://snomed.info/sct", "urn:oid:1.2.840.114350.1.13.999.2.7"


def value_set(**members):
    return json.dumps({"resourceType": "ValueSet", "status": "active", "title": "Our lists, \"local\"", **members})


def scenario(sluice, folder):
    """A site imports value sets: what changes is shown first, nothing broken is written, what is written counts."""
    at = lambda *words: os.path.join(folder, *words)
    os.mkdir(at("my"))
    for name in ("policies", "terminology", "lexicon"):
        shutil.copytree(os.path.join(house.ROOT, "consent", name), at("my", name))
    lists, policy = at("my", "terminology"), at("my", "policies")

    def put(name, text):
        with open(at(name), "w") as file:
            file.write(text)
        return at(name)

    def terms(*words, status=0):
        done = subprocess.run([sluice, "terminology", *words, "--policy", policy], capture_output=True, text=True)
        said = done.stdout + done.stderr
        assert done.returncode == status, f"exit {done.returncode}, not {status}: {said}"
        return said

    def classes(resource):
        done = subprocess.run([sluice, "label", "--policy", policy], input=json.dumps(resource), capture_output=True,
                              text=True)
        return set(json.loads(done.stdout.splitlines()[0])["classes"])

    def observation(system, code):
        return {"resourceType": "Observation", "id": f"o{code}", "status": "final",
                "code": {"coding": [{"system": system, "code": code}]}, "subject": {"reference": "Patient/p"}}

    # What a code is, and which row says so.
    assert "codes-icd10cm.csv:" in terms("lookup", "F11.20", "--system", "http://hl7.org/fhir/sid/icd-10-cm")
    assert "prefix F11" in terms("lookup", "F11.99999", "--system", "icd-10-cm")
    assert "of hcpcs" in terms("lookup", "H0020", "--system", "icd-10-cm")
    assert "judged, and found not" in terms("lookup", "160903007", "--system", SCT)
    assert "nobody here knows" in terms("lookup", "7", "--system", LOCAL)
    assert "snomed-ct|75544000" in terms("lookup", "75544000")
    terms("lookup", status=2)

    # An expansion: nested entries count, groups that stand for others do not.
    file = put("site.json", value_set(expansion={"timestamp": "2026-01-01", "total": 4, "contains": [
        {"system": SCT, "abstract": True, "code": "64572001", "contains": [{"system": SCT, "code": "38341003"}]},
        {"system": SCT, "code": "75544000"}, {"system": LOCAL, "code": "77", "display": "ours"}]}))
    records = put("records.ndjson", "\n".join(json.dumps(observation(*o)) for o in (
        (SCT, "38341003"), (SCT, "75544000"), (LOCAL, "77"), (LOCAL, "78"), (SCT, "44054006"))))
    before = sorted(os.listdir(lists))
    said = terms("import", file, "--category", "SUD_OPIOID", "--records", records)
    assert "3 codes, 1 of them said just so" in said, said
    assert "snomed-ct|38341003: +SUD_OPIOID; no class -> sud, opioid" in said, said
    assert f"{LOCAL}|77: +SUD_OPIOID (now known)" in said, said
    assert "2 of 5 records in 1 files change class" in said, said
    assert "+sud" in said and "-unclassified" in said, said
    assert sorted(os.listdir(lists)) == before, "written without --apply"
    assert "sud" not in classes(observation(SCT, "38341003"))

    terms("import", file, "--category", "SUD_OPIOID", "--apply")
    assert set(os.listdir(lists)) - set(before) == {"codes-site-site.csv", "systems-site-site.csv"}, os.listdir(lists)
    assert {"sud", "opioid"} <= classes(observation(SCT, "38341003"))
    assert "sud" in classes(observation(LOCAL, "77")) and "unclassified" not in classes(observation(LOCAL, "77"))
    # Its neighbours in the same system are no better known than before.
    assert "unclassified" in classes(observation(LOCAL, "78"))
    assert "codes-site-site.csv:" in terms("lookup", "38341003", "--system", SCT)
    assert subprocess.run([sluice, "policy", "check", policy], capture_output=True).returncode == 0
    again = terms("import", file, "--category", "SUD_OPIOID", "--apply")
    assert "\n0 codes change of 3" in again, again

    # CSV, as a spreadsheet writes it; in the place of what was there under this name, weaker evidence too.
    file = put("ours.csv", "\ufeffCode,Display,System,Evidence,Category\r\n38341003,\"High, blood\"," + SCT +
               ",weak,SUD_OTHER\r\n5602001,x,http://snomed.info/sct,weak,SUD_OPIOID\r\n78,y," + LOCAL + ",,none\r\n")
    said = terms("import", file, "--name", "Site", "--apply")
    assert "+SUD_OTHER (weak) -SUD_OPIOID" in said and f"{LOCAL}|77: -SUD_OPIOID (no longer known)" in said, said
    assert "+SUD_OPIOID (weak) -SUD_OPIOID; sud, opioid -> substance-evidence" in said, said
    assert classes(observation(SCT, "38341003")) >= {"substance-evidence"}
    assert "sud" not in classes(observation(SCT, "5602001"))
    assert "unclassified" not in classes(observation(LOCAL, "78"))
    assert "unclassified" in classes(observation(LOCAL, "77"))

    # What cannot be trusted is refused, and what is in force stays.
    kept = open(os.path.join(lists, "codes-site-site.csv")).read()
    broken = {
        "by a rule": value_set(compose={"include": [{"system": SCT, "filter": [
            {"property": "concept", "op": "is-a", "value": "75544000"}]}]}),
        "whole system": value_set(compose={"include": [{"system": SCT}]}),
        "excludes": value_set(compose={"include": [{"system": SCT, "concept": [{"code": "38341003"}]}],
                                       "exclude": [{"system": SCT, "concept": [{"code": "75544000"}]}]}),
        "a page": value_set(expansion={"total": 9, "contains": [{"system": SCT, "code": "38341003"}]}),
        "no code": value_set(),
        "no system": value_set(expansion={"contains": [{"code": "38341003"}]}),
        "not SNOMED": value_set(expansion={"contains": [{"system": SCT, "code": "F11.20"}]}),
        "no value set": '{"resourceType":"Patient"}',
        "no JSON": '{"resourceType":',
        "no column": "concept,system\n38341003,x\n",
        "bad evidence": "code,system,category,evidence\n38341003," + SCT + ",SUD_OTHER,maybe\n",
        "bad category": "code,system,category\n38341003," + SCT + ",SUD_NEW\n",
        "cut short": "code,system,category\n\"38341003," + SCT + ",SUD_OTHER\n",
        "empty": "",
    }
    for what, text in broken.items():
        said = terms("import", put("broken", text), "--category", "SUD_OTHER", "--name", "site", "--apply", status=1)
        assert "error" in said, (what, said)
        assert open(os.path.join(lists, "codes-site-site.csv")).read() == kept, what
        assert not [n for n in os.listdir(lists) if n.endswith(".new")], what
    terms("import", put("x.json", value_set(expansion={"contains": [{"system": SCT, "code": "38341003"}]})), status=1)
    terms("diff", file, "--name", "site", "--apply", status=2)
    assert "0 codes change" in terms("diff", file, "--name", "site")
    # A folder that cannot be written leaves no half a file.
    shutil.rmtree(lists)
    terms("import", file, "--apply", status=1)
    return 0


house.main(scenario)
