"""performer train when things go wrong: killed anywhere it goes on with the same bits, numbers that are none end
it with the name of the tensor, and what does not fit the run is refused by name."""
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import time

from program import PERFORMER, DeviceTest, main

# A projection is drawn for steps 6 and 11; evaluations and checkpoints fall on different steps.
STEPS = 14
CONFIG = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16,
          "max_position_embeddings": 24, "hidden_dropout": 0.1, "attention": {"num_features": 8, "redraw_interval": 5},
          "train": {"steps": STEPS, "batch_tokens": 96, "checkpoint_interval": 1, "eval_interval": 4, "keep_checkpoints": 1000}}


class TrainFaults(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=draw.randint(5, 40))) for _ in range(40)]
        self.write("train.fa", "".join(f">t{i}\n{p}\n" for i, p in enumerate(proteins[:32])))
        self.write("valid.fa", "".join(f">v{i}\n{p}\n" for i, p in enumerate(proteins[32:])))
        self.write("config.json", json.dumps(CONFIG))
        self.command = ["train", "--config", "config.json", "--train", "train.fa", "--valid", "valid.fa"]

    def metrics(self, run):
        lines = [json.loads(line) for line in self.read(f"{run}/metrics.jsonl").splitlines()]
        return [{k: v for k, v in line.items() if k not in ("time", "tokens_per_s")} for line in lines]

    def checkpoint(self, run, step):
        return self.path(f"{run}/checkpoints/step-{step:012d}")

    def tensors(self, run, step):
        contents = []
        for name in ("model.safetensors", "optimizer.safetensors"):
            with open(os.path.join(self.checkpoint(run, step), name), "rb") as file:
                contents.append(file.read())
        return contents

    def assert_same_run(self, run, whole, step=STEPS):
        self.assertEqual(self.metrics(run), self.metrics(whole))
        self.assertEqual(self.tensors(run, step), self.tensors(whole, step))

    def test_cut_after_any_step_a_run_goes_on_with_the_same_bits(self):
        self.succeeds(*self.command, "-o", "whole")
        steps = [line["step"] for line in self.metrics("whole") if "loss" in line]
        evaluated = [line["step"] for line in self.metrics("whole") if "valid_loss" in line]
        self.assertEqual((steps, evaluated), (list(range(1, STEPS + 1)), [4, 8, 12, STEPS]))
        # Before and after a redraw, at and behind an evaluation. What kill -9 leaves: newer lines, older checkpoints.
        for cut in (1, 4, 5, 6, 10, 13):
            shutil.copytree(self.path("whole"), self.path("cut"))
            for step in range(cut + 1, STEPS + 1):
                shutil.rmtree(self.checkpoint("cut", step))
            self.succeeds("train", "--resume", "-o", "cut")
            self.assert_same_run("cut", "whole")
            shutil.rmtree(self.path("cut"))

    def test_a_step_depends_on_its_redraw(self):
        """The twin of the test above: another redraw interval gives other losses, from the step behind the first draw on."""
        self.succeeds(*self.command, "-o", "a")
        self.succeeds(*self.command, "-o", "b", "--set", "attention.redraw_interval=0")
        losses = [[line["loss"] for line in self.metrics(run) if "loss" in line] for run in "ab"]
        self.assertEqual(losses[0][:5], losses[1][:5])
        self.assertNotEqual(losses[0][5], losses[1][5])

    def test_an_evaluation_that_was_still_due_stands_there_once(self):
        self.succeeds(*self.command, "-o", "whole")
        # As SIGTERM during the evaluation of step 8 leaves it; then killed after the evaluation, before the next save.
        shutil.copytree(self.path("whole"), self.path("cut"))
        for step in range(9, STEPS + 1):
            shutil.rmtree(self.checkpoint("cut", step))
        folder = self.checkpoint("cut", 8)
        with open(os.path.join(folder, "state.json"), encoding="utf-8") as file:
            state = file.read()
        self.assertIn('"evaluation_due": false', state)
        state = state.replace('"evaluation_due": false', '"evaluation_due": true').encode()
        self.replace_in_checkpoint(folder, "state.json", state)
        code, _, said = self.run_program("train", "--resume", "-o", "cut")
        self.assertEqual(code, 0, said)
        self.assertNotIn("nan", said.lower())
        self.assert_same_run("cut", "whole")

    def replace_in_checkpoint(self, folder, name, content):
        """Another content with a manifest that fits it."""
        import hashlib
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
        path = os.path.join(folder, "manifest.json")
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        for entry in manifest["files"]:
            if entry["name"] == name:
                entry.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        with open(path, "w", encoding="utf-8") as file:
            json.dump(manifest, file)

    def kill_soon(self, draw, *arguments):
        """Starts the program and kills it at a random moment after it has taken a step. Whether it had ended before."""
        before = os.path.getsize(self.path("run/metrics.jsonl")) if os.path.exists(self.path("run/metrics.jsonl")) else 0
        program = subprocess.Popen([PERFORMER, *arguments], cwd=self.folder, stderr=subprocess.DEVNULL)
        began = time.time()
        while time.time() - began < 60 and program.poll() is None:
            if os.path.exists(self.path("run/metrics.jsonl")) and os.path.getsize(self.path("run/metrics.jsonl")) > before:
                break
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.06))
        program.send_signal(signal.SIGKILL)
        return program.wait(60) == 0

    def test_killed_again_and_again_it_ends_with_the_same_bits(self):
        long = ["--set", "train.steps=3000", "--set", "train.eval_interval=7", "--set", "train.keep_checkpoints=2"]
        draw, found = random.Random(5), 0
        for kill in range(30):
            self.assertFalse(self.kill_soon(draw, *self.command, *long, "--resume", "-o", "run"), "it ended before it was killed")
            # Whatever moment of a save that was, nothing is lost that stood there before the last step taken.
            code, out, said = self.run_program("info", "--json", "run")
            self.assertTrue(code == 0 or (code == 3 and found == 0), said)
            now = json.loads(out)["step"] if code == 0 else 0
            self.assertIn(self.last_step("run") - now, (0, 1), kill)
            self.assertGreaterEqual(now, found, kill)
            found = now
        last = found + 3
        self.succeeds("train", "--resume", "-o", "run", "--set", f"train.steps={last}")
        self.succeeds(*self.command, *long, "--set", "train.checkpoint_interval=0", "--set", f"train.steps={last}", "-o", "whole")
        self.assert_same_run("run", "whole", last)
        left = [name for name in os.listdir(self.path("run/checkpoints")) if name.startswith(".")]
        self.assertEqual(left, [])

    def last_step(self, run):
        """The last step whose line is whole."""
        lines = self.read(f"{run}/metrics.jsonl").split("\n")[:-1]
        return max(json.loads(line)["step"] for line in lines)

    def test_a_run_from_a_model_goes_on_without_it(self):
        self.succeeds(*self.command, "-o", "first", "--set", "train.steps=3")
        shutil.copytree(self.checkpoint("first", 3), self.path("model"))
        command = ["train", "--init", "model", "--train", "train.fa", "--set", "train.steps=4", "--set", "train.batch_tokens=96"]
        self.succeeds(*command, "-o", "whole")
        shutil.copytree(self.path("whole"), self.path("run"))
        shutil.rmtree(self.checkpoint("run", 4))
        shutil.rmtree(self.path("model"))
        self.succeeds("train", "--resume", "-o", "run")
        self.assert_same_run("run", "whole", 4)

    def test_a_loss_that_is_no_number_is_6_and_keeps_what_was_saved(self):
        # Weights that grow a millionfold with each step leave float32 within ten.
        code, _, said = self.run_program(*self.command, "-o", "run", "--set", "train.learning_rate=1000", "--set",
                                         "train.weight_decay=1000", "--set", "train.eval_interval=0")
        self.assertEqual(code, 6, said)
        last = said.strip().splitlines()[-1]
        self.assertRegex(last, r"\Aperformer: step \d+: ")
        self.assertRegex(last, r"the loss is -?(nan|inf)|the gradient of \S+ is not finite")
        step = int(last.split("step ")[1].split(":")[0])
        failed = json.loads(self.read("run/failed-step.json"))
        self.assertEqual(failed["step"], step)
        self.assertGreater(len(failed["sequences"]), 0)
        self.assertEqual(set(failed["sequences"][0]), {"tokens", "targets"})
        self.assertEqual(json.loads(self.succeeds("info", "--json", "run"))["step"], step - 1)
        self.assertEqual(self.metrics("run")[-1]["step"], step - 1)

    def test_weights_that_are_no_numbers_are_3_with_their_tensor(self):
        self.succeeds(*self.command, "-o", "run", "--set", "train.steps=1")
        model = self.checkpoint("run", 1)
        with open(os.path.join(model, "model.safetensors"), "rb") as file:
            content = bytearray(file.read())
        header = json.loads(content[8:8 + struct.unpack("<Q", content[:8])[0]])
        start = 8 + struct.unpack("<Q", content[:8])[0] + header["head.weight"]["data_offsets"][0]
        content[start:start + 4] = struct.pack("<f", float("inf"))
        self.replace_in_checkpoint(model, "model.safetensors", bytes(content))
        self.fails(3, "head.weight", "train", "--init", "run", "--train", "train.fa", "-o", "next")
        self.fails(3, "head.weight", "train", "--resume", "-o", "run", "--set", "train.steps=3")

    def test_what_does_not_fit_the_run_is_2_and_named(self):
        self.succeeds(*self.command, "-o", "run", "--set", "train.steps=2")
        before = self.metrics("run")
        resume = ["train", "--resume", "-o", "run"]
        for key, value in (("train.learning_rate", "0.5"), ("train.batch_tokens", "64"), ("attention.kernel", "exp"),
                           ("hidden_dropout", "0"), ("train.schedule", "linear")):
            self.fails(2, key, *resume, "--set", f"{key}={value}")
        self.fails(2, "train.seed", *resume, "--seed", "4")
        self.write("other.fa", ">x\nMKV\n")
        self.fails(2, "the training sequences are not those", *resume, "--train", "other.fa")
        self.fails(2, "the validation sequences are not those", *resume, "--valid", "other.fa")
        # What may change: the same data under another name, steps, intervals.
        shutil.copy(self.path("train.fa"), self.path("copy.fa"))
        self.succeeds(*resume, "--train", "copy.fa", "--set", "train.steps=3", "--set", "train.checkpoint_interval=0",
                      "--set", "train.keep_checkpoints=1", "--set", "compute.matmul=tile")
        self.assertEqual(self.metrics("run")[:2], before[:2])

    def test_two_processes_never_train_one_run(self):
        long = [*self.command, "--set", "train.steps=100000", "--resume", "-o", "run"]
        first = subprocess.Popen([PERFORMER, *long], cwd=self.folder, stderr=subprocess.DEVNULL)
        self.addCleanup(first.wait)
        self.addCleanup(first.kill)
        began = time.time()
        while time.time() - began < 60 and not os.path.exists(self.path("run/latest")):
            time.sleep(0.01)
        self.fails(2, "run is in use by another process", *long)
        first.kill()
        first.wait()
        self.succeeds(*long, "--set", f"train.steps={self.last_step('run') + 2}")

    def test_a_time_limit_ends_with_5_and_resume_goes_on(self):
        code, _, said = self.run_program(*self.command, "-o", "run", "--set", "train.time_limit=0.000001")
        self.assertEqual(code, 5, said)
        self.assertIn("go on with --resume", said)
        self.succeeds("train", "--resume", "-o", "run", "--set", "train.time_limit=0")
        self.succeeds(*self.command, "-o", "whole")
        self.assert_same_run("run", "whole")


if __name__ == "__main__":
    main()
