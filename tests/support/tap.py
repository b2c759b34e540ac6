"""Runs the unittest cases of the main module and reports in TAP, so that the test runner counts and names each one."""
import sys
import unittest


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.lines = []

    def report(self, passed, case, reason="", note=""):
        name = case.id().removeprefix("__main__.")
        self.lines.append(f"{'ok' if passed else 'not ok'} {len(self.lines) + 1} - {name}{note}")
        print(self.lines[-1], flush=True)
        if reason:
            print(f"{name}\n{reason}", file=sys.stderr, flush=True)

    def addSuccess(self, case):
        self.report(True, case)

    def addSkip(self, case, reason):
        self.report(True, case, note=f" # SKIP {reason}")

    def addFailure(self, case, error):
        self.report(False, case, self._exc_info_to_string(error, case))

    addError = addFailure

    def addSubTest(self, case, subtest, error):
        if error is not None:
            self.report(False, subtest, self._exc_info_to_string(error, case))


def main(only=""):
    """Runs all cases, or those whose name has `only` in it."""
    loader = unittest.defaultTestLoader
    if only:
        loader.testNamePatterns = [f"*{only}*"]
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    result = TapResult()
    suite.run(result)
    print(f"1..{len(result.lines)}")
    return any(line.startswith("not ok") for line in result.lines)
