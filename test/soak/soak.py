#!/usr/bin/python3
"""Soak: a home network under registrations for hours, with churn and restarts; memory, descriptors and success are watched.

Load comes from `muster bench` in slices: registrations and re-registrations of the same users, over UDP and TCP in turns, at a
fixed rate. Between slices the core goes on as it is, is reloaded, is stopped and started, or is killed and started. After each
slice its /metrics are read. Verdict at the end: every slice without a kill had at least 99.99 % success, descriptors stayed
flat, and resident memory, in the second half of each life that is longer than its first ten minutes (caches fill
meanwhile), grew by less than a MiB an hour beyond noise."""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "127.0.46.1"
CONFIG = f"""network: {{mcc: '001', mnc: '01'}}
nodes:
  pcscf: {{listen: '{HOST}:5060'}}
  icscf: {{listen: '{HOST}:4060'}}
  scscf: {{listen: '{HOST}:6060'}}
  hss: {{listen: '{HOST}:3868'}}
web: {{listen: '{HOST}:8080'}}
log: warning
"""
SUCCESS, SLOPE_MIB_H, NOISE_MIB, DESCRIPTORS, WARM_H = 0.9999, 1.0, 4.0, 8, 1 / 6


class Core:
    """The network under test."""

    def __init__(self, muster, folder):
        self.muster, self.folder = muster, folder
        self.config = folder / "home.yaml"
        self.config.write_text(CONFIG + f"store: {{kind: lmdb, path: '{folder}/store'}}\n")
        self.process = None

    def start(self):
        with open(self.folder / "log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.muster, "run", "-c", str(self.config), "--no-subscribers"],
                                            stdout=subprocess.PIPE, stderr=log, text=True)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise RuntimeError("the core does not start: " + (self.folder / "log").read_text()[-2000:])

    def end(self, how):
        """Ends it by a signal; a graceful end has to succeed."""
        self.process.send_signal(how)
        status = self.process.wait(30)
        self.process.stdout.close()
        if how == signal.SIGTERM and status:
            raise RuntimeError(f"the core ended with status {status}")

    def figures(self):
        """Resident MiB and open descriptors."""
        with urllib.request.urlopen(f"http://{HOST}:8080/metrics", timeout=10) as r:
            text = r.read().decode()
        value = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return float(value["process_resident_memory_bytes"]) / 2**20, int(float(value["process_open_fds"]))

    def load(self, kind, transport, options, seconds):
        """One slice of load; registrations done and failed."""
        command = [self.muster, "bench", kind, "--json", "--users", str(options.users), "--rate", str(options.rate),
                   "--seconds", str(seconds), "--warm-up", "3", "--outstanding", "200", "--transport", transport, "--pcscf", f"{HOST}:5060",
                   "--web", f"{HOST}:8080", "--pids", str(self.process.pid)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the load ended with status {done.returncode}")
        found = json.loads(done.stdout)
        return round(found["done_per_s"] * seconds), found["failed"]


def slope(points):
    """Least squares: growth an hour of (hours, MiB)."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def judge(lives, slices):
    """What is wrong, as lines. A life is the (hours, MiB, descriptors) of one process."""
    wrong = [f"slice {n}: {failed} of {done + failed} failed" for n, (done, failed) in enumerate(slices, 1)
             if failed > (1 - SUCCESS) * (done + failed)]
    for life in lives:
        steady = [p for p in life[len(life) // 2:] if p[0] - life[0][0] > WARM_H]
        if len(steady) < 4:
            continue
        growth = slope([(x, y) for x, y, _ in steady])
        length = steady[-1][0] - steady[0][0]
        if growth * length > SLOPE_MIB_H * length + NOISE_MIB:
            wrong.append(f"memory grows by {growth:.1f} MiB an hour")
        if max(f for _, _, f in steady) - min(f for _, _, f in steady) > DESCRIPTORS:
            wrong.append(f"descriptors: {[f for _, _, f in steady]}")
    return wrong


def run(options, core, rng):
    """Slices until the time is over. Lives and slices."""
    lives, slices, began = [[]], [], time.monotonic()
    core.start()
    while (hours := (time.monotonic() - began) / 3600) < options.hours:
        kind, transport = rng.choice(("registration", "reregistration")), rng.choice(("udp", "udp", "tcp"))
        slices.append(core.load(kind, transport, options, options.slice))
        memory, descriptors = core.figures()
        lives[-1].append(((time.monotonic() - began) / 3600, memory, descriptors))
        print(f"{hours * 60:6.1f} min  {kind:<14} {transport}  {slices[-1][0]} done, {slices[-1][1]} failed  "
              f"{memory:.1f} MiB, {descriptors} descriptors", flush=True)
        lot = rng.random()
        if lot < options.restarts:
            how = rng.choice((signal.SIGTERM, signal.SIGKILL))
            print(f"           {how.name}, and started again", flush=True)
            core.end(how)
            core.start()
            lives.append([])
        elif lot < 0.5:
            core.process.send_signal(signal.SIGHUP)
    core.end(signal.SIGTERM)
    return lives, slices


def main():
    """Reads the arguments, runs, judges."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--muster", default=os.environ.get("MUSTER", str(ROOT / "build" / "muster")))
    parser.add_argument("--hours", type=float, default=1.0, help="how long (1)")
    parser.add_argument("--users", type=int, default=2000, help="subscribers (2000)")
    parser.add_argument("--rate", type=int, default=1000, help="registrations a second (1000)")
    parser.add_argument("--slice", type=int, default=20, help="seconds of load between looks (20)")
    parser.add_argument("--restarts", type=float, default=0.02, help="probability of a restart after a slice (0.02)")
    parser.add_argument("--seed", type=int, default=1, help="of the order of things (1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="muster-soak-", dir="/var/tmp") as name:
        core = Core(options.muster, pathlib.Path(name))
        try:
            lives, slices = run(options, core, random.Random(options.seed))
        finally:
            if core.process and core.process.poll() is None:
                core.process.kill()
                core.process.wait()
    wrong = judge(lives, slices)
    done, failed = sum(d for d, _ in slices), sum(f for _, f in slices)
    print(f"{done} registrations, {failed} failed, {len(lives) - 1} restarts")
    print("\n".join(wrong) or "soak: all is well")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
