"""A model with a head for labels in every command that looks at its body; what its head cannot answer is refused."""
import os

import tensors
from program import GOLDEN, main
from task_models import TaskTest

SEQUENCES = os.path.join(GOLDEN, "models", "sequences.fasta")
SHORT = ">a\nMKTAYIAKQRQISFVKSHFS\n>b\nGSHMLEDP\n"
TILE = ["--set", "compute.matmul=tile"]


class TaskModels(TaskTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", SHORT)

    def test_fresh_ones_have_a_head_in_place_of_the_language_model_s(self):
        for settings, outputs in ((("task.type=classification", "task.classes=a,b,c"), 3), (("task.type=regression",), 1)):
            self.succeeds("init", "--preset", "tiny", *[x for s in settings for x in ("--set", s)], "-o", f"m{outputs}")
            file, _ = tensors.safetensors(self.path(f"m{outputs}/model.safetensors"))
            self.assertEqual(file["task.weight"][0], [outputs, 128])
            self.assertEqual(file["task.bias"], ([outputs], [0.0] * outputs))
            self.assertEqual([name for name in file if name.startswith("head.")], [])
            self.assertLess(max(abs(x) for x in file["task.weight"][1]), 0.1)
        self.fails(2, "task.classes", "init", "--preset", "tiny", "--set", "task.type=classification", "-o", "m")
        self.fails(2, "task.type", "init", "--preset", "tiny", "--set", "task.classes=a,b", "-o", "m")
        self.fails(2, "objective", "init", "--preset", "tiny", "--set", "task.type=regression", "--set", "objective=clm", "-o", "m")

    def test_commands_that_look_at_the_body_take_them(self):
        for kind, level in (("classification", "sequence"), ("classification", "residue"), ("regression", "sequence")):
            model = self.model(kind, level, folder=f"{kind}-{level}")
            self.assertIn(kind, self.succeeds("info", model))
            # The body of a fresh model is drawn tensor by tensor: it is that of the language model of the same seed.
            self.succeeds("init", "--config", "small.json", "-o", f"body-{kind}-{level}")
            found = []
            for of in (model, f"body-{kind}-{level}"):
                self.succeeds("embed", of, "in.fa", "-o", "x.npz", *TILE)
                found.append(tensors.npz(self.path("x.npz")))
            self.assertEqual(*found)
            self.succeeds("attention-map", model, "in.fa", "-o", f"maps-{model}", "--sequences", "2")
            self.succeeds("contacts", model, "in.fa", "-o", f"contacts-{model}")
            self.succeeds("approx", model, "in.fa", "-o", f"approx-{model}", "--features", "8", "--draws", "2")

    def test_what_needs_tokens_is_refused(self):
        model = self.model("classification")
        self.write("m.tsv", "mutation\nK2A\n")
        for command in (["logits", model, "in.fa", "-o", "l.npz"], ["score", model, "in.fa"],
                        ["variants", model, "--wild-type", "in.fa", "--mutations", "m.tsv"]):
            self.fails(2, "predict", *command)
        self.fails(2, "task", "export", model, "-o", "out", "--format", "esm")


if __name__ == "__main__":
    main()
