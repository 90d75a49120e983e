"""tools/run_tests.py DIRECTORY: builds there and runs all tests, the sanitizers watching.

Three tiers: Meson's tests (each cmocka case counts), every flow in simulation and over sockets, and
the programs in test/interop, which meet peers that nobody here wrote. An interop program prints TAP
or just exits: 0 passed, 77 skipped (its last line says "skipped, needs NAME"), else failed.
The last line is "N passed, N failed, N skipped"; the exit code is 0 only if nothing failed."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

from build import build

TAP = re.compile(r"^(not )?ok\b\s*\d*\s*-?\s*(.*?)(?:\s*#\s*(skip)\b:?\s*(.*))?$", re.IGNORECASE)
FLOWS_TIMEOUT_S = 600
INTEROP_TIMEOUT_S = 300
SKIPPED = 77


class Tally:
    """What became of the tests so far."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, name, outcome, why=""):
        """Counts one case: outcome is "passed", "failed" or "skipped"."""
        if outcome == "passed":
            self.passed += 1
        elif outcome == "skipped":
            self.skipped.append((name, why))
        else:
            self.failed.append((name, why))

    def add_program(self, name, status, out, err=""):
        """Counts a program by its TAP lines, or by its exit status if it prints none. A program
        that fails although all its cases pass (a leak, a crash at the end) counts as one failure."""
        cases = [m for m in map(TAP.match, out.splitlines()) if m]
        failed_before = len(self.failed)
        for not_ok, case, skip, reason in (m.groups() for m in cases):
            outcome = "skipped" if skip else "failed" if not_ok else "passed"
            self.add(f"{name}: {case}", outcome, reason or "")
        if status == SKIPPED and not cases:
            last = (out.strip().splitlines() or ["skipped"])[-1]
            self.add(name, "skipped", last)
        elif status not in (0, SKIPPED):
            if len(self.failed) == failed_before:
                self.add(name, "failed", f"exit status {status}")
            print(out[-8000:] + err[-8000:], flush=True)
        elif not cases:
            self.add(name, "passed")


def environment(directory):
    """What every test gets to know: where the product is, and that sanitizers are to be strict."""
    return dict(
        os.environ,
        CMOCKA_MESSAGE_OUTPUT="tap",
        MUSTER=str(pathlib.Path(directory, "muster").resolve()),
        ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
        UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
    )


def run_meson(directory, tally):
    """Meson's tests: unit tests, and whatever else is registered there."""
    log = pathlib.Path(directory, "meson-logs", "testlog.json")
    log.unlink(missing_ok=True)
    subprocess.run(
        ["/usr/bin/meson", "test", "-C", directory, "--no-rebuild"],
        env=environment(directory),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    if not log.exists():
        tally.add("meson test", "failed", "it wrote no log")
        return
    for line in log.read_text(errors="replace").splitlines():
        test = json.loads(line)
        name = test["name"].split(" / ")[-1]
        status = test.get("returncode", 1)
        if test["result"] in ("TIMEOUT", "INTERRUPT", "ERROR") and not status:
            status = test["result"]
        print(f"  {name:<40} {test['result']:<8} {test.get('duration', 0):6.1f} s", flush=True)
        tally.add_program(name, status, test.get("stdout", ""), test.get("stderr", ""))


def run_one(name, command, env, timeout_s, tally):
    """Runs one program and counts it; its TAP lines are shown as they come."""
    began = time.monotonic()
    out = []
    with tempfile.TemporaryFile(mode="w+", errors="replace") as err, subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=err, text=True, errors="replace"
    ) as program:
        alarm = threading.Timer(timeout_s, program.kill)
        alarm.start()
        for line in program.stdout:
            out.append(line)
            if TAP.match(line.rstrip()):
                print("  " + line, end="", flush=True)
        status = program.wait()
        late = not alarm.is_alive()
        alarm.cancel()
        err.seek(0)
        said = err.read()
    if late:
        status = f"none after {timeout_s} s"
    word = {0: "OK", SKIPPED: "SKIP"}.get(status, "FAIL")
    print(f"  {name:<40} {word:<8} {time.monotonic() - began:6.1f} s", flush=True)
    tally.add_program(name, status, "".join(out), said)


def run_flows(directory, tally):
    """Every flow, in simulation and over sockets; the product itself says in TAP how they went."""
    env = environment(directory)
    run_one("flows", [env["MUSTER"], "demo", "--all"], env, FLOWS_TIMEOUT_S, tally)


def run_interop(directory, tally):
    """The programs of test/interop, in the order of their names."""
    for program in sorted(pathlib.Path("test/interop").glob("*")):
        if program.is_file() and os.access(program, os.X_OK):
            name = f"interop {program.stem}"
            run_one(name, [str(program)], environment(directory), INTEROP_TIMEOUT_S, tally)


def main():
    """Builds, runs the tiers, sums up."""
    directory = sys.argv[1]
    began = time.monotonic()
    if not build(directory):
        print("0 passed, 1 failed, 0 skipped")
        return 1
    tally = Tally()
    for title, tier in (
        ("Unit tests", run_meson),
        ("Flows", run_flows),
        ("Interoperation", run_interop),
    ):
        print(title, flush=True)
        tier(directory, tally)
    print(f"\nAll of it took {time.monotonic() - began:.0f} s.")
    for name, why in tally.skipped:
        print(f"skipped  {name}: {why}")
    for name, why in tally.failed:
        print(f"FAILED   {name}" + (f": {why}" if why else ""))
    print(f"{tally.passed} passed, {len(tally.failed)} failed, {len(tally.skipped)} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
