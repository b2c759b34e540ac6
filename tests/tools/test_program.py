"""What holds for the program as a whole: help, version, exit codes, one line for an error."""
import json
import os
import subprocess

from program import PERFORMER, TWO, ProgramTest, main

COMMANDS = [line.split()[0] for line in subprocess.run([PERFORMER, "--help"], capture_output=True, text=True, check=True).stdout
            .split("Commands:\n")[1].split("\n\n")[0].splitlines()]


class Program(ProgramTest):
    def test_version_is_one_line(self):
        self.assertRegex(self.succeeds("--version"), r"\Aperformer \d+\.\d+\.\d+\n\Z")

    def test_every_command_has_help_with_an_example_and_the_common_options(self):
        self.assertIn("fasta", COMMANDS)
        for command in COMMANDS:
            for flag in ("--help", "-h"):
                text = self.succeeds(command, flag)
                self.assertIn(f"usage: performer {command}", text)
                self.assertIn(f"Example:\n  performer {command}", text)
                for option in ("--device", "--quiet", "--verbose", "--seed", "--threads", "--profile"):
                    self.assertIn(option, text)

    def test_help_needs_neither_device_nor_valid_environment(self):
        self.succeeds("--help", env={"PERFORMER_THREADS": "x"})
        for command in COMMANDS:
            self.succeeds(command, "--help", env={"PERFORMER_DEVICE": "none", "PERFORMER_THREADS": "x"})

    def test_wrong_usage_is_2_and_says_what_is_near(self):
        self.fails(2, "performer --help")
        self.fails(2, "did you mean fasta?", "fatsa")
        self.fails(2, "see: performer --help", "xyzzy")
        self.fails(2, "before the command", "--quiet", "fasta", "x")
        self.fails(2, "did you mean --list?", "fasta", "--lsit", "x.fa")
        self.fails(2, "unknown option '-z'", "fasta", "-z", "x.fa")
        self.fails(2, "usage: performer fasta", "fasta")
        self.fails(2, "PERFORMER_THREADS: '0'", "fasta", self.write("x.fa", TWO), env={"PERFORMER_THREADS": "0"})
        self.fails(2, "\\x1b", "fasta\x1b[31m")

    def test_output_that_cannot_be_written_is_1(self):
        self.write("x.fa", TWO)
        for arguments in (["--help"], ["--version"], ["fasta", "x.fa"], ["fasta", "--help"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([PERFORMER, *arguments], stdout=full, stderr=subprocess.PIPE, cwd=self.folder, check=False)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertEqual(done.stderr, b"performer: standard output: No space left on device\n", arguments)

    def test_a_reader_that_leaves_is_no_error(self):
        self.write("x.fa", ">a\nMKV\n" * 100000)
        for arguments in (["fasta", "--list", "x.fa"], ["--help"]):
            program = subprocess.Popen([PERFORMER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
            program.stdout.close()
            self.assertEqual(program.stderr.read(), b"")
            program.stderr.close()
            self.assertEqual(program.wait(20), 0)


class Devices(ProgramTest):
    KEYS = ["id", "platform", "name", "type", "version", "driver", "compute_units", "global_bytes", "largest_buffer_bytes", "local_bytes",
            "largest_work_group", "usable", "reason", "auto"]

    def test_a_machine_without_any_is_told_what_to_install(self):
        empty = {"OCL_ICD_VENDORS": self.folder + "/none", "OCL_ICD_FILENAMES": ""}
        self.fails(4, "pocl-opencl-icd", "devices", env=empty)
        self.fails(4, "pocl-opencl-icd", "devices", "--json", "-o", "out.json", env=empty)

    def test_what_is_listed_has_all_keys_and_one_auto(self):
        code, out, _ = self.run_program("devices", "--json")
        if code == 4 and "PERFORMER_REQUIRE_DEVICE" not in os.environ:
            return
        devices = json.loads(out)["devices"]
        self.assertTrue(devices)
        for device in devices:
            self.assertEqual(list(device), self.KEYS)
            self.assertRegex(device["id"], r"^\d+\.\d+$")
            self.assertIn(device["type"], ("gpu", "cpu", "accelerator"))
            self.assertTrue(device["usable"] or device["reason"])
        self.assertEqual(sum(device["auto"] and device["usable"] for device in devices), 1)
        self.assertIn("<- auto", self.succeeds("devices"))


class Fasta(ProgramTest):
    def test_files_are_listed_one_after_the_other(self):
        self.write("a.fa", TWO)
        listing = self.succeeds("fasta", "--list", "a.fa", "-", stdin=">three\nmk\n")
        self.assertEqual(listing, "id\tlength\tsequence\none\t20\tMKTAYIAKQRQISFVKSHFS\ntwo\t8\tGSHMLEDP\nthree\t2\tMK\n")

    def test_output_goes_to_a_file_only_when_complete(self):
        self.write("a.fa", TWO)
        self.write("bad.fa", TWO + ">three\nMK1\n")
        self.assertEqual(self.succeeds("fasta", "--list", "a.fa", "-o", "out.tsv"), "")
        good = self.read("out.tsv")
        self.assertIn("two\t8\tGSHMLEDP\n", good)
        self.fails(3, "bad.fa: line 6", "fasta", "--list", "bad.fa", "-o", "out.tsv")
        self.assertEqual(self.read("out.tsv"), good)

    def test_wrong_input_is_3_and_names_the_file(self):
        self.fails(3, "no.fa: No such file", "fasta", "no.fa")
        self.fails(3, "empty.fa: no sequences", "fasta", self.write("empty.fa", ""))
        os.mkdir(self.path("folder"))
        self.fails(3, "folder: ", "fasta", "folder")

    def test_contradictions_are_2(self):
        self.write("a.fa", TWO)
        self.fails(2, "--list and --json", "fasta", "--list", "--json", "a.fa")
        self.fails(2, "read once only", "fasta", "-", "-")

    def test_quiet_keeps_warnings_back(self):
        self.write("a.fa", b"\xef\xbb\xbf" + TWO.encode())
        self.assertIn("performer: warning: ", self.run_program("fasta", "a.fa")[2])
        self.assertEqual(self.run_program("fasta", "-q", "a.fa")[2], "")


if __name__ == "__main__":
    main()
