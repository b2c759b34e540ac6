"""Adds up test logs of Meson (testlog.json) and ends with the line `N passed, N failed`, counted in single test cases.

usage: count.py TESTLOG.json...      Exit 0 only if nothing failed and something passed.
"""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok \d+ - (.*?)( # SKIP.*)?$", re.M)


def count(entry):
    """(passed, failed, skipped) of one test program: its TAP cases, or itself where it prints none."""
    cases = CASE.findall(entry.get("stdout") or "")
    passed = sum(1 for bad, _, skip in cases if not bad and not skip)
    failed = sum(1 for bad, _, _ in cases if bad)
    skipped = sum(1 for bad, _, skip in cases if skip and not bad)
    result = entry["result"]
    if result == "SKIP":
        return 0, 0, 1
    if result not in ("OK", "EXPECTEDFAIL") and failed == 0:
        return passed, 1, skipped  # it died, timed out, or its plan was wrong
    return (passed, failed, skipped) if cases else (1, 0, 0)


def main(paths):
    total = [0, 0, 0]
    for path in paths:
        with open(path, encoding="utf-8") as log:
            for line in log:
                entry = json.loads(line)
                counts = count(entry)
                total = [a + b for a, b in zip(total, counts)]
                if counts[1]:
                    print(f"failed: {entry['name']} ({entry['result']})")
                if counts[2]:
                    print(f"skipped: {entry['name']} ({counts[2]})")
    print(f"{total[0]} passed, {total[1]} failed")
    return total[1] > 0 or total[0] == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
