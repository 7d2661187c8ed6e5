"""Runs the stages of tools/test and counts.

    release    release build, every test of it: one count for each gtest case, one for each other test
    sanitize   address + undefined: the same tests but for those of pace, of the text and of the command lines (whose
               parsers are fuzzed) and long searches of the kind the simulator makes; a few simulated clusters, and
               whether they run as in the release build
    threads    thread sanitizer: what runs on several threads (mailboxes, ring, server)
    fuzz       clang and libFuzzer: every decoder for some seconds, one count each
    simulate   whole clusters under virtual time over fixed seeds and a fresh one, and some planted bugs that must be
               found; one count each
    cluster    three real processes: kills, pauses, restarts, bad clients, full disks, two tests at a time; one count each
"""
import argparse
import concurrent.futures
import functools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import building
import mutants
from building import ROOT, say, tail

STAGES = ["release", "sanitize", "threads", "fuzz", "simulate", "cluster"]
UNSANITIZED_TESTS = ("ringctl", "ringctl_command_line", "ringload", "ringload_command_line", "raft_chaos", "raft_explorer")
THREADED = ("mailbox", "uring", "server", "client", "client_sockets", "client_manual")
FUZZ_SECONDS = 5
SIMULATED_SEEDS = list(range(1, 31))
SANITIZED_SEEDS = [1, 2, 3, 4]
COMPARED_SEEDS = "11-13"
JOBS = max(2, os.cpu_count() or 1)
# Amounts and searches that take a sanitizer minutes; with less the same code runs there in other tests, and under drawn
# faults in the seeds.
UNSANITIZED = "Large*:Kinds/*:Seeds/*:RecoveryJudge.every_loss*"
SANITIZED = ["-Db_lundef=false", "-Doptimization=g"]
# A third of the compile time without null and alignment: the address sanitizer sees the one, clang's fuzzers the other.
# vptr wants type information of every object, and src/ is built without.
UNDEFINED = "-Dcpp_args=-fno-sanitize=null,alignment,vptr"
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


class Count:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.failures = []

    def add(self, label, passed, failed=0, skipped=0, seconds=0.0, output="", reasons=()):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        word = "FAIL" if failed else "ok"
        skips = f", {skipped} skipped" if skipped else ""
        say(f"  {word:4} {label}: {passed} passed{f', {failed} failed' if failed else ''}{skips} ({seconds:.1f} s)")
        for reason in reasons:
            say(f"       skipped: {reason}")
        if failed:
            self.failures.append(label)
            say("\n".join(f"       | {line}" for line in output.split("\n")))


def run_one(label, command, timeout, environment=None, folder=ROOT, out=None):
    """(exit code or None on timeout, output, seconds). Standard output goes to the file `out` where one is given."""
    begin = time.monotonic()
    try:
        result = subprocess.run(command, cwd=folder, env={**os.environ, **(environment or {})}, timeout=timeout,
                                stdout=out or subprocess.PIPE, stderr=subprocess.PIPE if out else subprocess.STDOUT,
                                stdin=subprocess.DEVNULL, check=False)
        said = result.stderr if out else result.stdout
        return result.returncode, said.decode(errors="replace"), time.monotonic() - begin
    except subprocess.TimeoutExpired as expired:
        said = ((expired.stderr if out else expired.stdout) or b"").decode(errors="replace")
        return None, f"{said}\n{label}: stopped after {timeout} s", time.monotonic() - begin


def run_meson_test(test, count, environment, factor, without):
    """Runs one test of meson's list; a gtest executable is counted case by case."""
    command, timeout = list(test["cmd"]), max(60, test["timeout"]) * factor
    environment = {**test.get("env", {}), **environment}
    if test["protocol"] != "gtest":
        code, output, seconds = run_one(test["name"], command, timeout, environment, test["workdir"] or ROOT)
        return lambda: count.add(test["name"], int(code == 0), int(code != 0), 0, seconds, tail(output, 40))
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "cases.json"
        command += [f"--gtest_output=json:{report}", f"--gtest_filter=-{without}"]
        code, output, seconds = run_one(test["name"], command, timeout, environment, test["workdir"] or ROOT)
        cases = gtest_cases(report)
    failed = [name for name, outcome in cases if outcome == "failed"]
    skipped = [name for name, outcome in cases if outcome == "skipped"]
    passed = len(cases) - len(failed) - len(skipped)
    if code != 0 and not failed:
        failed = ["the program itself (crash, timeout or sanitizer)"]
    if not cases and not failed:
        failed = ["no test case ran"]
    text = "failed: " + ", ".join(failed[:10]) + "\n" + (said_by(failed, output) or tail(output, 40))
    return lambda: count.add(test["name"], passed, len(failed), len(skipped), seconds, text, skipped)


