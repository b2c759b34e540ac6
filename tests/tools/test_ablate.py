"""performer ablate: arms that are ordinary trainings, killed and resumed, not finite; one table and plots of them."""
import os
import shutil
import signal
import statistics
import subprocess
import time

from ablation import AblationTest
from program import PERFORMER, main

KERNELS = ("--kernels", "exact,relu", "--steps", "8")
TIMES = ("tokens_per_s", "seconds")


class Ablate(AblationTest):
    def ablate(self, folder, *arguments):
        """(rows of the table without times, stdout)"""
        out = self.succeeds("ablate", *self.small, "-o", folder, *arguments)
        rows = self.table(f"{folder}/ablation.tsv")
        return [{key: value for key, value in row.items() if key not in TIMES} for row in rows], out

    def test_an_arm_is_an_ordinary_training_and_a_row_its_end(self):
        rows, out = self.ablate("a", *KERNELS, "--projections", "orthogonal,none")
        self.assertEqual([(row["kernel"], row["renormalize"], row["projection"]) for row in rows],
                         [("exact", "", ""), ("relu", "on", "orthogonal"), ("relu", "on", "none"), ("relu", "off", "orthogonal"),
                          ("relu", "off", "none")])
        self.assertEqual(sorted(os.listdir(self.path("a"))), ["ablation.tsv", "curves.tsv", "loss-seconds.svg", "loss-tokens.svg", "runs"])
        self.succeeds("train", *self.small, "-o", "alone", "--set", "attention.renormalize=false", "--set", "train.steps=8",
                      "--set", "train.eval_interval=1", "--set", "train.checkpoint_interval=2")
        lines = self.metrics("alone")
        self.assertEqual(self.metrics("a/runs/relu-plain-orthogonal-seed0"), lines)
        self.assertEqual(float(rows[3]["valid_loss"]), round(lines[-1]["valid_loss"], 6))
        self.assertEqual(int(rows[3]["tokens"]), sum(line.get("tokens", 0) for line in lines))
        self.assertIn("relu, orthogonal, not renormalised", out)
        for name in ("a/loss-tokens.svg", "a/loss-seconds.svg"):
            self.assertIn("exact", self.picture(name))
            self.assertIn("relu, none", self.picture(name))

    def test_seeds_become_a_mean_and_a_deviation(self):
        rows, out = self.ablate("a", *KERNELS, "--renormalize", "on", "--seeds", "3", "--seed", "5")
        losses = [self.metrics(f"a/runs/relu-renormalized-orthogonal-seed{seed}")[-1]["valid_loss"] for seed in (5, 6, 7)]
        self.assertEqual(len(set(losses)), 3)
        self.assertAlmostEqual(float(rows[1]["valid_loss"]), statistics.mean(losses), delta=1e-6)  # printed to six places
        self.assertAlmostEqual(float(rows[1]["deviation"]), statistics.stdev(losses), delta=1e-6)
        self.assertIn("3 seeds", self.picture("a/loss-tokens.svg"))
        self.assertEqual(len(out.splitlines()), 3)

    def test_killed_at_any_moment_it_goes_on_to_the_same_table(self):
        options = ("--kernels", "exact,relu", "--steps", "200")
        whole, _ = self.ablate("whole", *options)
        for moment in (("exact-seed0", 20), ("relu-plain-orthogonal-seed0", 1)):
            program = subprocess.Popen([PERFORMER, "ablate", *self.small, "-o", "cut", "--resume", *options], cwd=self.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            metrics = self.path(f"cut/runs/{moment[0]}/metrics.jsonl")
            while program.poll() is None and not (os.path.exists(metrics) and os.path.getsize(metrics) > 200 * moment[1]):
                time.sleep(0.002)
            program.send_signal(signal.SIGKILL)
            program.wait()
        self.assertNotIn("ablation.tsv", os.listdir(self.path("cut")))
        done = os.stat(self.path("cut/runs/exact-seed0/config.json")).st_mtime_ns
        self.assertEqual(self.ablate("cut", *options, "--resume")[0], whole)
        self.assertEqual(os.stat(self.path("cut/runs/exact-seed0/config.json")).st_mtime_ns, done)
        for run in os.listdir(self.path("whole/runs")):
            self.assertEqual(self.metrics(f"cut/runs/{run}"), self.metrics(f"whole/runs/{run}"))

    def test_sigterm_saves_and_says_5(self):
        program = subprocess.Popen([PERFORMER, "ablate", *self.small, "-o", "a", *KERNELS[:2], "--steps", "100000"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while program.poll() is None and not os.path.exists(self.path("a/runs/exact-seed0/config.json")):
            time.sleep(0.01)
        time.sleep(0.2)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(60), 5)
        self.assertTrue(os.path.exists(self.path("a/runs/exact-seed0/latest")))

    def test_a_loss_that_is_not_finite_is_a_result(self):
        """At this rate the numbers of a squared kernel overflow at once, those of exact attention later."""
        hot = ("--kernels", "requ,exact", "--renormalize", "off", "--steps", "3", "--set", "train.learning_rate=1000",
               "--set", "train.clip_norm=0")
        rows, out = self.ablate("a", *hot)
        self.assertEqual([row["kernel"] for row in rows], ["requ", "exact"])
        self.assertTrue(rows[0]["result"].startswith("NaN: step "), rows[0])
        self.assertEqual(rows[0]["valid_loss"], "nan")
        self.assertEqual(rows[1]["result"], "finite")
        self.assertIn("NaN: step ", out)
        self.assertIn("not finite: requ", self.picture("a/loss-tokens.svg"))
        self.assertEqual(self.ablate("a", *hot, "--resume"), (rows, out))

    def test_what_is_done_is_passed_over_and_other_options_are_refused(self):
        rows, out = self.ablate("a", *KERNELS)
        env = {"OCL_ICD_VENDORS": self.folder + "/none"}
        self.fails(4, "", "ablate", *self.small, "-o", "a", *KERNELS, "--resume", "--kernels", "elu1", env=env)
        self.succeeds("ablate", *self.small, "-o", "a", *KERNELS, "--resume", env=env)  # nothing is left to compute
        self.assertEqual(self.ablate("a", *KERNELS, "--resume"), (rows, out))
        more, _ = self.ablate("a", *KERNELS, "--resume", "--kernels", "exact,relu,abs")
        self.assertEqual(more[:3], rows)
        self.assertEqual(more[3]["kernel"], "abs")
        self.fails(2, "num_features", "ablate", *self.small, "-o", "a", *KERNELS, "--resume", "--set", "attention.num_features=4")
        self.fails(2, "is not empty", "ablate", *self.small, "-o", "a", *KERNELS)
        shutil.copy(self.path("valid.fa"), self.path("train.fa"))
        self.fails(2, "other sequences", "ablate", *self.small, "-o", "a", *KERNELS, "--resume")

    def test_a_sample_of_the_validation_sequences_is_taken_evenly(self):
        self.ablate("a", "--kernels", "exact", "--steps", "1", "--valid-residues", "200")
        everything, sample = self.read("valid.fa").split(">")[1:], self.read("a/valid.fasta").split(">")[1:]
        residues = sum(len(record.split()[1]) for record in everything)
        self.assertEqual(len(sample), int(len(everything) * 200 / residues))
        places = [everything.index(record) for record in sample]
        gaps = {b - a for a, b in zip(places, places[1:])}
        self.assertLessEqual(max(gaps) - min(gaps), 1)

    def test_what_is_wrong_is_said(self):
        self.fails(2, "--train FASTA... is missing", "ablate", "--valid", "valid.fa", "-o", "a")
        self.fails(2, "softmax_trig", "ablate", *self.small, "-o", "a", "--kernels", "exact,sofmax")
        self.fails(2, "orthogonal, iid", "ablate", *self.small, "-o", "a", "--projections", "random")
        self.fails(2, "on, off", "ablate", *self.small, "-o", "a", "--renormalize", "maybe")
        self.fails(2, "a name is missing", "ablate", *self.small, "-o", "a", "--kernels", "relu,")
        self.fails(2, "read many times", "ablate", "--train", "-", "--valid", "valid.fa", "-o", "a")
        self.fails(2, "train.stepz", "ablate", *self.small, "-o", "a", "--set", "train.stepz=2")
        self.assertIn("softmax without a projection", self.run_program(
            "ablate", *self.small, "-o", "a", "--kernels", "exact,softmax", "--projections", "none", "--steps", "1")[2])


if __name__ == "__main__":
    main()
