"""performer bench: every suite gives its rows with the keys that scripts rely on, and numbers that follow from each other."""
import json
import os

from program import DeviceTest, main

CONFIG = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48,
          "max_position_embeddings": 64, "hidden_dropout": 0, "attention": {"num_features": 16}}
PRODUCTS = {"qkv": (4096, 96, 32, "NT", 1), "down": (4096, 32, 48, "NT", 1), "d_qkv_input": (4096, 32, 96, "NN", 1),
            "d_up_weight": (48, 32, 4096, "TN", 1), "heads_features": (4096, 16, 16, "NT", 2), "heads_state": (16, 16, 4096, "TN", 2)}


class BenchSuites(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("config.json", json.dumps(CONFIG))
        self.command = ["bench", "--config", "config.json", "--repeat", "1", "-q"]

    def rows(self, suite, *arguments):
        lines = [json.loads(line) for line in self.succeeds(*self.command, "--json", "--suite", suite, *arguments).splitlines()]
        for line in lines:
            self.assertTrue(line["device"] and line["driver"])
        return lines

    def test_a_device_has_peaks(self):
        (row,) = self.rows("device")
        self.assertEqual(row["suite"], "device")
        for key in ("peak_gflops", "peak_gbytes_per_s", "launch_us"):
            self.assertGreater(row[key], 0)

    def test_the_products_are_those_of_the_model(self):
        rows = {row["name"]: row for row in self.rows("matmul")}
        self.assertEqual(len(rows), 15)
        for name, (m, n, k, transpose, batch) in PRODUCTS.items():
            row = rows[name]
            self.assertEqual((row["m"], row["n"], row["k"], row["transpose"], row["batch"]), (m, n, k, transpose, batch))
        for row in rows.values():
            self.assertEqual(row["suite"], "matmul")
            self.assertIn(row["provider"], ("tile", "clblast"))
            work = 2e-9 * row["m"] * row["n"] * row["k"] * row["batch"]
            self.assertAlmostEqual(row["gflops"] * row["ms"] * 1e-3 / work, 1, delta=1e-4)  # six digits are printed

    def test_attention_is_measured_by_length_kernel_and_pass(self):
        rows = self.rows("attention", "--lengths", "8,24", "--kernel", "relu,softmax_trig,exact", "--causal")
        rows = [row for row in rows if row["suite"] == "attention"]
        want = [(length, kernel, which) for length in (8, 24) for kernel in ("relu", "softmax_trig", "exact")
                for which in ("forward", "forward_backward")]
        self.assertEqual([(row["length"], row["kernel"], row["pass"]) for row in rows], want)
        for row in rows:
            self.assertEqual((row["heads"], row["head_size"], row["num_features"], row["causal"]), (2, 16, 16, True))
            L, H, E, M = row["length"], 2, 16, 16
            F = 2 * M if row["kernel"] == "softmax_trig" else M
            work = 2 * L * H * (2 * E * M + 2 * F * (E + 1)) * (3 if row["pass"] != "forward" else 1)
            if row["kernel"] == "exact":
                work = 2 * L * L * E * H * (3.5 if row["pass"] != "forward" else 1)
            self.assertAlmostEqual(row["gflops"] * row["ms"] * 1e6 / work, 1, delta=1e-4)

    def test_the_break_even_lies_where_the_rows_cross(self):
        rows = self.rows("attention", "--lengths", "8,16,512", "--kernel", "relu,exact")
        for line in [row for row in rows if row["suite"] == "break_even"]:
            ms = {k: [r["ms"] for r in rows if r.get("kernel") == k and r["pass"] == line["pass"] and r["suite"] == "attention"]
                  for k in ("relu", "exact")}
            ahead = [length for length, a, b in zip((8, 16, 512), ms["relu"], ms["exact"]) if a < b]
            if not ahead:
                self.assertIsNone(line["length"])
            else:
                before = {8: 0, 16: 8, 512: 16}[ahead[0]]
                self.assertTrue(before <= line["length"] <= ahead[0], (line, ms))

    def test_models_are_measured_by_shape_attention_and_pass(self):
        rows = self.rows("model", "--shapes", "2x16,1x40", "--kernel", "relu,exact")
        want = [(*shape, kernel, which) for shape in ((2, 16), (1, 40)) for kernel in ("relu", "exact")
                for which in ("training", "forward")]
        self.assertEqual([(row["batch"], row["length"], row["attention"], row["pass"]) for row in rows], want)
        for training, forward in zip(rows[::2], rows[1::2]):
            self.assertGreater(training["tokens_per_s"], 0)
            self.assertGreater(forward["tokens_per_s"], 0)
            self.assertGreater(training["peak_bytes"], forward["peak_bytes"])

    def test_a_step_is_told_kernel_by_kernel(self):
        *kernels, whole = self.rows("profile", "--shapes", "2x16")
        names = {row["kernel"]: row for row in kernels}
        self.assertEqual(names["adamw"]["calls"], 1)
        self.assertAlmostEqual(sum(row["share"] for row in kernels), 1, delta=1e-4 * len(kernels))  # four digits are printed
        self.assertAlmostEqual(whole["matmul_share"] + whole["attention_share"] + whole["other_share"], 1, delta=3e-4)
        favor = sum(row["share"] for row in kernels if row["kernel"].startswith("favor_"))
        self.assertAlmostEqual(whole["attention_share"], favor, delta=1e-4 * len(kernels))
        self.assertGreater(whole["returns_v_tokens_per_s"], 0)

    def test_people_get_tables_and_a_directory_of_pictures(self):
        out = self.succeeds(*self.command, "--lengths", "8,16", "--shapes", "1x16", "-o", "speeds")
        for text in ("in registers", "matrix product", "attention  ", "break-even", "model  ", "a training step", "everything else"):
            self.assertIn(text, out)
        self.assertEqual(sorted(os.listdir(self.path("speeds"))),
                         ["attention-forward-backward.svg", "attention-forward.svg", "attention.tsv", "model.svg", "model.tsv"])
        head, *table = [line.split("\t") for line in self.read("speeds/attention.tsv").splitlines()]
        self.assertEqual(head[:5], ["kernel", "length", "causal", "pass", "ms"])
        self.assertEqual(len(table), 12)
        self.assertIn("</svg>", self.read("speeds/attention-forward.svg"))

    def test_wrong_input_is_named(self):
        self.fails(2, "--shapes 4x", "bench", "--shapes", "4x")
        self.fails(2, "--shapes 1x8x2", "bench", "--shapes", "1x8x2")
        self.fails(2, "nonsense", "bench", "--kernel", "relu,nonsense")
        self.fails(2, "give them rising", "bench", "--lengths", "32,16")
        self.fails(2, "two models", "bench", "--preset", "tiny", "--config", "config.json")
        self.fails(2, "--suite", "bench", "--suite", "nonsense")
        self.fails(2, "no length to plot", "bench", "--suite", "device", "-o", "speeds")
        self.fails(2, "--seconds is for --fasta", "bench", "--seconds", "1")
        self.fails(2, "nonsense", "bench", "--set", "nonsense=1")
        self.fails(2, "is not empty", "bench", "-o", ".")


if __name__ == "__main__":
    main()
