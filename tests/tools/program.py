"""Runs the program as a user would; every test has a folder of its own to work in.

usage: test_X.py PERFORMER [PART-OF-A-NAME]
"""
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap  # noqa: E402

PERFORMER = os.path.abspath(sys.argv[1])
GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")
TWO = ">one first\nMKTAYIAKQRQISFVKSHFS\n>two\nGSHMLEDP\n"


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="performer-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return name

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def run_program(self, *arguments, stdin="", env=None, timeout=100):
        """(exit code, stdout, stderr) of `performer ARGUMENTS` in the test's folder."""
        done = subprocess.run([PERFORMER, *arguments], cwd=self.folder, input=stdin.encode() if isinstance(stdin, str) else stdin,
                              capture_output=True, timeout=timeout, check=False, env={**os.environ, **(env or {})})
        return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")

    def succeeds(self, *arguments, **how):
        code, out, err = self.run_program(*arguments, **how)
        self.assertEqual(code, 0, f"{arguments}: {err}")
        return out

    def fails(self, code, says, *arguments, **how):
        """The command ends with this code and one line on stderr that holds the text; nothing new lies in the folder."""
        before = sorted(os.listdir(self.folder))
        got, out, err = self.run_program(*arguments, **how)
        lines = [line for line in err.splitlines() if not line.startswith("performer: warning: ")]
        self.assertEqual(got, code, f"{arguments}: {err}")
        self.assertEqual(len(lines), 1, f"{arguments}: {err}")
        self.assertTrue(lines[0].startswith("performer: "), lines[0])
        self.assertIn(says, lines[0])
        self.assertEqual(sorted(os.listdir(self.folder)), before, arguments)
        return out


    def needs(self, program, package):
        """Where `program` is, or a skip that says how to get it."""
        found = shutil.which(program)
        if not found:
            self.skipTest(f"no {program} (on Debian: apt-get install {package})")
        return found

    def needs_module(self, name, package):
        """The Python module, or a skip that says how to get it."""
        try:
            return importlib.import_module(name)
        except ImportError:
            self.skipTest(f"no Python module {name} (on Debian: apt-get install {package})")

    def needs_python(self, module, advice):
        """A Python that has the module: this one, that of tests/peers or that of tests/support; or a skip that says how to get it."""
        cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
        places = [os.path.join(cache, place, "bin", "python") for place in ("performer-peers", "performer-devices/safetensors")]
        for python in (sys.executable, *places):
            find = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)"  # importing may take seconds
            if os.path.exists(python) and subprocess.run([python, "-c", find], check=False).returncode == 0:
                return python
        return self.skipTest(f"no Python with {module} ({advice})")

    def needs_torch(self):
        return self.needs_python("torch", "tests/peers/README.md says how to get it")


class DeviceTest(ProgramTest):
    """For commands that compute. Skipped on a machine without a device, unless PERFORMER_REQUIRE_DEVICE is set."""

    devices = None  # what `performer devices` said, asked once

    def setUp(self):
        super().setUp()
        if not DeviceTest.devices:
            DeviceTest.devices = self.run_program("devices")
        code, _, said = DeviceTest.devices
        if code == 4 and "PERFORMER_REQUIRE_DEVICE" not in os.environ:
            self.skipTest(said.strip())


def main():
    sys.exit(tap.main(*sys.argv[2:3]))
