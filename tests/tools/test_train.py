"""performer train: the losses of an independent program, the same bits twice, interrupted or not, and nothing lost on the way."""
import json
import os
import random
import shutil
import signal
import subprocess
import time

import tensors
from program import GOLDEN, PERFORMER, DeviceTest, main

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
         "hidden_dropout": 0.1, "attention": {"num_features": 8, "redraw_interval": 5},
         "train": {"steps": 12, "batch_tokens": 160, "checkpoint_interval": 4, "eval_interval": 6, "shuffle_seed": 3}}


def largest_error(lines, steps):
    """Largest relative difference in loss and gradient norm, over the steps of the golden case."""
    return max(abs(line[key] / step[key] - 1) for line, step in zip(lines, steps) for key in ("loss", "grad_norm"))


class Train(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=draw.randint(5, 60))) for _ in range(60)]
        self.write("train.fa", "".join(f">t{i}\n{p}\n" for i, p in enumerate(proteins[:50])))
        self.write("valid.fa", "".join(f">v{i}\n{p}\n" for i, p in enumerate(proteins[50:])))
        self.write("small.json", json.dumps(SMALL))
        self.data = ("--train", "train.fa", "--valid", "valid.fa")

    def train(self, run, *arguments):
        self.succeeds("train", "--config", "small.json", *self.data, "-o", run, *arguments)
        return self.metrics(run)

    def metrics(self, run, timing=False):
        lines = [json.loads(line) for line in self.read(f"{run}/metrics.jsonl").splitlines()]
        return lines if timing else [{k: v for k, v in line.items() if k not in ("time", "tokens_per_s")} for line in lines]

    def weights(self, run, step=12):
        with open(self.path(f"{run}/checkpoints/step-{step:012d}/model.safetensors"), "rb") as file:
            return file.read()

    def test_golden_losses_are_those_of_the_reference_program(self):
        golden = os.path.join(GOLDEN, "training")
        with open(os.path.join(golden, "expected.json"), encoding="utf-8") as file:
            expected = json.load(file)
        steps = expected["steps"]
        if os.environ.get("PERFORMER_TEST_SMALL") == "1":  # a simulator; so early in the warm-up the number of steps does not matter
            steps = steps[:2]
        self.write("golden.json", json.dumps({"train": {**expected["train"], "steps": len(steps)}}))
        self.succeeds("train", "--init", os.path.join(golden, "model"), "--config", "golden.json", "--train",
                      os.path.join(golden, "train.fasta"), "-o", "golden", timeout=200)
        lines = [line for line in self.metrics("golden") if "loss" in line]
        self.assertEqual([line["step"] for line in lines], [step["step"] for step in steps])
        self.assertEqual([line["tokens"] for line in lines], [step["tokens"] for step in steps])
        # fp32 stays within 2e-7; 1e-4 is what the specification allows, half of what the least mistake in the decay moves.
        self.assertLess(largest_error(lines, steps), 1e-4)
        steps[-1]["loss"] *= 1 + 1.5e-4
        self.assertGreater(largest_error(lines, steps), 1e-4)

    def test_a_run_directory_holds_what_it_should(self):
        lines = self.train("run")
        self.assertEqual(sorted(os.listdir(self.path("run"))), ["checkpoints", "config.json", "latest", "metrics.jsonl"])
        self.assertEqual(self.read("run/latest").strip(), "step-000000000012")
        self.assertEqual(sorted(os.listdir(self.path("run/checkpoints"))), [f"step-{s:012d}" for s in (4, 8, 12)])
        self.assertEqual(sorted(os.listdir(self.path("run/checkpoints/step-000000000012"))),
                         ["config.json", "manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"])
        self.assertEqual([line["step"] for line in lines if "loss" in line], list(range(1, 13)))
        self.assertEqual([line["step"] for line in lines if "valid_loss" in line], [6, 12])
        for line in self.metrics("run", timing=True):
            keys = {"step", "loss", "tokens", "learning_rate", "grad_norm", "tokens_per_s", "time"}
            self.assertEqual(set(line), keys if "loss" in line else {"step", "valid_loss", "valid_perplexity", "valid_accuracy"})
        info = json.loads(self.succeeds("info", "--json", "run"))
        self.assertEqual(info["step"], 12)
        self.assertEqual(len(info["files"]), 5)

    def test_two_equal_runs_have_the_same_bits_and_another_seed_has_others(self):
        self.assertEqual(self.train("a"), self.train("b", "-j", "1"))
        self.assertEqual(self.weights("a"), self.weights("b"))
        self.assertNotEqual(self.train("c", "--seed", "5"), self.metrics("a"))

    def test_a_run_that_goes_on_has_the_bits_of_one_that_never_stopped(self):
        whole = self.train("whole")
        shutil.copytree(self.path("whole"), self.path("cut"))
        shutil.rmtree(self.path("cut/checkpoints/step-000000000012"))
        self.write("cut/latest", "step-000000000008\n")
        self.succeeds("train", "--resume", "-o", "cut")
        self.assertEqual(self.metrics("cut"), whole)
        self.assertEqual(self.weights("cut"), self.weights("whole"))

    def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(self):
        whole = self.train("run")
        path = self.path("run/checkpoints/step-000000000012/model.safetensors")
        with open(path, "r+b") as file:
            file.seek(-1, os.SEEK_END)
            byte = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([byte[0] ^ 1]))
        code, _, said = self.run_program("train", "--resume", "-o", "run")
        self.assertEqual(code, 0, said)
        self.assertIn("performer: warning: ", said)
        self.assertIn("step-000000000012", said)
        self.assertEqual(self.metrics("run"), whole)

    def test_sigterm_saves_and_says_5_and_resume_loses_nothing(self):
        self.train("whole", "--set", "train.steps=400", "--set", "train.checkpoint_interval=0", "--set", "train.eval_interval=0")
        program = subprocess.Popen([PERFORMER, "train", "--config", "small.json", *self.data, "-o", "run", "--set", "train.steps=400",
                                    "--set", "train.checkpoint_interval=0", "--set", "train.eval_interval=0"],
                                   cwd=self.folder, stderr=subprocess.DEVNULL)
        for _ in range(2000):
            if os.path.exists(self.path("run/metrics.jsonl")) and os.path.getsize(self.path("run/metrics.jsonl")):
                break
            time.sleep(0.01)
        program.send_signal(signal.SIGTERM)
        self.assertEqual(program.wait(60), 5)
        self.assertLess(len(os.listdir(self.path("run/checkpoints"))), 2)
        self.succeeds("train", "--resume", "-o", "run")
        self.assertEqual(self.metrics("run"), self.metrics("whole"))
        self.assertEqual(self.weights("run", 400), self.weights("whole", 400))

    def test_resume_starts_where_nothing_is_and_ends_at_once_where_all_is_done(self):
        lines = self.train("run", "--resume")
        self.assertEqual(self.train("run", "--resume"), lines)
        self.fails(2, "holds a run already", "train", "--config", "small.json", *self.data, "-o", "run")
        self.fails(2, "hidden_size", "train", "--resume", "--set", "hidden_size=64", "-o", "run")
        self.write("train.fa", ">other\nMKV\n")
        self.fails(2, "", "train", "--resume", *self.data, "-o", "run")
        self.assertEqual(self.metrics("run"), lines)

    def test_a_dry_run_writes_nothing(self):
        before = sorted(os.listdir(self.folder))
        config = json.loads(self.succeeds("train", "--config", "small.json", *self.data, "-o", "run", "--dry-run", "--set", "train.steps=7"))
        self.assertEqual(config["train"]["steps"], 7)
        self.assertEqual(config["hidden_size"], 32)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def tensors(self, run, step):
        return tensors.safetensors(self.path(f"{run}/checkpoints/step-{step:012d}/model.safetensors"))[0]

    def test_a_model_goes_on_with_other_attention(self):
        """Exact attention becomes FAVOR with fresh projections; between kernels the projections stay; sizes cannot change."""
        exact = self.train("exact", "--set", "attention.type=softmax", "--set", "train.steps=2")
        self.assertTrue(exact)
        of_exact = self.tensors("exact", 2)
        self.succeeds("train", "--init", "exact", "--config", "small.json", *self.data, "-o", "swapped", "--set", "attention.type=favor",
                      "--set", "attention.kernel=softmax", "--set", "train.steps=2")
        swapped = self.tensors("swapped", 0)
        projections = set(swapped) - set(of_exact)
        self.assertEqual(projections, {f"layers.{n}.attention.projection" for n in range(2)})
        self.assertEqual({name: swapped[name] for name in of_exact}, of_exact)
        self.succeeds("init", "--config", "small.json", "-o", "fresh")
        fresh = tensors.safetensors(self.path("fresh/model.safetensors"))[0]
        self.assertEqual({name: swapped[name] for name in projections}, {name: fresh[name] for name in projections})
        self.assertNotEqual(self.tensors("swapped", 2), swapped)
        init = ("train", "--init", "swapped", "--config", "small.json", *self.data, "-o")
        self.succeeds(*init, "again", "--set", "attention.kernel=relu", "--set", "train.steps=1", "--seed", "7")
        self.assertEqual(self.tensors("again", 0), self.tensors("swapped", 2))
        self.succeeds(*init, "redrawn", "--set", "attention.num_features=4", "--set", "train.steps=1")
        self.assertEqual(self.tensors("redrawn", 0)["layers.0.attention.projection"][0], [4, 16])
        self.fails(2, "layers.0.attention.query.bias", *init, "biased", "--set", "attention_bias=true")
        self.fails(2, "num_hidden_layers", *init, "short", "--set", "num_hidden_layers=1")

    def test_frozen_tensors_keep_their_bits_and_the_others_learn(self):
        self.train("run", "--set", "train.steps=2")
        before = self.tensors("run", 2)
        fine = ("train", "--init", "run", "--config", "small.json", *self.data, "-o")
        self.succeeds(*fine, "frozen", "--set", "train.freeze=embed.*,layers.0.*", "--set", "train.steps=3")
        after = self.tensors("frozen", 3)
        frozen = {name for name in before if name.startswith(("embed.", "layers.0."))}
        self.assertEqual({name for name in before if before[name] == after[name]}, frozen | {"layers.1.attention.projection"})
        # Going on gives the bits of a run that never stopped, as without.
        again = (*fine, "parts", "--set", "train.freeze=embed.*,layers.0.*")
        self.succeeds(*again, "--set", "train.steps=1")
        self.succeeds(*again, "--set", "train.steps=3", "--resume")
        self.assertEqual(self.tensors("parts", 3), after)
        self.fails(2, "train.freeze", *again, "--set", "train.steps=3", "--set", "train.freeze=embed.*", "--resume")
        self.fails(2, "layers.9.*", *fine, "none", "--set", "train.freeze=layers.9.*")

    def test_what_is_wrong_is_said_and_leaves_nothing(self):
        small = ("train", "--config", "small.json", "-o", "run")
        self.fails(2, "--output RUN is missing", "train", "--preset", "tiny", *self.data)
        self.fails(2, "--train", *small)
        self.fails(2, "expected tiny, small", "train", "--preset", "huge", *self.data, "-o", "run")
        self.fails(2, "train.steps", "train", *self.data, *small[1:], "--set", "train.stepz=3")
        self.fails(2, "max_length", *small, *self.data, "--set", "train.max_length=1000")
        self.fails(3, "none.fa", *small, "--train", "none.fa")
        self.fails(3, "bad.fa: line 2", *small, "--train", self.write("bad.fa", ">a\nMK1\n"))
        self.fails(3, "none", "train", "--init", "none", *self.data, "-o", "run")
        self.fails(4, "pocl-opencl-icd", *small, *self.data, env={"OCL_ICD_VENDORS": self.folder + "/none"})
        self.fails(4, "xyzzy", *small, *self.data, "--device", "xyzzy")


if __name__ == "__main__":
    main()
