"""performer ablate --recipe swap: what an exact model loses when FAVOR takes the place of its attention, and learns again."""
import json
import os
import shutil
import signal
import statistics
import subprocess
import time

from ablation import AblationTest
from program import GOLDEN, PERFORMER, main

ESM = os.path.join(GOLDEN, "hf", "esm")
SWAP = ("--recipe", "swap", "--steps", "40", "--fine-tune-steps", "10")
FEW = ("--kernels", "softmax", "--num-features", "8", "--redraw", "0", "--draws", "2", "--fine-tune", "all")


class AblateSwap(AblationTest):
    def swap(self, folder, *arguments):
        return self.succeeds("ablate", *self.small, "-o", folder, *SWAP, *arguments)

    def loss(self, model, *arguments):
        return json.loads(self.succeeds("eval", model, "valid.fa", "--json", *arguments))["loss"]

    def measured(self, folder):
        return {row["what"]: float(row["valid_loss"]) for row in self.table(f"{folder}/measured.tsv")}

    def test_every_number_is_what_the_other_commands_say(self):
        out = self.swap("s", "--kernels", "softmax,relu", "--num-features", "8,512", "--redraw", "0,4", "--fine-tune", "all,attention",
                        "--draws", "3", "--seeds", "2")
        self.assertEqual(sorted(os.listdir(self.path("s"))), ["curves.tsv", "measured.tsv", "runs", "swap.json", "swap.svg", "swap.tsv"])
        rows = self.table("s/swap.tsv")
        self.assertEqual([(row["kernel"], row["features"], row["redraw"], row["trained"]) for row in rows],
                         [("exact", "", "", ""), ("exact", "", "", "all"),
                          ("softmax", "8", "0", "all"), ("softmax", "512", "0", "all"), ("softmax", "8", "4", "all"), ("softmax", "512", "4", "all"),
                          ("softmax", "8", "0", "attention"), ("relu", "8", "0", "all"), ("softmax", "8", "0", "scratch"), ("relu", "512", "", "")])
        exact, on, few, many = rows[:4]
        one = self.measured("s")
        self.assertEqual(one["exact"], self.loss("s/runs/exact-seed0"))
        self.assertEqual(float(exact["at_once"]), round(one["exact"], 6))
        # Printed to six places.
        draws = [one[f"softmax-M8-draw{i}"] for i in range(3)]
        self.assertAlmostEqual(float(few["at_once"]), statistics.mean(draws), delta=1e-6)
        self.assertAlmostEqual(float(few["at_once_deviation"]), statistics.stdev(draws), delta=1e-6)
        after = [self.loss(f"s/runs/softmax-M8-all-seed{i}") for i in range(2)]
        self.assertAlmostEqual(float(few["after"]), statistics.mean(after), delta=1e-6)
        self.assertAlmostEqual(float(few["after_deviation"]), statistics.stdev(after), delta=1e-6)
        # Draw 0 is what the training of the same seed begins with.
        self.assertEqual(float(self.read("s/runs/softmax-M8-all-seed0/before-training.txt").split()[0]), draws[0])
        # Softmax features estimate exact attention: with many of them little is lost.
        lost = [float(row["at_once"]) - one["exact"] for row in (few, many)]
        self.assertLess(abs(lost[1]), lost[0] / 2)
        # Differences of about 0.05 of numbers with six places.
        self.assertAlmostEqual(float(few["recovered"]), 1 - (float(few["after"]) - float(on["after"])) / lost[0], delta=1e-4)
        for name, key, value in (("M8-redraw4-all", "attention.redraw_interval", 4), ("M8-all", "attention.redraw_interval", 0),
                                 ("M512-all", "attention.num_features", 512), ("M8-attention", "train.freeze", "[!l]*,*.feed_forward.*")):
            group, name_of_key = key.split(".")
            self.assertEqual(json.loads(self.read(f"s/runs/softmax-{name}-seed0/config.json"))[group][name_of_key], value)
        self.json_agrees("s", rows)
        for text in ("softmax, at once", "softmax, after 10 steps, new every 4", "relu, at once", "exact, trained on", "random features M", "3 draws"):
            self.assertIn(text, self.picture("s/swap.svg"))
        for text in ("What softmax loses at once falls as M^-", "New projections every 4 steps change the loss after training by ", "(4 pairs; ", "softmax, M 8, attention only"):
            self.assertIn(text, out)

    def json_agrees(self, folder, rows):
        got = json.loads(self.read(f"{folder}/swap.json"))
        self.assertEqual(round(got["exact"], 6), float(rows[0]["at_once"]))
        self.assertEqual((got["steps"], got["draws"], len(got["rows"])), (10, 3, len(rows) - 1))
        for mine, row in zip(got["rows"], rows[1:]):
            for key in ("at_once", "at_once_deviation", "after", "after_deviation", "fresh", "fresh_deviation"):
                if row[key]:
                    self.assertAlmostEqual(mine[key], float(row[key]), delta=1e-6, msg=key)  # both are printed
                else:
                    self.assertIsNone(mine[key], key)

    def test_killed_at_any_moment_it_goes_on_to_the_same_tables(self):
        whole = self.swap("whole", *FEW)
        for what in ("softmax-M8-draw0", "after-exact-on-seed0"):
            program = subprocess.Popen([PERFORMER, "ablate", *self.small, "-o", "cut", *SWAP, *FEW, "--resume"], cwd=self.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            file = self.path("cut/measured.tsv")
            while program.poll() is None and not (os.path.exists(file) and what in self.read("cut/measured.tsv")):
                time.sleep(0.002)
            program.send_signal(signal.SIGKILL)
            program.wait()
        self.assertEqual(self.swap("cut", *FEW, "--resume"), whole)
        for name in ("swap.tsv", "swap.json", "measured.tsv", "swap.svg"):
            self.assertEqual(self.read(f"cut/{name}"), self.read(f"whole/{name}"))
        nothing = {"OCL_ICD_VENDORS": self.folder + "/none"}
        self.assertEqual(self.succeeds("ablate", *self.small, "-o", "cut", *SWAP, *FEW, "--resume", env=nothing), whole)
        shutil.rmtree(self.path("cut/runs/softmax-M8-all-seed0"))
        self.assertEqual(self.swap("cut", *FEW, "--resume"), whole)
        self.write("cut/measured.tsv", self.read("cut/measured.tsv").replace("seed 0", "seed 1"))
        self.fails(2, "belongs to another model", "ablate", *self.small, "-o", "cut", *SWAP, *FEW, "--resume")

    def test_a_given_model_of_esms_shape(self):
        self.succeeds("import", ESM, "-o", "esm")
        before = self.read("esm/config.json")
        given = ("ablate", *self.data, "-o", "s", "--recipe", "swap", "--init", "esm", "--fine-tune-steps", "4", *FEW[:-1], "all,lora",
                 "--set", "train.batch_tokens=160")
        out = self.succeeds(*given, "--exact-layers", "2")
        rows = self.table("s/swap.tsv")
        self.assertEqual([(row["kernel"], row["trained"]) for row in rows], [("exact", ""), ("exact", "all"), ("softmax", "all"), ("softmax", "lora")])
        self.assertEqual(float(rows[0]["at_once"]), round(self.loss("esm"), 6))
        self.assertEqual(float(rows[3]["after"]), round(self.loss("s/runs/softmax-M8-lora-seed0"), 6))
        self.assertEqual(sorted(os.listdir(self.path("s/runs"))), ["exact-on-seed0", "softmax-M8-all-seed0", "softmax-M8-lora-seed0"])
        self.assertEqual(json.loads(self.read("s/runs/softmax-M8-lora-seed0/config.json"))["lora"]["rank"], 8)
        config = json.loads(self.read("s/runs/softmax-M8-all-seed0/config.json"))
        self.assertEqual(config["attention"]["type"][:2], ["favor", "softmax"])
        self.assertEqual(self.read("esm/config.json"), before)
        self.assertEqual(self.succeeds(*given, "--exact-layers", "2", "--resume"), out)
        self.fails(2, "attention.type", *given, "--resume")

    def test_a_loss_that_is_not_finite_is_a_result(self):
        """At this rate the numbers of a squared kernel overflow at once, those of exact attention later."""
        hot = ("--kernels", "requ", *FEW[2:], "--steps", "3", "--fine-tune-steps", "3", "--set", "train.learning_rate=1000", "--set", "train.clip_norm=0")
        out = self.swap("s", *hot)
        result = {(row["kernel"], row["trained"]): row["result"].split(":")[0] for row in self.table("s/swap.tsv")}
        self.assertEqual(result, {("exact", ""): "finite", ("exact", "all"): "finite", ("requ", "all"): "NaN", ("requ", "scratch"): "NaN"})
        self.assertEqual(self.swap("s", *hot, "--resume"), out)

    def test_what_is_wrong_is_said(self):
        self.succeeds("import", ESM, "-o", "esm")
        self.succeeds("import", ESM, "-o", "favor", "--attention", "favor", "--kernel", "softmax", "--num-features", "8")
        swap = ("ablate", *self.data, "-o", "s", "--recipe", "swap")
        self.fails(2, "layer 1 attends by FAVOR", *swap, "--init", "favor")
        self.fails(3, "nowhere", *swap, "--init", "nowhere")
        self.fails(2, "--num-features", *swap, "--num-features", "32,0")
        self.fails(2, "--redraw", *swap, "--redraw", "-1")
        self.fails(2, "--redraw: 50 is given twice", *swap, "--redraw", "50,0,50")
        self.fails(2, "--num-features: 32 is given twice", *swap, "--num-features", "32,32")
        self.fails(2, "--draws", *swap, "--draws", "0")
        self.fails(2, "expected all, attention, body, decay or lora", *swap, "--fine-tune", "all,some")
        self.fails(2, "a kernel of FAVOR", *swap, "--kernels", "exact")
        self.fails(2, "no layer is left to swap", *swap, "--init", "esm", "--exact-layers", "1,2")
        self.fails(2, "the model has layers 1 to", *swap, "--init", "esm", "--exact-layers", "99")
        self.fails(2, "--init is for the recipe swap", "ablate", *self.data, "-o", "s", "--init", "esm")


if __name__ == "__main__":
    main()
