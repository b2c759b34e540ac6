"""What is installed: a library that shows its public functions and no more, headers and a pkg-config file that an example is
built with, pages and completion for every command, and a Python module that finds the library beside it.

usage: test_install.py PERFORMER BUILD_FOLDER [PART-OF-A-NAME]
"""
import glob
import os
import re
import struct
import subprocess
import sys

BUILD = os.path.abspath(sys.argv.pop(2))
from program import GOLDEN, TWO, DeviceTest, main  # noqa: E402

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = os.path.join(SOURCE, "include", "performer")
MODEL = os.path.join(GOLDEN, "models", "mlm-learned-relu")


def declared():
    """The functions that the headers promise."""
    names = set()
    for path in glob.glob(os.path.join(HEADERS, "*.h")):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"//[^\n]*", "", file.read())
        for line in re.findall(r"^PF_API\b[^;]*;", text, re.M):
            names.add(re.search(r"\b(pf_\w+)\s*\(", line).group(1))
    return names


def float32(texts):
    return struct.pack(f"<{len(texts)}f", *map(float, texts))


class Install(DeviceTest):
    def setUp(self):
        super().setUp()
        done = subprocess.run([self.needs("meson", "meson"), "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", self.path("root")],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        config, = glob.glob(self.path("root") + "/**/performer.pc", recursive=True)
        self.library = os.path.dirname(os.path.dirname(config))
        self.env = {**os.environ, "PKG_CONFIG_PATH": os.path.dirname(config), "PKG_CONFIG_SYSROOT_DIR": self.path("root"),
                    "LD_LIBRARY_PATH": self.library}

    def found(self, pattern):
        return {os.path.basename(path) for path in glob.glob(self.path("root") + "/**/" + pattern, recursive=True)}

    def run_with(self, *command, **how):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, env={**self.env, **how})
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout

    def pkg_config(self, *arguments):
        return self.run_with(self.needs("pkg-config", "pkg-config"), *arguments, "performer").split()

    def test_the_library_shows_what_the_headers_promise(self):
        names = self.run_with(self.needs("nm", "binutils"), "-D", "--defined-only", os.path.join(self.library, "libperformer.so")).split()[2::3]
        self.assertEqual(set(names), declared())
        self.assertGreater(len(names), 100)
        self.assertEqual(self.found("performer/*.h"), set(os.listdir(HEADERS)))

    def test_every_command_has_its_page(self):
        commands = re.findall(r"^  ([a-z-]+) +\S", self.succeeds("--help").split("Commands:")[1], re.M)
        self.assertEqual(self.found("man1/*"), {"performer.1"} | {f"performer-{command}.1" for command in commands})
        self.assertEqual(self.found("completions/*") | self.found("site-functions/*"), {"performer", "_performer"})
        self.assertTrue(self.run_with(*glob.glob(self.path("root") + "/**/bin/performer", recursive=True), "--version").startswith("performer "))

    def test_the_example_is_built_and_prints_what_the_program_writes(self):
        self.write("in.fa", TWO)
        example = os.path.join(SOURCE, "tools", "examples", "embed.c")
        self.run_with(self.needs("cc", "gcc"), "-std=c11", "-Wall", "-Wextra", "-Werror", example, "-o", "embed", *self.pkg_config("--cflags", "--libs"))
        out = self.run_with(self.path("embed"), MODEL, "in.fa")
        self.succeeds("embed", MODEL, "in.fa", "-o", "expected.tsv")
        expected = [line.split("\t") for line in self.read("expected.tsv").splitlines()[1:]]
        got = [line.split("\t") for line in out.splitlines()]
        self.assertEqual([row[0] for row in got], ["one", "two"])
        self.assertEqual([(row[0], float32(row[1:])) for row in got], [(row[0], float32(row[1:])) for row in expected])
        done = subprocess.run([self.path("embed"), "nowhere", "in.fa"], cwd=self.folder, capture_output=True, text=True, check=False, env=self.env)
        self.assertEqual(done.returncode, 3)
        self.assertIn("nowhere", done.stderr)

    def test_the_python_module_finds_the_library_beside_it(self):
        self.needs_module("numpy", "python3-numpy")
        folder, = self.pkg_config("--variable=pythondir")
        environment = {"PYTHONPATH": folder, "PERFORMER_LIBRARY": ""}
        said = self.run_with(sys.executable, "-B", "-c", "import performer; print(performer._library._name)", **environment)
        self.assertEqual(os.path.dirname(os.path.realpath(said.strip())), os.path.realpath(self.library))


if __name__ == "__main__":
    main()
