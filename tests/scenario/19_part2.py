# SPDX-License-Identifier: Apache-2.0
import os
import re
import subprocess
import sys

import house

MATRIX = os.path.join(house.ROOT, "conformance", "part2.py")


def matrix(sluice, rows=None):
    """What the matrix says; with `rows`, of other rows than its own."""
    program = [sys.executable, MATRIX, "--sluice", sluice, "--quick"]
    if rows:
        program = [sys.executable, "-c", f"import sys; sys.path[:0] = [{os.path.dirname(MATRIX)!r}]; import part2, part2_rows as r\n"
                   f"{rows}\nsys.argv[1:] = ['--sluice', {sluice!r}, '--quick']; sys.exit(part2.main())"]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    return done.returncode, done.stdout + done.stderr


def scenario(sluice, folder):
    """42 CFR part 2: each section has its row, each row is shown by what exists and passes, and docs/part2.md is made of them"""
    status, said = matrix(sluice)
    assert status == 0 and re.search(r"\b0 wrong$", said.strip()), said[-2000:]
    broken = (
        ('r.PART2[:] = [row for row in r.PART2 if not row.section.startswith("2.51")]', "WRONG section 2.51 has no row"),
        ('r.PART2.append(r.Row("2.99", "x", r.PEOPLE, note="x"))', "WRONG section 2.99 is none of part 2"),
        ('r.PART2.append(r.Row("2.1", "x", r.RULES, r.CONSENT, r.scenario("No such title.")))', "no such scenario"),
        ('r.PART2.append(r.Row("2.1", "x", r.RULES, ("no-such-rule",), r.scenario("The same without a consent.")))', "no such rule"),
        ('r.PART2.append(r.Row("2.1", "x", r.CODE, (), r.unit("decide_test: no_such_test")))', "no such test"),
        ('r.PART2.append(r.Row("2.1", "x", r.CODE))', "nothing shows it"),
        ('r.PART2.append(r.Row("2.1", "x", r.NOT_YET))', "does not say who does it"))
    for rows, wanted in broken:
        status, said = matrix(sluice, rows)
        assert status == 1 and wanted in said and "docs/part2.md is not of these rows" in said, (rows, said[-2000:])


if __name__ == "__main__":
    house.main(scenario)
