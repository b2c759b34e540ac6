"""performer import meets files that are cut, swapped, doubled, linked in circles or not what their names say: an error that names the
culprit and what was expected, and no model."""
import json
import os
import shutil
import struct

from program import GOLDEN, ProgramTest, main
from tensors import read_raw, write_raw

ESM, BERT = (os.path.join(GOLDEN, "hf", name) for name in ("esm", "bert"))
WORDS, QUERY = "esm.embeddings.word_embeddings.weight", "esm.encoder.layer.0.attention.self.query.weight"


class BadSources(ProgramTest):
    cases = 0

    def source(self, of=ESM, config=None, tensor=None, weights=None, vocab=None):
        """A copy with other keys, other tensors, other bytes of weights or other tokens."""
        BadSources.cases += 1
        folder = self.path(f"source{BadSources.cases}")
        shutil.copytree(of, folder)
        at = lambda name: os.path.join(folder, name)
        if config is not None:
            with open(at("config.json"), encoding="utf-8") as file:
                keys = {**json.load(file), **config}
            with open(at("config.json"), "w", encoding="utf-8") as file:
                json.dump({key: value for key, value in keys.items() if value != "absent"}, file)
        if tensor:
            raw = read_raw(at("model.safetensors"))
            tensor(raw)
            write_raw(at("model.safetensors"), raw)
        if weights:
            with open(at("model.safetensors"), "rb") as file:
                data = file.read()
            with open(at("model.safetensors"), "wb") as file:
                file.write(weights(data))
        if vocab is not None:
            with open(at("vocab.txt"), "wb") as file:
                file.write(vocab)
        return folder

    def refused(self, folder, says, *arguments):
        code, _, said = self.run_program("import", folder, "-o", "no", *arguments)
        self.assertEqual(code, 3, said)
        self.assertEqual(len(said.splitlines()), 1, said)
        self.assertIn(says, said)
        self.assertIn(os.path.basename(folder), said)  # the culprit
        self.assertFalse(os.path.exists(self.path("no")))

    def test_weights_that_are_no_safetensors_file(self):
        for change, says in [
            (lambda b: b[:-5], "tensors take 94152 bytes, 94147 follow the header"),
            (lambda b: b + b"xx", "tensors take 94152 bytes, 94154 follow the header"),
            (lambda b: b[:100], "header of 4976 bytes in a file of 100: no safetensors file, or cut short"),
            (lambda b: b[:4], "4 bytes, a safetensors file has at least 8"),
            (lambda b: b"", "0 bytes, a safetensors file has at least 8"),
            (lambda b: struct.pack("<Q", 1 << 40) + b[8:], "header of 1099511627776 bytes in a file of 99136"),
            (lambda b: b"\xff" * 8 + b[8:], "header of 18446744073709551615 bytes"),
            (lambda b: b"PK\3\4" + bytes(100), "a pickle of PyTorch, which tools/to-safetensors turns into one"),
            (lambda b: b"\x80\2}q\0." + bytes(100), "a pickle of PyTorch"),
            (lambda b: b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
            (lambda b: b"<!DOCTYPE html>", "a page of text"),
        ]:
            self.refused(self.source(weights=change), says)

    def test_tensors_of_other_types(self):
        def turn(kind, name, size):
            def change(raw):
                raw[name] = [kind, raw[name][1], raw[name][2][:len(raw[name][2]) * size // 4]]
            return change

        self.refused(self.source(tensor=turn("I8", QUERY, 1)), QUERY + " has dtype I8, expected F32, F16, BF16 or F64")
        self.refused(self.source(tensor=turn("F8_E4M3", WORDS, 1)), 'dtype "F8_E4M3", expected F64, F32, F16, BF16')

    def test_what_a_model_does_not_use_is_left_out_with_a_word(self):
        def positions(raw):
            raw["esm.embeddings.position_ids"] = ["I64", [1, 130], struct.pack("<130q", *range(130))]

        code, _, said = self.run_program("import", self.source(tensor=positions), "-o", "model")
        self.assertEqual((code, "2 tensors are left out" in said), (0, True), said)
        code, _, said = self.run_program("import", ESM, "-o", "other")
        self.assertIn("tensor esm.embeddings.position_embeddings.weight is left out", said)
        self.assertEqual(self.read("model/config.json"), self.read("other/config.json"))
        self.assertEqual(read_raw(self.path("model/model.safetensors")), read_raw(self.path("other/model.safetensors")))

    def test_numbers_that_are_none_are_told(self):
        def spoil(raw):
            raw[QUERY][2] = struct.pack("<f", float("nan")) + raw[QUERY][2][4:]

        code, _, said = self.run_program("import", self.source(tensor=spoil), "-o", "model")
        self.assertEqual(code, 0, said)
        self.assertIn("1 number is NaN or infinite, in tensor layers.0.attention.query.weight: results will be, too", said)

    def test_heads_that_are_not_a_language_model(self):
        def classifier(raw):
            for name in [name for name in raw if name.startswith("lm_head")]:
                del raw[name]
            raw["classifier.dense.weight"] = raw[QUERY]

        folder = self.source(tensor=classifier)
        self.refused(folder, "lm_head.bias is missing, expected [33]")
        self.refused(folder, "classifier.dense.weight [32,32] is unexpected")

    def test_tokens_that_cannot_be(self):
        with open(os.path.join(ESM, "vocab.txt"), "rb") as file:
            words = file.read().split()
        for lines, says in [
            (words[:5] + words[4:5] + words[6:], "vocab.txt: line 6: L is on line 5, too"),
            (words[:5] + [b""] + words[6:], "vocab.txt: line 6 is empty, expected a token a line"),
            (words[:5] + [b"\xff"] + words[6:], "vocab.txt: line 6: \\xff is not UTF-8"),
            (words[:5] + [b"A" * 99] + words[6:], "expected a token of 1 to 15 bytes"),
            (words[:5] + [b"\0"] + words[6:], "vocab.txt: line 6"),
            (words[:2], "vocab.txt: 2 tokens, the model has vocab_size 33"),
            ([w for w in words if w != b"<mask>"] + [b"foo"], "there is no <mask>"),
            ([w.lower() for w in words if w != b"<mask>"] + [b"<mask>"], "there is no A"),
        ]:
            self.refused(self.source(vocab=b"\n".join(lines)), says)
        self.refused(self.source(vocab=b""), "vocab.txt: is empty, expected a token a line")
        # Another order is the file's word: a model's columns stand in it.
        turned = words[:4] + words[23:3:-1] + words[24:]
        self.succeeds("import", self.source(vocab=b"\r\n".join(turned) + b"\r\n"), "-o", "turned")
        self.assertEqual(json.loads(self.read("turned/config.json"))["tokens"], [w.decode() for w in turned])

    def test_keys_that_cannot_be(self):
        for of, keys, says in [
            (ESM, {"model_type": "roformer"}, 'key model_type: "roformer", expected esm or bert'),
            (ESM, {"model_type": "t5", "architectures": ["T5EncoderModel"]}, 'key model_type: "t5", expected esm or bert'),
            (ESM, {"emb_layer_norm_before": True}, "esm.embeddings.layer_norm.weight is missing, expected [32]"),
            (ESM, {"emb_layer_norm_before": "yes"}, 'key emb_layer_norm_before: "yes", expected true or false'),
            (ESM, {"num_attention_heads": 5}, "key num_attention_heads: 5, expected a divisor of hidden_size"),
            (ESM, {"num_attention_heads": 0}, "key num_attention_heads: 0, expected a divisor of hidden_size"),
            (ESM, {"num_attention_heads": 32}, "heads of 2 to 128 numbers"),
            (ESM, {"hidden_size": -1}, "key hidden_size: -1, expected a whole number"),
            (ESM, {"hidden_size": "32"}, 'key hidden_size: "32", expected a whole number'),
            (ESM, {"hidden_size": 1 << 40}, "key hidden_size: 1099511627776, expected a whole number"),
            (ESM, {"num_hidden_layers": 3}, "layer 2 has no rotary_embeddings.inv_freq"),
            (ESM, {"layer_norm_eps": "1e-5"}, 'key layer_norm_eps: "1e-5", expected a number'),
            (ESM, {"layer_norm_eps": 1e300}, "expected a number from 0 and up to 1"),
            (BERT, {"layer_norm_eps": -1}, "key layer_norm_eps: -1"),
            (BERT, {"num_hidden_layers": 1 << 30}, "num_hidden_layers"),
            (BERT, {"max_position_embeddings": 0}, "max_position_embeddings"),
            (ESM, {"position_embedding_type": "absolute", "pad_token_id": "absent"}, "key pad_token_id: missing"),
            (ESM, {"position_embedding_type": "absolute", "max_position_embeddings": 1}, "expected more than pad_token_id and one"),
            (BERT, {"position_embedding_type": "relative_key_query"}, 'key position_embedding_type: "relative_key_query"'),
            (BERT, {"is_decoder": True}, "key is_decoder: true, but only plain encoders are imported"),
        ]:
            self.refused(self.source(of, config=keys), says)

    def test_configurations_that_are_no_json(self):
        for text, says in [(b"", "line 1"), (b"{", "line 1"), (b"[]", "expected a JSON object"), (b"null", "line 1"), (b"\xff\xfe{", "line 1"),
                           (b'{"model_type":"esm","model_type":"bert"}', "duplicate object key"), (b"{}", "key model_type: missing"),
                           (b'{"model_type":"esm"}', "key vocab_size: missing, expected a whole number")]:
            folder = self.source()
            with open(os.path.join(folder, "config.json"), "wb") as file:
                file.write(text)
            self.refused(folder, "config.json: ")
            self.refused(folder, says)

    def test_indexes_that_lead_astray(self):
        def all_in(file):
            return lambda names: {"weight_map": {name: file for name in names}}

        for index, says in [
            (all_in("missing.safetensors"), "missing.safetensors: cannot be opened: No such file or directory"),
            (all_in("../a.safetensors"), "expected the name of a file beside"),
            (all_in("/etc/passwd"), "expected the name of a file beside"),
            (all_in(".."), "is not a regular file"),
            (all_in(5), "expected the name of a file beside"),
            (all_in(""), "expected the name of a file beside"),
            (lambda names: {"weight_map": {"nonsense": "a.safetensors"}}, "tensor nonsense is not in a.safetensors"),
            (lambda names: {"weight_map": {}}, "key weight_map: expected an object"),
            (lambda names: {"weight_map": []}, "key weight_map: expected an object"),
            (lambda names: {}, "key weight_map: expected an object"),
        ]:
            folder = self.source()
            raw = read_raw(os.path.join(folder, "model.safetensors"))
            os.rename(os.path.join(folder, "model.safetensors"), os.path.join(folder, "a.safetensors"))
            with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
                json.dump(index(raw), file)
            self.refused(folder, says)

    def test_a_tensor_in_two_files(self):
        folder = self.source()
        raw = read_raw(os.path.join(folder, "model.safetensors"))
        os.remove(os.path.join(folder, "model.safetensors"))
        write_raw(os.path.join(folder, "a.safetensors"), raw)
        write_raw(os.path.join(folder, "b.safetensors"), {WORDS: raw[WORDS], "more": raw[QUERY]})
        with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
            json.dump({"weight_map": {**{name: "a.safetensors" for name in raw}, "more": "b.safetensors"}}, file)
        self.refused(folder, f"b.safetensors: tensor {WORDS} is in ")

    def test_links_in_circles_and_files_of_other_kinds(self):
        for name in ("model.safetensors", "config.json"):
            folder = self.source()
            os.remove(os.path.join(folder, name))
            os.symlink(name, os.path.join(folder, name))
            self.refused(folder, name + ": cannot be opened: Too many levels of symbolic links")
        folder = self.source()
        os.remove(os.path.join(folder, "model.safetensors"))
        self.refused(folder, "model.safetensors: no such file, nor model.safetensors.index.json")
        os.mkdir(os.path.join(folder, "model.safetensors"))
        self.refused(folder, "model.safetensors: is not a regular file")
        os.rmdir(os.path.join(folder, "model.safetensors"))
        os.mkfifo(os.path.join(folder, "model.safetensors"))
        self.refused(folder, "model.safetensors: is not a regular file")  # and nobody waits for a writer
        os.remove(os.path.join(folder, "model.safetensors"))
        os.mkdir(os.path.join(folder, "snapshots"))
        self.refused(folder, "a cache of Hugging Face, expected one of the directories in ")
        folder = self.source()
        os.remove(os.path.join(folder, "config.json"))
        self.refused(folder, "no matrix token_emb.weight; expected config.json beside it")

    def test_a_model_of_another_program_where_one_of_ours_is_expected(self):
        self.fails(3, "key format is missing, expected performer-1; performer import makes a model of it", "info", ESM)


if __name__ == "__main__":
    main()
