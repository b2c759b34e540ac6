"""performer report: a page that stands alone, with the run's own numbers, and nothing foreign taken for HTML."""
import base64
import json
import os
import random

from page import Page, stands_alone
from program import DeviceTest, main

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
         "hidden_dropout": 0, "attention": {"num_features": 8, "local_heads": 1, "window": 8},
         "train": {"steps": 8, "batch_tokens": 160, "checkpoint_interval": 4, "eval_interval": 4}}
EVIL = "x<script>alert(1)</script>&\"'.fa"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(2)</script></svg>'


class Report(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=draw.randint(5, 60))) for _ in range(60)]
        self.write("train.fa", "".join(f">t{i}\n{p}\n" for i, p in enumerate(proteins[:40])))
        self.write(EVIL.replace("/", ""), "".join(f">v{i}\n{p}\n" for i, p in enumerate(proteins[40:])))
        self.write("small.json", json.dumps(SMALL))
        self.valid = EVIL.replace("/", "")
        self.succeeds("train", "--config", "small.json", "--train", "train.fa", "--valid", self.valid, "-o", "run")

    def report(self, *arguments):
        self.succeeds("report", "run", "-o", "report.html", *arguments)
        text = self.read("report.html")
        self.assertEqual(stands_alone(text), [])
        return text, " ".join(Page(text).texts)

    def last_evaluation(self):
        lines = [json.loads(line) for line in self.read("run/metrics.jsonl").splitlines()]
        return [line for line in lines if "valid_loss" in line][-1]

    def test_a_page_holds_the_runs_data_and_results(self):
        html, text = self.report("--baseline")
        for fact in ("40 sequences", "20 sequences", "8 of 8", "kernel relu, 8 features", "1 of 2 heads exact within a window of 8"):
            self.assertIn(fact, text)
        state = json.loads(self.read("run/checkpoints/step-000000000008/state.json"))
        self.assertIn(state["data"]["train"], text)
        self.assertIn(state["data"]["valid"], text)
        self.assertIn(state["device"]["name"], text)
        self.assertEqual(html.count("<svg"), 4)  # perplexity, loss against tokens and time, speed
        self.assertIn("unigram", text)
        self.assertIn("Not asked for: performer approx", text)
        self.assertIn(self.valid, text)
        self.assertNotIn("<script>", html)

    def test_results_are_those_of_eval_and_of_training(self):
        _, text = self.report()
        last = self.last_evaluation()
        self.assertIn(f"{last['valid_loss']:.4f} nats", text)
        letters = json.loads(self.succeeds("eval", "run", self.valid, "--by", "letter", "--json"))["by_letter"]
        for letter, group in letters.items():
            self.assertIn(f"{letter} {group['targets']} {group['loss']:.3f} {100 * group['accuracy']:.2f} %", text)
        _, text = self.report("--fasta", "train.fa")
        self.assertIn("train.fa", text)
        self.assertNotIn(f"{last['valid_loss']:.4f} nats", text)

    def test_without_evaluation_no_device_is_needed(self):
        self.succeeds("report", "run", "-o", "report.html", "--no-eval", env={"OCL_ICD_VENDORS": self.folder + "/none"})
        self.assertIn("--no-eval was given", " ".join(Page(self.read("report.html")).texts))

    def test_data_that_changed_or_is_gone_is_said(self):
        os.rename(self.path("train.fa"), self.path("moved.fa"))
        self.write(self.valid, ">other\nMKV\n")
        _, text = self.report()
        self.assertIn("not there now", text)
        self.assertIn("these files hold other sequences now", text)
        self.assertIn("Not measured", text)
        self.fails(2, "--train", "report", "run", "-o", "x.html", "--baseline", "--fasta", "moved.fa")

    def test_pictures_of_other_commands_become_images(self):
        os.mkdir(self.path("maps"))
        self.write("maps/layer 1.svg", SVG)
        self.write("maps/table.tsv", "layer\t<b>error\n1\t0.5\n")
        html, text = self.report("--maps", "maps", "--approx", "maps", "--no-eval")
        self.assertEqual(html.count(base64.b64encode(SVG.encode()).decode()), 2)
        self.assertIn("layer 1.svg", text)
        self.assertIn("<b>error", text)
        os.mkdir(self.path("empty"))
        self.fails(3, "empty", "report", "run", "-o", "x.html", "--maps", "empty", "--no-eval")
        self.fails(3, "none", "report", "run", "-o", "x.html", "--approx", "none", "--no-eval")

    def test_the_learning_curve_comes_alone_too(self):
        self.report("--learning-curve", "curve.svg", "--no-eval")
        self.assertTrue(self.read("curve.svg").startswith("<svg"))
        self.assertIn("validation", self.read("curve.svg"))

    def test_a_run_that_is_being_written_can_be_shown(self):
        with open(self.path("run/metrics.jsonl"), "a", encoding="ascii") as file:
            file.write('{"step": 9, "lo')
        self.assertIn("8 of 8", self.report("--no-eval")[1])
        with open(self.path("run/metrics.jsonl"), "a", encoding="ascii") as file:
            file.write("ss\n")
        self.fails(3, "metrics.jsonl: line 11", "report", "run", "-o", "x.html", "--no-eval")

    def test_a_run_that_ended_without_a_number_says_so(self):
        hot = ("--set", "train.learning_rate=1000", "--set", "train.clip_norm=0", "--set", "attention.kernel=requ")
        code, _, said = self.run_program("train", "--config", "small.json", "--train", "train.fa", "--valid", self.valid, "-o", "hot", *hot)
        self.assertEqual(code, 6, said)
        self.succeeds("report", "hot", "-o", "hot.html", "--no-eval")
        self.assertIn("failed-step.json holds its batch", " ".join(Page(self.read("hot.html")).texts))

    def test_what_is_wrong_is_said(self):
        self.fails(2, "--output FILE is missing", "report", "run")
        self.fails(3, "none", "report", "none", "-o", "x.html")
        self.fails(2, "--baseline", "report", "run", "-o", "x.html", "--train", "train.fa")
        self.fails(2, "standard input", "report", "run", "-o", "x.html", "--fasta", "-")
        self.assertEqual(stands_alone('<p><script></script></p>'), ["script"])
        self.assertEqual(stands_alone('<img src="http://x/y.png">'), ["img src=http://x/y.png", "http://x/y.png"])


if __name__ == "__main__":
    main()
