"""What the tests of `performer ablate` share: random proteins, a small model, tables and pictures."""
import json
import random
import xml.etree.ElementTree

from program import DeviceTest

SMALL = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
         "hidden_dropout": 0, "attention": {"num_features": 8}, "train": {"batch_tokens": 160}}


class AblationTest(DeviceTest):
    def setUp(self):
        super().setUp()
        draw = random.Random(1)
        proteins = ["".join(draw.choices("ACDEFGHIKLMNPQRSTVWY", k=draw.randint(5, 60))) for _ in range(60)]
        self.write("train.fa", "".join(f">t{i}\n{p}\n" for i, p in enumerate(proteins[:40])))
        self.write("valid.fa", "".join(f">v{i}\n{p}\n" for i, p in enumerate(proteins[40:])))
        self.write("small.json", json.dumps(SMALL))
        self.data = ("--train", "train.fa", "--valid", "valid.fa")
        self.small = ("--config", "small.json", *self.data)

    def table(self, path):
        lines = [line.split("\t") for line in self.read(path).splitlines() if not line.startswith("#")]
        return [dict(zip(lines[0], line)) for line in lines[1:]]

    def metrics(self, run):
        lines = [json.loads(line) for line in self.read(f"{run}/metrics.jsonl").splitlines()]
        return [{key: value for key, value in line.items() if key not in ("time", "tokens_per_s")} for line in lines]

    def picture(self, path):
        return " ".join(xml.etree.ElementTree.parse(self.path(path)).getroot().itertext())
