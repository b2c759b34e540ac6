"""performer bench --fasta: measured speeds, a break-even length and a verdict that follow from each other; nothing is left behind."""
import json
import math
import os
import random

from program import DeviceTest, main

CONFIG = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
          "max_position_embeddings": 64, "position_embedding_type": "rotary", "attention": {"num_features": 8, "window": 8},
          "train": {"batch_tokens": 256}}


class Bench(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(3)
        proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=k)) for k in (10, 30, 60, 200)]
        self.write("p.fa", "".join(f">p{i}\n{p}\n" for i, p in enumerate(proteins)))
        self.write("config.json", json.dumps(CONFIG))
        self.command = ["bench", "--fasta", "p.fa", "--config", "config.json", "--seconds", "0", "--lengths", "16,32"]

    def test_the_file_is_measured_with_each_kind_of_attention_and_judged(self):
        before = sorted(os.listdir(self.folder))
        lines = [json.loads(line) for line in self.succeeds(*self.command, "--json").splitlines()]
        self.assertEqual(sorted(os.listdir(self.folder)), before)
        for line in lines:
            self.assertTrue(line["device"] and line["driver"])
        windows = [line for line in lines if line["suite"] == "model"]
        self.assertEqual([line["length"] for line in windows], [16, 16, 32, 32][:len(windows)])
        self.assertEqual({line["attention"] for line in windows}, {"exact", "favor"})
        *speeds, verdict = [line for line in lines if line["suite"] == "fasta"]
        self.assertEqual([line["attention"] for line in speeds], ["exact", "favor", "hybrid"])
        for line in windows + speeds:
            self.assertGreater(line["tokens_per_s"], 0)
            self.assertGreater(line["peak_bytes"], 1000)
        self.check_verdict(windows, {line["attention"]: line["tokens_per_s"] for line in speeds}, verdict)

    def check_verdict(self, windows, speed, verdict):
        best = max(speed, key=speed.get)
        rest = max(speed["favor"], speed["hybrid"]) if best == "exact" else speed["exact"]
        named = {"exact": "exact attention", "favor": "FAVOR", "hybrid": "the hybrid of both"}[best]
        self.assertTrue(verdict["verdict"].startswith(named), verdict)
        self.assertIn("equally fast" if speed[best] < 1.03 * rest else "is faster", verdict["verdict"])
        ahead = [w["length"] for w, x in zip(windows[1::2], windows[::2]) if w["tokens_per_s"] > x["tokens_per_s"]]
        even = verdict["break_even_length"]
        if ahead:
            self.assertTrue(even <= ahead[0], verdict)
        else:
            self.assertIsNone(even)
        beyond = sum(k for k in (10, 30, 60, 200) if k + 2 > (math.inf if even is None else even))
        self.assertAlmostEqual(verdict["share_beyond"], beyond / 300, delta=0.11)  # the length is rounded in print

    def test_people_get_a_table_and_a_sentence(self):
        out = self.succeeds(*self.command).splitlines()
        self.assertEqual([line.split()[0] for line in out[:4]], ["attention", "exact", "favor", "hybrid"])
        self.assertTrue(out[4].startswith("break-even length: "), out)
        self.assertIn("for this file", out[5])

    def test_wrong_input_is_named(self):
        self.fails(2, "--fasta takes no", *self.command, "--causal")
        self.fails(2, "'-'", "bench", "--fasta", "-")
        self.fails(2, "give them rising", *self.command[:-1], "32,16")
        self.fails(2, "at most 32", *self.command[:-1], ",".join(str(n) for n in range(8, 41)))
        self.fails(2, "two models", *self.command, "--preset", "tiny")
        self.fails(2, "nonsense", *self.command, "--set", "nonsense=1")
        self.fails(3, "none.fa", "bench", "--fasta", "none.fa", "--config", "config.json", "--lengths", "16")


if __name__ == "__main__":
    main()
