"""Small models with a head for labels that says something."""
import json
import random
import struct

from program import DeviceTest

D = 32
SMALL = {"hidden_size": D, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "max_position_embeddings": 40,
         "attention": {"num_features": 8}}


class TaskTest(DeviceTest):
    def model(self, kind, level="sequence", classes=("no", "yes"), folder="m"):
        """A model with a task whose head says something: a fresh one's weights are too small to tell classes apart."""
        self.write("small.json", json.dumps(SMALL))
        settings = {"task.type": kind, "task.level": level}
        if kind == "classification":
            settings["task.classes"] = ",".join(classes)
        else:
            settings |= {"task.mean": "-3.5", "task.deviation": "20"}
        self.succeeds("init", "--config", "small.json", "-o", folder, *[x for k, v in settings.items() for x in ("--set", f"{k}={v}")])
        path = self.path(folder + "/model.safetensors")
        with open(path, "rb") as file:
            data = bytearray(file.read())
        length, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + length])
        draw = random.Random(1)
        for name in ("task.weight", "task.bias"):
            begin, end = (8 + length + x for x in header[name]["data_offsets"])
            for at in range(begin, end, 4):
                data[at:at + 4] = struct.pack("<f", draw.gauss(0, 0.5))
        with open(path, "wb") as file:
            file.write(data)
        return folder
