"""The commands of docs/provisioning.md do what it says there: they are run as they stand, with curl, in a network of their own.
$MUSTER is the program.

covers: B6"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MUSTER = os.environ["MUSTER"]
ROOT = pathlib.Path(__file__).parents[2]
NEEDS = ("curl", "jq", "xmllint", "unshare", "ip")


def commands(text):
    """Pairs of a command and what it prints."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines(keepends=True)
            n = 1
            if "<<END" in lines[0]:
                n = lines.index("END\n") + 1
            found.append(("".join(lines[:n]), "".join(lines[n:])))
    return found


def matches(expected, got):
    """... stands for anything, to the end of the line or over several."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "...\n" else ".*".join(map(re.escape, line.split("...")))
        for line in expected.splitlines(keepends=True)
    )
    return re.fullmatch(pattern + r"(?:\n)?" * (not expected.endswith("...\n")), got + "\n" * (not got.endswith("\n") and got != ""))


def main():
    """Runs them; TAP."""
    missing = [n for n in NEEDS if not shutil.which(n)]
    alone = ["unshare", "-r", "-n"]
    if missing or subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        print(f"1..0 # SKIP needs {', '.join(missing) or 'network namespaces'}")
        return 0
    pairs = commands((ROOT / "docs/provisioning.md").read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "bin").mkdir()
        (folder / "bin/muster").symlink_to(MUSTER)
        script = "ip link set lo up\nmuster run --memory > run.log 2>&1 &\nrun=$!\n"
        script += 'for i in $(seq 300); do grep -q "^ready" run.log && break; sleep 0.1; done\n'
        for i, (command, _) in enumerate(pairs):
            script += f"{{ {command} }} > out.{i} 2>&1\n"
        script += "kill $run; wait $run 2>/dev/null; true\n"
        env = {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": name}
        done = subprocess.run([*alone, "bash", "-c", script], cwd=folder, env=env, timeout=100, check=False)
        log = (folder / "run.log").read_text()
        failed = done.returncode
        print(f"1..{len(pairs)}")
        for i, (command, expected) in enumerate(pairs):
            got = (folder / f"out.{i}").read_text()
            good = matches(expected, got)
            failed |= not good
            print(f"{'ok' if good else 'not ok'} {i + 1} - {command.splitlines()[0][:90]}")
            if not good:
                print("".join(f"# wanted: {line}\n" for line in expected.splitlines()), end="")
                print("".join(f"# got: {line}\n" for line in got.splitlines()), end="")
        if failed or "Sanitizer" in log:
            print("".join(f"# {line}\n" for line in log.splitlines()))
    return int(bool(failed))


sys.exit(main())
