#!/usr/bin/env python3
"""The explore command: exit codes, a complete help, and names that do not exist."""
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)


def explore(*arguments):
    result = subprocess.run([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    return result.returncode, result.stdout, result.stderr


class Explore(unittest.TestCase):
    def test_an_unknown_name_is_told_in_one_sentence_with_those_that_exist(self):
        for wrong, sentence, known in ((["wipe", "swipe"], "no scope is called swipe; there are: ", "reads-wipe"),
                                       (["swipe", "--list"], "no scope is called swipe; there are: ", "elections"),
                                       (["wipe", "--wrong", "lies"], "no mistake is called lies; there are: ",
                                        "forgets_wipe"),
                                       (["--wrong", "none", "--list"], "no mistake is called none; there are: ",
                                        "reads_unconfirmed")):
            code, said, complaint = explore(*wrong)
            self.assertEqual((code, said), (2, ""), wrong)
            self.assertTrue(complaint.startswith("explore: " + sentence), complaint)
            self.assertIn(known, complaint)
            self.assertEqual(complaint.count("\n"), 1, complaint)

    def test_wrong_usage_is_told(self):
        for wrong in (["--swipes", "1"], ["--wipes", "16"], ["--writes-in-flight", "256"], ["--states-max", "many"]):
            self.assertEqual(explore(*wrong)[0], 2, wrong)

    def test_help_names_scopes_mistakes_and_exit_codes(self):
        code, text, _ = explore("--help")
        self.assertEqual(code, 0)
        listed = [line.split(":")[0] for line in explore("--list")[1].splitlines()]
        self.assertIn("elections", listed)
        for words in (*listed, "commits_older_terms_by_count", "reads_unconfirmed", "2 wrong usage", "--outcomes-only"):
            self.assertIn(words, text)

    def test_only_the_named_scopes_are_listed_with_what_was_changed(self):
        code, text, _ = explore("wipe", "log", "--list", "--crashes", "2", "--writes-in-flight", "1")
        self.assertEqual(code, 0)
        self.assertEqual([line.split(":")[0] for line in text.splitlines()], ["log", "wipe"])
        self.assertEqual(text.count("crashes 2, "), 2)
        self.assertEqual(text.count("writes in flight 1)"), 2)

    def test_a_breach_has_an_exit_code_and_a_way_to_it(self):
        code, text, _ = explore("reads", "--elections", "0")
        self.assertEqual(code, 0, text)
        self.assertIn("  exhaustive: ", text)
        code, text, _ = explore("reads", "--wrong", "reads_unconfirmed")
        self.assertEqual(code, 1, text)
        self.assertIn("  broken: ", text)
        self.assertGreater(text.count("\n    "), 2, "the way to it")


if __name__ == "__main__":
    unittest.main()
