"""Manual pages and shell completion say what --help says, of every command, and the tools that read them have no complaint."""
import os
import pty
import re
import select
import subprocess
import time

from program import ProgramTest, main

# What a zsh of one's own needs before a tab completes; its last words say that it is ready.
ZSH = "PS1= RPS1= PS2=; autoload -U compinit; compinit -u -D; source ./_performer; zstyle ':completion:*' list-prompt ''; echo rea''dy\n"


class Pages(ProgramTest):
    def commands(self):
        return re.findall(r"^  ([a-z-]+) +\S", self.succeeds("--help").split("Commands:")[1], re.M)

    def options(self, command):
        return re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", self.succeeds(command, "--help").split("Options:", 1)[-1], re.M)

    def pages(self):
        yield "performer", self.succeeds("--man")
        for command in self.commands():
            yield command, self.succeeds("--man", command)

    def test_every_command_and_option_has_its_place(self):
        self.assertGreater(len(self.commands()), 15)
        for command, page in list(self.pages())[1:]:
            self.assertIn("performer\\-" + command.replace("-", "\\-"), page)
            self.assertIn(".SH EXAMPLES", page)
            for option in self.options(command):
                self.assertIn("\\fB" + option.replace("-", "\\-") + "\\fR", page, command)

    def complaints(self, page, *command):
        self.write("page.1", page)
        done = subprocess.run([*command, self.path("page.1")], capture_output=True, text=True, check=False)
        return [line for line in (done.stdout + done.stderr).splitlines() if "missing date" not in line]

    def check_with(self, *command):
        for _, page in self.pages():
            self.assertEqual(self.complaints(page, *command), [])
        self.assertTrue(self.complaints(".TH X 1\n.SH NAME\nx\n.nosuchmacro y\n", *command))

    def test_groff_has_no_warnings(self):
        self.needs("groff", "groff-base")
        self.check_with("groff", "-ww", "-man", "-Tutf8", "-z")

    def test_mandoc_has_no_warnings(self):
        self.needs("mandoc", "mandoc")
        self.check_with("mandoc", "-T", "lint", "-W", "warning")

    def complete(self, *words):
        """What bash proposes for the last word."""
        self.write("completion", self.succeeds("--completion", "bash"))
        script = ('. ./completion; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _performer; '
                  '[ ${#COMPREPLY[@]} = 0 ] || printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run([self.needs("bash", "bash"), "-c", script, "bash", "performer", *words], cwd=self.folder,
                              capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "")
        return done.stdout.splitlines()

    def test_bash_proposes_commands_and_options(self):
        self.assertEqual(self.complete(""), self.commands() + ["--help", "--version"])
        self.assertEqual(self.complete("attention"), ["attention-map"])
        for command in self.commands():
            self.assertEqual(self.complete(command, "--"), self.options(command))
        self.assertEqual(self.complete("embed", "--po"), ["--pool"])
        self.assertEqual(self.complete("nosuch", "--"), [])

    def test_bash_proposes_values(self):
        self.assertEqual(self.complete("embed", "--pool", "m"), ["mean", "max"])
        self.assertEqual(self.complete("embed", "--pool", "=", "m"), ["mean", "max"])  # '=' breaks words
        self.assertEqual(self.complete("embed", "--pool", "="), ["mean", "begin", "max", "none"])
        self.assertEqual(self.complete("train", "--preset", "ti"), ["tiny"])
        self.assertEqual(self.complete("train", "--set", "train.st"), ["train.steps="])
        self.assertEqual(self.complete("train", "--set", "train.steps", "=", "1"), [])
        self.assertIn("gpu", self.complete("train", "--device", ""))
        self.assertEqual(self.complete("train", "--seed", ""), [])

    def test_bash_proposes_files_of_the_right_kind(self):
        for name in ("a.fasta", "b.fa.gz", "c d.faa", "notes.txt"):
            self.write(name, "")
        os.mkdir(self.path("model"))
        files = ["a.fasta", "b.fa.gz", "c d.faa", "model"]
        self.assertEqual(self.complete("embed", "mo"), ["model"])
        self.assertEqual(sorted(self.complete("embed", "model", "")), files)
        self.assertEqual(sorted(self.complete("embed", "model", "a.fasta", "b")), ["b.fa.gz"])
        self.assertEqual(sorted(self.complete("embed", "--set", "compute.matmul", "=", "tile", "mo")), ["model"])
        self.assertEqual(sorted(self.complete("train", "--train", "a.fasta", "")), files)
        self.assertEqual(self.complete("train", "--train", "a.fasta", "--resu"), ["--resume"])
        self.assertIn("notes.txt", self.complete("embed", "-o", "n"))

    def test_what_is_written_for_bash_is_good_bash(self):
        self.needs("shellcheck", "shellcheck")
        self.write("completion", self.succeeds("--completion", "bash"))
        done = subprocess.run(["shellcheck", "-s", "bash", self.path("completion")], capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "")

    def typed_in_zsh(self, line, expected):
        """All that appears on a terminal when `line` and two tabs are typed, until `expected` does or a minute is over."""
        self.write("_performer", self.succeeds("--completion", "zsh"))
        mine, theirs = pty.openpty()
        shell = subprocess.Popen(["zsh", "-f", "-i"], cwd=self.folder, stdin=theirs, stdout=theirs, stderr=theirs,
                                 start_new_session=True, env={**os.environ, "TERM": "dumb"})
        os.close(theirs)
        try:
            self.assertIn("ready", self.read_until(mine, ZSH, "ready\r"))
            return self.read_until(mine, line + "\t\t", expected)
        finally:
            shell.kill()
            shell.wait()
            os.close(mine)

    @staticmethod
    def read_until(terminal, typed, expected, limit=60):
        os.write(terminal, typed.encode())
        seen, deadline = "", time.monotonic() + limit
        while expected not in seen and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                seen += os.read(terminal, 65536).decode("utf-8", "replace")
        return seen

    def test_zsh_proposes_the_same(self):
        self.needs("zsh", "zsh")
        os.mkdir(self.path("some-model"))
        for line, expected in (("performer attention-", "map "), ("performer embed --po", "ol="),
                               ("performer embed --pool ", "begin  max"), ("performer train --preset ", "large  paper"),
                               ("performer train --set compute.", "compute.storage"), ("performer embed some", "-model/")):
            self.assertIn(expected, self.typed_in_zsh(line, expected), line)

    def test_wrong_words_are_2(self):
        self.fails(2, "neither bash nor zsh", "--completion", "fish")
        self.fails(2, "neither bash nor zsh", "--completion")
        self.fails(2, "did you mean embed?", "--man", "embd")


if __name__ == "__main__":
    main()
