"""historian as the scripts use it: clients that ask for everything, and the judgement of what they were told."""
import re
import signal
import subprocess
from pathlib import Path

from processes import Missed, die_with_parent

GAVE_UP = 3


def figures_in(text):
    return {name.strip(): int(count) for name, count in re.findall(r"([a-z][a-z ]*): (\d+)", text)}


class Historian:
    def __init__(self, programs, endpoints, folder, seconds, extra=()):
        self.verdict, self.errors = Path(folder) / "historian.verdict", Path(folder) / "historian.log"
        with self.verdict.open("wb") as verdict, self.errors.open("wb") as errors:
            self.process = subprocess.Popen([str(programs["historian"]), *map(str, extra), endpoints, str(seconds)],
                                            stdin=subprocess.DEVNULL, stdout=verdict, stderr=errors,
                                            preexec_fn=die_with_parent)

    def running(self):
        return self.process.poll() is None

    def live(self):
        """The newest counts, of one that was told to say them."""
        lines = self.errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return figures_in(lines[-1]) if lines else {}

    def judge(self, seconds=60):
        """Ends it; the figures of its history, which must not be bad: "told" says whether it was found good."""
        if self.running():
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Missed(f"historian did not end within {seconds} s") from None
        text = self.verdict.read_text(encoding="utf-8", errors="replace")
        if code not in (0, GAVE_UP):
            said = self.errors.read_text(encoding="utf-8", errors="replace")
            raise Missed(f"historian ended with {code}: {(text + said)[-3000:]}")
        lines = text.splitlines()
        return {"line": "; ".join(lines[:4]), "told": code == 0, **figures_in(text)}

    def kill(self):
        if self.running():
            self.process.kill()
            self.process.wait()
