"""historian as the tests use it: clients that ask for everything, and the judgement of what they were told."""
import re
import signal
import subprocess
from pathlib import Path

from processes import Missed, die_with_parent

GAVE_UP = 3


class Historian:
    def __init__(self, programs, endpoints, folder, seconds):
        self.errors = Path(folder) / "historian.log"   # all it says
        with self.errors.open("wb") as said:
            self.process = subprocess.Popen([str(programs["historian"]), endpoints, str(seconds)],
                                            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
                                            preexec_fn=die_with_parent)

    def running(self):
        return self.process.poll() is None

    def judge(self, seconds=60):
        """Ends it; the figures of its history, which must not be bad: "told" says whether it was found good."""
        if self.running():
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Missed(f"historian did not end within {seconds} s") from None
        text = self.errors.read_text(encoding="utf-8", errors="replace")
        if code not in (0, GAVE_UP):
            raise Missed(f"historian ended with {code}: {text[-3000:]}")
        line = text.splitlines()[0]
        return {"line": line, "told": code == 0, **{name: int(count) for name, count in re.findall(r"(\w+): (\d+)", line)}}

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()
