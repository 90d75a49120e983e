"""tools/fuzz.py DIRECTORY SECONDS [NAME...]: builds the fuzzers there and runs each for so long, one after the other.

Begins with the corpus in test/fuzz/corpus/NAME (for SIP also with the torture messages), with the words of
test/fuzz/dictionaries/NAME.dict, and keeps what it learns in DIRECTORY/corpus/NAME. A finding is saved in
DIRECTORY/findings; the command that shows it again is printed, and the exit code is 1."""

import pathlib
import re
import subprocess
import sys

from build import build

HERE = pathlib.Path("test/fuzz")
RSS_MB = 2048


def run(fuzzer, directory, seconds):
    """One fuzzer for its time; the path of a finding, or None."""
    name = fuzzer.name.removeprefix("fuzz_")
    corpora = [HERE / "corpus" / name] + ([HERE.parent / "torture"] if name in ("sip", "frame") else [])
    words = HERE / "dictionaries" / f"{name}.dict"
    learned, findings = directory / "corpus" / name, directory / "findings"
    learned.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    command = [str(fuzzer.resolve()), f"-max_total_time={seconds}", f"-rss_limit_mb={RSS_MB}", "-timeout=10",
               f"-artifact_prefix={findings}/{name}-", "-print_final_stats=1", str(learned)]
    command += [str(one) for one in corpora if one.is_dir()]
    command += [f"-dict={words}"] if words.is_file() else []
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stderr
    stats = {key: value for key, value in re.findall(r"stat::(\w+):\s+(\d+)", said)}
    cover = re.findall(r"cov: (\d+)", said)
    print(f"  {name:<10} {int(stats.get('number_of_executed_units', 0)):>10} inputs, {cover[-1] if cover else '?'} edges, "
          f"{'a finding' if done.returncode else 'nothing found'}", flush=True)
    if done.returncode == 0:
        return None
    print(said[-4000:])
    found = re.search(r"Test unit written to (\S+)", said)
    return found[1] if found else "(no file)"


def main():
    """Builds, runs, sums up."""
    directory, seconds, only = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    if not build(str(directory)):
        return 1
    bad = False
    for fuzzer in sorted((directory / "test" / "fuzz").glob("fuzz_*")):
        name = fuzzer.name.removeprefix("fuzz_")
        if not fuzzer.is_file() or (only and name not in only):
            continue
        finding = run(fuzzer, directory, seconds)
        if finding:
            print(f"Again: {fuzzer} {finding}")
            bad = True
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
