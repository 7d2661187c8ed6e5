#!/usr/bin/env python3
"""The command line of ringctl, run without a cluster: what is wrong is said in one sentence, with etcdctl's exit codes."""
import os
import subprocess
import sys
import tempfile
import unittest

RINGCTL = sys.argv.pop(1)
NOBODY = "127.0.0.1:1"


def run(*words, stdin="", **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RINGCTL_")}
    return subprocess.run([RINGCTL, *words], input=stdin, capture_output=True, text=True, timeout=60,
                          env={**clean, **environment})


class CommandLine(unittest.TestCase):
    def refused(self, code, sentence, *words, **more):
        done = run(*words, **more)
        self.assertEqual(done.returncode, code, f"{words}: {done.stderr}")
        self.assertEqual(done.stdout, "", words)
        self.assertEqual(done.stderr.splitlines()[0], "Error: " + sentence, words)

    def test_help_of_every_command_and_version(self):
        for words in ([], ["get"], ["put"], ["del"], ["txn"], ["compaction"], ["endpoint"], ["endpoint", "status"],
                      ["endpoint", "health"], ["endpoint", "hashkv"], ["member"], ["member", "list"], ["move-leader"],
                      ["alarm"], ["alarm", "list"], ["alarm", "disarm"], ["log"], ["log", "dump"], ["lock"], ["elect"]):
            done = run(*words, "--help")
            self.assertEqual(done.returncode, 0, words)
            self.assertIn("Usage", done.stdout)
        self.assertRegex(run("version").stdout, r"\Aringctl version: \d+\.\d+\.\d+\nAPI version: 3\.5\n\Z")

    def test_unknown_words_are_named(self):
        self.refused(128, "ringctl needs a command")
        self.refused(128, "ringctl endpoint needs a command", "endpoint")
        self.refused(128, 'unknown command "nosuch" of ringctl', "nosuch")
        self.refused(128, 'unknown command "foo" of ringctl endpoint', "endpoint", "foo")
        self.refused(128, 'unknown flag "--nosuch" of ringctl get', "get", "k", "--nosuch")
        self.refused(128, 'unknown argument "more" of ringctl txn', "txn", "more")
        self.refused(128, 'command "auth" of ringctl: a command of etcdctl that this version does not serve', "auth", "k")
        self.refused(128, 'flag "--cacert" of ringctl get: this version speaks no TLS', "--cacert", "x", "get", "k")
        mirror = ["make-mirror", NOBODY]
        for flag in ("--dest-cacert", "--dest-cert", "--dest-key"):
            self.refused(128, f'flag "{flag}=x" of ringctl make-mirror: this version speaks no TLS', *mirror, f"{flag}=x")
        for flag in ("--dest-user", "--dest-password"):
            self.refused(128, f'flag "{flag}=x" of ringctl make-mirror: this version has no users', *mirror, f"{flag}=x")
        for where in ("--insecure-transport", "--dest-insecure-transport"):
            self.refused(4, f"`{where}=false`: this version speaks no TLS", *mirror, f"{where}=false")
            said = run(*mirror, where, f"{where}=true", "--command-timeout", "50ms", RINGCTL_ENDPOINTS=NOBODY).stderr
            self.assertIn("etcdserver: no leader", said)
        self.refused(4, "membership cannot be changed in this version", "member", "add")

    def test_global_flags_are_checked_before_anybody_is_asked(self):
        self.refused(4, 'unknown output format "xml": simple, table, json or fields', "-w", "xml", "get", "k")
        self.refused(4, "table not supported as output format", "get", "k", "-w", "table")
        self.refused(128, '--command-timeout: "soon" is no duration; 5s, 500ms and 1m30s are', "get", "k",
                     "--command-timeout", "soon")
        self.refused(128, '--dial-timeout: "0" is no duration; 5s, 500ms and 1m30s are', "get", "k",
                     RINGCTL_DIAL_TIMEOUT="0")
        self.refused(128, 'not an endpoint: "https://a:1"; host:port or http://host:port is one (this version speaks no '
                     "TLS)", "--endpoints", "https://a:1", "get", "k")

    def test_flags_of_commands(self):
        self.refused(128, "get command needs one argument as key and an optional argument as range_end", "get")
        self.refused(128, "`--count-only` is only for `--write-out=fields` and `--write-out=json`", "get", "k",
                     "--count-only")
        self.refused(128, "`--print-value-only` is only for `--write-out=simple`", "get", "k", "--print-value-only",
                     "-w=json")
        self.refused(4, 'unknown consistency flag "x"', "get", "k", "--consistency=x")
        self.refused(4, 'unknown consistency flag "x"', "member", "list", "--consistency=x")
        self.refused(128, "bad lease ID (zz), expecting ID in Hex", "put", "k", "v", "--lease", "zz")
        self.refused(128, "bad member ID (zz), expecting ID in Hex", "move-leader", "zz")
        for wrong in ("abc", "0x10", "1_0", "", "99999999999999999999"):
            self.refused(128, f"bad revision ({wrong}), expecting a decimal number", "compaction", wrong)
        self.refused(3, "malformed comparison: garbage", "txn", stdin="garbage\n\n\n")

    def test_lock_and_elect(self):
        self.refused(128, "lock takes one lock name argument and an optional command to execute", "lock")
        self.refused(128, "elect takes one election name argument and an optional proposal argument", "elect")
        self.refused(128, "no proposal argument but -l not set", "elect", "e")
        self.refused(128, "proposal given but -l is set", "elect", "-l", "e", "p")
        self.refused(4, "table not supported as output format", "lock", "-w", "table", "l", "put", "-w", "json")
        # What stands behind the name is the command's, also if it looks like one of ours.
        for words in (["l", "get", "--nosuch"], ["l", "--ttl", "5", "get", "--nosuch"], ["l", "--", "get", "--nosuch"]):
            done = run("lock", *words, RINGCTL_COMMAND_TIMEOUT="100ms", RINGCTL_ENDPOINTS=NOBODY)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn("etcdserver: no leader", done.stderr, words)
        self.refused(128, 'unknown flag "--nosuch" of ringctl lock', "lock", "--nosuch", "l", "true")
        self.refused(128, 'ringctl lock: --ttl must be a whole number from 1 to 9223372036854775807, not "0"', "lock",
                     "--ttl", "0", "l")

    def test_watch_takes_its_key_of_the_environment_and_ends_with_its_lines(self):
        self.refused(128, "bad number of arguments (found conflicting environment key)", "watch", "k", RINGCTL_WATCH_KEY="j")
        self.refused(128, 'RINGCTL_WATCH_KEY is empty but got RINGCTL_WATCH_RANGE_END="z"', "watch",
                     RINGCTL_WATCH_RANGE_END="z")
        self.refused(128, "watch command needs one argument as key and an optional argument as range_end", "watch")
        self.refused(3, "Error reading watch request line: EOF", "watch", "-i", "--endpoints", NOBODY)
        done = run("watch", "-i", "--endpoints", NOBODY, stdin="watch\nwatch k\n", RINGCTL_WATCH_KEY="j")
        self.assertEqual(done.stderr.splitlines(),
                         ["Invalid command watch k (bad number of arguments (found conflicting environment key))",
                          "Error: Error reading watch request line: EOF"])

    def test_numbers_are_whole_decimal_and_fit(self):
        bounds = "must be a whole number from -9223372036854775808 to 9223372036854775807"
        for flag in ("--limit", "--rev", "--min-mod-rev", "--max-mod-rev", "--min-create-rev", "--max-create-rev"):
            for wrong in ("9223372036854775808", "99999999999999999999", "0x10", "1e3", "ten"):
                self.refused(128, f'ringctl get: {flag} {bounds}, not "{wrong}"', "get", "k", f"{flag}={wrong}")
        self.refused(128, 'ringctl compaction: --domain must be a whole number from 0 to 18446744073709551615, not "-1"',
                     "compaction", "7", "--domain=-1")

    def test_an_answer_that_cannot_be_written_is_said(self):
        for words in (["version"], ["log", "dump", "FILE"]):
            with tempfile.NamedTemporaryFile(prefix="log-") as log, open("/dev/full", "w") as full:
                log.truncate(8192)
                words = [log.name if word == "FILE" else word for word in words]
                done = subprocess.run([RINGCTL, *words], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, done.stderr),
                             (1, "Error: standard output cannot be written: No space left on device\n"))

    def test_a_reader_that_has_seen_enough_ends_it_quietly(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        done = subprocess.run([RINGCTL, "version"], stdout=write_end, stderr=subprocess.PIPE, text=True)
        os.close(write_end)
        self.assertEqual((done.returncode, done.stderr), (1, ""))

    def test_started_without_standard_output_it_asks_nobody(self):
        done = subprocess.run([RINGCTL, "--endpoints", NOBODY, "get", "k"], stderr=subprocess.PIPE, text=True,
                              preexec_fn=lambda: os.close(1))
        self.assertEqual((done.returncode, done.stderr),
                         (1, "Error: standard output is closed: nobody would see the answer\n"))

    def test_endpoints_takes_one_word_and_global_flags_stand_anywhere(self):
        answer = f"etcdserver: no leader ({NOBODY}: cannot connect: refused, unreachable, or no such host)"
        for words in (["--endpoints", NOBODY, "--command-timeout", "50ms", "get", "k"],
                      ["get", "--endpoints", NOBODY, "k", "--command-timeout=50ms"],
                      ["get", "k", f"--endpoints=http://{NOBODY}/", "--command-timeout", "50ms"]):
            self.refused(1, answer, *words)
        self.refused(1, answer, "put", "k", "v", RINGCTL_ENDPOINTS=NOBODY, RINGCTL_COMMAND_TIMEOUT="50ms")
        both = run("get", "k", RINGCTL_ENDPOINTS=f"{NOBODY},127.0.0.1:2", RINGCTL_COMMAND_TIMEOUT="200ms")
        self.assertIn("127.0.0.1:2: cannot connect", both.stderr)
        # The flag beats the environment.
        self.refused(1, answer, "get", "k", "--endpoints", NOBODY, "--command-timeout", "50ms",
                     RINGCTL_ENDPOINTS="127.0.0.1:2", RINGCTL_COMMAND_TIMEOUT="1h")

    def test_a_value_with_a_dash_stands_behind_two_dashes_before_or_behind_the_key(self):
        answer = f"etcdserver: no leader ({NOBODY}: cannot connect: refused, unreachable, or no such host)"
        for words in (["--", "k", "-v"], ["k", "--", "-v"], ["--", "-k", "-v"]):
            self.refused(1, answer, "--endpoints", NOBODY, "--command-timeout", "50ms", "put", *words)

    def test_only_of_a_watch_what_stands_behind_two_dashes_is_a_program(self):
        many = "get command needs one argument as key and an optional argument as range_end"
        self.refused(128, many, "get", "watch", "--", "a", "b")
        self.refused(128, many, "--command-timeout", "50ms", "get", "--endpoints", NOBODY, "watch", "--", "a", "b")

    def test_log_dump_says_what_is_no_log(self):
        self.refused(1, "/nowhere: no such file or directory", "log", "dump", "/nowhere")
        with tempfile.TemporaryDirectory() as empty:
            self.refused(1, f"{empty}: no log segments (log-*) below it", "log", "dump", empty)
            path = os.path.join(empty, "log-1")
            with open(path, "wb") as file:
                file.write(bytes(100_000))
            done = run("log", "dump", path)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, f"Error: {path} holds no batch of a log\n")


if __name__ == "__main__":
    unittest.main()
