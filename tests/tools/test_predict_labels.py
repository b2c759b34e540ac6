"""performer predict and eval beside labels: figures as one computes them from the table of predictions."""
import json
import math
import os
import random
import statistics

from program import GOLDEN, main
from task_models import TaskTest

TILE = ["--set", "compute.matmul=tile"]
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# Figures are made of numbers in single precision, 6e-8 of each; the table of predictions has 9 digits.
TOLERANCE = 1e-6


def mean(values):
    return math.fsum(values) / len(values)


def area(scores, positive):
    """The share of pairs in the right order, ties a half: by counting them."""
    pairs = [(a > b) + 0.5 * (a == b) for a, p in zip(scores, positive) if p for b, q in zip(scores, positive) if not q]
    return mean(pairs)


def confusion_of(classes, labels, said):
    return [[sum(a == c and b == d for a, b in zip(labels, said)) for d in classes] for c in classes]


def correlation_of_classes(matrix):
    """Gorodkin 2004, by its sums over triples."""
    n = range(len(matrix))
    total = sum(map(sum, matrix))
    rows, columns = [sum(matrix[i]) for i in n], [sum(matrix[i][j] for i in n) for j in n]
    hits = sum(matrix[i][i] for i in n)
    above = total * hits - sum(rows[i] * columns[i] for i in n)
    return above / math.sqrt((total ** 2 - sum(r * r for r in rows)) * (total ** 2 - sum(c * c for c in columns)))


def classified(classes, labels, said, probabilities):
    """What the figures should be; every class occurs among the labels."""
    matrix = confusion_of(classes, labels, said)
    n = range(len(classes))
    columns = [sum(row[i] for row in matrix) for i in n]
    areas = [area([p[i] for p in probabilities], [label == classes[i] for label in labels]) for i in n]
    return {
        "accuracy": sum(matrix[i][i] for i in n) / len(labels),
        "balanced_accuracy": mean([matrix[i][i] / sum(matrix[i]) for i in n]),
        "macro_f1": mean([2 * matrix[i][i] / (sum(matrix[i]) + columns[i]) for i in n]),
        "mcc": correlation_of_classes(matrix),
        "auc": areas[1] if len(classes) == 2 else mean(areas),
        "log_loss": -mean([math.log(p[classes.index(label)]) for p, label in zip(probabilities, labels)]),
    }, matrix


def ranks(values):
    order = sorted(values)
    return [order.index(v) + (order.count(v) + 1) / 2 for v in values]


