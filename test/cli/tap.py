"""Runs a module's unittest cases and prints TAP, so that each counts."""

import sys
import unittest


class _Result(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n = 0

    def _line(self, word, test, rest=""):
        self.n += 1
        name = test.id().split(".")[-1].removeprefix("test_").replace("_", " ")
        print(f"{word} {self.n} - {name}{rest}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")

    def _failed(self, test, text):
        self._line("not ok", test)
        print("".join(f"# {line}\n" for line in text.splitlines()), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])


def main():
    """Runs the cases of the calling module; exits with 1 if one failed."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    print(f"1..{suite.countTestCases()}")
    result = _Result()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
