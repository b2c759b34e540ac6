"""The tree keeps the rules of the house, and each rule notices when it is broken.

usage: test_house.py SOURCE_ROOT [C_COMPILER...]
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import rules  # noqa: E402
import source  # noqa: E402
import tap  # noqa: E402

ROOT = os.path.abspath(sys.argv[1])
COMPILER = sys.argv[2:] or ["cc"]


def read_tree(root):
    """{path: text} of every text file, build folders and what git keeps for itself left out."""
    tree = {}
    for folder, names, files in os.walk(root):
        at = os.path.relpath(folder, root)
        at = "" if at == "." else at + "/"
        names[:] = [n for n in names if n not in (".git", "__pycache__") and not (at == "" and n.startswith("build"))]
        names[:] = [n for n in names if at or not n.startswith(".") or n == ".ci"]
        for name in files:
            if at == "" and name == ".git":
                continue
            with open(os.path.join(folder, name), "rb") as file:
                data = file.read()
            try:
                tree[at + name] = data.decode("utf-8")
            except UnicodeDecodeError:
                tree[at + name] = ""
    return tree


TREE = read_tree(ROOT)
GOOD = {
    "meson.build": "subdir('tests')\n",
    "tests/meson.build": "subdir('ops')\n",
    "tests/ops/meson.build": "files('test_x.c')\n",
    "tests/ops/test_x.c": '// A test.\n#include "ops/x.h"\n',
    "tests/support/device.c": "// Fixture.\nPERFORMER_REQUIRE_DEVICE exit(77);\n",
    "src/ops/x.c": '// An operation.\n#include "ops/x.h"\n#include "device/device.h"\n#include "performer/batch.h"\n',
    "src/device/a.c": "// OpenCL lives here.\n#include <CL/cl.h>\n",
    "cl/x.cl": '// A kernel.\n#include "lib/base.clh"\n',
    "tools/a.c": '// A command.\n#include "tools/options.h"\n#include "performer/status.h"\n',
}


def function_of(lines):
    return "// Long.\nint f(void)\n{\n" + "    x();\n" * (lines - 3) + "}\n"


# For each rule: files that break it.
BAD = {
    rules.includes: [
        {"src/data/a.c": '// A.\n#include "store/b.h"\n'},
        {"src/base/a.c": '// A.\n#include "data/b.h"\n'},
        {"src/store/a.c": '// A.\n#  include "device/b.h"\n'},
        {"src/model/a.c": '// A.\n#include "train/b.h"\n'},
        {"src/train/a.c": '// A.\n#include "infer/b.h"\n'},
        {"src/model/a.c": "// A.\n#include <CL/cl.h>\n"},
        {"src/ops/a.c": '// A.\n#include "device/opencl.h"\n'},
        {"src/ops/a.c": "// A.\n#include <clblast_c.h>\n"},
        {"tools/a.c": '// A.\n#include "base/status.h"\n'},
        {"tools/a.c": "// A.\n#include <CL/cl.h>\n"},
        {"include/performer/a.h": '// A.\n#include "base/status.h"\n'},
        {"src/base/a.c": '// A.\n#include "a.h"\n'},
        {"src/base/a.c": '// A.\n#include "tools/a.h"\n'},
        {"cl/a.cl": '// A.\n#include "b.cl"\n'},
    ],
    rules.layers_are_known: [{"src/misc/a.c": "// A.\n"}],
    rules.sizes: [
        {"src/base/a.c": "// A.\n" * 401},
        {"cl/a.cl": "// A.\n" * 251},
        {"include/performer/a.h": "// A.\n" * 251},
        {"src/base/a.c": "// " + "a" * 128 + "\n"},
    ],
    rules.function_sizes: [
        {"src/base/a.c": function_of(61)},
        {"src/base/a.c": "// A.\nint f(int a, int b, int c, int d,\n  int e, int g, int h, int i)\n{\n}\n"},
        {"src/base/a.h": "// A.\nint f(int a, int b, int c, int d, int e, int g, int h, int i);\n"},
        {"tests/ops/test_y.c": function_of(61).replace("int f(void)", "START_TEST(f)")},
    ],
    rules.opening_comments: [{"src/base/a.c": "#include <stdio.h>\n"}, {"tools/check": "#!/bin/sh\nset -e\n"}, {"cl/a.py": "import os\n"}],
    rules.types: [{"src/base/a.h": "// A.\ntypedef struct a *a;\n"}, {"src/base/a.h": "// A.\ntypedef struct a {\n    int b;\n} a_t;\n"}],
    rules.library_is_silent: [{"src/base/a.c": "// A.\nvoid f(void)\n{\n    exit(1);\n}\n"}, {"src/base/a.c": '// A.\nint x = printf("");\n'}],
    rules.machine_paths: [{"README.md": "see /" + "home/someone/x\n"}, {"tests/a.sh": "# A.\ncd /" + "tmp/build\n"}],
    rules.top_level: [{"notes.txt": ""}, {"scripts/a": ""}],
    rules.tests_run: [{"tests/ops/test_y.c": "// A.\n"}, {"tests/lost/test_z.c": "// A.\n", "tests/lost/meson.build": "files('test_z.c')\n"}],
    rules.no_silent_skips: [
        {"tests/ops/test_x.c": "// A.\nint f(void) { exit(77); }\n"},
        {"tests/tools/test_a.py": '"""A."""\nself.skipTest("no")\n'},
        {"tests/support/device.c": "// Fixture.\nexit(77);\n"},
    ],
}


class House(unittest.TestCase):
    """Named after the rule; the tree first, then its twins."""


def add_rule(rule):
    def tree_keeps_it(self):
        self.assertEqual(list(rule(TREE)), [])

    def notices(self):
        self.assertEqual(list(rule(GOOD)), [])
        for sample in BAD[rule]:
            found = list(rule({**GOOD, **sample}))
            self.assertTrue(found, f"not noticed: {sample}")
            for path in found:
                self.assertTrue(any(path.startswith(name.split("/")[0]) for name in sample), path)

    setattr(House, f"test_{rule.__name__}_kept", tree_keeps_it)
    setattr(House, f"test_{rule.__name__}_noticed", notices)


for each in rules.ALL:
    add_rule(each)


class Reader(unittest.TestCase):
    def test_functions_are_found_whatever_stands_around_them(self):
        text = ('/* { */\nstatic const int t[] = {1, 2};\nstruct s { int a; };\n#define M(x) \\\n  { x }\n'
                'static int f(int (*g)(int, int), const char *s)\n{\n    if (s) {\n        return \'{\';\n    }\n    return "}"[0];\n}\n'
                "int h(void) { return 0; }\n")
        self.assertEqual(source.functions(text), [("f", 6, 7, 2), ("h", 13, 1, 0)])

    def test_declarations_are_counted(self):
        self.assertEqual([d[0::2] for d in source.declarations("int f(int a, int b[2]);\nPF_API void g(void);\nint x = y(1, 2);\n")],
                         [("f", 2), ("g", 0)])


def compiles(command, text, language):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "alone." + language)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run([*command, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                               "-I" + os.path.join(ROOT, "include"), "-I" + folder, path], capture_output=True, check=False, text=True)
        return done.returncode == 0, done.stderr


class PublicHeaders(unittest.TestCase):
    headers = sorted(path for path in TREE if path.startswith("include/performer/") and path.endswith(".h"))

    def check(self, command, language):
        self.assertTrue(self.headers)
        for path in self.headers:
            name = path.removeprefix("include/")
            good, said = compiles(command, f'#include "{name}"\n#include "{name}"\nint unused;\n', language)
            self.assertTrue(good, f"{path}: {said}")
        self.assertFalse(compiles(command, "uint32_t f(void);\n", language)[0])  # what forgets <stdint.h> is noticed

    def test_each_compiles_alone_as_c11(self):
        self.check([*COMPILER, "-std=c11"], "c")

    def test_each_compiles_alone_as_cpp(self):
        if not shutil.which("c++"):
            self.skipTest("no c++ (on Debian: apt-get install g++)")
        self.check(["c++", "-std=c++11"], "cpp")


class Scripts(unittest.TestCase):
    def test_shellcheck_has_nothing_to_say(self):
        if not shutil.which("shellcheck"):
            self.skipTest("no shellcheck (on Debian: apt-get install shellcheck)")
        scripts = [p for p, text in TREE.items() if text.startswith(("#!/usr/bin/env bash", "#!/bin/bash", "#!/bin/sh"))]
        for path in scripts:
            done = subprocess.run(["shellcheck", "-x", "-P", ROOT, os.path.join(ROOT, path)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)
        bad = subprocess.run(["shellcheck", "-s", "sh", "-"], input="cd $1\n", capture_output=True, text=True, check=False)
        self.assertNotEqual(bad.returncode, 0)


if __name__ == "__main__":
    sys.exit(tap.main())
