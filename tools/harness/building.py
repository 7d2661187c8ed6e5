"""Configuring and building with meson and ninja, with progress in a few lines instead of thousands."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRESS_SECONDS = 15


class BuildFailed(Exception):
    """The message is the tail of the tool's output."""


def say(text=""):
    print(text, flush=True)


def configure(name, options=(), compiler=None):
    """The build folder build/<name>, configured; options are meson's. A folder that does not fit is made anew."""
    folder = ROOT / "build" / name
    wanted = json.dumps([list(options), compiler])
    mark = folder / "configured-with.json"
    known = mark.exists() and mark.read_text(encoding="utf-8") == wanted and (folder / "build.ninja").exists()
    if not known:
        shutil.rmtree(folder, ignore_errors=True)
    environment = dict(os.environ)
    if compiler:
        environment["CXX"] = compiler
    # Again where it is known, too: a new folder is seen by nobody else.
    command = ["meson", "setup", *(["--reconfigure"] if known else []), str(folder), str(ROOT), *options]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode != 0:
        raise BuildFailed(tail(result.stdout + result.stderr, 20))
    mark.write_text(wanted, encoding="utf-8")
    return folder


def build(folder, targets=()):
    """ninja, with one line of progress now and then; on a terminal one that moves."""
    command = ["ninja", "-C", str(folder), *targets]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    terminal = sys.stdout.isatty()
    begin = spoken = time.monotonic()
    output, moved = [], False
    for line in process.stdout:
        output.append(line)
        step, now = re.match(r"\[(\d+)/(\d+)\]", line), time.monotonic()
        if not step or (not terminal and now - spoken < PROGRESS_SECONDS):
            continue
        spoken, moved = now, True
        done, total = int(step.group(1)), int(step.group(2))
        text = f"  building: {done} of {total} files, {100 * done // total} %, {now - begin:.0f} s"
        print(f"\r{text}\x1b[K" if terminal else text, end="" if terminal else "\n", flush=True)
    if terminal and moved:
        print(flush=True)
    if process.wait() != 0:
        failed = next((i for i, line in enumerate(output) if line.startswith("FAILED:")), max(0, len(output) - 40))
        raise BuildFailed("".join(output[failed:failed + 60]))


def introspect(folder, what):
    command = ["meson", "introspect", f"--{what}", str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildFailed(result.stderr)
    return json.loads(result.stdout)


def executables(folder):
    """Name -> path relative to the build folder, of every executable the build knows."""
    return {target["name"]: os.path.relpath(target["filename"][0], folder)
            for target in introspect(folder, "targets") if target["type"] == "executable"}


def tail(text, lines):
    return "\n".join(text.rstrip().split("\n")[-lines:])


def release_binaries(names, name="release", options=()):
    """Builds the named programs for release and returns name -> path."""
    folder = configure(name, options)
    known = executables(folder)
    missing = [program for program in names if program not in known]
    if missing:
        sys.exit(f"the build has no program named {', '.join(missing)}")
    build(folder, [known[program] for program in names])
    return {program: folder / known[program] for program in names}
