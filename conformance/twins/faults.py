# SPDX-License-Identifier: Apache-2.0
"""Can the harness fail? Each rule of include/sluice/faults.def is switched off in a build for that purpose, and a short battery
aimed at it must find a difference.

AIM says where to look: for whom, and by which kinds of requests. A fault without a row is looked for everywhere. What no twin can
see, since it shows to nobody from whom something is secret, is caught by a scenario: that one must fail, over a gateway that does not test
itself before it lets anybody in.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import houses
import run
import writes

ROWS = os.path.join(houses.ROOT, "include", "sluice", "faults.def")
ROW = re.compile(r'SL_FAULT\((\w+), "([^"]+)", "([^"]+)"\)')
EVERY = ("treating", ())

AIM = {  # word: (group, kinds of requests)
    "withheld-released": ("treating", ("read", "search")),
    "selftest-blind": ("treating", ("read",)),  # it has examined nothing, and does not let the gateway start
    "place-lost": ("scenario", "105_lost_places.py"),
    "record-parts": ("scenario", "103_kept_true.py"),
    "freed-shown": ("scenario", "90_writes.py"),
    "freed-all": ("scenario", "90_writes.py"),
    "directed-before": ("scenario", "50_changes.py"),
    "untested": ("scenario", "95_selftest.py"),
    "neighbours-decision": ("treating", ("search all", "search", "include")),
    "modifier-alone": ("scenario", "103_kept_true.py"),
    "mention-kept": ("treating", ("read", "search", "compartment")),
    "counts-kept": ("app", ("read", "search all")),
    "presence-open": ("treating", ("read", "search all", "search")),
    "relative-unasked": ("scenario", "103_kept_true.py"),
    "one-number": ("scenario", "78_links.py"),
    "consent-over": ("consents", ("read", "search")),
    "no-rematch": ("treating", ("search", "search modified", "compartment")),
    "cut-link": ("treating", ("include",)),
    "upstream-order": ("scenario", "86_includes.py"),
    "short-page": ("treating", ("search all", "search")),
    "next-by-hidden": ("treating", ("search",)),
    "total-by-hidden": ("treating", ("search",)),
    "cursor-by-place": ("treating", ("search all", "search")),
    "forbidden-for-hidden": ("treating", ("read",)),
    "chain-undecided": ("treating", ("chain",)),
    "has-undecided": ("treating", ("has",)),
    "includes-undecided": ("treating", ("include",)),
    "order-trusted": ("scenario", "104_order_upstream.py"),
    "labels-unseen": ("scenario", "84_chains.py"),
    "negative-upstream": ("scenario", "85_order.py"),
    "filter-upstream": ("scenario", "102_words.py"),
    "content-uncut": ("treating", ("text",)),
    "sort-uncut": ("payer", ("sort",)),
    "condition-hidden": ("written by who treats", ()),
    "hidden-update-forbidden": ("written by who treats", ()),
    "hidden-overwritten": ("scenario", "90_writes.py"),
    "references-undecided": ("written by who treats", ()),
    "write-echoed": ("written by who treats", ()),
    "labels-taken": ("scenario", "90_writes.py"),
    "last-of-all": ("scenario", "94_operations.py"),
    "gone-for-all": ("scenario", "87_versions.py"),
    "gone-named": ("scenario", "88_deleted.py"),
    "versions-as-told": ("scenario", "88_deleted.py"),
    "absence-taken": ("scenario", "108_dangling.py"),
    "absence-kept": ("scenario", "108_dangling.py"),
    "upstream-version": ("treating", ("read", "search all")),
    "upstream-current": ("treating", ("read conditional",)),
    "past-alone": ("treating", ("history instance", "history type", "vread")),
    "equal-views": ("treating", ("history instance", "history type")),
    "consent-older": ("scenario", "106_address.py"),
    "row-compared-whole": ("scenario", "109_kept_rows.py"),
    "row-learned-under": ("scenario", "109_kept_rows.py"),
    "thin-answer": ("crowded", ("search", "compartment")),
}


def build():
    folder = os.path.join(houses.ROOT, "build", "faults")
    subprocess.run(["cmake", "-S", houses.ROOT, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None", "-DSLUICE_TESTS=OFF", "-DSLUICE_FAULTS=ON",
                    "-DCMAKE_C_COMPILER_LAUNCHER=ccache"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", folder, "-j", str(os.cpu_count())], check=True, capture_output=True)
    return os.path.join(folder, "sluice")


def rows():
    with open(ROWS) as file:
        return ROW.findall(file.read())


def try_one(workshop, word, pairs):
    """How many pairs it took to catch it; None: it was not."""
    group, kinds = AIM.get(word, EVERY)
    workshop.maker.env["SLUICE_FAULT"] = word
    done = [0]

    def progress(pages, differs):
        done[0] += pages
    if group == "scenario":
        script = os.path.join(houses.ROOT, "tests", "scenario", kinds)
        failed = subprocess.run([sys.executable, script, "--sluice", workshop.args.sluice], capture_output=True,
                                env={**os.environ, "SLUICE_FAULT": f"{word},untested"}).returncode != 0
        return (kinds, None) if failed else None
    try:
        if group in writes.GROUPS:
            out = writes.run(workshop, group, pairs, progress, stop=True)
        elif group in ("moved", "crowded", "below"):
            out = run.run_residual(workshop, workshop.args.rows, group, pairs, progress, kinds, stop=True)
        else:
            out = run.run_group(workshop, group, pairs, progress, kinds or None, stop=True)
    except houses.NotStarted as error:
        if "sluice: the self-test" not in str(error):
            raise
        return "the self-test, which does not let the gateway start", None
    finally:
        del workshop.maker.env["SLUICE_FAULT"]
    return (done[0], out["found"][0]) if out["found"] else None


def how(caught):
    if not caught:
        return "NOT CAUGHT"
    return f"caught by {caught[0]}" if isinstance(caught[0], str) else f"caught after {caught[0]} pairs"


def main(args):
    sluice = args.faults if isinstance(args.faults, str) else build()
    wanted = [row for row in rows() if not args.fault or row[1] in args.fault]
    missed = []
    args.sluice, args.most = sluice, 1
    with tempfile.TemporaryDirectory(prefix="twins-", dir=run.memory()) as folder:
        workshop = run.Workshop(args, folder)
        for _, word, rule in wanted:
            begun = time.time()
            caught = try_one(workshop, word, args.pairs)
            if not caught:
                missed.append(word)
            run.log(f"  {word:28} {how(caught)}, {time.time() - begun:.0f} s: {rule}")
            if caught and caught[1] and not args.brief:
                run.log("    " + str(caught[1].request)[:200])
    run.log(f"{len(wanted)} rules switched off, one at a time; " + (f"not caught: {', '.join(missed)}" if missed else "each was caught"))
    return 1 if missed else 0
