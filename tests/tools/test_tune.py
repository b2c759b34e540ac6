"""performer tune: measures a model's products, keeps what is better in a text file, and later runs use that file or warn of it once."""
import json
import os

from program import DeviceTest, main

CONFIG = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
          "max_position_embeddings": 64, "position_embedding_type": "rotary", "attention": {"num_features": 8, "window": 8}}
# queries, keys and values; attention's output; the feed-forward's two; the head of 29 tokens
LAYERS = {(16, 48): 3, (16, 16): 3, (16, 32): 3, (32, 16): 3, (16, 29): 1}


class Tune(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("config.json", json.dumps(CONFIG))
        os.mkdir(self.path("cache"), 0o700)
        self.env = {"PERFORMER_CACHE": self.path("cache")}

    def files(self):
        return [name for name in os.listdir(self.path("cache")) if name.startswith("tune-")]

    def test_the_models_products_are_measured_and_kept_for_later_runs(self):
        out = self.succeeds("tune", "--config", "config.json", "--rows", "40", "--json", env=self.env, timeout=600)
        rows = [json.loads(line) for line in out.splitlines()]
        expected = {}
        for (inputs, outputs), times in LAYERS.items():
            expected[("nt", 40, outputs, inputs)] = times
            expected[("nn", 40, inputs, outputs)] = times
            expected[("tn", outputs, inputs, 40)] = times
        self.assertEqual({(r["transpose"], r["m"], r["n"], r["k"]): r["times"] for r in rows}, expected)
        for r in rows:
            self.assertTrue(r["device"] and r["driver"])
            self.assertEqual(r["wrong"], 0, r)
            self.assertGreaterEqual(r["gflops"], r["built_in_gflops"])
            self.assertEqual(r["best"] != r["built_in"], r["gflops"] > r["built_in_gflops"], r)
        better = [r for r in rows if r["best"] != r["built_in"]]
        [name] = self.files()
        lines = self.read(os.path.join("cache", name)).splitlines()
        self.assertEqual(lines[0], "performer tune 1")
        self.assertEqual(lines[-1], f"end {len(better)}")
        self.assertEqual(len(lines), 4 + len(better))
        self.check_later_runs(os.path.join("cache", name))

    def check_later_runs(self, file):
        """The same answers with the file, without it, and with one that is damaged, which is warned of once."""
        self.succeeds("init", "--config", "config.json", "-o", "model")
        self.write("p.fa", ">p\nMKTAYIAKQRQISFVKSHFS\n")
        command = ["score", "model", "p.fa", "--set", "compute.matmul=tile"]
        code, with_file, err = self.run_program(*command, env=self.env)
        self.assertEqual((code, "warning" in err), (0, False), err)
        text = self.read(file)
        self.write(file, text[:-3])
        code, damaged, err = self.run_program(*command, env=self.env)
        self.assertEqual(code, 0, err)
        self.assertEqual(err.count("performer: warning: "), 1, err)
        self.assertIn(os.path.basename(file), err)
        self.assertIn("run performer tune again", err)
        os.remove(self.path(file))
        self.assertEqual(self.succeeds(*command, env=self.env), with_file)
        self.assertEqual(damaged, with_file)

    def test_wrong_use_is_named(self):
        self.fails(2, "give one", "tune", "--preset", "tiny", "--config", "config.json")
        self.fails(2, "hidden_size 15", "tune", "--config", "config.json", "--set", "hidden_size=15")
        self.fails(3, "nowhere", "tune", "nowhere")
        self.fails(2, "rows", "tune", "--rows", "-1")


if __name__ == "__main__":
    main()
