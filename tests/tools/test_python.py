"""The Python module gives what the program gives, as NumPy arrays, and turns errors into exceptions.

usage: test_python.py PERFORMER LIBRARY [PART-OF-A-NAME]
"""
import gc
import importlib.util
import os
import pathlib
import subprocess
import sys
import warnings

import tensors
from program import GOLDEN, TWO, DeviceTest, main

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LIBRARY = os.path.abspath(sys.argv.pop(2))
MODELS = os.path.join(GOLDEN, "models")
MLM, CLM = os.path.join(MODELS, "mlm-learned-relu"), os.path.join(MODELS, "clm-rotary-softmax")
TILE = {"compute.matmul": "tile"}
SEQUENCES = ["MKTAYIAKQRQISFVKSHFS", "GSHMLEDP"]

# A program that prints the size of each struct and the place of each of its members, as the headers have them.
PLACES = """#include <stddef.h>
#include <stdio.h>
%s
int main(void)
{
%s    return 0;
}
"""


class Python(DeviceTest):
    module = device = None

    def setUp(self):
        super().setUp()
        self.numpy = self.needs_module("numpy", "python3-numpy")
        if not Python.module:
            os.environ["PERFORMER_LIBRARY"] = LIBRARY
            spec = importlib.util.spec_from_file_location("performer", os.path.join(SOURCE, "tools", "performer.py"))
            Python.module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(Python.module)
            Python.device = Python.module.Device()
        self.write("in.fa", TWO)

    def model(self, path=MLM, **how):
        model = self.module.Model(path, device=self.device, settings=TILE, **how)
        self.addCleanup(model.close)
        return model

    def refuses(self, kind, says, call, *arguments, **how):
        with self.assertRaises(kind) as caught:
            call(*arguments, **how)
        self.assertIn(says, str(caught.exception))

    def equal(self, array, tensor):
        """The same shape and the same bits as what the program wrote."""
        self.assertEqual((list(array.shape), array.ravel().tolist()), (list(tensor[0]), tensor[1]))

    def test_parts_are_found_by_number_and_id(self):
        fasta = "".join(f">{name}\n{'MKVLATGIWE' * (1 + i % 3)}\n" for i, name in enumerate(["a", "b/c", "a", "\u00fcnal", "e"]))
        self.write("in.fa", fasta)
        for pool, kind in (("mean", "safetensors"), ("none", "safetensors"), ("mean", "npz"), ("none", "npz")):
            self.succeeds("embed", MLM, "in.fa", "--pool", pool, "-o", pool + kind, "--part-size", "2", "--part-format", kind,
                          "--set", "compute.matmul=tile")
            parts = self.module.Parts(pathlib.Path(self.path(pool + kind)))
            expected = self.model().embed(pathlib.Path(self.path("in.fa")), pool=pool)
            self.assertEqual((len(parts), list(parts.ids())), (5, ["a", "b/c", "a", "\u00fcnal", "e"]))
            for i in (4, 0, 3, 2, 1):
                self.assertTrue(self.numpy.array_equal(parts[i], expected[i]))
            self.assertTrue(self.numpy.array_equal(parts["\u00fcnal"], parts[-2]))
            self.assertRaises(KeyError, lambda: parts["nobody"])
            self.assertRaises(IndexError, lambda: parts[5])
            os.remove(self.path(f"{pool}{kind}/part-00002.{kind}"))
            self.refuses(self.module.InputError, f"part-00002.{kind}", lambda: parts[4])
        os.remove(self.path(f"{pool}{kind}/manifest.json"))
        self.refuses(self.module.InputError, "manifest.json: is missing", self.module.Parts, self.path(pool + kind))

    def test_logits_are_those_of_the_program(self):
        for path in (MLM, CLM):
            self.succeeds("logits", path, "in.fa", "-o", "logits.npz", "--set", "compute.matmul=tile")
            expected = tensors.npz(self.path("logits.npz"))
            for model in (self.model(path), self.model(path, batch_tokens=8)):
                for got, name in zip(model.logits(SEQUENCES), ("one", "two")):
                    self.equal(got, expected[name])
                self.equal(model.logits(pathlib.Path(self.path("in.fa")))[1], expected["two"])
                self.equal(model.logits(SEQUENCES[0]), expected["one"])

    def test_embeddings_are_those_of_the_program(self):
        for layers in ((-1,), (0, -1)):
            model = self.model(layers=layers)
            for pool in ("mean", "begin", "max", "none"):
                self.succeeds("embed", MLM, "in.fa", "-o", "x.npz", "--pool", pool, "--layers", ",".join(map(str, layers)),
                              "--set", "compute.matmul=tile")
                expected, got = tensors.npz(self.path("x.npz")), model.embed(SEQUENCES, pool=pool)
                if pool != "none":
                    self.equal(got, expected["embeddings"])
                    self.assertTrue((model.embed(SEQUENCES[1], pool=pool) == got[1]).all())
                else:
                    self.equal(got[0], expected["one"])
                    self.equal(got[1], expected["two"])

    def test_scores_are_those_of_the_program(self):
        for path in (MLM, CLM):
            table = [line.split("\t") for line in self.succeeds("score", path, "in.fa", "--set", "compute.matmul=tile").splitlines()[1:]]
            scores = self.model(path).score(pathlib.Path(self.path("in.fa")))
            self.assertEqual(scores.ids, ["one", "two"])
            self.assertEqual(scores.lengths.tolist(), [20, 8])
            for i, row in enumerate(table):
                self.assertAlmostEqual(scores.log_likelihood[i], float(row[2]), delta=1e-4)  # the digits of the table
            self.assertTrue((self.model(path).score(SEQUENCES).log_likelihood == scores.log_likelihood).all())

    def test_predictions_are_those_of_the_program(self):
        small = ["hidden_size=32", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=48", "attention.num_features=8"]
        tasks = {"two": ["classification", "sequence", "no,yes"], "three": ["classification", "residue", "H,E,C"], "value": ["regression", "sequence"]}
        for name, (kind, level, *classes) in tasks.items():
            keys = small + [f"task.type={kind}", f"task.level={level}"] + [f"task.classes={c}" for c in classes]
            self.succeeds("init", "--preset", "tiny", *[x for key in keys for x in ("--set", key)], "-o", name)
            table = [line.split("\t") for line in self.succeeds("predict", name, "in.fa", "--set", "compute.matmul=tile").splitlines()[1:]]
            model = self.model(self.path(name))
            got = model.predict(pathlib.Path(self.path("in.fa")))
            self.assertEqual((got.ids, got.lengths.tolist()), (["one", "two"], [20, 8]))
            if level == "residue":
                self.assertEqual([len(p) for p in got.prediction], [20, 8])
                self.assertEqual([c for p in got.prediction for c in p], [row[3] for row in table])
                self.assertEqual([f"{x:.9g}" for p in got.probabilities for x in p.ravel()], [x for row in table for x in row[4:]])
            elif classes:
                self.assertEqual(got.prediction.tolist(), [row[2] for row in table])
                self.assertEqual([f"{x:.9g}" for x in got.probabilities.ravel()], [x for row in table for x in row[3:]])
                for positive, expected in (("no", "no"), ("yes", "yes")):
                    self.assertEqual(model.predict(SEQUENCES, threshold=1e-9, positive=positive).prediction.tolist(), [expected] * 2)
                self.refuses(ValueError, "positive 'maybe'", model.predict, SEQUENCES, threshold=0.5, positive="maybe")
            else:
                self.assertIsNone(got.probabilities)
                self.assertEqual([f"{x:.9g}" for x in got.prediction], [row[2] for row in table])
            self.assertEqual(len(model.predict([]).prediction), 0)
        self.refuses(self.module.UsageError, "has no head", self.model().predict, SEQUENCES)

    def test_attention_is_that_of_the_program(self):
        numpy = self.numpy
        q, k, v, g = numpy.random.default_rng(1).standard_normal((4, 2, 3, 17, 8)).astype(numpy.float32)
        for name, array in (("q", q), ("k", k), ("v", v), ("g", g)):
            numpy.save(self.path(name + ".npy"), array)
        os.mkdir(self.path("gradients"))
        self.succeeds("attend", "--query", "q.npy", "--key", "k.npy", "--value", "v.npy", "--causal", "--kernel", "softmax", "--num-features",
                      "32", "--seed", "5", "--lengths", "17,9", "-o", "o.npy", "--grad", "g.npy", "--grad-out", "gradients")
        got = self.module.attention(q, k, v, causal=True, kernel="softmax", projection=32, seed=5, lengths=[17, 9], gradient=g,
                                    device=self.device)
        for array, path in zip(got, ("o.npy", "gradients/dq.npy", "gradients/dk.npy", "gradients/dv.npy")):
            self.assertTrue((array == numpy.load(self.path(path))).all(), path)
        one = self.module.attention(q[0, 0], k[0, 0], v[0, 0], exact=True, device=self.device)
        weights = numpy.exp(q[0, 0].astype(float) @ k[0, 0].T.astype(float) / 8 ** 0.5)
        # sums of 17 products in float32, of size 1
        self.assertLess(abs(one - weights @ v[0, 0] / weights.sum(1, keepdims=True)).max(), 1e-5)
        doubles = self.module.attention(q[0].astype(float), k[0].astype(float), v[0].astype(float), kernel="relu", projection=None, device=self.device)
        self.assertEqual(doubles.shape, (3, 17, 8))

    def test_errors_are_exceptions_with_the_librarys_message(self):
        m = self.module
        self.refuses(m.InputError, "nowhere", m.Model, "nowhere", device=self.device)
        self.refuses(m.DeviceError, "no such thing", m.Device, "no such thing")
        self.refuses(m.UsageError, "layer 9", self.model, layers=[9])
        self.refuses(ValueError, "pool 'sum'", self.model().embed, "MKT", pool="sum")
        self.refuses(m.InputError, "5", self.model().score, "MK5T")
        self.refuses(m.UsageError, "sequence 1: expected", self.model().score, ["MKT", ""])
        self.refuses(m.UsageError, "sequence 0: expected", self.model().score, [">MKT"])
        self.refuses(m.InputError, "the model takes 128", self.model().logits, "M" * 200, long="error")
        self.refuses(m.UsageError, "one shape", m.attention, self.numpy.zeros((3, 4)), self.numpy.zeros((3, 5)), self.numpy.zeros((3, 4)))
        self.refuses(m.UsageError, "needs a projection", m.attention, *[self.numpy.zeros((3, 4))] * 3, kernel="softmax", projection=None)
        closed = self.model()
        closed.close()
        self.refuses(m.UsageError, "is closed", closed.score, "MKT")

    def test_what_is_cut_is_warned_of(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            logits = self.model().logits("M" * 200)
        self.assertEqual(logits.shape, (128, 29))
        self.assertIn("longer than the model's 128 tokens", str(caught[0].message))

    def test_nothing_in_nothing_out(self):
        model = self.model()
        self.assertEqual(model.logits([]), [])
        self.assertEqual(model.embed([]).shape, (0, 32))
        self.assertEqual(model.score([]).ids, [])

    def test_fasta_and_devices_and_configuration(self):
        self.assertEqual(self.module.read_fasta(self.path("in.fa")), (["one", "two"], SEQUENCES))
        self.assertIn(self.device.info["name"], [d["name"] for d in self.module.devices()])
        self.assertEqual(self.model().config["hidden_size"], 32)

    def test_closing_a_device_closes_its_models_and_forgetting_does_no_harm(self):
        with self.module.Device() as device:
            model = self.module.Model(MLM, device=device)
            forgotten = self.module.Model(MLM, device=device)
            del forgotten
            gc.collect()
        self.refuses(self.module.UsageError, "is closed", model.score, "MKT")

    def test_structs_are_those_of_the_headers(self):
        compiler = self.needs("cc", "gcc")
        structs = self.module._STRUCTS
        lines = "".join(f'    printf("%zu\\n", sizeof({kind}));\n' + "".join(
            f'    printf("%zu\\n", offsetof({kind}, {field}));\n' for field, _ in layout._fields_) for kind, layout in structs.items())
        headers = "".join(f'#include "performer/{name}"\n' for name in ("attention.h", "embed.h", "fasta.h", "predict.h", "score.h"))
        self.write("places.c", PLACES % (headers, lines))
        subprocess.run([compiler, "-I", os.path.join(SOURCE, "include"), "-o", self.path("places"), self.path("places.c")], check=True)
        said = subprocess.run([self.path("places")], capture_output=True, text=True, check=True).stdout.split()
        expected = [str(x) for layout in structs.values() for x in
                    (self.module.ctypes.sizeof(layout), *(getattr(layout, field).offset for field, _ in layout._fields_))]
        self.assertEqual(said, expected)


if __name__ == "__main__":
    main()
