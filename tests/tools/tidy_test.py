#!/usr/bin/env python3
"""tools/tidy must find each planted fault and must pass the clean tree it is planted in."""
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TIDY = Path(__file__).resolve().parents[2] / "tools" / "tidy"
HEADER = "// What it is.\n#pragma once\n"

CLEAN = {
    "README.md": "| folder | |\n|---|---|\n| `src/base/` | words |\n| `src/raft/` | Raft |\n| `src/kv/` | store |\n"
                 "| `src/wire/` | codecs |\n| `src/uring/` | ring |\n| `src/client/` | client |\n| `tools/` | tools |\n",
    "src/base/bytes.h": HEADER + "#include <cstdint>\n",
    "src/raft/types.h": HEADER + '#include "base/bytes.h"\n',
    "src/raft/raft.h": HEADER + '#include "raft/types.h"\n',
    "src/raft/raft.cc": '#include "raft/raft.h"\n// time(nullptr), std::random_device\nconst char* x = "getenv(";\n',
    "src/raft/meson.build": "static_library('raft', 'raft.cc')\n",
    "src/wire/codec.h": HEADER + '#include "raft/types.h"\n#include "client_generated.h"\n#include <flatbuffers/f.h>\n',
    "src/kv/store.h": HEADER + "#include <unordered_map>\nstruct Store { std::unordered_map<int, int> hashed_; };\n",
    "src/uring/ring.h": HEADER + "#include <liburing.h>\n#include <sys/mman.h>\n#include <atomic>\n",
    "src/client/socket_network.h": HEADER + "#include <sys/socket.h>\n#include <unistd.h>\n#include <mutex>\n",
    "tools/run": "#!/bin/sh\necho fine\n",
}
LONG_FUNCTION = "int f(int x) {\n" + "    x += 1;\n" * 160 + "    return x;\n}\n"

# (rule, file, content): each is added to the clean tree alone.
PLANTED = [
    ("include-edge", "src/raft/bad.h", HEADER + '#include "kv/store.h"\n'),
    ("include-edge", "src/wire/bad.h", HEADER + '#include "raft/raft.h"\n'),
    ("include-edge", "src/base/bad.h", HEADER + '#include "raft/types.h"\n'),
    ("include-edge", "src/raft/bad.h", HEADER + '#include "../base/bytes.h"\n'),
    ("include-edge", "src/raft/bad.h", HEADER + '#include "types.h"\n'),
    ("include-edge", "src/raft/bad.h", HEADER + "#include <sys/mman.h>\n"),
    ("include-edge", "src/raft/bad.h", HEADER + "#include <unistd.h>\n"),
    ("include-edge", "src/client/bad.h", HEADER + "#include <sys/socket.h>\n"),
    ("include-edge", "src/raft/bad.h", HEADER + "#include <liburing.h>\n"),
    ("include-edge", "src/kv/bad.h", HEADER + '#include "client_generated.h"\n'),
    ("include-edge", "src/kv/bad.h", HEADER + "#include <flatbuffers/flatbuffers.h>\n"),
    ("determinism", "src/raft/bad.h", HEADER + "auto t = std::chrono::steady_clock::now();\n"),
    ("determinism", "src/raft/bad.h", HEADER + "auto t = time(nullptr);\n"),
    ("determinism", "src/kv/bad.h", HEADER + "int r = rand();\n"),
    ("determinism", "src/kv/bad.h", HEADER + "std::random_device d;\n"),
    ("determinism", "src/kv/bad.h", HEADER + "std::uniform_int_distribution<int> d;\n"),
    ("determinism", "src/kv/bad.h", HEADER + "void f(V& v, G& g) { std::shuffle(v.begin(), v.end(), g); }\n"),
    ("determinism", "src/kv/bad.h", HEADER + 'auto* e = getenv("X");\n'),
    ("determinism", "src/kv/bad.h", HEADER + "#include <thread>\n"),
    ("determinism", "src/kv/bad.h", HEADER + "std::atomic<int> a;\n"),
    ("determinism", "src/kv/bad.h", HEADER + "std::mutex m;\n"),
    ("determinism", "src/kv/bad.h", HEADER + "#include <iostream>\n"),
    ("shared-ownership", "src/kv/bad.h", HEADER + "std::shared_ptr<int> p;\n"),
    ("determinism", "src/kv/bad.h", HEADER + "std::set<Node*> ordered;\n"),
    ("floating-point", "src/kv/bad.h", HEADER + "double d = 1;\n"),
    ("hash-order", "src/kv/bad.h", HEADER + "std::unordered_set<int> m_;\nvoid f() { for (auto& x : m_) g(x); }\n"),
    ("hash-order", "src/kv/store.cc", '#include "kv/store.h"\nauto x = hashed_.begin();\n'),
    ("header", "src/kv/bad.h", "// A comment but no guard.\n"),
    ("header", "src/kv/bad.h", "#pragma once\n#include <cstdint>\n"),
    ("line-length", "src/kv/bad.h", HEADER + "// " + "x" * 130 + "\n"),
    ("whitespace", "src/kv/bad.h", HEADER + "int x; \n"),
    ("file-length", "src/kv/bad.h", HEADER + "int x();\n" * 800),
    ("function-length", "src/kv/bad.h", HEADER + LONG_FUNCTION),
    ("leftover", "src/kv/bad.h", HEADER + "// TO" "DO: later\n"),
    ("leftover", "tools/bad", "#!/bin/sh\n# good enough for " "now\n"),
    ("leftover", "src/kv/bad.h", HEADER + "// snapshots are not " "implemented\n"),
    ("machine-path", "tools/bad", "#!/bin/sh\ncd /" "work/project\n"),
    ("machine-path", "README.md", CLEAN["README.md"] + "see /" "home/somebody/notes\n"),
    ("dead-file", "src/kv/dead.cc", "int x;\n"),
    ("readme", "src/log/new.h", HEADER),
    ("readme", "README.md", CLEAN["README.md"] + "| `src/gone/` | no such folder |\n"),
]


