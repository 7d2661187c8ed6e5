#!/usr/bin/env python3
"""The list of planted bugs and the code agree: each stands where the list says, once, and none stands unlisted."""
import re
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src"
sys.path.insert(0, str(ROOT / "tools" / "harness"))
import mutants  # noqa: E402

STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(r"\{" + r",\s*".join([STRING] * 4) + r"\},")
WANTED_MIN = 40


def code():
    for path in sorted(SOURCES.rglob("*")):
        if path.suffix in (".h", ".cc") and path != SOURCES / "base" / "mutant.h":
            yield path.relative_to(SOURCES).as_posix(), path.read_text(encoding="utf-8")


class Registry(unittest.TestCase):
    def setUp(self):
        self.rows = ROW.findall((SOURCES / "sim" / "mutants.cc").read_text(encoding="utf-8"))
        self.uses = [(name, file) for file, text in code() for name in re.findall(r"\bMUTANT\((\w+)\)", text)]

    def test_each_listed_mutant_is_used_once_where_the_list_says_and_no_other_is(self):
        self.assertEqual(sorted((name, file) for name, file, _, _ in self.rows), sorted(self.uses))

    def test_names_are_unique_and_rows_say_what_is_wrong_and_where_it_was_seen(self):
        names = [row[0] for row in self.rows]
        self.assertEqual(len(names), len(set(names)))
        self.assertGreaterEqual(len(names), WANTED_MIN)
        for name, _, bug, source in self.rows:
            self.assertTrue(bug and source, name)

    def test_every_use_has_the_form_that_this_test_reads(self):
        for file, text in code():
            self.assertEqual(text.count("MUTANT("), len(re.findall(r"\bMUTANT\(\w+\)", text)), file)

    def test_canaries_are_listed(self):
        self.assertTrue(mutants.CANARIES)
        self.assertLessEqual(set(mutants.CANARIES), {row[0] for row in self.rows})


class Builds(unittest.TestCase):
    # meson.build leaves everything else out of a build with planted bugs; these hold it to that.
    def test_only_the_planted_build_defines_the_switch(self):
        with_switch = [file for file, text in code() if "RINGFORT_MUTANTS" in text]
        self.assertEqual(with_switch, ["sim/mutants.cc"])

    def test_a_node_with_planted_bugs_does_not_compile(self):
        self.assertIn("static_assert(!ringfort::mutants_planted",
                      (SOURCES / "server" / "main.cc").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
