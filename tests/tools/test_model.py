"""performer init and info: a model from nothing, the same from the same seed, and all that is wrong with one is found."""
import hashlib
import json
import os
import shutil

from program import GOLDEN, ProgramTest, main

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64,
         "attention": {"num_features": 8}}


class Model(ProgramTest):
    def init(self, folder, *arguments):
        self.write("small.json", json.dumps(SMALL))
        self.succeeds("init", "--config", "small.json", "-o", folder, *arguments)
        return json.loads(self.succeeds("info", "--json", folder))

    def digest(self, name):
        with open(self.path(name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def test_a_model_is_a_function_of_configuration_and_seed(self):
        for folder, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            self.init(folder, "--seed", seed)
        self.assertEqual(sorted(os.listdir(self.path("a"))), ["config.json", "model.safetensors"])
        self.assertEqual(self.digest("a/model.safetensors"), self.digest("b/model.safetensors"))
        self.assertNotEqual(self.digest("a/model.safetensors"), self.digest("c/model.safetensors"))

    def test_info_says_what_is_there(self):
        info = self.init("m", "--set", "attention.kernel=softmax", "--set", "objective=clm")
        self.assertEqual((info["format"], info["objective"], info["step"]), ("performer-1", "clm", None))
        self.assertEqual(info["config"]["attention"]["kernel"], "softmax")
        self.assertEqual(info["config"]["hidden_size"], 32)
        shapes = {tensor["name"]: tensor["shape"] for tensor in info["tensors"]}
        self.assertEqual(shapes["layers.1.feed_forward.up.weight"], [48, 32])
        self.assertEqual(shapes["layers.0.attention.projection"], [8, 16])
        numbers = 0
        for name, shape in shapes.items():
            if not name.endswith("projection"):
                numbers += shape[0] * (shape[1] if len(shape) > 1 else 1)
        self.assertEqual(info["parameters"], numbers)
        for file in info["files"]:
            self.assertEqual(file["sha256"], self.digest("m/" + file["name"]))
            self.assertEqual(file["bytes"], os.path.getsize(self.path("m/" + file["name"])))
        self.assertEqual({file["name"] for file in info["files"]}, {"config.json", "model.safetensors"})
        table = self.succeeds("info", "m")
        self.assertIn("2 layers, width 32, 2 heads of 16", table)
        self.assertIn("FAVOR, kernel softmax, 8 features, causal", table)

    def test_every_preset_is_a_configuration(self):
        names = [line.split()[0] for line in self.succeeds("init", "--help").split("Presets:\n")[1].split("\n\n")[0].splitlines()]
        self.assertEqual(names, ["tiny", "small", "base", "large", "paper"])
        self.succeeds("init", "--preset", "tiny", "-o", "tiny")
        self.assertIn("tiny", self.succeeds("info", "tiny"))

    def test_golden_models_are_described(self):
        models = os.path.join(GOLDEN, "models")
        for name in sorted(os.listdir(models)):
            if os.path.isdir(os.path.join(models, name)):
                info = json.loads(self.succeeds("info", "--json", os.path.join(models, name)))
                self.assertEqual(info["objective"], name[:3])

    def test_wrong_configurations_are_2_and_leave_nothing(self):
        self.write("small.json", json.dumps(SMALL))
        self.fails(2, "either --config FILE or --preset NAME", "init", "-o", "m")
        self.fails(2, "either --config FILE or --preset NAME", "init", "--config", "small.json", "--preset", "tiny", "-o", "m")
        self.fails(2, "--output DIR is missing", "init", "--preset", "tiny")
        self.fails(2, "tiny", "init", "--preset", "tyni", "-o", "m")
        self.fails(2, "hidden_size", "init", "--config", "small.json", "--set", "hidden_siez=3", "-o", "m")
        self.fails(2, "num_attention_heads", "init", "--config", "small.json", "--set", "num_attention_heads=5", "-o", "m")
        self.fails(2, "bad.json", "init", "--config", self.write("bad.json", "{"), "-o", "m")
        self.fails(2, "none.json", "init", "--config", "none.json", "-o", "m")
        os.mkdir(self.path("used"))
        self.write("used/x", "")
        self.fails(2, "is not empty", "init", "--preset", "tiny", "-o", "used")

    def test_what_is_wrong_with_a_model_is_3(self):
        self.init("m")
        self.fails(3, "none", "info", "none")
        self.fails(2, "usage: performer info", "info")
        self.fails(2, "one argument too many", "info", "m", "m")
        shutil.copytree(self.path("m"), self.path("cut"))
        with open(self.path("cut/model.safetensors"), "r+b") as file:
            file.truncate(1000)
        self.fails(3, "model.safetensors", "info", "cut")
        shutil.copytree(self.path("m"), self.path("other"))
        config = json.loads(self.read("other/config.json"))
        config["hidden_size"] = 64
        self.write("other/config.json", json.dumps(config))
        self.fails(3, "embed.token.weight", "info", "other")
        self.write("other/config.json", "{}")
        self.fails(3, "config.json", "info", "other")
        os.remove(self.path("cut/model.safetensors"))
        self.fails(3, "cut", "info", "cut")


if __name__ == "__main__":
    main()
