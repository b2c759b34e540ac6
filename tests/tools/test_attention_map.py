"""performer attention-map: maps of any sequence as NPY and pictures, averages over draws, and amino acids held against BLOSUM62."""
import math
import os
import xml.etree.ElementTree

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")  # 2 layers, 4 heads
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
TILE = ["--set", "compute.matmul=tile"]
PROTEINS = [("sp|P1|../UBI", "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGK"), ("two words", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAV"),
            ("w", "GWHCYNPSTRDEFILVMAKQWHCYNPSTRDEFILVMAKQ")]


class AttentionMap(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", "".join(f">{name}\n{sequence}\n" for name, sequence in PROTEINS))

    def maps(self, *arguments, out="out", **how):
        stdout = self.succeeds("attention-map", *arguments, "-o", out, *TILE, **how)
        return stdout, sorted(os.listdir(self.path(out)))

    def npy(self, name, out="out"):
        with open(self.path(os.path.join(out, name)), "rb") as file:
            return tensors.npy(file.read())

    def table(self, name, out="out"):
        return [line.split("\t") for line in self.read(os.path.join(out, name)).splitlines()]

    def check_picture(self, name, says, out="out"):
        root = xml.etree.ElementTree.parse(self.path(os.path.join(out, name))).getroot()
        self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg")
        self.assertIn(says, "".join(root.itertext()))

    def test_all_heads_of_the_first_sequence(self):
        _, files = self.maps(MLM, "in.fa")
        name = "1-sp_P1_.._UBI"
        single = [f"{name}.layer{layer}.head{head}.svg" for layer in (1, 2) for head in range(1, 5)]
        self.assertEqual(files, [f"{name}.npy", f"{name}.svg", "heads", "maps.tsv"])
        tokens = len(PROTEINS[0][1]) + 2
        shape, values = self.npy(f"{name}.npy")
        self.assertEqual(shape, [2, 4, tokens, tokens])
        for row in range(8 * tokens):
            # Some 50 weights of float32 and the denominator they were divided by.
            self.assertAlmostEqual(math.fsum(values[row * tokens:(row + 1) * tokens]), 1, delta=2e-6)
        self.assertEqual(self.table("maps.tsv")[1:], [[name, "sp|P1|../UBI", str(tokens - 2), str(tokens)]])
        self.check_picture(f"{name}.svg", "What the tokens of sp|P1|../UBI attend to")
        self.assertEqual(sorted(os.listdir(self.path("out/heads"))), single)
        for file in single:
            self.check_picture("heads/" + file, "token attended to")

    def test_a_causal_model_looks_back_only(self):
        self.maps(CLM, "in.fa", "--id", "w")
        shape, values = self.npy("1-w.npy")
        tokens = shape[-1]
        for n, value in enumerate(values):
            if n % tokens > n // tokens % tokens:
                self.assertEqual(value, 0)
        self.assertGreater(sum(1 for value in values if value > 0), len(values) // 3)

    def test_chosen_layers_heads_and_sequences_are_those_of_all(self):
        self.maps(MLM, "in.fa", "--sequences", "3")
        whole = {name: self.npy(f"{name}.npy") for name in ("1-sp_P1_.._UBI", "2-two", "3-w")}
        self.maps(MLM, "in.fa", "--id", "w", "--id", "two", "--layers", "-1,1", "--heads", "2", out="some")
        for new, name in (("1-two", "2-two"), ("2-w", "3-w")):
            shape, values = self.npy(f"{new}.npy", "some")
            _, expected = whole[name]
            size = shape[-1] ** 2
            self.assertEqual(shape[:2], [2, 1])
            self.assertTrue(values == expected[5 * size:6 * size] + expected[size:2 * size])  # in the order chosen

    def test_draws_have_a_deviation_that_shrinks_nothing_away(self):
        _, files = self.maps(MLM, "in.fa", "--draws", "4")
        self.assertIn("1-sp_P1_.._UBI.deviation.npy", files)
        shape, mean = self.npy("1-sp_P1_.._UBI.npy")
        same, deviation = self.npy("1-sp_P1_.._UBI.deviation.npy")
        self.assertEqual(shape, same)
        self.assertTrue(all(value >= 0 for value in deviation))
        self.assertGreater(max(deviation), 1e-4)
        for row in range(len(mean) // shape[-1]):
            self.assertAlmostEqual(math.fsum(mean[row * shape[-1]:(row + 1) * shape[-1]]), 1, delta=2e-6)
        self.check_picture("1-sp_P1_.._UBI.svg", "deviation between draws")
        self.maps(MLM, "in.fa", "--draws", "4", out="again")
        self.assertTrue(self.npy("1-sp_P1_.._UBI.npy", "again") == (shape, mean))
        self.maps(MLM, "in.fa", "--draws", "4", "--seed", "1", out="other")
        self.assertFalse(self.npy("1-sp_P1_.._UBI.npy", "other") == (shape, mean))

    def test_similarity_is_held_against_blosum62(self):
        said, files = self.maps(MLM, "in.fa", "--similarity", "BLOSUM62", "--sequences", "0")
        measures = ["received", "given", "pairs"]
        self.assertEqual(files, sorted(["similarity.svg", "similarity.tsv"] + [f"similarity-{m}.tsv" for m in measures]))
        lines = [line.split("\t") for line in said.splitlines()]
        self.assertEqual(lines[0], ["measure", "pearson", "spearman", "p", "pairs", "sequences", "residues", "heads"])
        self.assertEqual([line[0] for line in lines[1:]], measures)
        letters = "ACDEFGHIKLMNPQRSTVWY"
        pairs = {(row[0], row[1]): row[2:] for row in self.table("similarity.tsv")[1:]}
        self.assertEqual(len(pairs), 210)
        self.assertEqual([pairs[p][3] for p in (("W", "W"), ("D", "E"), ("F", "Y"), ("C", "W"), ("A", "A"))], ["11", "2", "3", "-2", "4"])
        for i, (line, measure) in enumerate(zip(lines[1:], measures)):
            self.assertEqual(line[5:], ["3", str(sum(len(s) for _, s in PROTEINS)), "8"])
            table = self.table(f"similarity-{measure}.tsv")
            self.assertEqual(table[0], ["", *letters])
            matrix = [[float(x) for x in row[1:]] for row in table[1:]]
            for a in range(20):
                for b in range(20):
                    self.assertEqual(table[a + 1][b + 1], table[b + 1][a + 1])
                    self.assertEqual(table[a + 1][b + 1], pairs[letters[min(a, b)], letters[max(a, b)]][i])
            x = [matrix[a][b] for a in range(20) for b in range(a + 1, 20)]
            y = [float(pairs[letters[a], letters[b]][3]) for a in range(20) for b in range(a + 1, 20)]
            self.assertEqual(int(line[4]), len(x))
            self.assertTrue(0 < float(line[3]) <= 1)
            self.assertAlmostEqual(float(line[1]), correlation(x, y), delta=1e-4)  # six digits of each number
            self.assertAlmostEqual(float(line[2]), correlation(ranks(x), ranks(y)), delta=1e-4)
        self.check_picture("similarity.svg", "BLOSUM62")

    def test_a_long_sequence_is_cropped_with_a_word_or_refused(self):
        self.write("long.fa", f">l\n{'MKV' * 60}\n")
        code, _, said = self.run_program("attention-map", MLM, "long.fa", "-o", "out", *TILE)
        self.assertEqual(code, 0)
        self.assertIn("1 sequence is longer than the model's 128 tokens", said)
        self.assertEqual(self.npy("1-l.npy")[0], [2, 4, 128, 128])
        self.fails(3, "180 residues", "attention-map", MLM, "long.fa", "-o", "new", "--long", "error")

    def test_what_is_not_there_is_an_error_that_says_what_is(self):
        command = ["attention-map", MLM, "in.fa", "-o", "out"]
        self.fails(2, "layers 1 to 2", *command, "--layers", "3")
        self.fails(2, "layers 1 to 2", *command, "--layers", "0")
        self.fails(2, "heads 1 to 4", *command, "--heads", "1,5")
        self.fails(2, "heads 1 to 4", *command, "--heads", "-1")
        self.fails(3, 'no sequence has the id "nobody"', *command, "--id", "nobody")
        self.fails(2, "BLOSUM62", *command, "--similarity", "PAM250")
        self.fails(2, "--draws", *command, "--draws", "1")
        self.fails(2, "nothing to do", *command, "--sequences", "0")
        self.fails(2, "windows have no map", *command, "--long", "window")
        self.fails(2, "read once", "attention-map", MLM, "-", "-o", "out", "--similarity", "BLOSUM62")
        self.fails(3, "none.fa", "attention-map", MLM, "none.fa", "-o", "out")
        self.write("taken", "")
        self.fails(2, "is a file", "attention-map", MLM, "in.fa", "-o", "taken")


def correlation(x, y):
    mx, my = sum(x) / len(x), sum(y) / len(y)
    xy = sum((a - mx) * (b - my) for a, b in zip(x, y))
    return xy / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def ranks(x):
    return [sum(b < a for b in x) + (sum(b == a for b in x) + 1) / 2 for a in x]


if __name__ == "__main__":
    main()
