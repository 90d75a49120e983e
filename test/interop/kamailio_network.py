"""Kamailio 5.6 with its IMS modules as P-, I- and S-CSCF on loopback, for tests and benchmarks.

Of the settings those are taken that make it fastest here: one worker for each role, no database
but the text tables of the I-CSCF, nothing logged. What is peculiar to 5.6.3 stands in the files of
test/interop/kamailio."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent / "kamailio"
PROGRAM = "/usr/sbin/kamailio"
ROLES = ("pcscf", "icscf", "scscf")
START_S = 15


def is_installed():
    """Are Kamailio and its IMS modules here?"""
    return os.path.exists(PROGRAM) and any(
        pathlib.Path("/usr/lib").glob("*/kamailio/modules/ims_registrar_scscf.so"))


class Kamailio:
    """The roles asked for, as processes; the other addresses say where their neighbours are.

    addresses: "host:port" for pcscf, icscf, scscf and hss. folder: a new one, for what they write. round_s: how often
    the S-CSCF looks for contacts that are over; an RTR only marks them."""

    def __init__(self, folder, domain, addresses, roles=ROLES, debug=-1, round_s=90):
        self.folder = pathlib.Path(folder)
        self.roles = roles
        self.words = {"DOMAIN": domain, "FOLDER": str(self.folder), "CHILDREN": "1", "DEBUG": str(debug),
                      "ROUND_S": str(round_s)}
        for name, address in addresses.items():
            host, port = address.rsplit(":", 1)
            self.words |= {name.upper(): address, f"{name.upper()}_HOST": host, f"{name.upper()}_PORT": port}
        self.running = {}

    def _write(self, source, target, **more):
        text = source.read_text() if isinstance(source, pathlib.Path) else source
        words = self.words | more
        (self.folder / target).write_text(
            re.sub(r"@([A-Z_]+)@", lambda m: words.get(m[1], m[0]), text))

    def _write_all(self):
        self._write(HERE / "common.cfg", "common.cfg")
        for role in self.roles:
            self._write(HERE / f"{role}.cfg", f"{role}.cfg")
            if role != "pcscf":
                self._write(HERE / "cdp.xml", f"{role}.xml", NAME=role, OWN_HOST=self.words[f"{role.upper()}_HOST"])
        if "icscf" in self.roles:
            self._write_tables()

    def _write_tables(self):
        """The I-CSCF's list of S-CSCFs, in db_text's format."""
        tables = self.folder / "icscf_db"
        tables.mkdir(exist_ok=True)
        scscf = self.words["SCSCF"].replace(":", "\\:")
        for name, text in {
            "version": "table_name(string) table_version(int)\n"
                       "nds_trusted_domains:1\ns_cscf:1\ns_cscf_capabilities:1\n",
            "s_cscf": f"id(int) name(string) s_cscf_uri(string)\n1:scscf:sip\\:{scscf}\n",
            "s_cscf_capabilities": "id(int) id_s_cscf(int) capability(int)\n1:1:1\n",
            "nds_trusted_domains": "id(int) trusted_domain(string)\n1:@DOMAIN@\n",
        }.items():
            self._write(text, f"icscf_db/{name}")

    def start(self):
        """Starts them; returns when all answer SIP. RuntimeError says what one of them said instead."""
        self._write_all()
        for role in self.roles:
            log = open(self.folder / f"{role}.log", "wb")  # the process owns it
            self.running[role] = subprocess.Popen(
                [PROGRAM, "-f", str(self.folder / f"{role}.cfg"), "-DD", "-E", "-x", "tlsf", "-m", "256", "-M", "32",
                 "-b", "4000000", "-P", str(self.folder / f"{role}.pid"), "-Y", str(self.folder), "-w", str(self.folder)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
            log.close()
        deadline = time.monotonic() + START_S
        for role in self.roles:
            while not self._listens(role):
                if self.running[role].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"Kamailio's {role} did not start: {self.log(role)[-2000:]}")
                time.sleep(0.05)

    def _listens(self, role):
        """Has somebody bound its UDP port?"""
        host, port = self.words[f"{role.upper()}_HOST"], int(self.words[f"{role.upper()}_PORT"])
        number = "".join(f"{int(b):02X}" for b in reversed(host.split(".")))
        return f"{number}:{port:04X}" in pathlib.Path("/proc/net/udp").read_text()

    def log(self, role):
        """What it has written so far."""
        return (self.folder / f"{role}.log").read_text(errors="replace")

    def pids(self):
        """All their processes."""
        found = []
        for process in self.running.values():
            found.append(process.pid)
            for task in pathlib.Path(f"/proc/{process.pid}/task").glob("*/children"):
                found += [int(pid) for pid in task.read_text().split()]
        return found

    def stop(self):
        """Ends them, by process group."""
        for process in self.running.values():
            for kind in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, kind)
                    process.wait(3)
                    break
                except subprocess.TimeoutExpired:
                    continue
                except ProcessLookupError:
                    process.wait(3)
                    break
        self.running = {}

    def remove(self):
        """Removes the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
