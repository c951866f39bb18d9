# SPDX-License-Identifier: Apache-2.0
import glob
import json
import os
import re
import subprocess

import house

PAGE = os.path.join(house.ROOT, "docs", "checks.md")
# Files whose issues are about a policy; yaml.c also serves configuration, whose numbers no policy has.
SOURCES = ["yaml.c", "csv.c", "policy*.c", "scenario.c", "language.c", "element_lists.c", "terminology_load.c", "words.c",
           "packs.c"]
OF_CONFIGURATION = {"expected-number"}
EMITTERS = (r"\b(sl_issue_add|sl_yaml_issue|sl_csv_complain|sl_language_unknown|sl_language_word|sl_language_hint|sl_review_say|at_key|"
            r"refuse_at|refuse)\(")
GRADES = {"ERROR": "error", "WARNING": "warning", "ADVICE": "advice", "NOTE": "note"}
BLOCK = re.compile(r"```(yaml|csv|sh)(?: (\S+))?\n(.*?)```", re.S)


def check(sluice, policies, *words):
    done = subprocess.run([sluice, "policy", "check", policies, *words], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def table():
    with open(os.path.join(house.ROOT, "consent", "checks.def")) as file:
        return {code: GRADES[grade] for code, grade in re.findall(r'^C\("([^"]+)", (\w+),', file.read(), re.M)}


def arguments(text, at):
    """The text between the parenthesis at `at` and the one that closes it; literals count as they stand."""
    depth, quoted, begin = 0, False, at
    while at < len(text):
        if text[at] == "\\" and quoted:
            at += 1
        elif text[at] == '"':
            quoted = not quoted
        elif not quoted and text[at] in "()":
            depth += 1 if text[at] == "(" else -1
            if not depth:
                return text[begin + 1:at]
        at += 1
    raise AssertionError("a call does not end")


def emitted():
    """Every code that stands in a call that makes an issue."""
    codes = set()
    for pattern in SOURCES:
        for path in glob.glob(os.path.join(house.ROOT, "consent", pattern)):
            with open(path) as file:
                text = file.read()
            for call in re.finditer(EMITTERS, text):
                inner = re.sub(r'sl_yaml_(get|require)\([^()]*(\([^()]*\)[^()]*)?\)', "", arguments(text, call.end() - 1))
                literals = re.findall(r'"((?:[^"\\]|\\.)*)"', inner)
                if call.group(1) in ("sl_review_say", "at_key"):  # the key stands before the code
                    literals = literals[1:]
                if literals and re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", literals[0]):
                    codes.add(literals[0])
    return codes - OF_CONFIGURATION


def lay(folder, blocks):
    policies = os.path.join(folder, "policies")
    os.makedirs(policies, exist_ok=True)
    for kind, name, text in blocks:
        if kind == "sh":
            subprocess.run(["bash", "-ec", text], cwd=policies, check=True)
            continue
        path = os.path.normpath(os.path.join(policies, name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
    return policies


def found(sluice, policies):
    registry = os.path.join(os.path.dirname(policies), "registry.yaml")
    words = ["--registry", registry] if os.path.exists(registry) else []
    status, out, err = check(sluice, policies, "--json", *words)
    assert status in (0, 1) and not err, err
    said = json.loads(out)
    assert (status == 1) == (not said["in-order"]), said
    return said


def underlined(issue):
    """What is underlined is part of its line."""
    if issue["width"]:
        assert issue["column"] + issue["width"] - 1 <= len(issue["source"]), issue
        assert issue["source"][issue["column"] - 1] != " ", issue


def examples(sluice, folder, page, codes):
    head, *sections = re.split(r"^### ", page, flags=re.M)
    base = BLOCK.findall(head)
    clean = found(sluice, lay(os.path.join(folder, "base"), base))
    # The small policy is for trying out: it stands on no pack, and says so.
    assert clean["in-order"] and [i["code"] for i in clean["issues"]] == ["packs-absent"], clean["issues"]
    named = [section.split("\n", 1)[0] for section in sections]
    assert sorted(named) == sorted(codes), f"sections and codes differ: {set(named) ^ set(codes)}"
    for number, section in enumerate(sections):
        code, blocks = named[number], BLOCK.findall(section)
        if not blocks:
            assert "No example: " in section, code
            continue
        said = found(sluice, lay(os.path.join(folder, str(number)), base + blocks))
        issues = [i for i in said["issues"] if i["code"] == code]
        assert issues, f"the example of {code} says {[(i['code'], i['text']) for i in said['issues']]}"
        for issue in said["issues"]:
            underlined(issue)
            assert codes[issue["code"]] == issue["grade"], issue
        assert (codes[code] == "error") == (not said["in-order"]), code


def sarif(sluice, policies, codes):
    """The properties that SARIF 2.1.0 requires, and those that it limits."""
    status, out, _ = check(sluice, policies, "--sarif", "-")
    log = json.loads(out)
    assert status == 1 and log["version"] == "2.1.0" and len(log["runs"]) == 1, log
    run = log["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] and {r["id"] for r in rules} == set(codes)
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints") and run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"], result
        assert result["level"] in ("none", "note", "warning", "error") and result["message"]["text"], result
        assert (result["kind"] == "fail") == (result["level"] != "none"), result
        for location in result.get("locations", []):
            place = location["physicalLocation"]
            assert re.fullmatch(r"[A-Za-z0-9._~/:%-]+", place["artifactLocation"]["uri"]), place
            region = place.get("region", {"startLine": 1})
            assert region["startLine"] >= 1 and region.get("startColumn", 1) >= 1, region
            assert region.get("endColumn", 2) > region.get("startColumn", 1), region
    errors = [r for r in run["results"] if r["level"] == "error"]
    assert any(r["ruleId"] == "unknown-verdict" and r["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
               for r in errors), errors


def statuses(sluice, folder, base):
    """0 in order, 1 with errors; warnings and advice count with --strict alone, notes never."""
    broken = lay(os.path.join(folder, "broken"), base + [("yaml", "house/x.yaml", (
        "layer: organization\nrules:\n"
        "  - {id: é, title: R, verdict: relese, data: [chart], to: [plan], for: any}\n"))])
    warned = lay(os.path.join(folder, "warned"), base + [("yaml", "house/x.yaml", (
        "layer: organization\nclasses:\n  - {id: x, title: X, kind: only-restricts, labels: [MH]}\n"))])
    clean = lay(os.path.join(folder, "clean"), base)
    for policies, words, wanted in ((clean, [], 0), (clean, ["--strict"], 0), (warned, [], 0), (warned, ["--strict"], 1),
                                    (broken, [], 1), (broken, ["--json"], 1)):
        status, out, err = check(sluice, policies, *words)
        assert status == wanted, f"{policies} {words}: {status} {out} {err}"
    _, out, err = check(sluice, broken)
    assert "not in order; 2 errors" in out, out
    shown = ('house/x.yaml:3:32: error [unknown-verdict]: No verdict is called "relese".\n'
             "      - {id: é, title: R, verdict: relese, data: [chart], to: [plan], for: any}\n"
             + " " * 35 + "^~~~~~\n" + '    Did you mean "release"?\n')
    assert shown in err, err
    return broken


def clients(sluice, folder, base):
    """Each client for itself: whose entry is in order is not named, and a registry that cannot be read is no empty one."""
    policies = lay(os.path.join(folder, "clients"), base + [("yaml", "house/x.yaml", (
        "layer: organization\nparties:\n"
        "  - {id: biller, title: B, kinds: [business-associate], agreements: [baa], except-kinds: [broker]}\n"
        "  - {id: lab, title: L, kinds: [qso], agreements: [qsoa], services: [laboratory]}\n")),
        ("yaml", "../registry.yaml", (
            "clients:\n"
            "  - {id: good, kinds: [business-associate], agreements: [{kind: baa, until: 2099-01-01}]}\n"
            "  - {id: ended, kinds: [business-associate], agreements: [{kind: baa, until: 2020-01-01}]}\n"
            "  - {id: other, kinds: [qso], agreements: [{kind: qsoa, services: [billing]}]}\n"
            "  - {id: ward, users: [{subject: lee, roles: [physician]}]}\n"))])
    said = [(i["code"], i["line"]) for i in found(sluice, policies)["issues"] if i["file"].endswith("registry.yaml")]
    assert sorted(said) == [("client-agreement-past", 3), ("client-fits-no-party", 3), ("client-fits-no-party", 4),
                            ("client-lacks-agreement", 3), ("client-lacks-agreement", 4)], said
    nobody = [i["text"] for i in found(sluice, policies)["issues"] if i["code"] == "party-without-client"]
    assert any('"lab"' in text for text in nobody) and not any('"biller"' in text for text in nobody), nobody
    status, _, err = check(sluice, policies, "--registry", os.path.join(folder, "nowhere.yaml"))
    assert status == 1 and "registry-unreadable" in err, (status, err)


def scenario(sluice, folder):
    """policy check: each code has its section, each example shows its code, and what is reported is well formed"""
    with open(PAGE) as file:
        page = file.read()
    codes = table()
    assert emitted() == set(codes), f"the table and the source differ: {emitted() ^ set(codes)}"
    examples(sluice, folder, page, codes)
    broken = statuses(sluice, folder, BLOCK.findall(page.split("\n### ")[0]))
    sarif(sluice, broken, codes)
    clients(sluice, folder, BLOCK.findall(page.split("\n### ")[0]))
    shipped = os.path.join(house.ROOT, "consent", "policies")
    said = found(sluice, shipped)
    assert said["in-order"] and not [i for i in said["issues"] if i["grade"] == "warning"], said["issues"]
    return 0


house.main(scenario)
