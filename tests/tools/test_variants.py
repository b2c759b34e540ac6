"""performer variants: scores that one gets from the logits of sequences with and without masks, by hand."""
import math
import os
import random

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
LETTERS = "ACDEFGHIKLMNPQRSTVWYBOUXZ"
PROTEIN = "MKTAYIAKQRQISFVK"
WORDS = "compute.matmul=tile"

# Differences of sums of at most 16 log-probabilities of float32 (1e-6 each, as the golden logits show).
TOLERANCE = 1e-4


def log_p(row, letter):
    top = max(row)
    return row[LETTERS.index(letter)] - top - math.log(sum(math.exp(x - top) for x in row))


def masked(sequence, *sites):
    return "".join("*" if i in sites else c for i, c in enumerate(sequence))


def mutant(sequence, mutations):
    letters = list(sequence)
    for one in mutations.split(":"):
        assert letters[int(one[1:-1]) - 1] == one[0]
        letters[int(one[1:-1]) - 1] = one[-1]
    return "".join(letters)


def sites(mutations):
    return [(one[0], int(one[1:-1]) - 1, one[-1]) for one in mutations.split(":")]


class Variants(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("wt.fa", f">p\n{PROTEIN}\n")

    def table(self, *arguments, **how):
        lines = self.succeeds("variants", *arguments, "--set", WORDS, **how).splitlines()
        return lines[0], [line.split("\t") for line in lines[1:]]

    def scores(self, model, mutations, *arguments):
        self.write("m.tsv", "mutation\n" + "\n".join(mutations) + "\n")
        header, rows = self.table(model, "--wild-type", "wt.fa", "--mutations", "m.tsv", *arguments)
        self.assertEqual(header, "mutation\tscore")
        self.assertEqual([row[0] for row in rows], mutations)
        return [float(row[1]) for row in rows]

    def logits(self, model, sequences):
        self.write("in.fa", "".join(f">{i}\n{s}\n" for i, s in enumerate(sequences)))
        self.succeeds("logits", model, "in.fa", "-o", "out.npz")
        read = tensors.npz(self.path("out.npz"))
        rows = []
        for i in range(len(sequences)):
            shape, values = read[str(i)]
            rows.append([values[r * shape[1] : (r + 1) * shape[1]] for r in range(shape[0])])
        return rows

    def expect(self, found, wanted):
        self.assertEqual(len(found), len(wanted))
        for a, b in zip(found, wanted):
            self.assertAlmostEqual(a, b, delta=TOLERANCE)
            self.assertNotAlmostEqual(a, b + 2 * TOLERANCE, delta=TOLERANCE)  # the twin

    def pseudo(self, model, sequence):
        rows = self.logits(model, [masked(sequence, i) for i in range(len(sequence))])
        return sum(log_p(rows[i][i + 1], c) for i, c in enumerate(sequence))

    MUTATIONS = ["A4G", "M1W:K16A", "K2R:Y5F:Q9E"]

    def test_wild_type_marginals(self):
        rows = self.logits(MLM, [PROTEIN])[0]
        wanted = [sum(log_p(rows[i + 1], to) - log_p(rows[i + 1], was) for was, i, to in sites(m)) for m in self.MUTATIONS]
        self.expect(self.scores(MLM, self.MUTATIONS), wanted)

    def test_masked_marginals_one_site_at_a_time(self):
        rows = self.logits(MLM, [masked(PROTEIN, i) for i in range(len(PROTEIN))])
        wanted = [sum(log_p(rows[i][i + 1], to) - log_p(rows[i][i + 1], was) for was, i, to in sites(m)) for m in self.MUTATIONS]
        self.expect(self.scores(MLM, self.MUTATIONS, "--method", "masked-marginals"), wanted)

    def test_masked_marginals_jointly(self):
        rows = self.logits(MLM, [masked(PROTEIN, *(i for _, i, _ in sites(m))) for m in self.MUTATIONS])
        wanted = [sum(log_p(r[i + 1], to) - log_p(r[i + 1], was) for was, i, to in sites(m)) for r, m in zip(rows, self.MUTATIONS)]
        found = self.scores(MLM, self.MUTATIONS, "--method", "masked-marginals", "--joint")
        self.expect(found, wanted)
        alone = self.scores(MLM, self.MUTATIONS, "--method", "masked-marginals")
        self.assertEqual(found[0], alone[0])
        self.assertNotEqual(found[2], alone[2])

    def test_pseudo_perplexity(self):
        wild = self.pseudo(MLM, PROTEIN)
        wanted = [self.pseudo(MLM, mutant(PROTEIN, m)) - wild for m in self.MUTATIONS]
        self.expect(self.scores(MLM, self.MUTATIONS, "--method", "pseudo-ppl"), wanted)

    def test_causal_model(self):
        rows = self.logits(CLM, [PROTEIN] + [mutant(PROTEIN, m) for m in self.MUTATIONS])
        marginals = [sum(log_p(rows[0][i], to) - log_p(rows[0][i], was) for was, i, to in sites(m)) for m in self.MUTATIONS]
        self.expect(self.scores(CLM, self.MUTATIONS), marginals)
        total = lambda r, s: sum(log_p(r[i], c) for i, c in enumerate(s))
        likelihoods = [total(r, mutant(PROTEIN, m)) - total(rows[0], PROTEIN) for r, m in zip(rows[1:], self.MUTATIONS)]
        self.expect(self.scores(CLM, self.MUTATIONS, "--method", "pseudo-ppl"), likelihoods)

    def test_scan_is_every_single_substitution(self):
        header, rows = self.table(MLM, "--wild-type", "wt.fa", "--scan", "--plot", "scan.svg")
        self.assertEqual(header, "id\tmutation\tscore")
        self.assertEqual([row[1] for row in rows], [f"{c}{i + 1}{a}" for i, c in enumerate(PROTEIN) for a in LETTERS[:20] if a != c])
        self.assertEqual({row[0] for row in rows}, {"p"})
        some = ["A4G", "K16W"]
        by_name = {row[1]: float(row[2]) for row in rows}
        self.assertEqual([by_name[m] for m in some], self.scores(MLM, some))
        self.assertIn("<svg", self.read("scan.svg"))

    def test_tables_of_several_proteins_keep_their_columns(self):
        self.write("two.fa", f">p\n{PROTEIN}\n>q\nMKV\n")
        self.write("m.tsv", "id\tassay\tmutant\r\nq\t1.5\tK2R\r\n\r\np\t\tA4G\r\n")
        header, rows = self.table(MLM, "--wild-type", "two.fa", "--mutations", "m.tsv", "--column", "mutant")
        self.assertEqual(header, "id\tassay\tmutant\tscore")
        self.assertEqual([row[:3] for row in rows], [["q", "1.5", "K2R"], ["p", "", "A4G"]])
        self.assertEqual(float(rows[1][3]), self.scores(MLM, ["A4G"])[0])

    def test_offset_renames_positions_only(self):
        self.write("m.tsv", "mutation\nA24G\n")
        rows = self.table(MLM, "--wild-type", "wt.fa", "--mutations", "m.tsv", "--offset", "21")[1]
        self.assertEqual(float(rows[0][1]), self.scores(MLM, ["A4G"])[0])

    def test_company_and_batches_change_nothing(self):
        for method in ("wt-marginals", "masked-marginals", "pseudo-ppl"):
            alone = self.scores(MLM, ["A4G"], "--method", method)[0]
            self.assertEqual(self.scores(MLM, self.MUTATIONS, "--method", method, "--batch-tokens", "40")[0], alone)

    def test_a_long_protein_is_seen_through_windows(self):
        # The model sees 128 tokens at once: the window of residue 100 (token 100) begins at token 32, a multiple of
        # 32 that lies 48 to 80 before it, so it holds residues 32 to 159.
        draw = random.Random(1)
        other = lambda letter: "A" if letter != "A" else "C"
        protein = [draw.choice(LETTERS[:20]) for _ in range(300)]

        def score():
            self.write("wt.fa", f">p\n{''.join(protein)}\n")
            return self.scores(MLM, [f"{protein[99]}100{other(protein[99])}"])[0]

        self.assertIn('"max_position_embeddings": 128', self.read(os.path.join(MLM, "config.json")))
        found = score()
        for outside in (*range(0, 31), *range(159, 300)):
            protein[outside] = other(protein[outside])
        self.assertEqual(score(), found)
        for inside in (31, 158):
            protein[inside] = other(protein[inside])
            self.assertNotEqual(score(), found)

    def wrong(self, code, words, text, *arguments):
        self.write("m.tsv", text)
        for word in (words,) if isinstance(words, str) else words:
            self.fails(code, word, "variants", MLM, "--wild-type", "wt.fa", "--mutations", "m.tsv", *arguments)

    def test_wrong_tables(self):
        self.wrong(3, ["m.tsv: line 3", "position 4 of p is A, not K"], "mutation\nA4G\nK4G\n")
        self.wrong(3, "1 to 16", "mutation\nA17G\n")
        self.wrong(3, "1 to 16", "mutation\nA0G\n")
        self.wrong(3, "'4G' cannot be read", "mutation\n4G\n")
        self.wrong(3, "'A4*' cannot be read", "mutation\nA4*\n")
        self.wrong(3, "ends in a colon", "mutation\nA4G:\n")
        self.wrong(3, "mutated twice", "mutation\nA4G:A4C\n")
        self.wrong(3, "no column 'mutation'", "mutant\nA4G\n")
        self.wrong(3, "no column 'm'", "mutation\nA4G\n", "--column", "m")
        self.wrong(3, "score already", "mutation\tscore\nA4G\t1\n")
        self.wrong(3, "line 2: 1 fields", "id\tmutation\nA4G\n")
        self.wrong(3, "no wild type is called 'q'", "id\tmutation\nq\tA4G\n")
        self.wrong(3, "empty", "")
        self.write("two.fa", f">p\n{PROTEIN}\n>q\nMKV\n")
        self.write("m.tsv", "mutation\nA4G\n")
        self.fails(3, "no column id", "variants", MLM, "--wild-type", "two.fa", "--mutations", "m.tsv")
        self.fails(3, "no-such.tsv", "variants", MLM, "--wild-type", "wt.fa", "--mutations", "no-such.tsv")

    def test_wrong_use(self):
        self.write("m.tsv", "mutation\nA4G\n")
        self.write("twice.fa", ">p\nMKV\n>p\nMKL\n")
        with_table = ("--wild-type", "wt.fa", "--mutations", "m.tsv")
        self.fails(2, "--scan", "variants", MLM, *with_table, "--scan")
        self.fails(2, "--scan", "variants", MLM, "--wild-type", "wt.fa")
        self.fails(2, "--plot", "variants", MLM, *with_table, "--plot", "x.svg")
        self.fails(2, "masked-marginals", "variants", CLM, *with_table, "--method", "masked-marginals")
        self.fails(2, "masked together", "variants", MLM, *with_table, "--joint")
        self.fails(3, "two wild types are called p", "variants", MLM, "--wild-type", "twice.fa", "--scan")


main()
