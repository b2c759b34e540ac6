"""Fine-tuning with low-rank adapters: less loss from few numbers, the same bits with interruptions, and models that every command takes."""
import json
import os
import random

import tensors
from program import GOLDEN, DeviceTest, main

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
         "hidden_dropout": 0.1, "attention": {"num_features": 8}, "train": {"steps": 20, "batch_tokens": 640, "learning_rate": 0.01}}
LORA = ("--set", "lora.rank=4", "--set", "lora.targets=query,value,layers.1.feed_forward.*")
TILE = ("--set", "compute.matmul=tile")


class Lora(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        for name, letters, count in (("some", "ACDEFGHIKLMNPQRSTVWY", 80), ("other", "AAAALLLLLGKEE", 80), ("valid", "AAAALLLLLGKEE", 30)):
            proteins = ["".join(draw.choices(letters, k=draw.randint(10, 38))) for _ in range(count)]
            self.write(f"{name}.fa", "".join(f">{name}{i}\n{p}\n" for i, p in enumerate(proteins)))
        self.write("small.json", json.dumps(SMALL))
        self.succeeds("train", "--config", "small.json", "--train", "some.fa", "--valid", "valid.fa", "-o", "base", *TILE)

    def tune(self, run, *arguments, init="base", steps=30):
        self.succeeds("train", "--config", "small.json", "--init", init, "--train", "other.fa", "--valid", "valid.fa", "-o", run,
                      "--set", f"train.steps={steps}", *TILE, *arguments)

    def model(self, run, step):
        return tensors.safetensors(self.path(f"{run}/checkpoints/step-{step:012d}/model.safetensors"))[0]

    def valid_loss(self, run):
        return [line["valid_loss"] for line in map(json.loads, self.read(f"{run}/metrics.jsonl").splitlines()) if "valid_loss" in line][-1]

    def test_adapters_learn_while_the_weights_stay(self):
        self.tune("tuned", *LORA)
        self.assertLess(self.valid_loss("tuned"), self.valid_loss("base") - 0.2)
        before, after = self.model("base", 20), self.model("tuned", 30)
        self.assertEqual({name: after[name] for name in before}, before)
        added = {f"layers.{n}.{module}.lora_{way}.weight" for way in ("down", "up") for n, module in
                 ((0, "attention.query"), (0, "attention.value"), (1, "attention.query"), (1, "attention.value"), (1, "feed_forward.up"),
                  (1, "feed_forward.down"))}
        self.assertEqual(set(after) - set(before), added)
        self.assertEqual(after["layers.1.feed_forward.up.lora_down.weight"][0], [4, 32])
        self.assertEqual(after["layers.1.feed_forward.up.lora_up.weight"][0], [48, 4])
        moments, _ = tensors.safetensors(self.path("tuned/checkpoints/step-000000000030/optimizer.safetensors"))
        self.assertEqual(set(moments), {f"{name}.{moment}" for name in added for moment in "mv"})
        # What lora.also names moves, and nothing else does.
        self.tune("more", *LORA, "--set", "lora.also=head.*,*norm.weight", steps=2)
        after = self.model("more", 2)
        moved = {name for name in before if after[name] != before[name]}
        self.assertEqual(moved, {name for name in before if name.startswith("head.") or name.endswith("norm.weight")})

    def test_the_beginning_is_the_model_and_going_on_gives_the_same_bits(self):
        self.tune("whole", *LORA, "--set", "train.checkpoint_interval=1", "--set", "train.keep_checkpoints=99", steps=5)
        # The checkpoint of step 0 holds the model that was given.
        self.succeeds("export", "whole/checkpoints/step-000000000000", "--format", "performer", "-o", "first")
        for model in ("base", "first"):
            self.succeeds("logits", model, "valid.fa", "-o", f"{model}.npz", *TILE)
        self.assertEqual(tensors.npz(self.path("first.npz")), tensors.npz(self.path("base.npz")))
        self.tune("parts", *LORA, steps=2)
        self.tune("parts", *LORA, "--resume", steps=5)
        for file in ("model", "optimizer"):
            name = f"checkpoints/step-000000000005/{file}.safetensors"
            self.assertEqual(tensors.safetensors(self.path(f"parts/{name}")), tensors.safetensors(self.path(f"whole/{name}")))
        self.fails(2, "lora.rank", "train", "--train", "other.fa", "-o", "parts", "--resume", "--set", "lora.rank=2")

    def test_every_command_takes_it_and_merged_it_is_a_plain_model(self):
        self.tune("tuned", *LORA)
        self.succeeds("export", "tuned", "--format", "performer", "-o", "plain")
        self.assertEqual(set(tensors.safetensors(self.path("plain/model.safetensors"))[0]), set(self.model("base", 20)))
        self.assertNotIn("lora", json.loads(self.read("plain/config.json")))
        for command in ("score", "eval"):
            kept, merged = (self.succeeds(command, model, "valid.fa", *TILE) for model in ("tuned", "plain"))
            self.assertEqual(kept, merged)
        for model in ("tuned", "plain"):
            self.succeeds("embed", model, "valid.fa", "-o", f"{model}.npz", *TILE)
        self.assertEqual(tensors.npz(self.path("tuned.npz")), tensors.npz(self.path("plain.npz")))
        # In training W' is made on the device, rounded once more: the loss of tens of tokens keeps five digits.
        loss = json.loads(self.succeeds("eval", "tuned", "valid.fa", "--json", *TILE))["loss"]
        self.assertAlmostEqual(loss, self.valid_loss("tuned"), delta=1e-4)
        facts = json.loads(self.succeeds("info", "tuned", "--json"))
        self.assertEqual(facts["config"]["lora"]["rank"], 4)
        weights, s = self.model("tuned", 30), 16 / 4
        merged, _ = tensors.safetensors(self.path("plain/model.safetensors"))
        name, down, up = (f"layers.1.feed_forward.down{part}.weight" for part in ("", ".lora_down", ".lora_up"))
        for j in range(32):
            for i in range(48):
                product = sum(weights[up][1][j * 4 + k] * weights[down][1][k * 48 + i] for k in range(4))
                self.assertAlmostEqual(merged[name][1][j * 48 + i], weights[name][1][j * 48 + i] + s * product, delta=1e-7)  # one rounding

    def test_a_model_with_adapters_is_a_beginning(self):
        self.tune("tuned", *LORA)
        self.succeeds("export", "tuned", "--format", "performer", "-o", "plain")
        held, plain = self.model("tuned", 30), tensors.safetensors(self.path("plain/model.safetensors"))[0]
        # The same adapters go on, others begin from the merged weights, and without any all weights are trained.
        self.tune("on", init="tuned", steps=1)
        first = self.model("on", 0)
        self.assertEqual(first, held)
        self.tune("new", "--set", "lora.rank=2", init="tuned", steps=1)
        first = self.model("new", 0)
        self.assertEqual({name: first[name] for name in plain}, plain)
        self.assertEqual(set(first["layers.0.attention.query.lora_up.weight"][1]), {0})
        self.tune("all", "--set", "lora.rank=0", init="tuned", steps=1)
        self.assertEqual(self.model("all", 0), plain)
        self.assertFalse({name for name in plain if self.model("all", 1)[name] == plain[name]} - {
            "layers.0.attention.projection", "layers.1.attention.projection"})

    def test_adapters_alone_are_a_file_for_peft(self):
        self.succeeds("import", os.path.join(GOLDEN, "hf", "esm"), "-o", "esm")
        tune = ("train", "--init", "esm", "--train", "other.fa", "--set", "train.steps=2", "--set", "lora.rank=4", *TILE)
        self.succeeds(*tune, "-o", "run", "--set", "lora.targets=value,layers.1.feed_forward.down", "--set", "lora.alpha=8")
        self.succeeds("export", "run", "--format", "peft", "-o", "alone")
        held, kept = self.model("run", 2), tensors.safetensors(self.path("alone/adapter_model.safetensors"))[0]
        modules = {f"esm.encoder.layer.{n}.attention.self.value": f"layers.{n}.attention.value" for n in (0, 1)}
        modules["esm.encoder.layer.1.output.dense"] = "layers.1.feed_forward.down"
        self.assertEqual(kept, {f"base_model.model.{theirs}.{way}.weight": held[f"{ours}.{name}.weight"] for theirs, ours in modules.items()
                                for way, name in (("lora_A", "lora_down"), ("lora_B", "lora_up"))})
        config = json.loads(self.read("alone/adapter_config.json"))
        self.assertEqual((config["peft_type"], config["r"], config["lora_alpha"]), ("LORA", 4, 8))
        self.assertEqual(set(config["target_modules"]), set(modules))
        self.fails(2, "esm: has no adapters", "export", "esm", "--format", "peft", "-o", "x")
        self.fails(2, "attention.type", "export", self.favor(), "--format", "peft", "-o", "x")
        self.succeeds(*tune, "-o", "more", "--set", "lora.also=head.*")
        self.fails(2, "but head.* was trained", "export", "more", "--format", "peft", "-o", "x")

    def favor(self):
        self.succeeds("train", "--init", "esm", "--train", "other.fa", "--set", "train.steps=1", "--set", "lora.rank=1", "-o", "favor",
                      "--set", "attention.type=favor", "--set", "attention.kernel=softmax", *TILE)
        return "favor"

    def test_what_is_wrong_is_said_and_leaves_nothing(self):
        tune = ("train", "--init", "base", "--train", "other.fa", "-o", "run")
        self.fails(2, "expected query, key, value, output, up, down", *tune, "--set", "lora.rank=2", "--set", "lora.targets=queries")
        self.fails(2, "lora.targets has no meaning", *tune, "--set", "lora.targets=query")
        self.fails(2, "heads.*", *tune, "--set", "lora.rank=2", "--set", "lora.also=heads.*")
        self.fails(2, "lora.also: layers.0.attention.query.weight has adapters", *tune, "--set", "lora.rank=2", "--set", "lora.also=*")
        self.fails(2, "leaves no tensor to train", *tune, "--set", "lora.rank=2", "--set", "train.freeze=*")
        self.assertFalse(os.path.exists(self.path("run")))


if __name__ == "__main__":
    main()
