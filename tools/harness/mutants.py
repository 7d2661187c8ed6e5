"""Plants one bug after the other into the simulated code and looks which the simulator finds.

Builds the simulator with planted bugs (build/mutants, no other program), then runs it with each of them over one seed
after the other until a judge says no, an assertion fails or the run does not end, at most for the budget of CPU time. A
seed finds a bug only if it passes without it. One line a mutant as it ends; last a line `mutants found: N of M`.
"""
import argparse
import concurrent.futures
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time

import building
from building import ROOT, say

BUDGET_SECONDS = 240         # of CPU time, a mutant
ROUNDS = (0.05, 0.2, 0.75)   # shares of it: whoever is found quickly must not wait for those that are not
RUN_CPU_SECONDS_MAX = 60     # a run that needs more does not end
MINUTES_MAX = 95             # of all: who has not had a turn by then counts as not found
SIMULATED_SECONDS = (4, 10, 20)   # under faults, by turns: short runs are many, long ones reach what takes time
LARGE_ONE_IN = 5                  # so many seeds run with five nodes, whatever they draw
JOBS = max(2, os.cpu_count() or 1)
WAYS = {3: "liveness", 4: "safety", 5: "not deterministic", 6: "crash"}
# Found within seconds each: tools/test looks for them.
CANARIES = ["pre_votes_elect", "sent_write_repeated", "create_revision_moves", "txn_blind_to_itself"]
CANARY_BUDGET_SECONDS = 60


def build(quick=False):
    """The simulator with planted bugs; `quick`: to build, not to run."""
    folder = building.configure("mutants-quick" if quick else "mutants",
                                ["-Dmutants=true", *(["-Doptimization=1"] if quick else [])])
    program = building.executables(folder)["simulate"]
    building.build(folder, [program])
    return folder / program


def planted(program):
    """[{name, file, bug, source}], as the simulator lists them."""
    listing = subprocess.run([program, "--mutants"], capture_output=True, text=True, check=True).stdout
    return [dict(zip(("name", "file", "bug", "source"), line.split("\t"))) for line in listing.splitlines()]


class Simulator:
    """Runs seeds, and knows which of them pass without a planted bug."""

    def __init__(self, program):
        self.program = program
        self.sound = {}   # seed -> whether it passes
        self.lock = threading.Lock()
        self.unplanted_cpu = 0.0

    def run(self, seed, mutant=None):
        """(how it failed or None, what it said, CPU seconds)."""
        command = [str(self.program), *options_of(seed), *(["--mutant", mutant] if mutant else [])]
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=ROOT)
            resource.prlimit(process.pid, resource.RLIMIT_CPU, (RUN_CPU_SECONDS_MAX, RUN_CPU_SECONDS_MAX + 5))
            os.setpriority(os.PRIO_PROCESS, process.pid, 5)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            said = output.read().decode(errors="replace")
        code = process.returncode
        if code == 2:
            sys.exit(f"{' '.join(command)}: {said}")
        cpu = used.ru_utime + used.ru_stime
        how = None if code == 0 else "does not end" if cpu >= RUN_CPU_SECONDS_MAX else WAYS.get(code, "crash")
        return how, said, cpu

    def passes(self, seed):
        with self.lock:
            known = self.sound.get(seed)
        if known is not None:
            return known
        how, said, used = self.run(seed)
        with self.lock:
            if how and seed not in self.sound:
                say(f"seed {seed} fails without a planted bug ({how}): {headline(said)}")
            self.sound[seed] = how is None
            self.unplanted_cpu += used
        return how is None


def options_of(seed):
    """The run a seed stands for, without or with a planted bug."""
    seconds = SIMULATED_SECONDS[seed % len(SIMULATED_SECONDS)]
    return ["--seed", str(seed), "--seconds", str(seconds), *(["--nodes", "5"] if seed % LARGE_ONE_IN == 0 else [])]


def headline(said):
    """The line that says what is wrong."""
    lines = [line for line in said.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("SAFETY", "LIVENESS")) or "ssertion" in line or "ASSERT" in line]
    return (told or lines[-1:] or [""])[0][:200]


