#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Can a recipient tell? The proof of N1, N2 and N4 of design.md: see README.md here.

    ./dev twins [--pairs N] [--seed S] [--caller X] [--group G] [--kind K] [--faults]

Exit 1 if two answers differ that docs/residual.md does not list, if one that is listed no longer shows, or if worlds that must
differ do not.
"""
import argparse
import contextlib
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict

import battery
import compare
import houses
import residual
import world as worlds
import writes

# Which callers, which kinds of events are secret to all of them, and whether other patients exist at all.
GROUPS = {
    "treating": (("doctor", "ward", "scoped"), ("program", "notes", "draft"), None),
    "emergency": (("er",), ("notes", "draft"), None),
    "partner": (("exchange",), ("program", "notes", "draft", "diagnosis", "restricted"), None),
    "payer": (("plan",), ("program", "notes", "draft", "diagnosis", "selfpay"), None),
    "others": (("agent", "desk", "study", "stranger"), ("program", "notes", "draft", "diagnosis"), None),
    "panel": (("panel",), ("program", "notes", "draft", "others"), houses.PANEL),
    "app": (("app",), ("notes", "others"), (houses.APP,)),
    # The same records under other consents, none of which releases anything (N4).
    "consents": (("ward", "exchange", "plan", "desk"), (), None),
}
BRIEFLY = ("item", "below", "written by a plan")  # what the tests leave to ./dev twins: each gateway tests itself first
EACH = 600  # pairs in which a kind of request must show the one more visit
SHARE = {"treating": 5, "partner": 3, "payer": 3, "others": 3, "emergency": 1, "panel": 3, "app": 2, "consents": 3}


def log(text):
    print(text, flush=True)


class Workshop:
    """Worlds and stores of a seed, each made once."""

    def __init__(self, args, folder):
        self.args, self.maker = args, houses.Maker(args.sluice, folder)
        self.made, self.worlds, self.stores, self.facts, self.kept = {}, {}, {}, {}, {}
        self.whole = self.world("A")
        self.facts_of("plain")

    def world(self, name, **more):
        """Worlds in which the same happens are one, whatever they are called."""
        what = repr(sorted((k, v) for k, v in more.items() if v))
        if what not in self.made:
            world = worlds.World(self.args.seed, self.args.patients, self.args.years, **more)
            self.made[what] = world, self.maker.records("world-" + name, world)
        self.worlds[name], self.stores[name] = self.made[what]
        return self.worlds[name]

    def facts_of(self, name, idle="none", writes=False):
        if name not in self.facts:
            self.facts[name] = self.maker.facts(f"facts-{name}-{os.getpid()}", self.whole, idle, writes)
        return self.facts[name]

    def gateway(self, world, facts="plain", rows=10000, dice=False):
        """In the tests one that is only read serves all who ask the same world: each tests itself before it starts."""
        def begin():
            return self.maker.gateway(self.facts[facts], self.stores[world], rows, dice)
        if not self.args.brief or self.args.faults or dice:
            return begin()
        what = self.stores[world], facts, rows
        self.kept[what] = self.kept.get(what) or begin()
        return self.kept[what]

    def end(self, gateways):
        if not all([gateway.close() for gateway in gateways]):
            raise houses.Failed("a gateway ended badly")

    @contextlib.contextmanager
    def pair(self, name, *gateways, mask=None, tokens=None):
        """Gateways that have begun to start, when they listen; and what becomes of them."""
        pair = compare.Pair(name, tokens or self.maker.tokens, gateways, mask)
        try:
            for gateway in gateways:
                gateway.ready()
            yield pair
        finally:
            pair.close()
            self.end([gateway for gateway in gateways if gateway not in self.kept.values()])


class Timing:
    """Seconds by kind of request, of A and of B."""

    def __init__(self):
        self.kinds = defaultdict(lambda: ([], []))

    def add(self, kind, answers):
        for side, answer in enumerate(answers):
            self.kinds[kind][side].append(answer.took)


def cliff(xs, ys):
    """Cliff's delta: how much more often one of xs is larger than one of ys than smaller. 0: no difference."""
    order = sorted([(x, 0) for x in xs] + [(y, 1) for y in ys])
    below, seen_y, total, at = 0, 0, 0, 0
    while at < len(order):
        end = at
        while end < len(order) and order[end][0] == order[at][0]:
            end += 1
        tied_y = sum(1 for o in order[at:end] if o[1])
        tied_x = end - at - tied_y
        total += tied_x * (seen_y - (len(ys) - seen_y - tied_y))
        seen_y += tied_y
        at = end
    return total / (len(xs) * len(ys)) if xs and ys else 0.0