class Labels(TaskTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(3)
        self.records = [(f"p{i}", "".join(draw.choice(LETTERS) for _ in range(draw.randrange(1, 30)))) for i in range(60)]
        self.write("in.fa", "".join(f">{name}\n{sequence}\n" for name, sequence in self.records))
        self.draw = draw

    def label(self, labels):
        """Writes those labels; the first and the last record have none, and a record that is nowhere has one."""
        rows = "".join(f"{name}\t{i}\t{label}\n" for i, ((name, _), label) in enumerate(zip(self.records[1:-1], labels)))
        self.write("labels.tsv", "protein\tnumber\twhat\n" + rows + f"elsewhere\t0\t{labels[0]}\n")
        return ["--labels", "labels.tsv", "--label-column", "what"]

    def measure(self, model, *arguments):
        """(figures, fields of the labelled predictions' lines)"""
        self.succeeds("predict", model, "in.fa", "-o", "p.tsv", "--json", "figures.json", *arguments, *TILE)
        figures = json.loads(self.read("figures.json"))
        named = {name for name, _ in self.records[1:-1]}
        return figures, [line.split("\t") for line in self.read("p.tsv").splitlines()[1:] if line.split("\t")[0] in named]

    def hold(self, figures, expected):
        for name, value in expected.items():
            tolerance = TOLERANCE * max(1, abs(value))
            self.assertAlmostEqual(figures[name], value, delta=tolerance, msg=name)
            self.assertNotAlmostEqual(figures[name] + 3 * tolerance, value, delta=tolerance, msg=name)  # the twin
            low, high = figures["intervals"][name]
            self.assertLess(low, high, name)
            self.assertTrue(low <= value <= high, (name, low, value, high))

    def test_classes_of_sequences(self):
        for classes in (("no", "yes"), ("H", "E", "C")):
            model = self.model("classification", classes=classes, folder=f"m{len(classes)}")
            labels = [self.draw.choice(classes) for _ in self.records[1:-1]]
            given = self.label(labels)
            figures, lines = self.measure(model, *given)
            expected, matrix = classified(classes, labels, [line[2] for line in lines], [list(map(float, line[3:])) for line in lines])
            self.assertEqual({k: figures[k] for k in ("task", "level", "sequences", "unlabelled", "labels", "classes", "confusion")},
                             {"task": "classification", "level": "sequence", "sequences": 58, "unlabelled": 2, "labels": 58,
                              "classes": list(classes), "confusion": matrix})
            self.hold(figures, expected)
            # eval says the same, and the table what JSON says
            self.assertEqual(json.loads(self.succeeds("eval", model, "in.fa", *given, "--json", *TILE)), figures)
            table = self.succeeds("eval", model, "in.fa", *given, *TILE)
            self.assertEqual(self.succeeds("predict", model, "in.fa", *given, "-o", "again.tsv", *TILE), table)
            self.assertIn(f"\nmcc                {expected['mcc']:10.4f}  ", table)
            self.assertIn("label \\ predicted", table)
            self.assertEqual(self.succeeds("eval", model, "in.fa", *given, "--plot", "roc.svg", *TILE), table)
            picture = self.read("roc.svg")
            self.assertIn(f"58 sequences; balanced accuracy {expected['balanced_accuracy']:.3f}", picture)
            self.assertIn(f"yes: AUC {figures['auc']:.3f}" if len(classes) == 2 else "C: AUC 0.", picture)
            again, _ = self.measure(model, *given, "--seed", "1")
            self.assertNotEqual(again["intervals"], figures["intervals"])
            self.assertEqual({**again, "intervals": 0}, {**figures, "intervals": 0})

    def test_a_threshold_changes_figures_of_choices_only(self):
        model = self.model("classification")
        labels = [self.draw.choice(("no", "yes")) for _ in self.records[1:-1]]
        given = self.label(labels)
        figures, lines = self.measure(model, *given)
        middle = statistics.median(float(line[4]) for line in lines)
        moved, lines = self.measure(model, *given, "--threshold", str(middle))
        expected, matrix = classified(("no", "yes"), labels, [line[2] for line in lines], [list(map(float, line[3:])) for line in lines])
        self.assertEqual({line[2] for line in lines}, {"no", "yes"})
        self.hold(moved, expected)
        self.assertEqual(moved["confusion"], matrix)
        self.assertEqual([moved[k] for k in ("auc", "log_loss")], [figures[k] for k in ("auc", "log_loss")])
        self.assertNotEqual(moved["accuracy"], figures["accuracy"])

    def test_values_of_sequences(self):
        model = self.model("regression")
        labels = [round(self.draw.gauss(-3, 10), 1) for _ in self.records[1:-1]]
        figures, lines = self.measure(model, *self.label(labels))
        said = [float(line[2]) for line in lines]
        errors = [a - b for a, b in zip(said, labels)]
        self.hold(figures, {
            "pearson": statistics.correlation(labels, said),
            "spearman": statistics.correlation(ranks(labels), ranks(said)),
            "r2": 1 - sum(e * e for e in errors) / sum((x - mean(labels)) ** 2 for x in labels),
            "rmse": math.sqrt(mean([e * e for e in errors])),
            "mae": mean([abs(e) for e in errors]),
        })
        self.assertNotIn("classes", figures)
        self.succeeds("predict", model, "in.fa", "-o", "p.tsv", "--plot", "values.svg", *self.label(labels), *TILE)
        self.assertIn(f"58 sequences; Spearman {figures['spearman']:.3f}", self.read("values.svg"))

    def test_residues(self):
        model = self.model("classification", level="residue", classes=("C", "E", "H"))
        labels = ["".join(self.draw.choice("CEH.") for _ in sequence) for _, sequence in self.records[1:-1]]
        figures, lines = self.measure(model, *self.label(labels))
        flat = "".join(labels)
        self.assertEqual(len(lines), len(flat))
        lines = [line for line, label in zip(lines, flat) if label != "."]
        flat = flat.replace(".", "")
        expected, matrix = classified(["C", "E", "H"], flat, [line[3] for line in lines], [list(map(float, line[4:])) for line in lines])
        self.hold(figures, expected)
        self.assertEqual((figures["labels"], figures["confusion"]), (len(flat), matrix))
        labels[3] += "C"
        given = self.label(labels)
        self.fails(3, '"p4"', "predict", model, "in.fa", *given, "-o", "x.tsv")

    def test_a_figure_without_meaning_is_null(self):
        model = self.model("classification")
        figures, _ = self.measure(model, *self.label(["no"] * 58))
        self.assertEqual((figures["auc"], figures["mcc"], figures["intervals"]["auc"]), (None, None, [None, None]))
        self.assertIn("all labels are of one class", self.succeeds("eval", model, "in.fa", *self.label(["no"] * 58)))

    def test_what_has_no_label_is_said(self):
        model = self.model("classification")
        _, _, said = self.run_program("eval", model, "in.fa", *self.label(["no", "yes"] * 29))
        self.assertIn("labels.tsv: no label for 2 of 60 sequences, which do not count", said)
        self.assertIn("'elsewhere'", said)
        self.write("other.tsv", "id\tlabel\nq1\tno\n")
        self.fails(3, "other.tsv: no label for any of 60 sequences", "eval", model, "in.fa", "--labels", "other.tsv")

    def test_wrong_use(self):
        model, given = self.model("classification"), self.label(["no", "maybe"] * 29)
        language = os.path.join(GOLDEN, "models", "mlm-learned-relu")
        self.fails(3, "maybe", "predict", model, "in.fa", *given, "-o", "x.tsv")
        self.fails(3, "nowhere.tsv", "predict", model, "in.fa", "--labels", "nowhere.tsv", "-o", "x.tsv")
        self.fails(3, "'which'", "eval", model, "in.fa", "--labels", "labels.tsv", "--label-column", "which")
        self.fails(2, "--label-column", "eval", model, "in.fa", "--labels", "labels.tsv")
        self.fails(2, "give these a file with -o", "predict", model, "in.fa", *given)
        self.fails(2, "--labels", "predict", model, "in.fa", "--json", "x.json")
        self.fails(2, "--labels", "predict", model, "in.fa", "--label-column", "what")
        self.fails(2, "--plot goes with --labels", "predict", model, "in.fa", "--plot", "x.svg")
        self.fails(2, "--labels TSV", "eval", model, "in.fa")
        self.fails(2, "--by is for language models", "eval", model, "in.fa", *given, "--by", "letter")
        self.fails(2, "language model", "eval", language, "in.fa", *given)
        self.fails(2, "language model", "predict", language, "in.fa", *given, "-o", "x.tsv")


main()
