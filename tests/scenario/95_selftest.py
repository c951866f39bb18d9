# SPDX-License-Identifier: Apache-2.0
import os
import re
import socket
import subprocess

import house


def numbers(text):
    found = re.search(r"self-test passed: (\d+) canaries of (\d+) classes, asked for (\d+) times in \d+ forms as (\d+) parties; (\d+) times", text)
    return [int(n) for n in found.groups()] if found else None


def said(h):
    done = subprocess.run([h.sluice, "selftest", "--config", h.at("sluice.yaml")], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def scenario(sluice, folder):
    """canaries of each class are asked for before anybody is let in, and what has examined nothing says no"""
    os.environ["TMPDIR"] = folder  # whatever others that run beside this one leave
    h = house.House(sluice)
    h.start()
    status, out, err = said(h)
    whole = numbers(out)
    h.expect("beside a running gateway the whole test passes, and says what it has seen",
             status == 0 and whole and whole[0] >= 600 and whole[1] >= 50 and whole[3] >= 9 and whole[4] > 500, (status, out[-2000:], err))
    short = numbers(h.logged())
    h.expect("it runs before the port opens", short and h.logged().index("self-test passed") < h.logged().index("serving http"), h.logged()[:500])
    h.expect("of the same classes", short and whole and short[1] == whole[1] and 100 < short[2] < whole[2] / 10, (short, whole))
    forms = {m[0]: [int(n) for n in m[1:6]] + [m[6].strip()] for m in
             re.findall(r"^([a-z-]+) +(\d+) +(\d+) +(\d+) +(\d+) +(\d+) *(.*)$", out, re.M)}
    blind = [name for name, row in forms.items() if row[5] != "shows none to anybody" and not (row[1] and row[2])]
    h.expect("every form is told, with what it could show and who asked", len(forms) > 50 and not blind, blind)
    h.expect("nothing of it is in the ledger", h.ledger() == [])
    h.expect("nor among the records", h.ids("Observation") == [] and h.ask("Patient/sluice-selftest-person")[0] == 404)
    left = [name for name in os.listdir(os.environ["TMPDIR"]) if name.startswith("sluice-selftest-")]
    h.expect("nothing stays behind", not left, left)
    h.close()

    narrow = house.House(sluice, extra="limits:\n  exchange-memory: 1048576\n")
    status, out, err = said(narrow)
    narrow.expect("where nothing can be shown, nothing was examined", status == 1 and "selftest-" in err and "passed" not in out, (status, out, err[-500:]))
    done = subprocess.run([sluice, "serve", "--config", narrow.at("sluice.yaml")], capture_output=True, text=True, timeout=60)
    narrow.expect("and the gateway does not open its port", done.returncode == 1 and "serving" not in done.stderr and "selftest-" in done.stderr,
                  (done.returncode, done.stderr[-500:]))
    with socket.socket() as probe:
        narrow.expect("nobody listens", probe.connect_ex(("127.0.0.1", narrow.port)) != 0)
    narrow.expect("and the ledger has it", [r["self-test"] for r in narrow.ledger(every=True)] == ["failed"])
    narrow.close()
    return h.failures + narrow.failures


house.main(scenario)
