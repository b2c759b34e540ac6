"""performer embed: rows that the head turns into the logits, pools made of them, every format, and runs that were killed."""
import hashlib
import json
import math
import os
import signal
import struct
import subprocess
import time

import tensors
from program import GOLDEN, PERFORMER, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
TILE = ["--set", "compute.matmul=tile"]
D = 32


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


class Embed(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", ">ubi\nMQIFVKTLTGKTITLEVEPSDT\n>one\nM\n>same\nMKVX\n>same\nGIGAVLKVLTTGLPALXSWIKRKRQQ\n")

    def embed(self, *arguments, name="out.npz", **how):
        self.succeeds("embed", *arguments, "-o", name, *TILE, **how)
        self.assertFalse(os.path.exists(self.path(name + ".partial")))
        return tensors.npz(self.path(name))

    def data(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_the_head_makes_logits_of_the_last_layer(self):
        weights, _ = tensors.safetensors(os.path.join(MLM, "model.safetensors"))
        head, bias = weights["head.weight"][1], weights["head.bias"][1]
        rows = self.embed(MLM, "in.fa", "--pool", "none")
        self.succeeds("logits", MLM, "in.fa", "-o", "logits.npz", *TILE)
        logits = tensors.npz(self.path("logits.npz"))
        self.assertEqual([(name, shape) for name, (shape, _) in rows.items()],
                         [("ubi", [22, D]), ("one", [1, D]), ("same", [4, D]), ("same#2", [26, D])])
        for name, (shape, values) in rows.items():
            for i in range(shape[0]):
                for a in range(29):
                    got = bias[a] + sum(head[a * D + d] * values[i * D + d] for d in range(D))
                    self.assertAlmostEqual(got, logits[name][1][(i + 1) * 29 + a], delta=1e-4)  # sums of 32 in float32

    def test_pools_are_made_of_the_rows(self):
        rows = self.embed(MLM, "in.fa", "--pool", "none")
        for pool, make in (("mean", lambda column: f32(math.fsum(column) / len(column))), ("max", max)):
            got = self.embed(MLM, "in.fa", "--pool", pool)
            self.assertEqual(got["ids"], ([4], ["ubi", "one", "same", "same"]))
            self.assertEqual(got["embeddings"][0], [4, D])
            expected = [make(values[d::D]) for _, values in rows.values() for d in range(D)]
            for a, b in zip(got["embeddings"][1], expected):
                self.assertAlmostEqual(a, b, delta=1e-6)  # one rounding to float32
        begin = self.embed(MLM, "in.fa", "--pool", "begin", "--layers", "0")["embeddings"][1]
        self.assertEqual(begin[:D] * 4, begin)  # the embedding sum of begin at position 0 is the same for all

    def test_layers_are_an_axis(self):
        both = self.embed(MLM, "in.fa", "--layers", "0,-1,2")["embeddings"]
        self.assertEqual(both[0], [4, 3, D])
        for place, layer in enumerate(("0", "-1", "2")):
            one = self.embed(MLM, "in.fa", "--layers", layer)["embeddings"]
            self.assertEqual(one[1], [x for n in range(4) for x in both[1][(3 * n + place) * D:(3 * n + place + 1) * D]])
        rows = self.embed(MLM, "in.fa", "--layers", "1,-1", "--pool", "none")
        last = self.embed(MLM, "in.fa", "--pool", "none")
        self.assertEqual(rows["same#2"][0], [2, 26, D])
        self.assertEqual(rows["same#2"][1][26 * D:], last["same#2"][1])

    def test_every_format_holds_the_same(self):
        npz = self.embed(MLM, "in.fa")
        for name in ("out.safetensors", "out.npy", "out.tsv"):
            self.succeeds("embed", MLM, "in.fa", "-o", name, *TILE)
        held, metadata = tensors.safetensors(self.path("out.safetensors"))
        self.assertEqual((held["embeddings"], json.loads(metadata["ids"])), (npz["embeddings"], npz["ids"][1]))
        self.assertEqual(tensors.npy(self.data("out.npy")), npz["embeddings"])
        self.assertEqual(self.read("out.npy.ids.txt").split("\n"), npz["ids"][1] + [""])
        lines = [line.split("\t") for line in self.read("out.tsv").splitlines()]
        self.assertEqual(lines[0], ["id"] + [str(d) for d in range(D)])
        self.assertEqual([f32(float(x)) for line in lines[1:] for x in line[1:]], npz["embeddings"][1])
        rows = self.embed(MLM, "in.fa", "--pool", "none")
        self.succeeds("embed", MLM, "in.fa", "-o", "rows.safetensors", "--pool", "none", *TILE)
        self.assertEqual(tensors.safetensors(self.path("rows.safetensors"))[0], rows)

    def test_batches_and_shards_change_no_bit(self):
        for model in (MLM, CLM):
            whole = self.embed(model, "in.fa")["embeddings"][1]
            self.assertEqual(self.embed(model, "in.fa", "--batch-tokens", "30")["embeddings"][1], whole)
            shard = self.embed(model, "in.fa", "--shard", "2/2")
            self.assertEqual((shard["ids"][1], shard["embeddings"][1]), (["one", "same"], whole[D:2 * D] + whole[3 * D:]))
        self.assertEqual(self.embed(MLM, "in.fa", "--shard", "9/9")["embeddings"][0], [0, D])

    def test_windows_are_put_together(self):
        self.write("long.fa", ">long\n" + "MKVLAT" * 50 + "\n")
        rows = self.embed(MLM, "long.fa", "--long", "window", "--pool", "none")["long"]
        self.assertEqual(rows[0], [300, D])
        mean = self.embed(MLM, "long.fa", "--long", "window")["embeddings"][1]
        for d in range(D):
            self.assertAlmostEqual(mean[d], math.fsum(rows[1][d::D]) / 300, delta=1e-6)
        self.assertEqual(self.embed(MLM, "long.fa", "--pool", "none")["long"], ([127, D], rows[1][:127 * D]))

    def many(self):
        return self.write("many.fa", "".join(f">s{i}\n{'MKVLATGIWE' * (1 + i % 9)}\n" for i in range(400)))

    def kill_in_the_middle(self, number, *arguments):
        program = subprocess.Popen([PERFORMER, "embed", *arguments], cwd=self.folder, stderr=subprocess.PIPE)
        partial = self.path(arguments[arguments.index("-o") + 1] + ".partial")
        while program.poll() is None and not (os.path.exists(partial) and os.path.getsize(partial) > 9000):
            time.sleep(0.002)
        program.send_signal(number)
        error = program.stderr.read().decode()
        program.stderr.close()
        return program.wait(60), error

    def test_killed_runs_go_on_with_the_same_bytes(self):
        self.many()
        self.succeeds("embed", MLM, "many.fa", "-o", "whole.npz", *TILE)
        command = [MLM, "many.fa", "-o", "out.npz", "--batch-tokens", "100", *TILE]
        code, _ = self.kill_in_the_middle(signal.SIGKILL, *command)
        self.assertEqual(code, -signal.SIGKILL)
        self.assertFalse(os.path.exists(self.path("out.npz")))
        with open(self.path("out.npz.partial"), "ab") as file:
            file.write(b"what was being written when the power went")
        code, error = self.kill_in_the_middle(signal.SIGTERM, *command, "--resume")
        if code == 5:  # else it was done before the signal came
            self.assertIn("go on with --resume", error)
        self.succeeds("embed", *command, "--resume")
        self.assertEqual(self.data("out.npz"), self.data("whole.npz"))
        self.assertFalse(os.path.exists(self.path("out.npz.partial")))
        before = os.stat(self.path("out.npz")).st_mtime_ns
        self.succeeds("embed", *command, "--resume")  # all is done
        self.assertEqual(os.stat(self.path("out.npz")).st_mtime_ns, before)

    def test_work_of_another_command_is_not_continued(self):
        self.many()
        command = ["many.fa", "-o", "out.npz", "--batch-tokens", "100", *TILE]
        self.kill_in_the_middle(signal.SIGKILL, MLM, *command)
        self.assertTrue(os.path.exists(self.path("out.npz.partial")))
        self.fails(2, "another model or other options", "embed", MLM, *command, "--resume", "--pool", "max")
        self.fails(2, "another model or other options", "embed", CLM, *command, "--resume")
        self.fails(2, "other sequences", "embed", MLM, "in.fa", *command[1:], "--resume")
        self.succeeds("embed", MLM, "in.fa", *command[1:])  # without --resume it starts anew

    def test_a_file_that_is_there_must_be_of_the_same_model_options_and_sequences(self):
        command = ["in.fa", "-o", "out.npz", *TILE]
        self.embed(MLM, "in.fa")
        with open(self.path("out.npz.manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(manifest["sha256"], hashlib.sha256(self.data("out.npz")).hexdigest())
        self.assertEqual((manifest["file"], manifest["sequences"], manifest["bytes"]), ("out.npz", 4, len(self.data("out.npz"))))
        self.assertEqual(manifest["options"], "pool mean, long crop, shard 1/1, layers -1")
        self.succeeds("embed", MLM, *command, "--resume", "--batch-tokens", "30")  # which changes no bit
        self.fails(2, "made with other options (pool mean, long crop, shard 1/1, layers -1; now pool max",
                   "embed", MLM, *command, "--resume", "--pool", "max")
        self.fails(2, "made by another model", "embed", CLM, *command, "--resume")
        self.write("in.fa", ">ubi\nMQIFVKTLTGKTITLEVEPSDT\n>one\nM\n>same\nMKVX\n>same\nGIGAVLKVLTTGLPALXSWIKRKRQE\n")
        self.fails(2, "made of other sequences", "embed", MLM, *command, "--resume")
        os.remove(self.path("out.npz.manifest.json"))
        self.succeeds("embed", MLM, *command, "--resume")  # of which nothing is known
        self.succeeds("embed", MLM, *command)

    def test_half_precision_is_the_rounded_number_at_half_the_size(self):
        self.write("in.fa", ">ubi\nMQIFVKTLTGKTITLEVEPSDT\n>one\nM\n")
        for arguments in ((), ("--layers", "0,-1"), ("--pool", "none")):
            for ending in (".npz", ".safetensors") + (() if "none" in arguments else (".npy",)):
                self.succeeds("embed", MLM, "in.fa", "-o", "full" + ending, *arguments, *TILE)
                self.succeeds("embed", MLM, "in.fa", "-o", "half" + ending, "--half", *arguments, *TILE)
                read = {".npz": tensors.npz, ".safetensors": lambda path: tensors.safetensors(path)[0],
                        ".npy": lambda path: {"embeddings": tensors.npy(self.data(path))}}[ending]
                full, half = read(self.path("full" + ending)), read(self.path("half" + ending))
                self.assertEqual(list(half), list(full))
                for name in set(full) - {"ids"}:
                    rounded = [struct.unpack("<e", struct.pack("<e", x))[0] for x in full[name][1]]
                    self.assertEqual(half[name], (full[name][0], rounded))
                    self.assertNotEqual(rounded, full[name][1])
        self.assertLess(len(self.data("half.npy")), len(self.data("full.npy")))
        self.fails(2, "a table has no half precision", "embed", MLM, "in.fa", "-o", "x.tsv", "--half")
        self.fails(2, "half precision", "embed", MLM, "in.fa", "-o", "full.npz", "--resume", "--half")

    def test_names_of_any_kind_are_safe(self):
        names = ["a/../../b", "x" * 70000, "x" * 70000, "\u00e9" * 40000, "C:\\d", "-"]
        self.write("names.fa", "".join(f">{name} more words\nMKVLA\n" for name in names))
        expected = ["a/../../b", "x" * 60000, "x" * 60000 + "#2", "\u00e9" * 30000, "C:\\d", "-"]
        self.assertEqual(list(self.embed(MLM, "names.fa", "--pool", "none")), expected)
        self.succeeds("embed", MLM, "names.fa", "-o", "names.safetensors", "--pool", "none", *TILE)
        self.assertEqual(set(tensors.safetensors(self.path("names.safetensors"))[0]), set(expected))
        self.assertEqual(self.embed(MLM, "names.fa")["ids"][1], names)

    def test_wrong_usage_is_2(self):
        self.fails(2, "must end in .npz or .safetensors, .npy or .tsv", "embed", MLM, "in.fa", "-o", "out.h5")
        self.fails(2, "without pooling", "embed", MLM, "in.fa", "-o", "out.npy", "--pool", "none")
        self.fails(2, "layer 3: the model has layers 0", "embed", MLM, "in.fa", "-o", "out.npz", "--layers", "3")
        self.fails(2, "--pool", "embed", MLM, "in.fa", "-o", "out.npz", "--pool", "sum")

    def test_wrong_input_is_3_and_unwritable_output_1(self):
        self.write("bad.fa", ">a\nMKV\n>b\nMK1\n")
        before = self.embed(MLM, "in.fa")
        self.fails(3, "bad.fa: line 4", "embed", MLM, "bad.fa", "-o", "out.npz")
        self.fails(3, "none.fa", "embed", MLM, "none.fa", "-o", "out.npz")
        self.fails(3, "nowhere", "embed", "nowhere", "in.fa", "-o", "out.npz")
        self.assertEqual(tensors.npz(self.path("out.npz")), before)
        self.fails(1, "nowhere/out.npz", "embed", MLM, "in.fa", "-o", "nowhere/out.npz")


if __name__ == "__main__":
    main()
