"""performer score: the sum that one gets by masking residues by hand, or from the logits of a causal model."""
import math
import os

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
LETTERS = "ACDEFGHIKLMNPQRSTVWYBOUXZ"
PROTEIN = "MKTAYIAKQRQISFVK"
WORDS = "compute.matmul=tile"

# Sums of 16 log-probabilities of float32 (1e-6 each, as the golden logits show).
TOLERANCE = 1e-4


def log_p(row, letter):
    top = max(row)
    return row[LETTERS.index(letter)] - top - math.log(sum(math.exp(x - top) for x in row))


class Score(DeviceTest):
    def scores(self, *arguments, **how):
        lines = self.succeeds("score", *arguments, "--set", WORDS, **how).splitlines()
        self.assertEqual(lines[0], "id\tlength\tlog_likelihood\tperplexity")
        return [line.split("\t") for line in lines[1:]]

    def logits(self, model, fasta):
        self.write("in.fa", fasta)
        self.succeeds("logits", model, "in.fa", "-o", "out.npz")
        rows = {}
        for name, (shape, values) in tensors.npz(self.path("out.npz")).items():
            rows[name] = [values[i * shape[1] : (i + 1) * shape[1]] for i in range(shape[0])]
        return rows

    def expect(self, line, name, sequence, total):
        self.assertEqual(line[:2], [name, str(len(sequence))])
        self.assertAlmostEqual(float(line[2]), total, delta=TOLERANCE)
        self.assertNotAlmostEqual(float(line[2]), total + 2 * TOLERANCE, delta=TOLERANCE)  # the twin
        self.assertAlmostEqual(float(line[3]), math.exp(-total / len(sequence)), delta=1e-3)

    def test_masked_model_each_residue_alone(self):
        copies = "".join(f">{i}\n{PROTEIN[:i]}*{PROTEIN[i + 1:]}\n" for i in range(len(PROTEIN)))
        rows = self.logits(MLM, copies)
        total = sum(log_p(rows[str(i)][i + 1], c) for i, c in enumerate(PROTEIN))
        self.write("one.fa", f">p\n{PROTEIN}\n")
        self.expect(self.scores(MLM, "one.fa")[0], "p", PROTEIN, total)

    def test_masked_model_with_a_stride(self):
        masked = lambda s: "".join("*" if i % 4 == s else c for i, c in enumerate(PROTEIN))
        rows = self.logits(MLM, "".join(f">{s}\n{masked(s)}\n" for s in range(4)))
        total = sum(log_p(rows[str(i % 4)][i + 1], c) for i, c in enumerate(PROTEIN))
        self.write("one.fa", f">p\n{PROTEIN}\n")
        self.expect(self.scores(MLM, "one.fa", "--stride", "4")[0], "p", PROTEIN, total)

    def test_causal_model_each_residue_from_those_before(self):
        rows = self.logits(CLM, f">p\n{PROTEIN}\n")["p"]
        total = sum(log_p(rows[i], c) for i, c in enumerate(PROTEIN))
        self.write("one.fa", f">p\n{PROTEIN}\n")
        self.expect(self.scores(CLM, "one.fa")[0], "p", PROTEIN, total)

    def test_order_and_company_change_nothing(self):
        self.write("many.fa", ">a\nMKV\n>b\n" + PROTEIN * 3 + "\n>a\nMKVL\n")
        whole = self.scores(MLM, "many.fa")
        self.assertEqual([line[0] for line in whole], ["a", "b", "a"])
        self.assertEqual(self.scores(MLM, "many.fa", "--batch-tokens", "60"), whole)

    def test_wrong_use(self):
        self.write("one.fa", f">p\n{PROTEIN}\n")
        self.fails(2, "--stride", "score", CLM, "one.fa", "--stride", "4")
        self.fails(2, "--stride", "score", MLM, "one.fa", "--stride", "0")
        self.fails(3, "no-such.fa", "score", MLM, "no-such.fa", "-o", "scores.tsv")


main()
