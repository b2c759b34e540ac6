"""performer contacts: what one gets from the attention maps by hand, and from transformers with the same weights."""
import math
import os

import tensors
from program import GOLDEN, DeviceTest, main

ESM = os.path.join(GOLDEN, "hf", "esm")
MLM = os.path.join(GOLDEN, "models", "mlm-learned-relu")
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"
SHORT = "MKTAYIAKQR"

# EsmForMaskedLM.from_pretrained(ESM, attn_implementation="eager").predict_contacts(tokens, mask) of transformers 5.23.
EXPECTED = {"1-u": {(0, 5): 0.6038191, (2, 9): 0.6078705, (1, 7): 0.6084663, (4, 4): 0.6056089},
            "2-s": {(0, 5): 0.6052668, (2, 9): 0.6065345, (1, 7): 0.5996315, (4, 4): 0.5596269}}
# Their numbers stand with seven digits; ours differ by a rounding of float32 (6e-8).
TOLERANCE = 1e-6


class Contacts(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", f">u\n{UBIQUITIN}\n>s\n{SHORT}\n")

    def map(self, name):
        with open(self.path(name), "rb") as file:
            return tensors.npy(file.read())

    def by_hand(self, name, weights):
        """The mean, weighted by head, of S - rows x columns / total, S = A + A^T of the residues."""
        (layers, heads, tokens, _), a = self.map(f"maps/{name}.npy")
        n = tokens - 2
        sums = [[0.0] * n for _ in range(n)]
        for h in range(layers * heads):
            at = lambda i, j: a[(h * tokens + i + 1) * tokens + j + 1]
            s = [[at(i, j) + at(j, i) for j in range(n)] for i in range(n)]
            margins = [sum(row) for row in s]
            for i in range(n):
                for j in range(n):
                    sums[i][j] += weights[h] * (s[i][j] - margins[i] * margins[j] / sum(margins))
        return n, sums

    def test_esm_regression_gives_the_probabilities_of_transformers(self):
        self.succeeds("import", ESM, "-o", "esm")
        self.succeeds("contacts", "esm", "in.fa", "-o", "out")
        for name, pairs in EXPECTED.items():
            (n, _), found = self.map(f"out/{name}.npy")
            for (i, j), value in pairs.items():
                self.assertAlmostEqual(found[i * n + j], value, delta=TOLERANCE)
                self.assertEqual(found[i * n + j], found[j * n + i])
                self.assertNotAlmostEqual(found[i * n + j], value + 2 * TOLERANCE, delta=TOLERANCE)  # the twin
        self.succeeds("attention-map", "esm", "in.fa", "-o", "maps", "--sequences", "2")
        file, _ = tensors.safetensors(self.path("esm/model.safetensors"))
        n, sums = self.by_hand("2-s", file["contact.weight"][1])
        bias, found = file["contact.bias"][1][0], self.map("out/2-s.npy")[1]
        for i in range(n):
            for j in range(n):
                self.assertAlmostEqual(found[i * n + j], 1 / (1 + math.exp(-sums[i][j] - bias)), delta=TOLERANCE)

    def test_other_models_give_means_over_their_heads_and_say_so(self):
        code, _, said = self.run_program("contacts", MLM, "in.fa", "-o", "out")
        self.assertEqual(code, 0, said)
        self.assertIn("not probabilities", said)
        self.succeeds("attention-map", MLM, "in.fa", "-o", "maps", "--sequences", "2")
        n, sums = self.by_hand("2-s", [1 / 8] * 8)  # 2 layers of 4 heads
        found = self.map("out/2-s.npy")[1]
        for i in range(n):
            for j in range(n):
                self.assertAlmostEqual(found[i * n + j], sums[i][j], delta=TOLERANCE)
        self.assertIn("<svg", self.read("out/1-u.svg"))

    def test_the_table_lists_the_best_pairs_that_are_apart(self):
        self.succeeds("contacts", MLM, "in.fa", "-o", "out", "--apart", "4")
        lines = [line.split("\t") for line in self.read("out/contacts.tsv").splitlines()]
        self.assertEqual(lines[0], ["id", "i", "j", "residue_i", "residue_j", "score"])
        for id, name, protein in (("u", "1-u", UBIQUITIN), ("s", "2-s", SHORT)):
            n, found = len(protein), self.map(f"out/{name}.npy")[1]
            pairs = sorted(((-found[i * n + j], i, j) for i in range(n) for j in range(i + 4, n)))[:n]
            rows = [line for line in lines[1:] if line[0] == id]
            self.assertEqual([(int(r[1]), int(r[2]), r[3], r[4]) for r in rows],
                             [(i + 1, j + 1, protein[i], protein[j]) for _, i, j in pairs])

    def test_wrong_use(self):
        self.write("long.fa", ">l\n" + "MKV" * 100 + "\n")
        self.fails(2, "--output", "contacts", MLM, "in.fa")
        self.fails(3, "no-such.fa", "contacts", MLM, "no-such.fa", "-o", "out")
        self.fails(3, "300 residues", "contacts", MLM, "long.fa", "--long", "error", "-o", "out")
        self.succeeds("contacts", MLM, "long.fa", "-o", "out")  # the first 127 residues, and no end
        self.assertEqual(self.map("out/1-l.npy")[0], [127, 127])


main()
