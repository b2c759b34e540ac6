"""The commands of tools/demo-signal-peptides, on few proteins made up: a signal that is planted is found in proteins never seen."""
import random

from program import DeviceTest, main

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
SMALL = ["hidden_size=64", "num_hidden_layers=2", "num_attention_heads=1", "intermediate_size=128", "max_position_embeddings=72",
         "attention.num_features=32", "attention.local_heads=0", "compute.matmul=tile"]  # fmt: skip


def protein(rng, has_signal):
    """70 residues; a signal peptide is basic, then hydrophobic, then small letters before the cut."""
    signal = "".join(rng.choice("KR") for _ in range(2)) + "".join(rng.choice("LLLAVIF") for _ in range(rng.randint(10, 14))) + "SAFA"
    return ("M" + (signal if has_signal else "") + "".join(rng.choice(LETTERS) for _ in range(70)))[:70]


def area(positive, negative):
    pairs = [(a > b) + 0.5 * (a == b) for a in positive for b in negative]
    return sum(pairs) / len(pairs)


class SignalPeptides(DeviceTest):
    def setUp(self):
        super().setUp()
        rng = random.Random(1)
        self.labels = {f"p{i}": "yes" if i % 5 == 0 else "no" for i in range(400)}
        self.write("proteins.fasta", "".join(f">{name} made up\n{protein(rng, label == 'yes')}\n" for name, label in self.labels.items()))
        self.write("labels.tsv", "name\tplace\tsignal\n" + "".join(f"{n}\tsomewhere\t{s}\n" for n, s in self.labels.items()))
        self.succeeds("split", "proteins.fasta", "--valid", "0.1", "--test", "0.3", "-o", "split")
        settings = [word for setting in SMALL for word in ("--set", setting)]
        self.succeeds("train", "--preset", "tiny", *settings, "--set", "train.steps=10", "--train", "split/train.fasta", "-o", "language")

    def probabilities(self):
        header, *rows = [line.split("\t") for line in self.read("predictions.tsv").splitlines()]
        at = next(i for i, name in enumerate(header) if "yes" in name)
        return {row[0]: float(row[at]) for row in rows}

    def test_a_planted_signal_is_found_in_proteins_never_seen(self):
        self.succeeds("train", "--init", "language", "--task", "classification", "--labels", "labels.tsv", "--label-column", "signal",
                      "--train", "split/train.fasta", "--valid", "split/valid.fasta", "-o", "signal", "--set", "train.steps=60",
                      "--set", "train.batch_tokens=2048", "--set", "train.learning_rate=2e-3", "--set", "train.warmup_steps=5")  # fmt: skip
        said = self.succeeds("predict", "signal", "split/test.fasta", "-o", "predictions.tsv", "--labels", "labels.tsv",
                             "--label-column", "signal", "--plot", "roc.svg")  # fmt: skip
        p = self.probabilities()
        self.assertGreater(len(p), 80)
        got = area([v for n, v in p.items() if self.labels[n] == "yes"], [v for n, v in p.items() if self.labels[n] == "no"])
        self.assertGreater(got, 0.9)  # chance is 0.5, with 25 of 120 positive within 0.13
        self.assertIn(f"AUC {got:.3f}", self.read("roc.svg"))
        self.assertIn(f"{got:.3f}"[:5], said)
        self.succeeds("embedding-map", "signal", "split/test.fasta", "--labels", "labels.tsv", "--label-column", "signal", "-o", "map.svg")
        self.assertIn(">no (", self.read("map.svg"))


if __name__ == "__main__":
    main()
