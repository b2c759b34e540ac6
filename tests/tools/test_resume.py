"""score, logits and predict --resume: wherever a run was killed, the next one goes on and ends with the same bytes."""
import hashlib
import json
import os
import shutil
import signal

import killed
from program import GOLDEN, main
from task_models import TaskTest

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
TILE = ["--set", "compute.matmul=tile"]
FASTA = "".join(f">{'same' if i % 5 == 0 else f's{i}'}\n{'MKVLATGIWE'[:10 - i % 3]}\n" for i in range(20)) + ">long\n" + "MKVLA" * 40 + "\n"
COMMANDS = (("score", MLM, "scores.tsv", "--stride", "2"), ("score", CLM, "scores.tsv"), ("logits", MLM, "logits.npz"),
            ("logits", CLM, "logits.safetensors"),
            ("predict", "classes", "p.tsv", "--long", "window"))


class Resume(TaskTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", FASTA)
        self.model("classification", level="residue", folder="classes")
        self.model("regression", folder="values")

    def command(self, name, model, output, *arguments, fasta="in.fa", folder="work"):
        return [name, model, fasta, "-o", os.path.join(folder, output), *arguments, "--batch-tokens", "40", *TILE]

    def test_a_run_that_is_killed_at_any_change_of_a_file_goes_on_with_the_same_bytes(self):
        os.mkdir(self.path("plain"))
        for given in COMMANDS:
            command = [*self.command(*given), "--resume"]
            os.mkdir(self.path("work"))
            calls = killed.changes(self, "work", *command)
            whole = killed.contents(self.path("work"))
            self.assertEqual(set(whole), {given[2], given[2] + ".manifest.json"})
            self.succeeds(*self.command(*given, folder="plain"))
            self.assertEqual(killed.contents(self.path("plain"))[given[2]], whole[given[2]])
            for at in killed.places(calls, 40):
                shutil.rmtree(self.path("work"))
                os.mkdir(self.path("work"))
                self.assertEqual(killed.kill_at(self, "work", at, *command), -signal.SIGKILL, at)
                self.succeeds(*command)
                found = {name: data for name, data in killed.contents(self.path("work")).items()
                         if ".tmp-" not in name and ".partial-" not in name}  # what a killed process was writing
                found = {name: data for name, data in found.items() if ".data-" not in name}
                self.assertEqual(found, whole, f"{given}, call {at}: {calls[at - 1]}")
            shutil.rmtree(self.path("work"))

    def test_what_is_finished_is_not_computed_again(self):
        for given in COMMANDS:
            os.mkdir(self.path("work"))
            command = [*self.command(*given), "--resume"]
            calls = killed.changes(self, "work", *command)
            whole = killed.contents(self.path("work"))
            before = os.stat(self.path(os.path.join("work", given[2]))).st_mtime_ns
            self.succeeds(*command)
            self.assertEqual(os.stat(self.path(os.path.join("work", given[2]))).st_mtime_ns, before)
            shutil.rmtree(self.path("work"))
            os.mkdir(self.path("work"))
            killed.kill_at(self, "work", len(calls), *command)  # the last: only FILE.partial is still to be removed
            self.assertNotIn("fdatasync", killed.changes(self, "work", *command))  # nothing was added to FILE.partial
            self.assertEqual(killed.contents(self.path("work")), whole)
            shutil.rmtree(self.path("work"))

    def test_the_manifest_says_what_it_was_made_of(self):
        os.mkdir(self.path("work"))
        self.succeeds(*self.command(*COMMANDS[0]), "--resume")
        manifest = json.loads(self.read("work/scores.tsv.manifest.json"))
        self.assertEqual((manifest["format"], manifest["sequences"], manifest["options"]),
                         ("performer-scores-1", 21, "score, stride 2, long crop, shard 1/1"))
        self.succeeds(*self.command("predict", "classes", "p.tsv"), "--resume")
        self.assertEqual(json.loads(self.read("work/p.tsv.manifest.json"))["options"], "predict, threshold 0 of class 0, long crop, shard 1/1")
        self.assertEqual(manifest["sha256"], hashlib.sha256(self.read("work/scores.tsv").encode()).hexdigest())

    def test_another_model_other_options_and_other_sequences_are_named(self):
        for name, output, other in (("score", "x.tsv", ["--long", "window"]), ("logits", "x.npz", ["--long", "window"])):
            command = self.command(name, MLM, output, folder=".")
            calls = killed.changes(self, ".", *command, "--resume")
            self.write("other.fa", FASTA.replace("MKV", "MKA"))
            for done in (True, False):
                self.fails(2, "made by another model" if done else "another model or other options",
                           *self.command(name, CLM, output, folder="."), "--resume")
                self.fails(2, "made with other options" if done else "another model or other options", *command, *other, "--resume")
                self.fails(2, "other sequences", *self.command(name, MLM, output, fasta="other.fa", folder="."), "--resume")
                if done:
                    os.remove(self.path(output))
                    killed.kill_at(self, ".", len(calls) - 6, *command, "--resume")
                    self.assertIn(output + ".partial", os.listdir(self.folder))
            os.remove(self.path(output + ".partial"))
            self.succeeds(*command)
            if os.path.exists(self.path(output + ".manifest.json")):
                os.remove(self.path(output + ".manifest.json"))
            self.fails(2, "says what it was made of", *command, "--resume")

    def test_wrong_usage_is_2(self):
        for name, model in (("score", MLM), ("predict", "values")):
            self.fails(2, "give -o FILE", name, model, "in.fa", "--resume")
        self.fails(2, "leave out one", "predict", "values", "in.fa", "-o", "p.tsv", "--labels", "p.tsv", "--resume")
        self.fails(2, "must end in .safetensors or .npz", "logits", MLM, "in.fa", "-o", "x.tsv", "--resume")


if __name__ == "__main__":
    main()