def said_by(failed, output):
    """What gtest printed of these cases, the last 40 lines of each; empty if it ended before it told of any. (The end of the
    whole output is about other cases, and a case's own lines name the seed that it drew.)"""
    texts = []
    for name in failed[:10]:
        begin = output.find(f"[ RUN      ] {name}\n")
        end = output.find(f"[  FAILED  ] {name}", begin)
        if 0 <= begin < end:
            texts.append(tail(output[begin:end], 40))
    return "\n".join(texts)


def gtest_cases(report):
    """[(name, passed|failed|skipped)] from gtest's JSON; empty when the program died before writing it."""
    try:
        document = json.loads(report.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    outcomes = []
    for suite in document.get("testsuites", []):
        for case in suite.get("testsuite", []):
            result = case.get("result", "")
            outcome = "failed" if case.get("failures") else "skipped" if result == "SKIPPED" else "passed"
            if result != "SUPPRESSED":
                outcomes.append((f"{suite['name']}.{case['name']}", outcome))
    return outcomes


def run_build_tests(name, options, count, only=None, environment=None, factor=1, without="", beside=None):
    """Configures, builds what the tests need, runs them in parallel; of gtest's cases not those named `without`.
    beside(folder): further jobs that run among the tests, each of which returns what counts it."""
    folder = building.configure(name, options)
    tests = [test for test in building.introspect(folder, "tests") if only is None or only(test)]
    if not tests:
        count.add(name, 0, 1, output="the build has no test for this stage")
    building.build(folder, needed_by(folder, tests) if only else ())
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        # Who may take longest begins first: else the last one runs alone.
        parallel = sorted((test for test in tests if test["is_parallel"]), key=lambda test: -test["timeout"])
        begun = [pool.submit(run_meson_test, test, count, environment or {}, factor, without) for test in parallel]
        begun += [pool.submit(job) for job in (beside(folder) if beside else ())]   # short ones: they fill what is left
        for finished in concurrent.futures.as_completed(begun):
            finished.result()()
    for test in tests:
        if not test["is_parallel"]:
            run_meson_test(test, count, environment or {}, factor, without)()
    return folder


def needed_by(folder, tests):
    """Ninja's names of what the tests run and of what they say they depend on."""
    files = {target["id"]: target["filename"] for target in building.introspect(folder, "targets")}
    outputs = {path for paths in files.values() for path in paths}
    wanted = {word for test in tests for word in test["cmd"] if word in outputs}
    wanted |= {path for test in tests for target in test["depends"] for path in files.get(target, [])}
    return sorted(os.path.relpath(path, folder) for path in wanted)


def stage_release(count, _options):
    run_build_tests("release", [], count)


def stage_sanitize(count, _options):
    def beside(folder):
        return [*seed_jobs(folder, SANITIZED_SEEDS, count, SANITIZER_ENVIRONMENT), lambda: compare_builds(folder, count)]

    building.build(building.configure("release"), ["src/sim/simulate"])
    run_build_tests("sanitize", ["-Db_sanitize=address,undefined", UNDEFINED, *SANITIZED], count,
                    lambda test: test["name"] not in UNSANITIZED_TESTS and
                        not any(suite.endswith(("tidy", "pace")) for suite in test["suite"]),
                    SANITIZER_ENVIRONMENT, factor=5, without=UNSANITIZED, beside=beside)


def stage_threads(count, _options):
    run_build_tests("threads", ["-Db_sanitize=thread", *SANITIZED], count,
                    lambda test: test["name"] in THREADED, SANITIZER_ENVIRONMENT, factor=5, without=UNSANITIZED)


def stage_fuzz(count, options):
    options_of_clang = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Dcpp_args=-fsanitize=fuzzer-no-link"]
    folder = building.configure("fuzz", [*options_of_clang, *SANITIZED], compiler="clang++")
    fuzzers = {name: path for name, path in building.executables(folder).items() if name.endswith("_fuzz")}
    if not fuzzers:
        count.add("fuzzers", 0, 1, output="the build has no *_fuzz program")
        return
    building.build(folder, sorted(fuzzers.values()))

    def fuzz(name):
        seeds = ROOT / "tests" / "fuzz" / "corpus" / name.removesuffix("_fuzz")
        with tempfile.TemporaryDirectory() as corpus:
            command = [str(folder / fuzzers[name]), f"-max_total_time={FUZZ_SECONDS}", f"-seed={options.seed % 2**31}",
                       "-rss_limit_mb=2048", "-timeout=10", f"-artifact_prefix={folder}/", corpus]
            return run_one(name, command + ([str(seeds)] if seeds.is_dir() else []), FUZZ_SECONDS * 5 + 60)

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, (code, output, seconds) in zip(sorted(fuzzers), pool.map(fuzz, sorted(fuzzers))):
            count.add(name, int(code == 0), int(code != 0), 0, seconds, tail(output, 30))


def stage_simulate(count, options):
    jobs = seed_jobs(building.configure("release"), [*SIMULATED_SEEDS, options.seed], count)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for finished in pool.map(lambda job: job(), jobs):
            finished()
    find_planted_bugs(count)


def find_planted_bugs(count):
    """That a passing simulation means something: tools/mutants looks for all of them."""
    begin = time.monotonic()
    simulator = mutants.Simulator(mutants.build(quick=True))
    results = mutants.look_for_all(simulator, mutants.CANARIES, budget=mutants.CANARY_BUDGET_SECONDS)
    missed = [result["name"] for result in results if not result["found"]]
    count.add("planted bugs", len(results) - len(missed), len(missed), seconds=time.monotonic() - begin,
              output="not found: " + ", ".join(missed))


def seed_jobs(folder, seeds, count, environment=None):
    """A job for each seed, which returns what counts it; a failure prints the command that replays it."""
    program = building.executables(folder)["simulate"]
    building.build(folder, [program])

    def run(seed):
        code, output, seconds = run_one(f"seed {seed}", [str(folder / program), "--seed", str(seed)], 300, environment)
        replay = f"replay: {os.path.relpath(folder / program, ROOT)} --seed {seed}"
        return lambda: count.add(f"simulation, seed {seed}", int(code == 0), int(code != 0), 0, seconds,
                                 f"{tail(output, 30)}\n{replay}")

    return [functools.partial(run, seed) for seed in seeds]


def compare_builds(sanitized, count):
    """A seed is the same run, event by event, in the release build and in one with other optimization and checks."""
    begin, hashes, said = time.monotonic(), [], ""
    for folder, environment in ((ROOT / "build" / "release", None), (sanitized, SANITIZER_ENVIRONMENT)):
        program = folder / building.executables(folder)["simulate"]
        command = [str(program), "--seeds", COMPARED_SEEDS, "--seconds", "2", "--json"]
        with tempfile.TemporaryFile("w+") as out:
            code, errors, _ = run_one("comparison", command, 300, environment, out=out)
            out.seek(0)
            hashes.append(json.load(out)["hashes"] if code == 0 else {"failed": str(folder)})
        said += errors
    same = hashes[0] == hashes[1]
    return lambda: count.add("the same events in both builds", int(same), int(not same), seconds=time.monotonic() - begin,
                             output=f"{tail(said, 20)}\n{hashes[0]}\n{hashes[1]}")


def stage_cluster(count, _options):
    programs = building.release_binaries(["ringfort", "ringctl", "ringload", "historian", "recipes"])
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "cases.json"
        command = [sys.executable, str(ROOT / "tests" / "cluster" / "run.py"), "--report", str(report)]
        command += [f"--{name}={path}" for name, path in programs.items()]
        process = subprocess.Popen(command, cwd=ROOT)
        try:
            process.wait(timeout=1800)
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
        try:
            cases = json.loads(report.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            cases = []
    failed = [case["name"] for case in cases if case["outcome"] == "failed"]
    skipped = [f"{case['name']}: {case['reason']}" for case in cases if case["outcome"] == "skipped"]
    passed = len(cases) - len(failed) - len(skipped)
    if process.returncode != 0 and not failed:
        failed = ["the runner itself"]
    count.add("real processes", passed, len(failed), len(skipped), sum(case["seconds"] for case in cases),
              "failed: " + ", ".join(failed), skipped)


def main():
    parser = argparse.ArgumentParser(prog="tools/test", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the release stage only")
    parser.add_argument("--stage", action="append", choices=STAGES, help="only this stage; may be repeated")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**53),
                        help="the fresh seed for simulation and fuzzers (default: a new one, printed)")
    options = parser.parse_args()
    stages = options.stage or (["release"] if options.quick else STAGES)
    say(f"stages: {', '.join(stages)}; fresh seed {options.seed}; {JOBS} at a time")
    count, begin = Count(), time.monotonic()
    for stage in stages:
        stage_begin = time.monotonic()
        say(f"== {stage}")
        try:
            globals()[f"stage_{stage}"](count, options)
        except building.BuildFailed as failure:
            count.add(f"{stage}: build", 0, 1, output=str(failure))
        say(f"   {stage} took {time.monotonic() - stage_begin:.0f} s")
    say()
    for failure in count.failures:
        say(f"failed: {failure}")
    if count.skipped:
        say(f"{count.skipped} skipped, each with its reason above")
    say(f"all stages took {time.monotonic() - begin:.0f} s")
    say(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed or not count.passed else 0


if __name__ == "__main__":
    sys.exit(main())
