"""The count that tools/check ends with is the tests' own, and no way of failing gets lost in it."""
import contextlib
import io
import json
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import count  # noqa: E402
import tap  # noqa: E402


def entry(result, stdout=""):
    return {"name": "a", "result": result, "stdout": stdout}


class Count(unittest.TestCase):
    def test_cases_are_counted_one_by_one(self):
        self.assertEqual(count.count(entry("OK", "ok 1 - a\nok 2 - b # SKIP no tool\n1..2\n")), (1, 0, 1))
        self.assertEqual(count.count(entry("FAIL", "ok 1 - a\nnot ok 2 - b\n# why\n1..2\n")), (1, 1, 0))

    def test_a_program_without_cases_is_one(self):
        self.assertEqual(count.count(entry("OK")), (1, 0, 0))
        self.assertEqual(count.count(entry("SKIP")), (0, 0, 1))

    def test_a_program_that_dies_has_failed_whatever_it_printed(self):
        for result in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT", "UNEXPECTEDPASS"):
            self.assertEqual(count.count(entry(result, "ok 1 - a\n")), (1, 1, 0))

    def main(self, *entries):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "testlog.json")
            with open(path, "w", encoding="utf-8") as log:
                log.writelines(json.dumps(e) + "\n" for e in entries)
            with contextlib.redirect_stdout(io.StringIO()) as said:
                failed = count.main([path])
        return failed, said.getvalue().splitlines()[-1]

    def test_the_last_line_and_the_exit_code(self):
        self.assertEqual(self.main(entry("OK")), (False, "1 passed, 0 failed"))
        self.assertEqual(self.main(entry("OK"), entry("TIMEOUT")), (True, "1 passed, 1 failed"))
        self.assertEqual(self.main(entry("SKIP")), (True, "0 passed, 0 failed"))  # nothing ran


if __name__ == "__main__":
    sys.exit(tap.main())
