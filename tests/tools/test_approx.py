"""performer approx: the papers' orderings at small sizes, its tables and pictures, a model's layers, wrong input."""
import csv
import math
import os
import xml.dom.minidom

from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-rotary-local-heads")
KERNELS = ["softmax", "softmax_hyperbolic", "softmax_trig", "softmax_oprf"]
TAIL = ["kernel", "projection", "features", "draws", "mse", "mse_deviation", "relative", "relative_deviation", "not_finite"]


class Approx(DeviceTest):
    def table(self, name):
        with open(self.path(name), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        for row in rows:
            for key in row:
                if key not in ("source", "place", "kernel", "projection"):
                    row[key] = float(row[key])
        return rows

    def picture(self, name):
        """The picture is XML and shows curves; returns its text."""
        root = xml.dom.minidom.parse(self.path(name)).documentElement
        self.assertEqual(root.tagName, "svg")
        self.assertGreater(len(root.getElementsByTagName("path")), 4)
        return self.read(name)

    def error(self, rows, kernel, projection, **where):
        """Geometric mean over numbers of features of the mean error."""
        found = [row["mse"] for row in rows if (row["kernel"], row["projection"]) == (kernel, projection) and
                 all(row[key] == value for key, value in where.items())]
        self.assertTrue(found)
        return math.exp(sum(map(math.log, found)) / len(found))

    # 30 draws of three sizes: each ordering below is a factor of 0.8 or less, and its noise about 0.07.
    def test_the_orderings_of_the_papers(self):
        out = self.succeeds("approx", "--length", "512", "--features", "16,64,256", "--draws", "30", "--seed", "1", "-o", "d")
        rows = self.table("d/attention.tsv")
        self.assertEqual(len(rows), 2 * 4 * 2 * 3)
        small, large = {"scale": 0.5}, {"scale": 1.0}
        for kernel in KERNELS[1:]:  # of positive features orthogonality takes a sixth only, within the noise
            self.assertLess(self.error(rows, kernel, "orthogonal", **small), 0.9 * self.error(rows, kernel, "iid", **small), kernel)
        for projection in ("orthogonal", "iid"):
            error = {kernel: self.error(rows, kernel, projection, **small) for kernel in KERNELS}
            self.assertLess(error["softmax_hyperbolic"], 0.8 * error["softmax"])
            self.assertLess(error["softmax_oprf"], 0.8 * error["softmax"])
            # large norms: positive features stay of the size of the values, trigonometric ones divide by nearly 0
            error = {kernel: self.error(rows, kernel, projection, **large) for kernel in KERNELS}
            self.assertLess(error["softmax"], 0.1 * error["softmax_trig"])
        self.assertIn("positive below trigonometric (orthogonal): the other way round", out)
        self.assertIn("positive below trigonometric (orthogonal): holds, in 3 of 3", out)
        self.assertIn("orthogonal below iid (softmax_trig): holds, in 3 of 3", out)
        self.assertIn("mean |x+y|^2 of queries and keys 1.96", out)
        self.assertIn("relative error of the attention output at M 256: softmax 0.", out)

    def test_the_error_falls_as_one_over_m(self):
        self.succeeds("approx", "--length", "300", "--features", "16,256", "--draws", "20", "--scale", "0.4", "-o", "d")
        rows = self.table("d/attention.tsv")
        for kernel in KERNELS:
            ratio = self.error(rows, kernel, "iid", features=16) / self.error(rows, kernel, "iid", features=256)
            self.assertTrue(16 / 2 < ratio < 16 * 2, (kernel, ratio))  # M grows 16-fold; 20 draws each

    def test_tables_and_pictures(self):
        self.succeeds("approx", "--length", "64", "--features", "64,16", "--draws", "1", "--scale", "0.25",
                      "--kernel", "softmax_trig", "--kernel", "softmax", "--projection", "hadamard", "--projection", "givens",
                      "--causal", "--row-norm", "sqrt", "-o", "d")
        self.assertEqual(sorted(os.listdir(self.path("d"))), ["attention-scale-0.25.svg", "attention.tsv"])
        rows = self.table("d/attention.tsv")
        self.assertEqual(list(rows[0]), ["source", "scale", *TAIL, "pair_size"])
        self.assertEqual([(row["kernel"], row["features"], row["projection"]) for row in rows],
                         [(kernel, m, w) for kernel in ("softmax_trig", "softmax") for m in (64, 16) for w in ("hadamard", "givens")])
        for row in rows:
            self.assertEqual((row["source"], row["draws"], row["not_finite"]), ("random", 1, 0))
            self.assertTrue(row["mse"] > 0 and row["relative"] > 0 and math.isnan(row["mse_deviation"]))
            self.assertAlmostEqual(row["pair_size"], 2 * 0.25 ** 2 * 16 ** 0.5, delta=0.05)  # 64 tokens: a sample
        picture = self.picture("d/attention-scale-0.25.svg")
        for text in ("trig, hadamard", "softmax, givens", "mean squared error", "random features M"):
            self.assertIn(text, picture)

    def test_same_seed_same_numbers(self):
        small = ["approx", "--length", "40", "--features", "16", "--draws", "2", "--scale", "1", "--kernel", "softmax"]
        self.succeeds(*small, "-o", "a")
        self.succeeds(*small, "-o", "b")
        self.succeeds(*small, "--seed", "1", "-o", "c")
        self.assertEqual(self.read("a/attention.tsv"), self.read("b/attention.tsv"))
        self.assertNotEqual(self.read("a/attention.tsv"), self.read("c/attention.tsv"))

    def test_layers_of_a_model(self):
        self.write("in.fa", ">a\nMQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG\n>b\nGIGAVLKVLTTGLPALISWIKRKRQQ\n>c\n" + 60 * "AKW" + "\n")
        for model, causal in ((MLM, False), (CLM, True)):
            name = "causal" if causal else "both"
            out = self.succeeds("approx", model, "in.fa", "--tokens", "70", "--features", "16,256", "--draws", "6",
                                "--stream-features", "64", "--kernel", "softmax", "--kernel", "softmax_hyperbolic", "-o", name)
            rows, stream = self.table(name + "/attention.tsv"), self.table(name + "/stream.tsv")
            self.assertEqual(list(rows[0]), ["source", "layer", *TAIL, "pair_size"])
            self.assertEqual({row["layer"] for row in rows}, {1, 2})
            self.assertEqual(len(rows), 2 * 2 * 2 * 2)  # layers, kernels, projections, sizes
            for layer in (1, 2):
                few, many = (self.error(rows, "softmax_hyperbolic", "orthogonal", layer=layer, features=m) for m in (16, 256))
                self.assertLess(many, few)
            self.assertEqual(list(stream[0]), ["place", "layer", *TAIL, "divergence", "divergence_deviation"])
            self.assertEqual([(row["place"], row["layer"]) for row in stream],
                             4 * [("stream", 1), ("stream", 2), ("logits", 0)] + [("alone", 1), ("alone", 2)])
            self.assertTrue(all(0 < row["relative"] < 1 and row["draws"] == 6 for row in stream))
            self.assertTrue(all(math.isnan(row["divergence"]) == (row["place"] == "stream") for row in stream))
            alone, together = [row["divergence"] for row in stream[-2:]], stream[2]["divergence"]
            self.assertTrue(0 < max(alone) < 4 * together, (alone, together))  # of the size of all, if errors add up as they like
            for picture in ("attention", "layers", "stream", "alone"):
                self.picture(f"{name}/{picture}.svg")
            worst = 1 + alone.index(max(alone))
            self.assertIn(f"the first to keep exact: {worst} (", out)
            self.assertIn("all layers by softmax, M 64: relative error", out)

    def test_an_imported_model_and_one_that_was_swapped(self):
        """ESM's shape with exact attention, then with FAVOR in its place: the layers' queries and keys are looked at as they come."""
        esm = os.path.join(GOLDEN, "hf", "esm")
        self.write("in.fa", ">a\nMQIFVKTLTGKTITLEVEPSD\n>b\nGIGAVLKVLTTGLPALISW\n")
        self.succeeds("import", esm, "-o", "exact")
        self.succeeds("import", esm, "-o", "favor", "--attention", "favor", "--kernel", "softmax", "--num-features", "32")
        few = ["in.fa", "--features", "16,64", "--draws", "3", "--kernel", "softmax", "--projection", "orthogonal", "--stream-features", "64"]
        for model in ("exact", "favor"):
            out = self.succeeds("approx", model, *few, "-o", "of-" + model)
            self.assertIn("the first to keep exact: ", out)
            self.assertEqual(len(self.table(f"of-{model}/stream.tsv")), 2 + 1 + 2)
        # Replacing the attention of all layers starts from exact attention, whatever the model has: the same weights, the same rows.
        self.assertEqual(self.read("of-exact/stream.tsv"), self.read("of-favor/stream.tsv"))

    def test_without_the_stream(self):
        self.write("in.fa", ">a\nMQIFVKTLTGK\n")
        self.succeeds("approx", MLM, "in.fa", "--features", "16", "--draws", "2", "--stream-features", "0", "--kernel", "softmax",
                      "-o", "d")
        self.assertEqual(sorted(os.listdir(self.path("d"))), ["attention.svg", "attention.tsv", "layers.svg"])

    def test_wrong_input(self):
        self.write("in.fa", ">a\nMQIFVKTLTGK\n")
        self.write("empty.fa", "")
        small = ["--length", "16", "--features", "4", "--draws", "1"]
        self.fails(2, "--output", "approx")
        self.fails(2, "a model needs sequences", "approx", MLM, "-o", "d")
        self.fails(2, "--length is for random tensors", "approx", MLM, "in.fa", "--length", "9", "-o", "d")
        self.fails(2, "--scale is for random tensors", "approx", MLM, "in.fa", "--scale", "1", "-o", "d")
        self.fails(2, "--tokens is for a model", "approx", "--tokens", "9", "-o", "d")
        self.fails(2, "relu does not estimate softmax attention", "approx", *small, "--kernel", "relu", "-o", "d")
        self.fails(2, "expected one of relu, softmax", "approx", *small, "--kernel", "softmx", "-o", "d")
        self.fails(2, "expected orthogonal, iid, hadamard or givens", "approx", *small, "--projection", "none", "-o", "d")
        self.fails(2, "power of two", "approx", *small, "--projection", "hadamard", "--head-size", "12", "-o", "d")
        self.fails(2, "--scale", "approx", *small, "--scale", "wide", "-o", "d")
        self.fails(2, "--features", "approx", "--features", "0", "-o", "d")
        self.fails(3, "nowhere", "approx", "nowhere", "in.fa", "-o", "d")
        self.fails(3, "no.fa", "approx", MLM, "no.fa", "-o", "d")
        self.fails(3, "empty.fa", "approx", MLM, "empty.fa", "-o", "d")
        self.write("file", "")
        self.fails(2, "is a file", "approx", *small, "-o", "file")


if __name__ == "__main__":
    main()