def run_tidy(files, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        result = subprocess.run([sys.executable, str(TIDY), "--root", folder, *arguments],
                                capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


class TidyTest(unittest.TestCase):
    def test_the_clean_tree_passes(self):
        code, output = run_tidy(CLEAN)
        self.assertEqual(code, 0, output)

    def test_each_planted_fault_is_found_by_its_rule_in_its_file(self):
        for rule, name, text in PLANTED:
            with self.subTest(rule=rule, file=name, text=text[:200]):
                code, output = run_tidy({**CLEAN, name: text})
                self.assertEqual(code, 1, output)
                at = "README.md" if rule == "readme" else name
                self.assertRegex(output, rf"(?m)^{at}:\d+: {rule}: ")

    def test_a_finding_is_lifted_only_by_its_own_rule_with_a_reason(self):
        line = "std::shared_ptr<int> p;"
        for comment, code in [("// tidy-allow(shared-ownership): shown to be harmless", 0),
                              ("// tidy-allow(shared-ownership):", 1), ("// tidy-allow(header): wrong rule", 1)]:
            with self.subTest(comment=comment):
                found, output = run_tidy({**CLEAN, "src/kv/some.h": HEADER + f"{line}  {comment}\n"})
                self.assertEqual(found, code, output)

    def test_a_header_that_needs_another_is_found_and_a_whole_one_passes(self):
        compiler = ["--headers", *sys.argv[1:]] if len(sys.argv) > 1 else ["--headers", "c++"]
        whole = {"src/base/whole.h": HEADER + "#include <cstdint>\nstd::uint8_t f();\n"}
        code, output = run_tidy(whole, *compiler)
        self.assertEqual(code, 0, output)
        code, output = run_tidy({**whole, "src/base/needy.h": HEADER + "std::uint8_t g(Missing);\n"}, *compiler)
        self.assertEqual(code, 1, output)
        self.assertIn("src/base/needy.h:1: header-alone: ", output)
        self.assertNotIn("whole.h:1", output)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
