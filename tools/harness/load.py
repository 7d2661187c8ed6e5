"""ringload as the scripts use it: the words of its command line and of its answers stand here only."""
import json
import re
import signal
import subprocess
import time
from pathlib import Path

from processes import Missed, die_with_parent, run


class Load:
    """One running ringload."""

    def __init__(self, programs, endpoints, folder, name="load", *, op="put", connections=16, in_flight=16, seconds=None,
                 requests=None, keys=10000, key_bytes=8, value_bytes=256, history=False, live=False, extra=()):
        self.programs, self.endpoints = programs, endpoints
        self.history = Path(folder) / f"{name}.history" if history else None
        self.json, self.errors = Path(folder) / f"{name}.json", Path(folder) / f"{name}.log"
        command = [str(programs["ringload"]), "--endpoints", endpoints, "--op", op, "--connections", str(connections),
                   "--in-flight", str(in_flight), "--keys", str(keys), "--key-bytes", str(key_bytes),
                   "--value-bytes", str(value_bytes), "--json"]
        command += ["--seconds", str(seconds)] if seconds else ["--requests", str(requests)]
        command += ["--history", str(self.history)] if history else []
        command += [*map(str, extra)]
        self.command = command
        # The result goes to standard output, the live line to standard error.
        with self.json.open("wb") as output, self.errors.open("wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=None if live else errors, preexec_fn=die_with_parent)

    def running(self):
        return self.process.poll() is None

    def answered(self):
        """How many requests the live lines have told of so far, one line a second."""
        said = self.errors.read_text(encoding="utf-8", errors="replace")
        return sum(int(count.replace(",", "")) for count in re.findall(r" s +([\d,]+) /s ", said))

    def stop(self):
        """Ends the load early; what it measured so far is kept."""
        if self.running():
            self.process.send_signal(signal.SIGINT)

    def result(self, seconds=120):
        """Waits for its end; the JSON object it wrote."""
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Missed(f"ringload did not end within {seconds} s") from None
        try:
            return json.loads(self.json.read_text(encoding="utf-8"))
        except ValueError:
            said = self.errors.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise Missed(f"ringload ended with {code} and without a result: {said}") from None

    def verify(self, endpoints=None, seconds=120):
        """Compares the recorded history with what the cluster holds now: (exit code, what it says)."""
        code, output, error = run([self.programs["ringload"], "verify", "--endpoints", endpoints or self.endpoints,
                                   "--history", self.history], seconds)
        return code, (output + error).strip()

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()


def gaps_between(result, begin, end):
    """Of a load's result: the times without an acknowledgement that reach between two moments of time.monotonic(), each as
    (its milliseconds, the moment of its end)."""
    began = result["began_monotonic_s"]
    found = [(length, began + at / 1000, began + (at + length) / 1000) for at, length in result["gaps_ms"]]
    return [(length, ended) for length, since, ended in found if since <= end and ended >= begin]


def measure(programs, endpoints, folder, name, nodes=(), **options):
    """A whole load; its JSON with the CPU the given nodes spent on it."""
    before = [node.cpu_seconds() for node in nodes]
    begin = time.monotonic()
    load = Load(programs, endpoints, folder, name, **options)
    try:
        result = load.result(seconds=600)
    finally:
        load.kill()
    spent = sum(node.cpu_seconds() - was for node, was in zip(nodes, before))
    result["seconds"] = time.monotonic() - begin
    result["server_cpu_us"] = spent * 1e6 / max(1, result["requests"])
    return result