def times(timings):
    log("time, A (with what is secret) against B (without): medians in ms, and Cliff's delta (-1..1, 0: none)")
    for kind in sorted(timings):
        a, b = timings[kind]
        if len(a) >= 20:
            log(f"  {kind:18} {len(a):6}   {statistics.median(a) * 1000:8.3f} {statistics.median(b) * 1000:8.3f}   {cliff(a, b):+.3f}")


# ---- One group ----

def battery_for(workshop, group, pair, one, two):
    caller = next((c for c in GROUPS[group][0] if c != "stranger"), "ward") if group in GROUPS else "ward"
    capability = pair.ask_one(caller, 0, battery.get("metadata").bytes(None), False)
    resources = list({(r["resourceType"], r["id"], worlds.text_of(r)): r for r in one.resources() + two.resources()}.values())
    secret = {f"{k}/{i}" for k, i in one.versions.keys() ^ two.versions.keys()}
    about = [p.id for p in workshop.whole.patients]
    return battery.Battery(workshop.args.seed, json.loads(capability.text), resources, secret, about)


def run_battery(args, drawn, pair, callers, count, progress, only=None, stop=None):
    """Asks until `count` answers have been compared. What differs, shrunk; and how often each kind was met."""
    timing, met, statuses, found, answers, number = Timing(), Counter(), Counter(), [], 0, 0
    whole = {}  # the one view that each caller has of a record, by whatever door it comes
    differing = Counter()
    while answers < count:
        caller = callers[number % len(callers)]
        request = drawn.draw(number, caller, only)
        number += 1

        def visit(asked, both, page):
            if page == 1:
                timing.add(asked.kind, both)
                statuses[both[0].status] += 1
            for name, version, text in compare.views(both[0]):
                drawn.note(caller, name, version)
                if asked.kind in battery.WHOLE and name.split("/")[0] not in battery.BY_ROUTE and whole.setdefault((caller, name), text) != text:
                    told = tuple((b"", t) for t in (whole[caller, name], text))
                    found.append(compare.Finding(pair.group + ", two views of " + name, caller, asked, page, *both, told))
        pages, difference = pair.compare(caller, request, visit)
        answers += pages
        met[request.kind] += 1
        if difference:
            differing[request.kind] += 1
            if len(found) < args.most:
                found.append(difference if stop else pair.shrink(caller, difference))
            if stop:
                break
        progress(pages, bool(difference))
    return {"answers": answers, "requests": number, "met": met, "statuses": statuses, "found": found, "differing": differing,
            "timing": {k: (a, b) for k, (a, b) in timing.kinds.items()}}


def run_group(workshop, name, count, progress, only=None, stop=None):
    callers, without, only_patients = GROUPS[name]
    args = workshop.args
    callers = [c for c in callers if not args.caller or c in args.caller]
    if not callers:
        return None
    if name == "consents":
        one = two = workshop.whole
        workshop.facts_of("over", "over"), workshop.facts_of("elsewhere", "elsewhere")
        gateways = [workshop.gateway("A", "over"), workshop.gateway("A", "plain")]
    else:
        one = workshop.whole if only_patients is None else workshop.world("A-" + name, only=only_patients)
        two = workshop.world("B-" + name, without=without, only=only_patients)
        gateways = [workshop.gateway("A" if only_patients is None else "A-" + name), workshop.gateway("B-" + name)]
    with workshop.pair(name, *gateways) as pair:
        return run_battery(args, battery_for(workshop, name, pair, one, two), pair, callers, count, progress, battery.named(only), stop)


# ---- Worlds that must differ ----

def run_visible(workshop, extra, count, progress):
    """One more item that the caller may see: it must show, and in how many kinds of requests."""
    two = workshop.whole
    one = workshop.world("V-" + extra, extra=extra)
    gateways = [workshop.gateway("V-" + extra), workshop.gateway("A")]
    with workshop.pair("visible " + extra, *gateways) as pair:
        drawn = battery_for(workshop, "visible", pair, one, two)
        drawn.patients = [p.id for p in workshop.whole.patients if p.number == 2]
        args = argparse.Namespace(**{**vars(workshop.args), "most": 0})
        out = run_battery(args, drawn, pair, ["ward"], count, progress)
        for kind in [k for k, _, _ in battery.KINDS if extra == "visit" and not out["differing"][k] and k not in battery.CANNOT]:
            more = run_battery(args, drawn, pair, ["ward"], EACH, progress, {kind}, stop=True)
            out["differing"].update(more["differing"])
            out["answers"] += more["answers"]
        return out


