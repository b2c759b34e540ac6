"""performer import and export: logits are those of Hugging Face, files come back to the byte, and what does not fit is named."""
import json
import math
import os
import shutil
import struct

import tensors
from program import GOLDEN, DeviceTest, main
from tensors import read_raw, write_raw

HF = os.path.join(GOLDEN, "hf")
ESM, BERT = os.path.join(HF, "esm"), os.path.join(HF, "bert")
SEQUENCES = os.path.join(HF, "sequences.fasta")
TILE = ["--set", "compute.matmul=tile"]
PYTORCH = os.path.join(GOLDEN, "performer-pytorch")
INV_FREQ = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"


class Import(DeviceTest):
    def source(self, of, name="source"):
        """A copy that can be changed."""
        shutil.copytree(of, self.path(name))
        return self.path(name)

    def changed(self, of, name="source", config=None, tensor=None):
        """A copy with other keys, and tensors that `tensor` has been at."""
        folder = self.source(of, name)
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            keys = {**json.load(file), **(config or {})}
        with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
            json.dump({key: value for key, value in keys.items() if value != "absent"}, file)
        if tensor:
            raw = read_raw(os.path.join(folder, "model.safetensors"))
            tensor(raw)
            write_raw(os.path.join(folder, "model.safetensors"), raw)
        return folder

    def worst(self, model, kind, folder=HF):
        """The largest difference to the expected logits."""
        self.succeeds("logits", model, SEQUENCES, "-o", "logits.npz", *TILE)
        expected, _ = tensors.safetensors(os.path.join(folder, kind + ".expected.safetensors"))
        got = tensors.npz(self.path("logits.npz"))
        self.assertEqual(list(got), ["ubiquitin", "crambin", "one", "unknown", "masked"])
        for name, (shape, _) in expected.items():
            self.assertEqual(got[name][0], shape)
        return max(abs(a - b) for name, (_, values) in expected.items() for a, b in zip(got[name][1], values))

    def same_files(self, a, b):
        for name in ("config.json", "model.safetensors"):
            with open(self.path(os.path.join(a, name)), "rb") as one, open(self.path(os.path.join(b, name)), "rb") as two:
                self.assertEqual(one.read(), two.read(), name)

    def test_logits_are_those_of_hugging_face(self):
        # 1e-4 absolute is the golden cases' own bound; float32 reaches 1e-5 on logits of 10 and more.
        for kind in ("esm", "bert"):
            self.succeeds("import", os.path.join(HF, kind), "-o", kind)
            self.assertLess(self.worst(kind, kind), 1e-4)

    def test_what_ports_forget_moves_the_logits(self):
        # The twins: a bound of 1e-4 catches frequencies that are computed anew, the scale of ESM's tokens, an epsilon.
        for i, (of, setting) in enumerate([("esm", "rotary_frequencies=[]"), ("esm", "token_dropout=false"),
                                           ("esm", "hidden_act=gelu_tanh"), ("bert", "layer_norm_eps=1e-3")]):
            self.succeeds("import", os.path.join(HF, of), "-o", f"twin{i}", "--set", setting)
            self.assertGreater(self.worst(f"twin{i}", of), 1e-4, setting)

    def test_export_and_import_give_the_same_bytes(self):
        self.succeeds("import", ESM, "-o", "esm")
        self.succeeds("export", "esm", "-o", "out", "--format", "esm")
        self.succeeds("import", "out", "-o", "again")
        self.same_files("esm", "again")
        raw, source = read_raw(self.path("out/model.safetensors")), read_raw(os.path.join(ESM, "model.safetensors"))
        del source["esm.embeddings.position_embeddings.weight"]  # unused
        self.assertEqual(raw, {name: source[name] for name in raw})
        self.assertEqual(sorted(raw), sorted(source))

    def test_esm_1b_goes_out_and_comes_back(self):
        # Learned positions, of which the first two rows belong to no token; a norm of the embedding sum; an untied head.
        def older(raw):
            for layer in (0, 1):
                del raw[INV_FREQ.format(layer)]
            raw["esm.embeddings.layer_norm.weight"] = raw["esm.encoder.emb_layer_norm_after.bias"]
            raw["esm.embeddings.layer_norm.bias"] = raw["esm.encoder.emb_layer_norm_after.weight"]
            raw["lm_head.decoder.weight"] = raw["esm.embeddings.word_embeddings.weight"]
            zeros = bytes(2 * 32 * 4)
            position = raw["esm.embeddings.position_embeddings.weight"]
            position[2] = zeros + position[2][len(zeros):]

        source = self.changed(ESM, config={"position_embedding_type": "absolute", "emb_layer_norm_before": True,
                                           "tie_word_embeddings": False}, tensor=older)
        self.succeeds("import", source, "-o", "old")
        config = json.loads(self.read("old/config.json"))
        self.assertEqual((config["max_position_embeddings"], config["position_embedding_type"]), (128, "learned"))
        self.succeeds("export", "old", "-o", "out")
        self.assertEqual(read_raw(self.path("out/model.safetensors")), read_raw(os.path.join(source, "model.safetensors")))
        self.succeeds("import", "out", "-o", "again")
        self.same_files("old", "again")
        self.succeeds("logits", "old", SEQUENCES, "-o", "old.npz", *TILE)

    def test_caches_shards_and_old_names_are_read(self):
        self.succeeds("import", ESM, "-o", "esm", "--set", "attention.redraw_interval=0")
        raw = read_raw(os.path.join(ESM, "model.safetensors"))
        os.makedirs(self.path("blobs"))
        os.makedirs(self.path("snapshot"))
        names = sorted(raw)
        halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for i, (file, of) in enumerate(halves.items()):  # as transformers 5 writes them, but for the halves
            write_raw(self.path(f"blobs/{i}"), {n.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta").replace("layer.0.attention.self.rotary", "layer.*.attention.self.rotary"):
                raw[n] for n in of if "layer.1.attention.self.rotary" not in n})
            os.symlink(f"../blobs/{i}", self.path(f"snapshot/{file}"))
        for name in ("config.json", "vocab.txt"):
            os.symlink(os.path.join(ESM, name), self.path(f"snapshot/{name}"))
        index = {n: file for file in halves for n in read_raw(self.path(f"snapshot/{file}"))}
        self.write("snapshot/model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": index}))
        self.succeeds("import", "snapshot", "-o", "sharded", "--set", "attention.redraw_interval=0")
        self.assertEqual(read_raw(self.path("sharded/model.safetensors")), read_raw(self.path("esm/model.safetensors")))
        self.write("snapshot/model.safetensors.index.json", json.dumps({"weight_map": {"nowhere": "model-1.safetensors"}}))
        self.fails(3, "tensor nowhere is not in model-1.safetensors", "import", "snapshot", "-o", "no")
        self.write("snapshot/model.safetensors.index.json", json.dumps({"weight_map": {"a": "../model"}}))
        self.fails(3, "tensor a: expected the name of a file beside", "import", "snapshot", "-o", "no")

    def test_numbers_of_16_and_64_bits_become_float(self):
        def to(kind):
            def change(raw):
                for name, (_, shape, data) in raw.items():
                    values = struct.unpack(f"<{len(data) // 4}f", data)
                    if kind == "BF16":
                        new = b"".join(data[i + 2:i + 4] for i in range(0, len(data), 4))
                    else:
                        new = struct.pack(f"<{len(values)}{'e' if kind == 'F16' else 'd'}", *values)
                    raw[name] = [kind, shape, new]
            return change

        self.succeeds("import", BERT, "-o", "F32")
        exact, _ = tensors.safetensors(self.path("F32/model.safetensors"))
        for kind, relative in (("F64", 0), ("F16", 2**-11), ("BF16", 2**-7)):  # half a unit; bfloat's were cut off
            self.changed(BERT, kind + "s", tensor=to(kind))
            self.succeeds("import", kind + "s", "-o", kind)
            got, _ = tensors.safetensors(self.path(kind + "/model.safetensors"))
            for name in ("layers.0.attention.query.weight", "embed.token.weight", "head.bias"):
                for a, b in zip(got[name][1], exact[name][1]):
                    self.assertLessEqual(abs(a - b), relative * abs(b) + (2**-25 if kind == "F16" else 0), (kind, name))

    def test_favor_takes_over_the_weights(self):
        self.succeeds("import", ESM, "-o", "exact")
        self.succeeds("import", ESM, "-o", "favor", "--attention", "favor", "--kernel", "softmax", "--num-features", "256")
        exact, favor = (read_raw(self.path(f"{name}/model.safetensors")) for name in ("exact", "favor"))
        drawn = [name for name in favor if name not in exact]
        self.assertEqual([(name, favor[name][1]) for name in drawn],
                         [(f"layers.{i}.attention.projection", [256, 8]) for i in (0, 1)])
        self.assertEqual({name: favor[name] for name in exact}, exact)
        # An estimate: near the exact logits (10 and more in size), and not they.
        self.assertTrue(1e-3 < self.worst("favor", "esm") < 8)
        self.succeeds("import", ESM, "-o", "other", "--attention", "favor", "--kernel", "softmax", "--seed", "1")
        self.assertNotEqual(read_raw(self.path("other/model.safetensors"))[drawn[0]], favor[drawn[0]])

    def test_what_is_imported_trains_scores_and_embeds(self):
        for kind in ("esm", "bert"):
            self.succeeds("import", os.path.join(HF, kind), "-o", kind)
            self.succeeds("train", "--init", kind, "--train", SEQUENCES, "--valid", SEQUENCES, "-o", kind + "-run",
                          "--set", "train.steps=20", "--set", "train.batch_tokens=256", "--set", "train.eval_interval=10",
                          "--set", "train.learning_rate=3e-3", *TILE)
            lines = [json.loads(line) for line in self.read(kind + "-run/metrics.jsonl").splitlines()]
            losses = [line["loss"] for line in lines if "grad_norm" in line]
            self.assertLess(sum(losses[-5:]), 0.8 * sum(losses[:5]), kind)
            scores = [line.split("\t") for line in self.succeeds("score", kind, SEQUENCES, *TILE).splitlines()[1:]]
            self.assertEqual([row[0] for row in scores], ["ubiquitin", "crambin", "one", "unknown", "masked"])
            self.succeeds("embed", kind, SEQUENCES, "--pool", "none", "--layers", "0,1,2", "-o", "e.npz", *TILE)
            self.assertEqual(tensors.npz(self.path("e.npz"))["crambin"][0], [3, 46, 32])
        self.succeeds("export", "esm-run", "-o", "tuned")
        self.succeeds("import", "tuned", "-o", "again")

    def test_scores_and_evaluation_agree_with_the_logits(self):
        # The alphabet's own order of tokens: score, by log-softmax of the letter's column in the logits of a masked copy.
        self.succeeds("import", BERT, "-o", "bert")
        self.write("one.fa", ">a\nMKTAYX\n")
        self.write("masked.fa", "".join(f">{i}\n{'MKTAYX'[:i]}*{'MKTAYX'[i + 1:]}\n" for i in range(6)))
        self.succeeds("logits", "bert", "masked.fa", "-o", "m.npz", *TILE)
        with open(os.path.join(BERT, "vocab.txt"), encoding="utf-8") as file:
            tokens = file.read().split()
        total = 0
        for i, letter in enumerate("MKTAYX"):
            _, values = tensors.npz(self.path("m.npz"))[str(i)]
            row = values[(i + 1) * 30:(i + 2) * 30]
            total += row[tokens.index(letter)] - math.log(sum(math.exp(x) for x in row))
        score = float(self.succeeds("score", "bert", "one.fa", *TILE).splitlines()[1].split("\t")[2])
        self.assertAlmostEqual(score, total, delta=1e-3)  # six rows of logits of 10, in float32

    def test_what_does_not_fit_is_named(self):
        def lose(name):
            return lambda raw: raw.pop(name)

        def add(raw):
            raw["esm.encoder.layer.2.LayerNorm.bias"] = raw["esm.encoder.layer.1.LayerNorm.bias"]

        def cut(raw):
            raw["lm_head.bias"] = ["F32", [32], raw["lm_head.bias"][2][:128]]

        def integers(raw):
            raw["lm_head.bias"][0] = "I32"

        def differ(raw):
            raw[INV_FREQ.format(1)] = ["F32", [4], struct.pack("<4f", 1, 2, 3, 4)]

        query = "esm.encoder.layer.1.attention.self.query.weight"
        cases = [
            (ESM, {"model_type": "t5"}, None, 'key model_type: \\"t5\\", expected esm or bert'),
            (ESM, {"model_type": "absent"}, None, "key model_type: missing"),
            (ESM, {"position_embedding_type": "relative_key"}, None, "expected rotary or absolute"),
            (BERT, {"hidden_act": "silu"}, None, 'key hidden_act: \\"silu\\", expected gelu'),
            (ESM, {"is_folding_model": True}, None, "key is_folding_model: true"),
            (ESM, {"hidden_size": "absent"}, None, "key hidden_size: missing, expected a whole number"),
            (ESM, {"vocab_size": 64}, None, "vocab.txt: 33 tokens, the model has vocab_size 64"),
            (ESM, {"intermediate_size": 65}, None, "intermediate.dense.weight has shape [64,32], expected [65,32]"),
            (ESM, None, lose(query), query + " is missing, expected [32,32]"),
            (ESM, None, add, "esm.encoder.layer.2.LayerNorm.bias [32] is unexpected"),
            (ESM, None, cut, "lm_head.bias has shape [32], expected [33]"),
            (ESM, None, integers, "lm_head.bias has dtype I32, expected F32, F16, BF16 or F64"),
            (ESM, None, differ, INV_FREQ.format(1) + " is not that of layer 0"),
            (BERT, None, lose("bert.embeddings.token_type_embeddings.weight"), "token_type_embeddings.weight is missing"),
            (BERT, None, lose("cls.predictions.bias"), "cls.predictions.bias is missing"),
        ]
        for i, (of, config, tensor, says) in enumerate(cases):
            self.changed(of, f"case{i}", config, tensor)
            self.fails(3, says.replace('\\"', '"'), "import", f"case{i}", "-o", "no")
        self.fails(3, "nowhere: no such file or directory", "import", "nowhere", "-o", "no")
        self.fails(3, "this is a model of this program already", "import",
                   os.path.join(GOLDEN, "models", "mlm-learned-relu"), "-o", "no")
        os.rename(self.path("case0/model.safetensors"), self.path("case0/pytorch_model.bin"))
        self.fails(3, "tools/to-safetensors makes it", "import", "case0", "-o", "no")
        self.fails(2, "attention.kernel", "import", ESM, "-o", "no", "--attention", "favor", "--kernel", "swish")

    def test_a_state_dict_of_performer_pytorch(self):
        A, D, F, M, E, most = 25, 8, 12, 6, 4, 16
        layers = {"0.norm.weight": [D], "0.norm.bias": [D], "0.fn.to_q.weight": [D, D], "0.fn.to_k.weight": [D, D],
                  "0.fn.to_v.weight": [D, D], "0.fn.to_out.weight": [D, D], "0.fn.fast_attention.projection_matrix": [M, E],
                  "1.norm.weight": [D], "1.norm.bias": [D], "1.fn.fn.w1.weight": [F, D], "1.fn.fn.w1.bias": [F],
                  "1.fn.fn.w2.weight": [D, F], "1.fn.fn.w2.bias": [D]}
        shapes = {"token_emb.weight": [A, D], "pos_emb.emb": [most, D], "layer_pos_emb.emb": [most, E],
                  **{f"performer.net.layers.{i}.{name}": shape for i in (0, 1) for name, shape in layers.items()},
                  "norm.weight": [D], "norm.bias": [D], "to_out.weight": [A, D], "to_out.bias": [A]}
        raw = {}
        for name, shape in shapes.items():
            count = math.prod(shape)
            raw[name] = ["F32", shape, struct.pack(f"<{count}f", *(math.sin(len(name) + i) for i in range(count)))]
        write_raw(self.path("dict.safetensors"), raw)
        self.write("tokens.txt", "\n".join("<pad> <cls> <eos> <mask> A C D E F G H I K L M N P Q R S T V W Y X".split()))
        code, _, said = self.run_program("import", "dict.safetensors", "--tokens", "tokens.txt", "-o", "model")
        self.assertEqual(code, 0, said)
        self.assertIn("does not say its kernel", said)
        config = json.loads(self.read("model/config.json"))
        self.assertEqual(config["attention"]["softmax_epsilon"], 1e-4)
        self.assertEqual([config[key] for key in ("num_hidden_layers", "num_attention_heads", "position_embedding_type")],
                         [2, D // E, "learned_rotary"])
        self.assertEqual(config["attention"]["num_features"], M)
        # Pairs (0,1), (2,3) of each head become (0,2), (1,3), in queries, keys and the projection's columns; values stay.
        got = read_raw(self.path("model/model.safetensors"))
        order, row = [0, 2, 1, 3, 4, 6, 5, 7], 4 * D
        for name, old in (("query", "to_q"), ("key", "to_k"), ("value", "to_v")):
            data = raw[f"performer.net.layers.1.0.fn.{old}.weight"][2]
            moved = b"".join(data[row * i:row * i + row] for i in (order if name != "value" else range(D)))
            self.assertEqual(got[f"layers.1.attention.{name}.weight"][2], moved, name)
        w = struct.unpack(f"<{M * E}f", raw["performer.net.layers.0.0.fn.fast_attention.projection_matrix"][2])
        self.assertEqual(struct.unpack(f"<{M * E}f", got["layers.0.attention.projection"][2]),
                         tuple(w[E * m + i] for m in range(M) for i in (0, 2, 1, 3)))
        self.succeeds("logits", "model", SEQUENCES, "-o", "out.npz", *TILE)
        self.fails(2, "give them with --tokens FILE", "import", "dict.safetensors", "-o", "no")
        del raw["performer.net.layers.1.1.norm.bias"]
        write_raw(self.path("dict.safetensors"), raw)
        self.fails(3, "performer.net.layers.1.1.norm.bias is missing, expected [8]", "import", "dict.safetensors",
                   "--tokens", "tokens.txt", "-o", "no")

    def performer_pytorch(self, kind, model, *options):
        source = os.path.join(PYTORCH, kind + ".safetensors")
        code, _, said = self.run_program("import", source, "--tokens", os.path.join(PYTORCH, "tokens.txt"), "-o", model, *options)
        self.assertEqual(code, 0, said)
        return said

    def test_logits_are_those_of_performer_pytorch(self):
        # 1e-4 absolute; float32 reaches 1e-6.
        self.performer_pytorch("softmax", "softmax")
        self.performer_pytorch("relu", "relu", "--kernel", "relu")
        for kind in ("softmax", "relu"):
            self.assertLess(self.worst(kind, kind, PYTORCH), 1e-4)
        # The twins: a bound of 1e-4 catches what it adds to features, left out or a tenth more.
        for i, epsilon in enumerate(("0", "1.1e-4")):
            self.performer_pytorch("softmax", f"twin{i}", "--set", "attention.softmax_epsilon=" + epsilon)
            self.assertGreater(self.worst(f"twin{i}", "softmax", PYTORCH), 1e-4, epsilon)
        config = json.loads(self.read("relu/config.json"))
        self.assertNotIn("softmax_epsilon", config["attention"])
        self.assertIn("relative to the largest of all keys", self.performer_pytorch("softmax", "causal", "--set", "objective=clm"))
        self.succeeds("train", "--init", "softmax", "--train", SEQUENCES, "--valid", SEQUENCES, "-o", "run", "--set", "train.steps=2",
                      "--set", "train.batch_tokens=128", *TILE)
        self.fails(2, "attention.softmax_epsilon=0 goes with all", "train", "--init", "softmax", "--train", SEQUENCES, "--valid", SEQUENCES,
                   "-o", "no", "--set", "attention.kernel=relu", "--set", "train.steps=2")

    def test_options_of_performer_pytorch_that_have_no_place_are_named(self):
        first = "performer.net.layers.0.0."
        raw = read_raw(os.path.join(PYTORCH, "softmax.safetensors"))
        for name, says in {"performer.net.blocks.0.f.net.fn.to_q.weight": "reversible=True", first + "fn.fn.to_q.weight": "shift_tokens=True",
                           first + "fn.local_attn.rel_pos.inv_freq": "local_attn_heads", first + "g": "use_scalenorm=True or use_rezero",
                           "pos_emb.weights.0": "axial_position_emb=True", "net.token_emb.weight": "expected token_emb.weight"}.items():
            write_raw(self.path("odd.safetensors"), {**raw, name: raw["norm.weight"]})
            self.fails(3, says, "import", "odd.safetensors", "--tokens", os.path.join(PYTORCH, "tokens.txt"), "-o", "no")
            self.fails(3, "tensor " + name, "import", "odd.safetensors", "--tokens", os.path.join(PYTORCH, "tokens.txt"), "-o", "no")

    def test_what_the_format_cannot_say_is_named(self):
        self.succeeds("import", BERT, "-o", "bert")
        self.fails(2, "format esm cannot say", "export", "bert", "-o", "no")
        self.succeeds("import", ESM, "-o", "favor", "--attention", "favor")
        self.fails(2, "favor: format esm cannot say attention.type", "export", "favor", "-o", "no")
        self.fails(2, "alphabet is protein-29", "export", os.path.join(GOLDEN, "models", "mlm-learned-relu"), "-o", "no")


if __name__ == "__main__":
    main()