class Search:
    """The seeds run so far with one bug, and what they found."""

    def __init__(self, simulator, name, first_seed):
        self.simulator = simulator
        self.seed = first_seed
        self.result = {"name": name, "found": False, "cpu_seconds": 0.0, "runs": 0}

    def go_on(self, budget, end):
        """Until a seed finds the bug, `budget` CPU seconds are used in all, or the clock says `end`."""
        result = self.result
        while not result["found"] and result["cpu_seconds"] < budget and time.monotonic() < end:
            how, said, used = self.simulator.run(self.seed, result["name"])
            result["cpu_seconds"] = round(result["cpu_seconds"] + used, 1)
            result["runs"] += 1
            if how and self.simulator.passes(self.seed):
                result.update(found=True, how=how, what=headline(said),
                              replay=" ".join([*options_of(self.seed), "--mutant", result["name"]]))
            self.seed += 1
        return result


def describe(result):
    if result["found"]:
        return (f"found     {result['name']:32} {result['cpu_seconds']:7.1f} s CPU, {result['runs']:3} runs, "
                f"{result['how']}: {result['what']}")
    return f"NOT FOUND {result['name']:32} {result['cpu_seconds']:7.1f} s CPU, {result['runs']:3} runs"


def look_for_all(simulator, names, first_seed=1, budget=BUDGET_SECONDS, jobs=JOBS, minutes=MINUTES_MAX):
    """A result for each."""
    end = time.monotonic() + 60 * minutes
    searches = [Search(simulator, name, first_seed) for name in names]
    found = 0
    for last in range(1, len(ROUNDS) + 1):
        left = [search for search in searches if not search.result["found"]]
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            runs = [pool.submit(search.go_on, budget * sum(ROUNDS[:last]), end) for search in left]
            for run in concurrent.futures.as_completed(runs):
                result = run.result()
                found += result["found"]
                if result["found"] or last == len(ROUNDS):
                    say(f"{found:3} found  {describe(result)}")
    return [search.result for search in searches]


def main():
    parser = argparse.ArgumentParser(prog="tools/mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="this one; may be repeated")
    parser.add_argument("--budget", type=float, default=BUDGET_SECONDS, metavar="S",
                        help=f"CPU seconds for each (default {BUDGET_SECONDS})")
    parser.add_argument("--minutes", type=float, default=MINUTES_MAX,
                        help=f"for all of them; who had no turn by then counts as not found (default {MINUTES_MAX})")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default 1)")
    parser.add_argument("--jobs", type=int, default=JOBS, help="runs at a time (default: as many as cores, at least 2)")
    parser.add_argument("--json", metavar="FILE", help="results for machines")
    options = parser.parse_args()
    try:
        program = build()
    except building.BuildFailed as failure:
        sys.exit(str(failure))
    listed = planted(program)
    names = [mutant["name"] for mutant in listed]
    for name in options.only or []:
        if name not in names:
            sys.exit(f"no mutant is named {name}; there are: {', '.join(names)}")
    wanted = options.only or names
    begin = time.monotonic()
    simulator = Simulator(program)
    results = look_for_all(simulator, wanted, options.seed, options.budget, options.jobs, options.minutes)
    found = sum(result["found"] for result in results)
    spent = sum(result["cpu_seconds"] for result in results)
    if options.json:
        about = {mutant["name"]: mutant for mutant in listed}
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([{**about[result["name"]], **result} for result in results], file, indent=1)
    unsound = sorted(seed for seed, passes in simulator.sound.items() if not passes)
    if unsound:
        say(f"seeds that fail without a planted bug: {', '.join(map(str, unsound))}")
    say(f"{spent:.0f} s CPU with planted bugs, {simulator.unplanted_cpu:.0f} s without, "
        f"{(time.monotonic() - begin) / 60:.0f} minutes")
    say(f"mutants found: {found} of {len(results)}")
    return 0 if found == len(results) and not unsound else 1


if __name__ == "__main__":
    sys.exit(main())