def run_residual(workshop, rows, name, count, progress, only=None, stop=None):
    """Worlds that differ in what a residual is about: nothing else may show, and each row must."""
    args = workshop.args
    without = ("program", "notes", "draft")
    make = {"moved": dict(moved=True), "crowded": dict(crowd=args.crowd), "below": dict(crowd=args.crowd)}[name]
    limit = {"moved": 10000, "crowded": args.crowd, "below": 10000}[name]
    one, two = workshop.world("A-" + name, **make), workshop.world("B-" + name, without=without, moved=name == "moved")
    gateways = [workshop.gateway("A-" + name, rows=limit), workshop.gateway("B-" + name, rows=limit)]
    with workshop.pair(name, *gateways, mask=residual.mask(rows, name)) as pair:
        drawn = battery_for(workshop, name, pair, one, two)
        if name != "moved":
            drawn.patients = [p.id for p in workshop.whole.patients if p.number == 0]
        out = run_battery(args, drawn, pair, ["ward"], count, progress, battery.named(only), stop)
        pair.mask = None
        out["stale"] = [row for row in rows if row.worlds == name and not pair.compare(row.caller, row.request(workshop.whole))[1]]
        return out


# ---- All of it ----

def work(workshop, task, results):
    kind, name, count = task
    done = [0]

    def progress(pages, differs):
        done[0] += pages
        if done[0] >= 200:
            results.put(("progress", done[0]))
            done[0] = 0
    if kind == "group":
        return run_group(workshop, name, count, progress, workshop.args.kind)
    if kind == "visible" and name == "visit to write of":
        return writes.run_visible(workshop, "visit", EACH, progress)
    if kind == "visible":
        return run_visible(workshop, name, count, progress)
    if kind == "writes":
        return writes.run(workshop, name, count, progress)
    return run_residual(workshop, workshop.args.rows, name, count, progress)


def job(workshop, tasks, results):
    try:
        for task in iter(tasks.get, None):
            results.put(("done", *task[:2], work(workshop, task, results)))
        workshop.end(workshop.kept.values())
    except Exception as error:  # told to the parent, which ends the run
        import traceback
        results.put(("failed", f"{error}\n{traceback.format_exc()}"))


