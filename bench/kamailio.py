#!/usr/bin/python3
"""bench/kamailio.py [MUSTER]: the same registrations by Kamailio's three CSCFs and by Muster, one after the other.

Kamailio 5.6's IMS modules play P-, I- and S-CSCF, each with one worker and nothing logged, which is where they are
fastest here; Muster's HSS stands behind them with its memory store, and only the three CSCFs' CPU time is counted.
Muster plays all four roles, its HSS and the flushes of its store included. The load is the same program's: full
registrations with AKA, by the same terminals. Prints both and their ratio; with --check N fails below N times."""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "test" / "interop"))

import kamailio_network  # noqa: E402

DOMAIN = "ims.mnc001.mcc001.3gppnetwork.org"
AT = {"pcscf": "127.0.39.1:5060", "icscf": "127.0.39.2:4060", "scscf": "127.0.39.3:6060", "hss": "127.0.39.4:3868",
      "web": "127.0.39.4:8080"}
CPU = "core_cpu_us_per_registration"


def write_config(path):
    """An HSS alone; the CSCFs are elsewhere."""
    cscfs = "".join(f"  {r}: {{listen: '{AT[r]}', remote: yes, transports: [udp]}}\n" for r in ("pcscf", "icscf"))
    path.write_text(
        f"network: {{mcc: '001', mnc: '01'}}\nnodes:\n{cscfs}"
        f"  scscf: {{listen: '{AT['scscf']}', remote: yes, transports: [udp], name: 'sip:{AT['scscf']}'}}\n"
        f"  hss: {{listen: '{AT['hss']}'}}\nstore: {{kind: memory}}\nweb: {{listen: '{AT['web']}'}}\n"
        "log: info\ntrace: 0\n")


def wait_for_peers(log, seconds=20):
    """Until both Diameter connections of Kamailio stand."""
    end = time.monotonic() + seconds
    while log.read_text(errors="replace").count("diameter peer up") < 2:
        if time.monotonic() > end:
            raise RuntimeError("Kamailio does not connect to the HSS:\n" + log.read_text(errors="replace"))
        time.sleep(0.1)


def measure(muster, options, *more):
    """What `muster bench` prints."""
    command = [muster, "bench", "registration", "--json", "--users", str(options.users), "--seconds",
               str(options.seconds), "--outstanding", str(options.outstanding), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}")
    return json.loads(done.stdout)


def measure_kamailio(options):
    """Brings all up, measures, ends it."""
    with tempfile.TemporaryDirectory(prefix="muster-kamailio-") as name:
        folder = pathlib.Path(name)
        write_config(folder / "hss.yaml")
        log = folder / "hss.log"
        kamailio = kamailio_network.Kamailio(folder, DOMAIN, AT)
        with log.open("w") as out:
            hss = subprocess.Popen([options.muster, "run", "-c", str(folder / "hss.yaml")], stdout=out, stderr=out)
        try:
            kamailio.start()
            wait_for_peers(log)
            pids = ",".join(map(str, kamailio.pids()))
            return measure(options.muster, options, "--pcscf", AT["pcscf"], "--web", AT["web"], "--pids", pids)
        finally:
            kamailio.stop()
            hss.terminate()
            hss.wait(20)


def main():
    """Reads the arguments, measures both, prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("muster", nargs="?", default=str(ROOT / "build" / "muster"))
    parser.add_argument("--users", type=int, default=1000, help="subscribers that take turns (1000)")
    parser.add_argument("--seconds", type=int, default=5, help="how long each is measured (5)")
    parser.add_argument("--outstanding", type=int, default=64, help="registrations under way at a time (64)")
    parser.add_argument("--check", type=float, metavar="N", help="fail if Muster takes more than an Nth of the CPU")
    options = parser.parse_args()
    if not kamailio_network.is_installed():
        print("kamailio: not measured, needs Debian's kamailio-ims-modules")
        return 0
    theirs, ours = measure_kamailio(options), measure(options.muster, options)
    ratio = theirs[CPU] / ours[CPU]
    print("registration, beside Kamailio 5.6 with its IMS modules:")
    for name, r in (("Kamailio's P-, I-, S-CSCF", theirs), ("Muster's P-, I-, S-CSCF and HSS", ours)):
        print(f"  {name:<32} {r[CPU]:7.1f} us of CPU each, {r['done_per_s']:6.0f} a second, {r['failed']} failed, "
              f"p99 {r['p99_ms']:.1f} ms")
    print(f"  Kamailio takes {ratio:.1f} times the CPU, without an HSS")
    return 1 if options.check and ratio < options.check else 0


if __name__ == "__main__":
    sys.exit(main())
