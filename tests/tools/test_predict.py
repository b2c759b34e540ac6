"""performer predict: the head's answer as one gets it by hand from the embeddings; order, company, shards and windows."""
import math
import os
import random
import sys
import subprocess

import tensors
from program import GOLDEN, main
from task_models import D, TaskTest

TILE = ["--set", "compute.matmul=tile"]
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# Ids of all kinds, one of them twice; lengths of one residue to the model's 38; letters that are no amino acid.
RECORDS = [("a", "M"), ("b/c d", "MKTAYIAKQRQISFVKSHFS"), ("a", "GSHMLEDPXBZUO"), ("ünal", "ACDEFGHIKLMNPQRSTVWYACDEFGHIKLMNPQRSTV"), ("z", "WWWW")]
FASTA = "".join(f">{name}\n{sequence}\n" for name, sequence in RECORDS)
# Sums of 32 products of numbers of size 1 in float32: 1e-6; a probability moves by at most a quarter of what its logit does.
TOLERANCE = 1e-5


def softmax(logits):
    weights = [math.exp(x - max(logits)) for x in logits]
    return [w / sum(weights) for w in weights]


class Predict(TaskTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", FASTA)

    def head(self, model, rows):
        """task.weight x + task.bias of each row [D] in double."""
        weights, _ = tensors.safetensors(self.path(model + "/model.safetensors"))
        weight, bias = weights["task.weight"][1], weights["task.bias"][1]
        return [[b + math.fsum(weight[c * D + d] * row[d] for d in range(D)) for c, b in enumerate(bias)] for row in rows]

    def table(self, *arguments, **how):
        """(columns, lines of fields)"""
        lines = [line.split("\t") for line in self.succeeds("predict", *arguments, *TILE, **how).splitlines()]
        return lines[0], lines[1:]

    def near(self, got, expected, scale=1):
        self.assertEqual(len(got), len(expected))
        for a, b in zip(got, expected):
            self.assertAlmostEqual(float(a), b, delta=TOLERANCE * scale)
            self.assertNotAlmostEqual(float(a), b + 2 * TOLERANCE * scale, delta=TOLERANCE * scale)  # the twin

    def means(self, model, fasta="in.fa"):
        self.succeeds("embed", model, fasta, "-o", "mean.npz", *TILE)
        (count, _), values = tensors.npz(self.path("mean.npz"))["embeddings"]
        return [values[i * D:(i + 1) * D] for i in range(count)]

    def test_classes_of_sequences_are_the_head_on_the_mean_embedding(self):
        for classes in (("no", "yes"), ("inner membrane", "outer", "periplasm", "secreted")):
            model = self.model("classification", classes=classes, folder=f"m{len(classes)}")
            columns, lines = self.table(model, "in.fa")
            self.assertEqual(columns, ["id", "length", "prediction", *classes])
            self.assertEqual([line[:2] for line in lines], [[name.split()[0], str(len(sequence))] for name, sequence in RECORDS])
            for line, logits in zip(lines, self.head(model, self.means(model))):
                p = softmax(logits)
                self.near(line[3:], p)
                self.assertEqual(line[2], classes[p.index(max(p))])

    def test_values_of_sequences_are_in_the_labels_units(self):
        model = self.model("regression")
        columns, lines = self.table(model, "in.fa")
        self.assertEqual(columns, ["id", "length", "prediction"])
        self.near([line[2] for line in lines], [-3.5 + 20 * y for y, in self.head(model, self.means(model))], 20)

    def test_residues_have_a_line_each(self):
        for kind in ("classification", "regression"):
            model = self.model(kind, level="residue", classes=("H", "E", "C"), folder=kind)
            columns, lines = self.table(model, "in.fa")
            self.assertEqual(columns, ["id", "position", "residue", "prediction"] + (["H", "E", "C"] if kind == "classification" else []))
            self.assertEqual([line[:3] for line in lines],
                             [[name.split()[0], str(i + 1), c] for name, sequence in RECORDS for i, c in enumerate(sequence)])
            self.succeeds("embed", model, "in.fa", "-o", "rows.npz", "--pool", "none", *TILE)
            rows = [values[i * D:(i + 1) * D] for (n, _), values in tensors.npz(self.path("rows.npz")).values() for i in range(n)]
            for line, outputs in zip(lines, self.head(model, rows)):
                if kind == "regression":
                    self.near([line[3]], [-3.5 + 20 * outputs[0]], 20)
                    continue
                p = softmax(outputs)
                self.near(line[4:], p)
                self.assertEqual(line[3], "HEC"[p.index(max(p))])
            self.assertGreater(len({line[3] for line in lines}), 1)  # or the test would not see what is chosen

    def test_company_batches_and_shards_change_no_bit(self):
        for level in ("sequence", "residue"):
            model = self.model("classification", level=level, folder=level)
            columns, whole = self.table(model, "in.fa")
            for tokens in ("40", "64", "1"):
                self.assertEqual(self.table(model, "in.fa", "--batch-tokens", tokens), (columns, whole))
            backwards = "".join(f">{name}\n{sequence}\n" for name, sequence in reversed(RECORDS))
            self.assertEqual(sorted(self.table(model, "-", stdin=backwards)[1]), sorted(whole))
            shards = []
            for i in (1, 2, 3):
                self.succeeds("predict", model, "in.fa", "--shard", f"{i}/3", "-o", f"{i}.tsv", *TILE)
                shards.append(f"{i}.tsv")
            join = os.path.join(os.path.dirname(GOLDEN), "..", "tools", "examples", "join.py")
            subprocess.run([sys.executable, "-B", join, *shards, "-o", "joined.tsv"], cwd=self.folder, check=True)
            self.assertEqual([line.split("\t") for line in self.read("joined.tsv").splitlines()], [columns, *whole])

    def test_long_sequences(self):
        draw = random.Random(2)
        long = "".join(draw.choice(LETTERS) for _ in range(39 + 40 + 7))  # begin and 39 residues; 40; 7 and end
        self.write("long.fa", f">long\n{long}\n>edge\n{long[:39]}\n>short\nMKV\n")
        # What each window says, by hand: a record of the same tokens needs begin and end, so rows of tasks on residues serve.
        rows_model = self.model("classification", level="residue", folder="rows")
        _, lines = self.table(rows_model, "long.fa", "--long", "window")
        self.assertEqual([line[:3] for line in lines], [["long", str(i + 1), c] for i, c in enumerate(long)] +
                         [["edge", str(i + 1), c] for i, c in enumerate(long[:39])] + [["short", str(i + 1), c] for i, c in enumerate("MKV")])
        _, cropped = self.table(rows_model, "long.fa")
        self.assertEqual(cropped[:39], lines[:39])
        self.assertEqual(len(cropped), 39 + 39 + 3)
        model = self.model("classification")
        self.succeeds("embed", model, "long.fa", "-o", "rows.npz", "--pool", "none", "--long", "window", *TILE)
        _, values = tensors.npz(self.path("rows.npz"))["long"]
        rows = [values[i * D:(i + 1) * D] for i in range(len(long))]
        expected = [0.0, 0.0]
        for first, end in ((0, 39), (39, 79), (79, 86)):
            mean = [math.fsum(row[d] for row in rows[first:end]) / (end - first) for d in range(D)]
            p, = map(softmax, self.head(model, [mean]))
            expected = [e + q * (end - first) / len(long) for e, q in zip(expected, p)]
        _, windows = self.table(model, "long.fa", "--long", "window")
        self.near(windows[0][3:], expected)
        _, cropped = self.table(model, "long.fa")
        self.assertEqual(windows[1:], cropped[1:])  # a window of nothing but the end has no say
        self.assertEqual(cropped[0][:2], ["long", "86"])
        self.assertEqual(cropped[0][3:], cropped[1][3:])
        _, _, said = self.run_program("predict", model, "long.fa", *TILE)
        self.assertIn("2 sequences are longer than the model's 40 tokens", said)
        self.fails(3, "long", "predict", model, "long.fa", "--long", "error", "-o", "x.tsv")

    def test_a_threshold_moves_the_prediction_and_nothing_else(self):
        model = self.model("classification")
        _, lines = self.table(model, "in.fa")
        for threshold in ("0.3", "0.9", "1e-9", "1"):
            for positive, column in ((), 4), (("--positive", "yes"), 4), (("--positive", "no"), 3):
                _, moved = self.table(model, "in.fa", "--threshold", threshold, *positive)
                self.assertEqual([line[3:] for line in moved], [line[3:] for line in lines])
                name, other = (("no", "yes"), ("yes", "no"))[column - 3]
                self.assertEqual([line[2] for line in moved], [name if float(line[column]) >= float(threshold) else other for line in lines])

    def test_records_without_residues_are_left_out_with_a_warning(self):
        model = self.model("classification")
        self.write("empty.fa", ">none\n>one\nMKV\n")
        code, out, said = self.run_program("predict", model, "empty.fa", *TILE)
        self.assertEqual((code, [line.split("\t")[0] for line in out.splitlines()]), (0, ["id", "one"]))
        self.assertIn("skipped 1 empty record", said)

    def test_wrong_use(self):
        model = self.model("classification", classes=("H", "E", "C"))
        language = os.path.join(GOLDEN, "models", "mlm-learned-relu")
        self.fails(2, "train --init MODEL --task", "predict", language, "in.fa", "-o", "x.tsv")
        self.fails(2, "3 classes", "predict", model, "in.fa", "--threshold", "0.5")
        self.fails(2, "two classes", "predict", model, "in.fa", "--positive", "H")
        self.fails(2, "the classes are no and yes", "predict", self.model("classification", folder="two"), "in.fa", "--positive", "maybe")
        self.fails(2, "two classes", "predict", self.model("regression", folder="value"), "in.fa", "--threshold", "0.5")
        self.fails(2, "--threshold", "predict", model, "in.fa", "--threshold", "1.5")
        for name, *more in (("logits", "in.fa", "-o", "x.npz"), ("score", "in.fa"), ("eval", "in.fa"), ("variants", "--scan", "--wild-type", "in.fa")):
            self.fails(2, "head for labels", name, model, *more)
        self.fails(3, "nowhere.fa", "predict", model, "nowhere.fa", "-o", "x.tsv")
        self.fails(3, "nowhere", "predict", "nowhere", "in.fa", "-o", "x.tsv")


main()
