"""performer logits: the golden logits in both formats, whatever batches, shards, names and windows there are."""
import os

import tensors
from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
SEQUENCES = os.path.join(MODELS, "sequences.fasta")
TILE = ["--set", "compute.matmul=tile"]
ALL = sorted(name for name in os.listdir(MODELS) if os.path.isdir(os.path.join(MODELS, name)))


class Logits(DeviceTest):
    def logits(self, *arguments, **how):
        self.succeeds("logits", *arguments, "-o", "out.npz", **how)
        return tensors.npz(self.path("out.npz"))

    def test_golden_logits_in_both_formats(self):
        # 1e-4 absolute is the golden cases' own bound; float32 reaches 1e-6.
        for name in ALL:
            expected, _ = tensors.safetensors(os.path.join(MODELS, name, "expected.safetensors"))
            got = self.logits(os.path.join(MODELS, name), SEQUENCES)
            self.succeeds("logits", os.path.join(MODELS, name), SEQUENCES, "-o", "out.safetensors")
            self.assertEqual(tensors.safetensors(self.path("out.safetensors"))[0], got)
            self.assertEqual(list(got), ["ubiquitin", "crambin", "one", "unknown", "masked"])
            for key, (shape, values) in expected.items():
                self.assertEqual(got[key][0], shape)
                worst = max(abs(a - b) for a, b in zip(got[key][1], values))
                self.assertLessEqual(worst, 1e-4, (name, key))

    def test_batches_and_company_change_no_bit(self):
        whole = self.logits(MLM, SEQUENCES, *TILE)
        self.assertEqual(self.logits(MLM, SEQUENCES, "--batch-tokens", "1", *TILE), whole)
        self.assertEqual(self.logits(MLM, SEQUENCES, "--batch-tokens", "97", *TILE), whole)
        with open(SEQUENCES, "rb") as file:
            self.assertEqual(self.logits(MLM, "-", *TILE, stdin=file.read()), whole)

    def test_shards_share_out_the_records(self):
        whole = self.logits(MLM, SEQUENCES, *TILE)
        shards = [self.logits(MLM, SEQUENCES, "--shard", f"{i}/3", *TILE) for i in (1, 2, 3)]
        self.assertEqual([list(shard) for shard in shards], [["ubiquitin", "unknown"], ["crambin", "masked"], ["one"]])
        self.assertEqual({**shards[0], **shards[1], **shards[2]}, whole)
        self.assertEqual(self.logits(MLM, SEQUENCES, "--shard", "6/6", *TILE), {})

    def test_repeated_ids_get_numbers(self):
        self.write("same.fa", ">a\nMK\n>a\nMKV\n>a#2\nM\n>b\nMK\n>a\nMKVL\n")
        got = self.logits(MLM, "same.fa")
        self.assertEqual([(name, shape[0] - 2) for name, (shape, _) in got.items()],
                         [("a", 2), ("a#2", 3), ("a#2#2", 1), ("b", 2), ("a#3", 4)])
        self.assertEqual(list(self.logits(MLM, "same.fa", "--shard", "2/2")), ["a#2", "b"])

    def test_ids_that_are_no_utf8_stay_apart(self):
        self.write("bytes.fa", b">a\xff\nMK\n>a\xfe\nMKV\n>\xce\xb1/b\nM\n")
        self.assertEqual(list(self.logits(MLM, "bytes.fa")), ["a_", "a_#2", "\u03b1/b"])

    def test_long_sequences(self):
        long = "MKVLAT" * 50  # 302 tokens, the model takes 128
        self.write("long.fa", f">long\n{long}\n>short\nMKV\n")
        code, _, err = self.run_program("logits", MLM, "long.fa", "-o", "crop.npz", *TILE)
        self.assertEqual((code, err.count("performer: warning: ")), (0, 1), err)
        self.assertIn("1 sequence is longer than the model's 128 tokens", err)
        crop = tensors.npz(self.path("crop.npz"))
        self.assertEqual([crop["long"][0], crop["short"][0]], [[128, 29], [5, 29]])
        window = self.logits(MLM, "long.fa", "--long", "window", *TILE)
        self.assertEqual(window["long"][0], [302, 29])
        self.assertEqual(window["long"][1][:128 * 29], crop["long"][1])
        self.assertEqual(self.logits(MLM, "long.fa", "--long", "window", "--batch-tokens", "7", *TILE), window)
        self.fails(3, 'long.fa: line 1, record "long": 300 residues', "logits", MLM, "long.fa", "--long", "error", "-o", "no.npz")

    def test_wrong_usage_is_2(self):
        self.fails(2, "must end in .safetensors or .npz", "logits", MLM, SEQUENCES, "-o", "out.txt")
        self.fails(2, "--output FILE is missing", "logits", MLM, SEQUENCES)
        self.fails(2, "write I/N", "logits", MLM, SEQUENCES, "-o", "x.npz", "--shard", "3/2")
        self.fails(2, "write I/N", "logits", MLM, SEQUENCES, "-o", "x.npz", "--shard", "two")
        self.fails(2, "attention.kernel=exp", "logits", MLM, SEQUENCES, "-o", "x.npz", "--set", "attention.kernel=exp")
        self.fails(2, "--long", "logits", MLM, SEQUENCES, "-o", "x.npz", "--long", "fold")
        self.fails(2, "read once only", "logits", MLM, "-", "-", "-o", "x.npz")
        self.fails(2, "usage", "logits", MLM, "-o", "x.npz")

    def test_wrong_input_is_3_and_leaves_the_output(self):
        self.write("good.fa", ">a\nMKV\n")
        self.write("bad.fa", ">a\nMKV\n>b\nMK1\n")
        before = self.logits(MLM, "good.fa")
        for says, arguments in (("nowhere", ["nowhere", "good.fa"]), ("none.fa: No such file", [MLM, "good.fa", "none.fa"]),
                                ("bad.fa: line 4", [MLM, "bad.fa"]), ("no sequences", [MLM, self.write("empty.fa", "")])):
            for name in ("out.npz", "out.safetensors"):
                self.fails(3, says, "logits", *arguments, "-o", name)
        self.assertEqual(tensors.npz(self.path("out.npz")), before)

    def test_output_that_cannot_be_written_is_1(self):
        self.fails(1, "nowhere/out.npz", "logits", MLM, SEQUENCES, "-o", "nowhere/out.npz")


if __name__ == "__main__":
    main()
