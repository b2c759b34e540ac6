"""performer eval: the golden metrics, sums that fit their parts, baselines as counted by hand, and wrong input."""
import json
import math
import os

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
LETTERS = "ACDEFGHIKLMNPQRSTVWYBOUXZ"
with open(os.path.join(MODELS, "sequences.fasta"), encoding="ascii") as golden:
    RECORDS = [(part.split("\n", 1)[0], part.split("\n", 1)[1].replace("\n", "")) for part in golden.read().split(">")[1:]]


def fasta(records):
    return "".join(f">{name}\n{sequence}\n" for name, sequence in records)


class Eval(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("plain.fa", fasta([(name, sequence) for name, sequence in RECORDS if "*" not in sequence]))
        self.write("many.fa", fasta([(f"s{i}", sequence.replace("*", "A")[: 5 + 9 * i % 60]) for i in range(12) for _, sequence in RECORDS[:2]]))

    def eval(self, *arguments):
        return json.loads(self.succeeds("eval", *arguments, "--json"))

    def test_golden_metrics_of_causal_models(self):
        for name in ("clm-none-mixed-elu1", "clm-rotary-local-heads", "clm-rotary-softmax"):
            with open(os.path.join(MODELS, name, "metrics.json"), encoding="ascii") as file:
                expected = json.load(file)
            got = self.eval(os.path.join(MODELS, name), "plain.fa")
            self.assertEqual(set(got), set(expected) | {"sequences"})
            self.assertEqual(got["sequences"], 4)
            for key, value in expected.items():
                self.assertTrue(math.isclose(got[key], value, rel_tol=1e-5), (name, key, got[key], value))

    def test_loss_is_that_of_the_logits(self):
        got = self.eval(CLM, "plain.fa")
        self.succeeds("logits", CLM, "plain.fa", "-o", "out.npz")
        loss = 0.0
        for name, (shape, values) in tensors.npz(self.path("out.npz")).items():
            tokens = [LETTERS.index(letter) for letter in dict(RECORDS)[name]] + [26]
            for row, token in enumerate(tokens):
                logits = values[29 * row:29 * row + 29]
                loss += math.log(sum(map(math.exp, logits))) - logits[token]
        # The same float32 logits, summed once on the device and once here: rounding of float32.
        self.assertTrue(math.isclose(got["loss"], loss / got["targets"], rel_tol=1e-6))

    def test_masked_models_have_15_percent_and_no_ends(self):
        got = self.eval(MLM, "many.fa")
        residues = sum(len(line) for line in self.read("many.fa").splitlines() if line[0] != ">")
        self.assertEqual(set(got), {"sequences", "targets", "loss", "perplexity", "accuracy"})
        self.assertTrue(0.08 * residues < got["targets"] < 0.25 * residues, got)
        self.assertTrue(math.isclose(got["perplexity"], math.exp(got["loss"]), rel_tol=1e-12))
        self.assertEqual(self.eval(MLM, "many.fa", "--seed", "0"), got)
        self.assertNotEqual(self.eval(MLM, "many.fa", "--seed", "1")["targets"], got["targets"])

    def test_parts_add_up(self):
        for model in (MLM, CLM):
            whole = self.eval(model, "many.fa")
            for by in ("letter", "length"):
                got = self.eval(model, "many.fa", "--by", by)
                parts = got.pop(f"by_{by}")
                self.assertEqual(got, whole)
                targets = sum(part["targets"] for part in parts.values())
                residue_targets = whole["targets"] - (whole["sequences"] if model == CLM else 0)
                self.assertEqual(targets, whole["targets"] if by == "length" else residue_targets)
                loss = sum(part["targets"] * part["loss"] for part in parts.values()) / targets
                expected = math.log(whole["perplexity"]) if by == "letter" else whole["loss"]
                self.assertTrue(math.isclose(loss, expected, rel_tol=1e-5), (model, by, loss, expected))
        self.assertEqual(list(self.eval(CLM, "many.fa", "--by", "length")["by_length"]), ["1-128"])
        self.write("long.fa", ">a\n" + "MKV" * 43 + "\n>b\n" + "MK" * 64 + "\n>c\n" + "M" * 257 + "\n")
        code, out, err = self.run_program("eval", CLM, "long.fa", "--by", "length", "--json")
        self.assertEqual((code, list(json.loads(out)["by_length"])), (0, ["1-128", "129-256", "257-512"]))
        self.assertIn("3 sequences are longer than the model's 128 tokens", err)

    def test_unigram_baseline_is_what_counting_gives(self):
        train = [("t1", "MKVLAAGLW"), ("t2", "AAKLE")]
        self.write("train.fa", fasta(train))
        got = self.eval(CLM, "plain.fa", "--baseline", "--train", "train.fa")["baseline"]
        letters = "".join(sequence for _, sequence in train)
        n, kinds = len(letters), len(set(letters))
        p = {c: (letters.count(c) + kinds / 20) / (n + kinds) for c in LETTERS}
        text = "".join(sequence for _, sequence in RECORDS if "*" not in sequence)
        self.assertTrue(math.isclose(got["unigram"]["perplexity"], math.exp(-sum(math.log(p[c]) for c in text) / len(text)), rel_tol=1e-12))
        self.assertTrue(math.isclose(got["unigram"]["accuracy"], text.count("A") / len(text), rel_tol=1e-12))
        self.assertEqual(set(got["ngram"]), {"order", "perplexity", "accuracy"})
        self.assertLessEqual(got["ngram"]["perplexity"], got["unigram"]["perplexity"])

    def test_says_plainly_that_counting_is_as_good(self):
        arguments = ["eval", MLM, "many.fa", "--baseline", "--train", "many.fa"]
        self.assertIn("NOT below that of the best n-gram", self.succeeds(*arguments))
        code, out, err = self.run_program(*arguments, "--json")
        self.assertEqual((code, json.loads(out)["sequences"]), (0, 24))
        self.assertIn("is not below that of the best n-gram", err)

    def test_results_go_to_a_file_on_request(self):
        out = self.succeeds("eval", CLM, "plain.fa")
        self.assertEqual(self.succeeds("eval", CLM, "plain.fa", "-o", "out.txt"), "")
        self.assertEqual(self.read("out.txt"), out)

    def test_wrong_usage_is_2(self):
        self.fails(2, "--train FASTA", "eval", CLM, "plain.fa", "--baseline")
        self.fails(2, "--train is for --baseline", "eval", CLM, "plain.fa", "--train", "plain.fa")
        self.fails(2, "--by", "eval", CLM, "plain.fa", "--by", "year")
        self.fails(2, "compute keys only", "eval", CLM, "plain.fa", "--set", "train.steps=5")

    def test_wrong_input_is_3(self):
        self.fails(3, "nothing to predict", "eval", MLM, self.write("one.fa", ">a\nM\n"))
        self.fails(3, "none.fa: No such file", "eval", MLM, "none.fa")
        self.fails(3, "none.fa: No such file", "eval", MLM, "plain.fa", "--baseline", "--train", "none.fa")
        self.fails(3, "nowhere", "eval", "nowhere", "plain.fa")


if __name__ == "__main__":
    main()
