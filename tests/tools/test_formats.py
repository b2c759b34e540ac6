"""Every file of numbers that the program writes is read back by NumPy and by the safetensors package: the same names, types, shapes and
bits as by a reading of its own (tensors.py), and the numbers are those that other files and formats have. Tables are read by csv."""
import csv
import hashlib
import json
import os
import subprocess

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM, CLM = os.path.join(MODELS, "mlm-learned-relu"), os.path.join(MODELS, "clm-rotary-softmax")
ESM = os.path.join(GOLDEN, "hf", "esm")
TILE = ["--set", "compute.matmul=tile"]
# Ids with what breaks files elsewhere: slashes, dots, quotes, letters beyond ASCII, one twice, one that looks like its second name.
IDS = ["sp|P1|A_B", "a", "a", "a#2", "x/y/../z", "ünal", "日本", "=1+1", '"q"', ".", "n" * 300]
FASTA = "".join(f">{id} some words\n{'MKVLATGIWE'[: 1 + i % 5] * (1 + i)}\n" for i, id in enumerate(IDS))

# {path: [{name: [type, shape, bytes]}, metadata]} as the package has it
READ = """
import json, sys
from safetensors import safe_open
found = {}
for path in sys.argv[1:]:
    with safe_open(path, "np") as file:
        values = {name: file.get_tensor(name) for name in file.keys()}
        found[path] = [{n: [str(t.dtype), list(t.shape), t.tobytes().hex()] for n, t in values.items()}, file.metadata()]
print(json.dumps(found))
"""
TYPES = {"F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "U8": "uint8", "U32": "uint32"}


class Formats(DeviceTest):
    def setUp(self):
        super().setUp()
        self.np = self.needs_module("numpy", "python3-numpy")
        self.write("in.fa", FASTA)

    def npz(self, name):
        """NumPy's reading, which is this one's; {name: array} in the order of the file."""
        with self.np.load(self.path(name)) as file:  # allow_pickle is off
            found = {key: file[key] for key in file.files}
        own = tensors.npz(self.path(name))
        self.assertEqual([key + ".npy" for key in found], [key if key.endswith(".npy") else key + ".npy" for key in own])
        for array, (shape, numbers) in zip(found.values(), own.values()):
            self.assertEqual((list(array.shape), array.ravel().tolist()), (shape, numbers))
        return found

    def npy(self, name):
        array = self.np.load(self.path(name))
        with open(self.path(name), "rb") as file:
            self.assertEqual((list(array.shape), array.ravel().tolist()), tensors.npy(file.read()))
        return array

    def safetensors(self, *names):
        """The package's reading of each file, which is this one's; [({name: array}, metadata)]."""
        python = self.needs_python("safetensors", "tests/support/safetensors-python")
        paths = [self.path(name) for name in names]
        done = subprocess.run([python, "-c", READ, *paths], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        read, arrays = json.loads(done.stdout), []
        for path in paths:
            found, metadata = read[path]
            own = {name: [TYPES[kind], shape, data.hex()] for name, (kind, shape, data) in tensors.read_raw(path).items()}
            self.assertEqual(found, own, path)
            arrays.append(({name: self.np.frombuffer(bytes.fromhex(data), kind).reshape(shape)
                            for name, (kind, shape, data) in found.items()}, metadata or {}))
        return arrays

    def table(self, name):
        """Rows as {column: text}; each row has every column."""
        with open(self.path(name), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
        for row in rows:
            self.assertNotIn(None, row)
            self.assertNotIn(None, row.values())
        return rows

    def same(self, a, b):
        self.assertEqual((a.dtype, a.shape, a.tobytes()), (b.dtype, b.shape, b.tobytes()))

    def test_pooled_embeddings_are_the_same_in_all_formats(self):
        for ending in ("npz", "safetensors", "npy", "tsv"):
            self.succeeds("embed", MLM, "in.fa", "-o", "e." + ending, *TILE)
        whole = self.npz("e.npz")
        x = whole["embeddings"]
        self.assertEqual((x.shape, x.dtype.str, whole["ids"].tolist()), ((len(IDS), 32), "<f4", IDS))
        (found, metadata), = self.safetensors("e.safetensors")
        self.same(found["embeddings"], x)
        self.assertEqual(json.loads(metadata["ids"]), IDS)
        self.same(self.npy("e.npy"), x)
        self.assertEqual(self.read("e.npy.ids.txt").splitlines(), IDS)
        rows = self.table("e.tsv")
        self.assertEqual([row["id"] for row in rows], IDS)
        self.same(self.np.array([[row[str(i)] for i in range(32)] for row in rows]).astype("f8").astype("<f4"), x)
        for ending in ("npz", "safetensors", "npy", "tsv"):
            with open(self.path("e." + ending), "rb") as file, open(self.path(f"e.{ending}.manifest.json"), encoding="utf-8") as about:
                self.assertEqual(json.load(about)["sha256"], hashlib.sha256(file.read()).hexdigest())

    def test_residues_have_a_tensor_each_and_their_mean_is_the_pooled_row(self):
        names = ["sp|P1|A_B", "a", "a#2", "a#2#2", *IDS[4:]]
        for ending in ("npz", "safetensors"):
            self.succeeds("embed", MLM, "in.fa", "--pool", "none", "-o", "r." + ending, *TILE)
        self.succeeds("embed", MLM, "in.fa", "-o", "e.npy", *TILE)
        rows = self.npz("r.npz")
        self.assertEqual(list(rows), names)
        (found, _), = self.safetensors("r.safetensors")
        self.assertEqual(sorted(found), sorted(names))
        for name, pooled in zip(names, self.npy("e.npy")):
            self.same(found[name], rows[name])
            # fp32 sums of at most 55 numbers of about 1
            self.assertLess(abs(rows[name].astype("f8").mean(0) - pooled).max(), 1e-5)
            self.assertGreater(abs(rows[name].astype("f8").mean(0) * 1.0001 - pooled).max(), 1e-5)  # the twin

    def test_half_precision_is_the_nearest_number_of_16_bits(self):
        for pool in ("mean", "none"):
            for half in ([], ["--half"]):
                for ending in ("npz", "safetensors"):
                    self.succeeds("embed", MLM, "in.fa", "--pool", pool, "--layers", "0,-1", *half, "-o", f"{pool}{len(half)}.{ending}", *TILE)
            exact, rounded = self.npz(pool + "0.npz"), self.npz(pool + "1.npz")
            (found, _), = self.safetensors(pool + "1.safetensors")
            for name, x in exact.items():
                if name == "ids":
                    continue
                self.assertEqual(rounded[name].dtype.str, "<f2")
                self.same(rounded[name], x.astype("<f2"))
                self.same(found[name], rounded[name])

    def test_logits_are_the_same_in_both_formats(self):
        for ending in ("npz", "safetensors"):
            self.succeeds("logits", MLM, "in.fa", "-o", "l." + ending, *TILE)
        arrays = self.npz("l.npz")
        (found, _), = self.safetensors("l.safetensors")
        self.assertEqual(sorted(found), sorted(arrays))
        for name, x in arrays.items():
            self.assertEqual(x.shape[1], 29)
            self.same(found[name], x)
        expected, _ = tensors.safetensors(os.path.join(MLM, "expected.safetensors"))  # by an independent program
        self.succeeds("logits", MLM, os.path.join(MODELS, "sequences.fasta"), "-o", "g.npz", *TILE)
        for name, x in self.npz("g.npz").items():
            self.assertLess(abs(x.astype("f8") - self.np.array(expected[name][1]).reshape(expected[name][0])).max(), 1e-4)

    def test_files_without_a_record_and_with_one(self):
        self.write("one.fa", ">one\nMKTAY\n")
        for shard, ids in (("2/3", []), ("1/3", ["one"])):
            given = [MLM, "one.fa", "--shard", shard, *TILE]
            for ending in ("npz", "safetensors", "npy", "tsv"):
                self.succeeds("embed", *given, "-o", "e." + ending)
            for ending in ("npz", "safetensors"):
                self.succeeds("embed", *given, "--pool", "none", "-o", "r." + ending)
                self.succeeds("logits", *given, "-o", "l." + ending)
            pooled = self.npz("e.npz")
            self.assertEqual((pooled["embeddings"].shape, pooled["ids"].tolist()), ((len(ids), 32), ids))
            self.assertEqual(self.npy("e.npy").shape, (len(ids), 32))
            self.assertEqual(self.read("e.npy.ids.txt").splitlines(), ids)
            self.assertEqual([row["id"] for row in self.table("e.tsv")], ids)
            self.assertEqual((list(self.npz("r.npz")), list(self.npz("l.npz"))), (ids, ids))
            (e, metadata), (r, _), (l, _) = self.safetensors("e.safetensors", "r.safetensors", "l.safetensors")
            self.assertEqual((e["embeddings"].shape, json.loads(metadata["ids"]), list(r), list(l)), ((len(ids), 32), ids, ids, ids))

    def test_maps_and_contacts(self):
        self.succeeds("attention-map", MLM, "in.fa", "-o", "maps", "--sequences", "3", *TILE)
        self.succeeds("contacts", MLM, "in.fa", "-o", "contacts", *TILE)
        rows = self.table("maps/maps.tsv")
        self.assertEqual([row["id"] for row in rows], IDS[:3])
        for row in rows:
            weights = self.npy(f"maps/{row['file']}.npy")
            tokens = int(row["tokens"])
            self.assertEqual((weights.shape, weights.dtype.str), ((2, 4, tokens, tokens), "<f4"))
            self.assertLess(abs(weights.astype("f8").sum(3) - 1).max(), 1e-5)  # rows of at most 13 rounded numbers
        files = sorted((name for name in os.listdir(self.path("contacts")) if name.endswith(".npy")), key=lambda n: int(n.split("-")[0]))
        self.assertEqual(len(files), len(IDS))
        best = self.table("contacts/contacts.tsv")
        for i, name in enumerate(files):
            scores = self.npy("contacts/" + name)
            n = (1 + i % 5) * (1 + i)
            self.assertEqual((scores.shape, scores.dtype.str), ((n, n), "<f4"))
            self.same(scores, self.np.ascontiguousarray(scores.T))
            if IDS.count(IDS[i]) > 1:
                continue
            for row in (row for row in best if row["id"] == IDS[i]):
                self.assertAlmostEqual(float(row["score"]), float(scores[int(row["i"]) - 1, int(row["j"]) - 1]), delta=1e-6)

    def test_a_run_directory(self):
        data = os.path.join(GOLDEN, "training", "train.fasta")
        self.succeeds("train", "--init", CLM, "--train", data, "--valid", data, "-o", "run", "--set", "train.steps=2",
                      "--set", "train.checkpoint_interval=1", *TILE)
        steps = sorted(os.listdir(self.path("run/checkpoints")))
        names = [f"run/checkpoints/{step}/{name}.safetensors" for step in steps for name in ("model", "optimizer")]
        read = dict(zip(names, self.safetensors(*names)))
        first, last = (read[f"run/checkpoints/{step}/model.safetensors"][0] for step in (steps[0], steps[-1]))
        self.assertEqual({name: x.shape for name, x in last.items()}, {name: x.shape for name, x in first.items()})
        self.assertTrue(any((first[name] != last[name]).any() for name in first))
        for step in steps:
            for entry in json.loads(self.read(f"run/checkpoints/{step}/manifest.json"))["files"]:
                with open(self.path(f"run/checkpoints/{step}/{entry['name']}"), "rb") as file:
                    self.assertEqual(hashlib.sha256(file.read()).hexdigest(), entry["sha256"])
            json.loads(self.read(f"run/checkpoints/{step}/config.json")), json.loads(self.read(f"run/checkpoints/{step}/state.json"))
        self.assertEqual(self.read("run/latest").strip(), steps[-1])
        for line in self.read("run/metrics.jsonl").splitlines():
            self.assertIn("step", json.loads(line))

    def test_a_saved_state(self):
        prompt = "MKTAYIAKQRQISFVKSHFS" * 6
        self.succeeds("generate", CLM, "--prompt", prompt, "-n", "0", "--save-state", "s.safetensors", *TILE)
        (found, metadata), = self.safetensors("s.safetensors")
        letters = "ACDEFGHIKLMNPQRSTVWYBOUXZ"
        residues = [letters.index(c) for c in prompt]
        self.assertEqual(found["tokens"].ravel().tolist()[-len(residues):], residues)
        self.assertEqual(metadata["format"], "performer-state-1")
        config = json.loads(self.read(os.path.join(CLM, "config.json")))
        H, E = config["num_attention_heads"], config["hidden_size"] // config["num_attention_heads"]
        for layer in range(config["num_hidden_layers"]):
            state = found[f"layers.{layer}.attention.state"]
            self.assertEqual((state.shape[0], state.shape[2]), (H, E + 1))
            self.assertTrue((state[:, :, E] > 0).all())  # sums of features of keys alone

    def test_models_that_are_imported_and_exported(self):
        self.succeeds("import", ESM, "-o", "esm")
        self.succeeds("export", "esm", "-o", "out")
        (ours, _), (theirs, metadata) = self.safetensors("esm/model.safetensors", "out/model.safetensors")
        source, _ = tensors.safetensors(os.path.join(ESM, "model.safetensors"))
        self.assertEqual(metadata["format"], "pt")
        for name, x in theirs.items():
            if name in source and "position" not in name:
                self.assertEqual((list(x.shape), x.ravel().tolist()), source[name])
        self.same(ours["layers.1.attention.query.weight"], theirs["esm.encoder.layer.1.attention.self.query.weight"])
        self.assertEqual(json.loads(self.read("out/config.json"))["architectures"], ["EsmForMaskedLM"])

    def test_what_numpy_writes_is_read_or_refused_with_what_to_do(self):
        np = self.np
        x = np.random.default_rng(1).standard_normal((1, 2, 5, 4))
        given = ["attend", "--query", "x.npy", "--key", "x.npy", "--value", "x.npy", "--exact", "-o", "o.npy"]
        weights = np.exp(x @ x.swapaxes(2, 3) / 2)
        expected = weights / weights.sum(3, keepdims=True) @ x
        for kind in ("<f4", "<f8"):
            np.save(self.path("x.npy"), x.astype(kind))
            self.succeeds(*given)
            out = self.npy("o.npy")
            self.assertEqual((out.shape, out.dtype.str), (x.shape, "<f4"))
            self.assertLess(abs(out - expected).max(), 1e-5)  # float32, numbers of about 1
        for array, says in ((x.astype(">f4"), "save x.astype('<f4')"), (x.astype("<f2"), "save x.astype('float32')"),
                            (np.asfortranarray(x.astype("<f4")), "numpy.ascontiguousarray"), (x.astype("i8"), "expected '<f4' or '<f8'")):
            np.save(self.path("x.npy"), array)
            self.fails(3, says, *given)

    def test_tables(self):
        self.write("wt.fa", ">p\nMKTAYIAK\n")
        self.succeeds("score", MLM, "in.fa", "-o", "s.tsv", *TILE)
        self.assertEqual([(row["id"], int(row["length"])) for row in self.table("s.tsv")],
                         [(id, (1 + i % 5) * (1 + i)) for i, id in enumerate(IDS)])
        self.succeeds("variants", MLM, "--wild-type", "wt.fa", "--scan", "-o", "v.tsv", *TILE)
        rows = self.table("v.tsv")
        self.assertEqual(len(rows), 8 * 19)
        self.succeeds("logits", MLM, "wt.fa", "-o", "l.npz", *TILE)
        logits, letters = self.npz("l.npz")["p"].astype("f8"), "ACDEFGHIKLMNPQRSTVWY"
        for row in rows:
            old, at, new = row["mutation"][0], int(row["mutation"][1:-1]), row["mutation"][-1]
            difference = logits[at, letters.index(new)] - logits[at, letters.index(old)]
            self.assertAlmostEqual(float(row["score"]), difference, delta=1e-5)  # float32 logits of about 1
            self.assertNotAlmostEqual(float(row["score"]), difference + 2e-5, delta=1e-5)  # the twin


if __name__ == "__main__":
    main()
