#!/usr/bin/env python3
"""table.py FIRST SECOND RESULTS...: the results of two proxies side by side, as Markdown.

RESULTS are files of k8s-netns' e2e.sh, in turn of the first and of the second proxy: a line a test, with status, seconds
and name; beside them are the JUnit files that say why one failed. Exits with 1 if the second failed what the first passed.
"""

import pathlib
import sys
import xml.etree.ElementTree

ORDER = {"FAIL": 0, "SKIP": 1, "PASS": 2, "-": 3}


def failures(path):
    """What each test that failed says first, from the JUnit files beside a file of results."""
    found = {}
    for file in pathlib.Path(path).parent.glob("junit_*.xml"):
        for test in xml.etree.ElementTree.parse(file).iter("testcase"):
            for failure in test.findall("failure"):
                says = (failure.get("message") or failure.text or "").strip() or "no reason given"
                found[test.get("name")] = says.splitlines()[0].removeprefix("[FAILED] ")
    return found


def results(paths):
    """Status and failure of each test; of a test in several files the worst counts."""
    found = {}
    for path in paths:
        why = failures(path)
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("#") or not line.strip():
                    continue
                status, _, name, *_ = line.rstrip("\n").split("\t")
                known = found.get(name, ("-", ""))
                if ORDER[status] < ORDER[known[0]]:
                    found[name] = (status, why.get(name, ""))
    return found


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def main():
    first_name, second_name, *paths = sys.argv[1:]
    first, second = results(paths[0::2]), results(paths[1::2])
    names = sorted(set(first) | set(second))
    rows = [(name, *first.get(name, ("-", "")), *second.get(name, ("-", ""))) for name in names]
    # What differs stands first.
    rows.sort(key=lambda row: (row[1] == row[3], ORDER[row[3]], row[0]))
    count = lambda of, status: sum(1 for known, _ in of.values() if known == status)
    print(f"| | passed | failed | skipped |\n|---|---|---|---|")
    for name, of in [(first_name, first), (second_name, second)]:
        print(f"| {name} | {count(of, 'PASS')} | {count(of, 'FAIL')} | {count(of, 'SKIP')} |")
    print(f"\n| test | {first_name} | {second_name} | failure |\n|---|---|---|---|")
    for name, status, failure, other, other_failure in rows:
        short = name.removeprefix("[It] ").removeprefix("[sig-network] ")
        print(f"| {cell(short)} | {status} | {other} | {cell(other_failure or failure)} |")
    worse = [row for row in rows if row[1] == "PASS" and row[3] != "PASS"]
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
