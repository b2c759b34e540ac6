"""performer train --task: heads for a user's labels learn a planted rule, resume to the bit, stop early and keep the best."""
import json
import math
import os
import random
import signal
import subprocess

from program import PERFORMER, DeviceTest, main

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
         "hidden_dropout": 0.1, "compute": {"matmul": "tile"}, "attention": {"num_features": 8, "local_heads": 1, "window": 8},
         "train": {"steps": 24, "batch_tokens": 1024, "checkpoint_interval": 6, "eval_interval": 8, "learning_rate": 0.01, "warmup_steps": 5}}
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


class Task(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(5)
        table = ["name\tclass\tshare\tstate\n"]
        for part, count in (("train", 200), ("valid", 80)):
            records = []
            for i in range(count):
                protein = "".join(draw.choices(LETTERS, k=draw.randint(15, 50)))
                secreted = draw.random() < 0.4
                if secreted:  # begins as signal peptides do
                    protein = "M" + "".join(draw.choices("LIVFA", k=10)) + protein[11:]
                records.append(f">{part}{i} of a test\n{protein}\n")
                state = "".join("H" if letter in "AELMQKRH" else "C" for letter in protein)
                table.append(f"{part}{i}\t{'secreted' if secreted else 'inside'}\t{100 * protein.count('L') / len(protein):.2f}\t{state}\n")
            self.write(part + ".fa", "".join(records))
        self.write("labels.tsv", "".join(table))
        self.write("small.json", json.dumps(SMALL))
        self.data = ("--labels", "labels.tsv", "--train", "train.fa", "--valid", "valid.fa")

    def train(self, run, *arguments, start=("--config", "small.json")):
        return self.succeeds("train", *start, *self.data, "-o", run, *arguments)

    def evaluations(self, run):
        lines = [json.loads(line) for line in self.read(run + "/metrics.jsonl").splitlines()]
        return [line for line in lines if "valid_loss" in line]

    def losses(self, run):
        return [{k: v for k, v in json.loads(line).items() if k not in ("tokens_per_s", "time")}
                for line in self.read(run + "/metrics.jsonl").splitlines()]

    def weights(self, run, step):
        with open(self.path(f"{run}/checkpoints/step-{step:012d}/model.safetensors"), "rb") as file:
            return file.read()

    def test_classes_of_sequences_are_learnt(self):
        self.train("run", "--task", "classification", "--label-column", "class")
        self.assertEqual(json.loads(self.read("run/config.json"))["task"], {"type": "classification", "classes": ["inside", "secreted"]})
        last = self.evaluations("run")[-1]
        for figure in ("accuracy", "balanced_accuracy", "auc", "macro_f1"):
            self.assertGreater(last["valid_" + figure], 0.9, figure)  # guessing: 0.6 at most
        self.assertGreater(last["valid_mcc"], 0.8)
        # Summed in fp32 on the device, in double on the host.
        self.assertAlmostEqual(last["valid_log_loss"], last["valid_loss"], delta=1e-5 * (1 + last["valid_loss"]))
        self.assertNotIn("valid_perplexity", last)
        self.succeeds("report", "run", "-o", "report.html")
        page = self.read("report.html")
        for fact in ("classification of sequences, 2 classes", "balanced_accuracy", f"<td>{last['valid_auc']:.4f}</td>", "Loss against tokens"):
            self.assertIn(fact, page)
        self.assertNotIn("perplexity", page)

    def test_numbers_of_sequences_are_learnt_in_their_own_units(self):
        self.train("run", "--task", "regression", "--label-column", "share", "--set", "train.steps=48")
        task = json.loads(self.read("run/config.json"))["task"]
        labels = {row.split("\t")[0]: float(row.split("\t")[2]) for row in self.read("labels.tsv").splitlines()[1:]}
        values = [labels[f"train{i}"] for i in range(200)]
        mean = sum(values) / 200
        deviation = (sum((v - mean) ** 2 for v in values) / 200) ** 0.5
        self.assertAlmostEqual(task["mean"], mean, places=9)
        self.assertAlmostEqual(task["deviation"], deviation, places=9)
        last = self.evaluations("run")[-1]
        self.assertGreater(last["valid_spearman"], 0.8)
        self.assertGreater(last["valid_r2"], 0.5)
        # The loss is the mean squared error in standard units, the error is in the labels'.
        self.assertAlmostEqual(last["valid_rmse"], deviation * last["valid_loss"] ** 0.5, delta=1e-4 * deviation)

    def test_residues_are_learnt_windows_and_all(self):
        short = ("--set", "train.max_length=24")  # of sequences of up to 52 tokens
        self.train("run", "--task", "classification", "--label-level", "residue", "--label-column", "state", *short)
        self.assertEqual(json.loads(self.read("run/config.json"))["task"], {"type": "classification", "level": "residue", "classes": ["C", "H"]})
        self.assertGreater(self.evaluations("run")[-1]["valid_accuracy"], 0.95)

    def test_a_head_goes_on_top_of_a_model_and_is_kept_when_it_is_the_same(self):
        self.succeeds("train", "--config", "small.json", "--train", "train.fa", "-o", "body", "--set", "train.steps=4")
        task = ("--task", "classification", "--label-column", "class")
        self.train("head", *task, "--set", "train.steps=8", start=("--init", "body", "--config", "small.json"))
        self.train("again", "--label-column", "class", "--set", "train.steps=1", start=("--init", "head", "--config", "small.json"))
        self.assertEqual(self.weights("again", 0), self.weights("head", 8))
        # Another question is another head.
        self.train("other", "--task", "regression", "--label-column", "share", "--set", "train.steps=1",
                   start=("--init", "head", "--config", "small.json"))
        self.assertEqual(json.loads(self.read("other/config.json"))["task"]["type"], "regression")
        self.write("more.tsv", "name\tclass\ntrain0\tinside\ntrain1\tsecreted\ntrain2\tnowhere\nvalid0\tinside\n")
        self.fails(3, "more.tsv: line 4: class 'nowhere' is not known; there are 'inside', 'secreted'", "train", "--init", "head",
                   "--labels", "more.tsv", "--train", "train.fa", "--valid", "valid.fa", "-o", "x")

    def test_killed_runs_go_on_to_the_bit(self):
        how = ("--task", "regression", "--label-column", "share", "--set", "train.patience=50")
        self.train("whole", *how)
        self.train("parts", *how, "--set", "train.time_limit=0", "--set", "train.steps=24", "--set", "train.checkpoint_interval=1",
                   "--set", "train.keep_checkpoints=100")
        for step in (7, 8, 15):  # before, at and between evaluations
            whole = self.path("parts/checkpoints")
            for name in os.listdir(whole):
                if int(name[5:]) > step:
                    os.rename(os.path.join(whole, name), self.path(name + "-gone"))
            self.succeeds("train", "--resume", "-o", "parts")  # the labels are remembered
            self.assertEqual(self.weights("parts", 24), self.weights("whole", 24))
            self.assertEqual(self.losses("parts"), self.losses("whole"))
            self.assertEqual(self.read("parts/best"), self.read("whole/best"))
            for name in os.listdir(self.folder):
                if name.endswith("-gone"):
                    subprocess.run(["rm", "-r", self.path(name)], check=True)

    def test_an_interrupted_run_can_be_resumed(self):
        with subprocess.Popen([PERFORMER, "train", "--config", "small.json", "--task", "classification", "--label-column", "class", *self.data,
                               "-o", "run", "--set", "train.steps=100000"], cwd=self.folder, stderr=subprocess.PIPE) as process:
            for line in process.stderr:
                if line.startswith(b"step"):
                    break
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            self.assertEqual(process.wait(), 5)
        steps = json.loads(self.read("run/checkpoints/" + self.read("run/latest").strip() + "/state.json"))["step"]
        self.succeeds("train", "--resume", "-o", "run", "--set", f"train.steps={steps + 2}")

    def test_micro_batches_change_nothing_but_rounding(self):
        how = ("--task", "classification", "--label-column", "class", "--set", "train.steps=6", "--set", "hidden_dropout=0.1")
        self.train("one", *how)
        self.train("many", *how, "--set", "train.micro_batch_tokens=100")
        for a, b in zip(self.losses("one"), self.losses("many")):
            self.assertEqual(a["step"], b["step"])
            for key in set(a) & {"loss", "valid_loss"}:
                self.assertAlmostEqual(a[key], b[key], delta=1e-4)  # sums of gradients in another order, six steps

    def test_balanced_weights_find_rare_classes(self):
        """Nothing to learn but how many there are: without weights the head says what is common, with them either."""
        draw = random.Random(8)
        proteins = ["".join(draw.choices(LETTERS, k=20)) for _ in range(200)]
        self.write("chance.fa", "".join(f">c{i}\n{p}\n" for i, p in enumerate(proteins)))
        self.write("chance.tsv", "id\tl\n" + "".join(f"c{i}\t{'rare' if i % 10 == 0 else 'common'}\n" for i in range(200)))
        bias = {}
        for weights in ("none", "balanced"):
            self.succeeds("train", "--config", "small.json", "--task", "classification", "--labels", "chance.tsv", "--train", "chance.fa", "-o", weights,
                          "--set", "train.class_weights=" + weights, "--set", "train.steps=60", "--set", "train.learning_rate=0.1",
                          "--set", "train.freeze=layers.*,embed.*,norm.*", "--set", "train.batch_tokens=4400")
            rows = self.succeeds("predict", weights, "chance.fa").splitlines()
            bias[weights] = sum(row.split("\t")[2] == "rare" for row in rows[1:]) / 200
        self.assertLess(bias["none"], 0.05)
        self.check_weighted_loss()
        self.assertGreater(bias["balanced"], 0.2)
        self.fails(2, "train.class_weights is for --task classification", "train", "--config", "small.json", "--train", "chance.fa", "-o", "x",
                   "--set", "train.class_weights=balanced")

    def check_weighted_loss(self):
        """The validation loss has the weights of training: each of the two classes counts half."""
        self.succeeds("train", "--config", "small.json", "--task", "classification", "--labels", "chance.tsv", "--train", "chance.fa",
                      "--valid", "chance.fa", "-o", "weighed", "--set", "train.class_weights=balanced", "--set", "train.steps=2")
        losses = {"rare": [], "common": []}
        for i, row in enumerate(self.succeeds("predict", "weighed", "chance.fa").splitlines()[1:]):
            common, rare = (float(p) for p in row.split("\t")[3:])
            losses["rare" if i % 10 == 0 else "common"].append(-math.log(rare if i % 10 == 0 else common))
        expected = sum(sum(group) / len(group) / 2 for group in losses.values())
        line = self.evaluations("weighed")[-1]
        self.assertAlmostEqual(line["valid_loss"], expected, delta=1e-6)  # logits of another batch's order, probabilities in nine digits
        self.assertNotAlmostEqual(line["valid_log_loss"], expected, delta=1e-3)

    def test_other_labels_are_other_data(self):
        how = ("--task", "classification", "--label-column", "class")
        self.train("run", *how, "--set", "train.steps=2")
        lines = [line.split("\t") for line in self.read("labels.tsv").splitlines()]
        lines[1][1] = {"inside": "secreted", "secreted": "inside"}[lines[1][1]]
        self.write("changed.tsv", "".join("\t".join(line) + "\n" for line in lines))
        self.fails(2, "the labels of the training sequences are not those that the run", "train", "--resume", "-o", "run", "--labels", "changed.tsv")
        self.fails(2, "task.type differs", "train", "--resume", "-o", "run", "--task", "regression")
        self.train("run", *how, "--resume", "--set", "train.steps=3")  # the same command again goes on
        self.assertEqual(self.losses("run")[-1]["step"], 3)

    def early(self, run, *arguments):
        return self.run_program("train", "--config", "small.json", *arguments, "-o", run, "--set", "train.steps=400",
                                "--set", "train.eval_interval=2", "--set", "train.patience=3", "--set", "train.learning_rate=0.3",
                                "--set", "train.keep_checkpoints=1", "--set", "train.checkpoint_interval=5")

    def check_early(self, run, err):
        evaluations = self.evaluations(run)
        best = min(evaluations, key=lambda line: line["valid_loss"])
        self.assertLess(evaluations[-1]["step"], 400)
        self.assertEqual(evaluations[-1]["step"], best["step"] + 6)
        self.assertIn(f"stopped at step {best['step'] + 6}: 3 evaluations without a better loss", err)
        self.assertEqual(self.read(run + "/best"), f"step-{best['step']:012d}\n")
        kept = sorted(os.listdir(self.path(run + "/checkpoints")))
        self.assertEqual(kept, [f"step-{best['step']:012d}", f"step-{best['step'] + 6:012d}"])
        state = json.loads(self.read(f"{run}/checkpoints/{kept[1]}/state.json"))
        self.assertEqual((state["best"]["step"], state["best"]["evaluations_since"]), (best["step"], 3))
        self.assertIn(kept[0], self.succeeds("info", run))  # a run means its best checkpoint
        before = self.read(run + "/metrics.jsonl")
        self.succeeds("train", "--resume", "-o", run)  # and is at its end
        self.assertEqual(self.read(run + "/metrics.jsonl"), before)

    def test_runs_that_get_no_better_end_and_keep_the_best(self):
        code, _, err = self.early("run", "--task", "classification", "--label-column", "class", *self.data)
        self.assertEqual(code, 0, err)
        self.check_early("run", err)

    def test_language_models_stop_early_too(self):
        code, _, err = self.early("run", "--train", "train.fa", "--valid", "valid.fa")
        self.assertEqual(code, 0, err)
        self.check_early("run", err)

    def test_a_best_checkpoint_that_is_damaged_is_passed_over(self):
        self.train("run", "--task", "classification", "--label-column", "class")
        self.write("run/best", "step-000000000018\n")
        self.assertIn("step-000000000018", self.succeeds("info", "run"))
        os.truncate(self.path("run/checkpoints/step-000000000018/model.safetensors"), 100)
        code, out, err = self.run_program("info", "run")
        self.assertEqual(code, 0, err)
        self.assertIn("step-000000000024", out)
        for nonsense in ("", "../..\n", "step-1\n", "\0"):
            self.write("run/best", nonsense)
            self.assertIn("step-000000000024", self.succeeds("info", "run"))

    def test_records_without_labels_and_labels_without_records_are_said(self):
        self.write("some.tsv", "id\tlabel\n" + "".join(f"train{i}\t{'ab'[i % 2]}\n" for i in range(50)) + "valid0\ta\nvalid1\tb\nvalid2\t\nx\ta\n")
        code, _, err = self.run_program("train", "--config", "small.json", "--task", "classification", "--labels", "some.tsv", "--train", "train.fa",
                                        "--valid", "valid.fa", "-o", "run", "--set", "train.steps=1")
        self.assertEqual(code, 0, err)
        self.assertIn("150 training sequences are left out, without a label in some.tsv: 'train50', 'train51', 'train52', ...", err)
        self.assertIn("78 validation sequences are left out, without a label in some.tsv: 'valid2', ", err)
        self.assertIn("some.tsv: 1 label is of records that are in no FASTA file: 'x'", err)

    def test_figures_without_a_meaning_are_null(self):
        self.write("one.tsv", self.read("labels.tsv").replace("valid", "other") + "valid0\tinside\t1\tH\nvalid1\tinside\t1\tH\n")
        code, _, err = self.run_program("train", "--config", "small.json", "--task", "classification", "--labels", "one.tsv", "--label-column",
                                        "class", "--train", "train.fa", "--valid", "valid.fa", "-o", "run", "--set", "train.steps=1")
        self.assertEqual(code, 0, err)
        self.assertIn("mcc -, auc - (all labels are of one class)", err)
        self.assertIsNone(self.evaluations("run")[-1]["valid_auc"])

    def test_wrong_options_are_named(self):
        start = ("train", "--config", "small.json", "--train", "train.fa", "-o", "x")
        labels = ("--labels", "labels.tsv", "--label-column", "class")
        self.fails(2, "give --labels TSV", *start, "--task", "regression")
        self.fails(2, "--labels is for a head for labels; give --task", *start, *labels)
        self.fails(2, "--label-level is for a head", *start, "--label-level", "residue")
        self.fails(2, "name a column with --label-column: 'class', 'share', 'state'", *start, "--task", "classification", "--labels", "labels.tsv")
        self.fails(3, "no such column", *start, "--task", "classification", "--labels", "labels.tsv", "--label-column", "Class")
        self.fails(3, "labels.tsv: line 2: 'secreted' is no label of a regression", *start, "--task", "regression", *labels)
        self.fails(2, "train.packing concat", *start, "--task", "classification", *labels, "--set", "train.packing=concat")
        self.fails(2, "objective mlm", *start, "--task", "classification", *labels, "--set", "objective=clm")
        self.fails(2, "train.patience counts evaluations, and there are none; give --valid", *start, "--set", "train.patience=2")
        self.fails(3, "gone.tsv: No such file", *start, "--task", "classification", "--labels", "gone.tsv")


if __name__ == "__main__":
    main()
