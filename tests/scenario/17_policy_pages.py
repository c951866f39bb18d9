# SPDX-License-Identifier: Apache-2.0
"""Runs the pages from which a privacy officer learns the policy language: every example of them, as it stands there.

Each page has a folder of its own in which its blocks are carried out, in their order:

    ```yaml                  stands so in the shipped policy, though lines may be left out
    ```yaml house/ours.yaml  is written to that file of my/policies
    ```diff house/rules.yaml changes that file of my/policies: the old lines must be there, once
    ```console               $ commands are run, and print what is shown (… stands for anything)
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import house

PAGES = ["policy.md", "policy-words.md"]
FENCE = re.compile(r"^( *)```(\w*)(?: (\S+))?\n(.*?)^\1```$", re.S | re.M)
KNOWN = {"yaml", "diff", "console", "csv"}


def shipped():
    """The lines of each shipped policy file, without what they are indented by."""
    pages = {}
    for path in glob.glob(os.path.join(house.ROOT, "consent", "policies", "**", "*.yaml"), recursive=True):
        with open(path) as file:
            pages[path] = [line.strip() for line in file]
    return pages


def alike(there, shown):
    """… at the end of a line stands for the rest of it."""
    return there.startswith(shown[:-1].rstrip()) if shown.endswith("…") else there == shown


def stands_in(lines, wanted):
    """Do the wanted lines stand there in their order, whatever is left out between them?"""
    at = iter(lines)
    return all(any(alike(there, line) for there in at) for line in wanted if line != "…")


def is_shipped(block, files):
    """Each part of it, up to an empty line, in one file."""
    parts = [[line.strip() for line in part.splitlines()] for part in block.split("\n\n")]
    return all(any(stands_in(lines, part) for lines in files.values()) for part in parts)


def change(path, block):
    """Applies the lines of a diff; what stands there before must be there once."""
    with open(path) as file:
        text = file.read()
    before = "".join(line[1:] + "\n" for line in block.splitlines() if line[:1] in ("-", " "))
    after = "".join(line[1:] + "\n" for line in block.splitlines() if line[:1] in ("+", " "))
    assert text.count(before) == 1, f"these lines stand {text.count(before)} times in {path}:\n{before}"
    with open(path, "w") as file:
        file.write(text.replace(before, after))


def prints(wanted, got):
    """The lines that are shown, in their order; a line of … stands for any number of lines, one within for any text."""
    pattern = ""
    for line in wanted:
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r".*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ \t]*\n"
    return re.fullmatch(pattern, got if not got or got.endswith("\n") else got + "\n") is not None


def commands(block):
    """Each command with the lines it prints."""
    runs = []
    for line in block.splitlines():
        if line.startswith("$ "):
            runs.append((line[2:], []))
        else:
            assert runs, f"nothing prints this: {line}"
            if runs[-1][0].endswith("\\"):
                runs[-1] = (runs[-1][0][:-1] + line.strip(), [])
            else:
                runs[-1][1].append(line)
    return runs


def console(block, folder, environment):
    for command, wanted in commands(block):
        done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        if not prints(wanted, done.stdout):
            return f"$ {command}\n--- the page says\n" + "\n".join(wanted) + f"\n--- it prints\n{done.stdout}"
    return None


def carry_out(kind, name, block, folder, environment, files):
    target = os.path.join(folder, "my", "policies", name or "")
    if kind == "console":
        return console(block, folder, environment)
    if kind == "diff":
        change(target, block)
    elif name:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(os.path.normpath(target), "w") as file:
            file.write(block)
    elif kind == "yaml" and not is_shipped(block, files):
        return f"this stands in no shipped file:\n{block}"
    return None


def run(page, sluice, files):
    with open(os.path.join(house.ROOT, "docs", page)) as file:
        text = file.read()
    folder = tempfile.mkdtemp(prefix="sluice-page-")
    environment = dict(os.environ, PATH=os.path.dirname(sluice) + os.pathsep + os.environ["PATH"], USER="officer",
                       SLUICE_POLICY=os.path.join(house.ROOT, "consent", "policies"))
    wrong = ran = 0
    try:
        os.symlink(os.path.join(house.ROOT, "consent"), os.path.join(folder, "consent"))
        for fence in FENCE.finditer(text):
            indent, kind, name, block = fence.groups()
            block = re.sub("^" + indent, "", block, flags=re.M)
            line = text.count("\n", 0, fence.start()) + 1
            if kind not in KNOWN:
                wrong += 1
                print(f"docs/{page}:{line}: an example of a kind that nobody runs: {kind or 'plain'}")
                continue
            ran += 1
            try:
                complaint = carry_out(kind, name, block, folder, environment, files)
            except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
                complaint = str(error)
            if complaint:
                wrong += 1
                print(f"docs/{page}:{line}: {complaint}")
    finally:
        shutil.rmtree(folder)
    print(f"docs/{page}: {ran} examples, {wrong} wrong")
    return wrong == 0 and ran > 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sluice", required=True)
    parser.add_argument("pages", nargs="*", default=PAGES)
    arguments = parser.parse_args()
    files = shipped()
    good = [run(page, os.path.abspath(arguments.sluice), files) for page in arguments.pages]
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