def plan(args):
    """What each task is to compare. Groups share the pairs; the others get some besides."""
    groups = {n: s for n, s in SHARE.items() if (not args.group or n in args.group)
              and (not args.caller or set(args.caller) & set(GROUPS[n][0]))}
    total = sum(groups.values())
    tasks = [("group", n, math.ceil(args.pairs * s / total)) for n, s in groups.items()]
    tasks.sort(key=lambda t: -t[2])
    if args.writes:
        return [("writes", n, args.pairs // 2) for n in writes.GROUPS]
    if not args.group and not args.caller and not args.kind:
        some = max(args.pairs // 20, 50)
        others = [("visible", "visit", some), ("visible", "item", some), ("visible", "visit to write of", some)]
        others += [("residual", n, some) for n in ("moved", "crowded", "below")]
        others += [("writes", n, some if args.brief else 2 * some) for n in writes.GROUPS]
        others = [t for t in others if not args.brief or t[1] not in BRIEFLY]
        tasks = [(k, n, max(1, c - (sum(o[2] for o in others) - some) * SHARE[n] // total)) for k, n, c in tasks] + others
    return tasks


def gather(args, folder):
    todo, results = multiprocessing.Queue(), multiprocessing.Queue()
    tasks = plan(args)
    for task in tasks:
        todo.put(task)
    workshop = Workshop(args, folder)
    workers = [multiprocessing.Process(target=job, args=(workshop, todo, results), daemon=True) for _ in range(min(args.jobs, len(tasks)))]
    for worker in workers:
        todo.put(None)
        worker.start()
    begun, compared, told, left = time.time(), 0, 0.0, len(tasks)
    total = sum(t[2] for t in tasks)
    while left:
        message = results.get()
        if message[0] == "failed":
            raise houses.Failed(message[1])
        if message[0] == "progress":
            compared += message[1]
            if time.time() - told > 5:
                told = time.time()
                log(f"  {compared:6} of {total} pairs compared, {told - begun:.0f} s")
            continue
        left -= 1
        yield message[1:]
    for worker in workers:
        worker.join(20)


def never_shown(visible):
    kinds = [k for k, _, _ in battery.KINDS if k not in battery.CANNOT]
    return [k for k in kinds + [f"write: {k}" for k in dict.fromkeys(writes.KINDS) if k not in writes.CANNOT] if not visible[k]]


def report(args, folder):
    bad, timings, met, visible, ended = 0, defaultdict(lambda: ([], [])), Counter(), Counter(), Counter()
    answers = 0
    for kind, name, out in gather(args, folder):
        if out is None:
            continue
        answers += out["answers"]
        if kind == "visible":
            shown = sum(out["differing"].values())
            log(f"one more {name} that may be seen: {out['answers']} pairs, {shown} requests differ, as they must")
            visible.update(out["differing"])
            bad += shown == 0
            continue
        if kind == "residual":
            log(f"worlds of the residual list, {name}: {out['answers']} pairs, {len(out['found'])} unlisted differences")
            for row in out["stale"]:
                log(f"  listed in docs/residual.md and no longer shown: {row}")
            bad += len(out["stale"])
        else:
            log(f"{name} ({', '.join(GROUPS[name][0] if name in GROUPS else writes.GROUPS[name][0])}): {out['answers']} pairs of answers to {out['requests']} requests, "
                f"{sum(out['differing'].values())} differ; " + ", ".join(f"{s}: {n}" for s, n in out["statuses"].most_common(8)))
            met.update(out["met"])
            ended.update(out.get("ended", ()))
            for k, (a, b) in out["timing"].items():
                timings[k][0].extend(a)
                timings[k][1].extend(b)
        bad += len(out["found"])
        for finding in out["found"]:
            log("  " + str(finding))
    if args.brief:
        timings.clear()
    log("requests by kind: " + ", ".join(f"{k} {n}" for k, n in sorted(met.items())))
    if visible:
        log("kinds of requests that showed the one more: " + ", ".join(f"{k} {n}" for k, n in sorted(visible.items())))
        blind = never_shown(visible)
        bad += len(blind)
        log("\n".join(f"  never showed it, and is not listed as what cannot: {kind}" for kind in blind) or "  every kind did that can")
    if ended:
        log("writes by kind, and how they ended: " + "; ".join(f"{k} {s}: {n}" for (k, s), n in sorted(ended.items())))
    if sum(ended.values()) >= writes.ROOM:
        for gone in writes.missing(ended):
            bad += 1
            log(f"  a write that was never so answered, and should have been: {gone}")
    if timings:
        times(timings)
    log(f"{answers} pairs of answers compared; " + ("no difference that is not listed" if not bad else f"{bad} DEFECTS"))
    return 1 if bad else 0


def memory():
    """Where stores and ledgers stand: in memory if that is to be had."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sluice", default=os.path.join(houses.ROOT, "build", "release", "sluice"))
    parser.add_argument("--pairs", type=int, default=20000)
    parser.add_argument("--seed", default="sluice")
    parser.add_argument("--patients", type=int, default=24)
    parser.add_argument("--years", type=int, default=3)
    parser.add_argument("--crowd", type=int, default=600, help="rows of the worlds that stand at the bound of work")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--caller", action="append", choices=sorted(houses.CALLERS))
    parser.add_argument("--group", action="append", choices=sorted(GROUPS))
    parser.add_argument("--writes", action="store_true", help="writes alone")
    parser.add_argument("--kind", action="append", help="requests of these kinds alone")
    parser.add_argument("--faults", nargs="?", const=True, help="switch each rule off; with the executable of such a build, if there is one")
    parser.add_argument("--fault", action="append", help="these alone")
    parser.add_argument("--brief", action="store_true", help="say less: for the tests")
    parser.add_argument("--most", type=int, default=8, help="differences to shrink and print of each group")
    args = parser.parse_args()
    args.rows = residual.read(os.path.join(houses.ROOT, "docs", "residual.md"))
    if args.faults:
        import faults
        args.pairs = min(args.pairs, 1500)
        sys.exit(faults.main(args))
    with tempfile.TemporaryDirectory(prefix="twins-", dir=memory()) as folder:
        sys.exit(report(args, folder))


if __name__ == "__main__":
    main()
