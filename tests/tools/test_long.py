"""Long sequences through the program: chunk by chunk in memory that does not grow, states saved and continued."""
import json
import math
import os
import re
import struct

from program import DeviceTest, main

LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# Narrow, so that thousands of residues take a moment; a local exact head beside a FAVOR head, rotary positions.
MODEL = ["hidden_size=32", "num_hidden_layers=2", "num_attention_heads=2", "intermediate_size=32", "attention.num_features=16",
         "attention.local_heads=1", "attention.window=70", "position_embedding_type=rotary", "max_position_embeddings=1048576",
         "attention.kernel=softmax", "objective=clm"]


def residues(count, seed=1):
    """The same for the same seed."""
    out = []
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2**31
        out.append(LETTERS[(seed >> 16) % 20])
    return "".join(out)


class Long(DeviceTest):
    def make_model(self, name="model", *settings, seed="0"):
        sets = [word for setting in [*MODEL, *settings] for word in ("--set", setting)]
        self.succeeds("init", "--preset", "tiny", *sets, "--seed", seed, "-o", name)
        return name

    def write_fasta(self, name, *sequences):
        return self.write(name, "".join(f">s{i}\n{sequence}\n" for i, sequence in enumerate(sequences, 1)))

    def memory(self, *arguments):
        """The most bytes in buffers on the device, in MB, as --verbose says."""
        code, _, err = self.run_program(*arguments, "-v")
        self.assertEqual(code, 0, err)
        return float(re.search(r"device buffers: ([0-9.]+) MB", err).group(1))

    def test_device_memory_does_not_grow(self):
        model = self.make_model()
        short = self.write_fasta("short.fasta", residues(3000))
        long = self.write_fasta("long.fasta", residues(30000))
        for command in (["score", model], ["embed", model, "-o", "x.npz"], ["logits", model, "-o", "x.npz"]):
            taken = []
            for file in short, long:
                if os.path.exists(self.path("x.npz")):
                    os.remove(self.path("x.npz"))
                taken.append(self.memory(*command, file, "--batch-tokens", "1000"))
            self.assertEqual(taken[0], taken[1], command)
        short_prompt = self.write_fasta("prompt.fasta", residues(6000))  # what is shorter goes through in smaller chunks
        taken = [self.memory("generate", model, "--prompt", f"@{file}", "--max-length", "30010") for file in (short_prompt, long)]
        self.assertEqual(taken[0], taken[1])
        # The twin: what has to be on the device at once does grow.
        both = self.make_model("both", "objective=mlm")
        taken = [self.memory("embed", both, file, "-o", f"{file}.npz", "--batch-tokens", "1000") for file in (short, long)]
        self.assertGreater(taken[1], 5 * taken[0])

    def test_results_are_those_of_the_whole(self):
        model = self.make_model()
        file = self.write_fasta("two.fasta", residues(5000), residues(90, 2), residues(1500, 3))
        whole, cut = ["--batch-tokens", "8192"], ["--batch-tokens", "300"]
        self.assertEqual(self.succeeds("score", model, file, *cut), self.succeeds("score", model, file, *whole))
        for command in ("logits", []), ("embed", ["--pool", "mean"]), ("embed", ["--pool", "none", "--layers", "1,-1"]):
            name, options = command
            written = []
            for i, how in enumerate((whole, cut)):
                output = f"{name}{len(options)}-{i}.safetensors"
                self.succeeds(name, model, file, *options, *how, "-o", output)
                with open(self.path(output), "rb") as out:
                    written.append(out.read())
            self.assertEqual(written[0], written[1], command)

    def test_windows_of_the_model_begin_anew(self):
        model = self.make_model("short", "max_position_embeddings=1000")
        sequence = residues(2500)
        file = self.write_fasta("one.fasta", sequence)
        for how in (["--long", "window"], ["--long", "crop"]):
            whole = self.succeeds("score", model, file, *how, "--batch-tokens", "4096")
            self.assertEqual(self.succeeds("score", model, file, *how, "--batch-tokens", "200"), whole)

    def test_a_prompt_from_a_file(self):
        model, sequence = self.make_model(), residues(200)
        self.write_fasta("prompt.fasta", sequence)
        make = ["generate", model, "-n", "2", "--max-length", "230"]
        said = self.succeeds(*make, "--prompt", sequence)
        self.assertEqual(self.succeeds(*make, "--prompt", "@prompt.fasta"), said)
        self.assertEqual(self.succeeds(*make, "--prompt", "@-", stdin=f">x\n{sequence}\n"), said)
        self.write_fasta("two.fasta", "MKV", "MKT")
        self.fails(3, "more than one sequence", "generate", model, "--prompt", "@two.fasta")
        self.fails(3, "nowhere.fasta", "generate", model, "--prompt", "@nowhere.fasta")

    def state_goes_on(self, model, length):
        sequence, state = residues(length), f"{model}{length}.safetensors"
        make = ["generate", model, "-n", "70", "--max-length", str(length + 12)]  # more than stand side by side
        said = self.succeeds(*make, "--prompt", sequence, "--save-state", state)
        self.assertEqual(self.succeeds(*make, "--prompt", sequence), said)
        self.assertEqual(self.succeeds(*make, "--state", state), said)
        # What is put behind it is read as if it had always been there.
        make = ["generate", model, "--max-length", str(length + 30)]
        longer = self.succeeds(*make, "--prompt", sequence + "MKTAYIAK")
        self.assertEqual(self.succeeds(*make, "--state", state, "--prompt", "MKTAYIAK"), longer)
        return state

    def test_a_saved_state_goes_on_with_the_same_bits(self):
        model = self.make_model()
        self.state_goes_on(model, 10)
        state = self.state_goes_on(model, 700)
        self.succeeds("generate", model, "--prompt", residues(700), "--save-state", "again", "-n", "0")
        with open(self.path(state), "rb") as one, open(self.path("again"), "rb") as other:
            self.assertEqual(one.read(), other.read())
        exact = ["attention.type=[\"softmax\",\"favor\"]", "attention.kernel=relu"]
        self.state_goes_on(self.make_model("exact", *exact), 128)

    def change(self, state, how):
        """A copy of a state whose header and data `how` has changed."""
        with open(self.path(state), "rb") as file:
            data = file.read()
        size = struct.unpack("<Q", data[:8])[0]
        header, body = json.loads(data[8:8 + size]), bytearray(data[8 + size:])
        how(header, body)
        text = json.dumps(header).encode()
        return self.write("changed.safetensors", struct.pack("<Q", len(text)) + text + bytes(body))

    def refused(self, model, says, state, how):
        self.change(state, how)
        self.fails(3, says, "generate", model, "--state", "changed.safetensors")

    def test_a_wrong_state_is_refused(self):
        model, name = self.make_model(), "layers.1.attention.state"
        other = self.make_model("other", seed="1")
        self.succeeds("generate", model, "--prompt", residues(200), "--save-state", "s.safetensors", "-n", "0")

        def not_a_number(header, body):
            at = header[name]["data_offsets"][0]
            body[at + 8:at + 12] = struct.pack("<f", float("nan"))

        def bad_token(header, body):
            body[header["tokens"]["data_offsets"][0] + 3] = 27

        def reshaped(header, body):
            header[name]["shape"] = [header[name]["shape"][1], header[name]["shape"][0], *header[name]["shape"][2:]]

        def renamed(header, body):
            header["layers.2.attention.state"] = header.pop(name)

        self.refused(model, f"tensor {name}: number 2 is NaN", "s.safetensors", not_a_number)
        self.refused(model, f"tensor {name}: wrong type or shape, expected F32 [1, 16, 17]", "s.safetensors", reshaped)
        self.refused(model, "tensor tokens: 27 at place 3", "s.safetensors", bad_token)
        self.refused(model, "another model", "s.safetensors", lambda header, _: header["__metadata__"].pop("model"))
        self.refused(model, "expected 192 for 201", "s.safetensors", lambda header, _: header["__metadata__"].update(position="64"))
        self.refused(model, "tensor layers.2.attention.state is none", "s.safetensors", renamed)
        self.fails(3, "another model", "generate", other, "--state", "s.safetensors")
        self.fails(3, '"format" is "pt"', "generate", model, "--state", f"{model}/model.safetensors")
        self.refused(model, "no saved state", "s.safetensors", lambda header, _: header["__metadata__"].pop("format"))
        self.fails(2, "max-length is 150", "generate", model, "--state", "s.safetensors", "--max-length", "150")
        self.fails(3, "nowhere", "generate", model, "--state", "nowhere.safetensors")
        self.fails(1, "nowhere/s", "generate", model, "--prompt", "MKV", "--save-state", "nowhere/s.safetensors")
        # As it is, it is taken: the changes above are what is refused.
        self.change("s.safetensors", lambda header, body: None)
        self.succeeds("generate", model, "--state", "changed.safetensors", "--max-length", "210")

    def test_concatenated_windows_train(self):
        sets = [*MODEL, "max_position_embeddings=2048", "train.packing=concat", "train.max_length=2048", "train.batch_tokens=2048",
                "train.steps=3", "train.eval_interval=0", "hidden_dropout=0"]
        self.write_fasta("train.fasta", *[residues(150 + 7 * i, i) for i in range(60)])
        code, _, err = self.run_program("train", "--preset", "tiny", *[word for s in sets for word in ("--set", s)],
                                        "--train", "train.fasta", "-o", "run")
        self.assertEqual(code, 0, err)
        lines = [json.loads(line) for line in self.read("run/metrics.jsonl").splitlines()]
        steps = [line for line in lines if "loss" in line]
        self.assertEqual([line["tokens"] for line in steps], [2048] * 3)  # whole windows, no token of them a pad
        for line in steps:  # about that of a model that knows nothing of 29 tokens
            self.assertAlmostEqual(line["loss"], math.log(29), delta=1)
        planned = float(re.search(r"total +([0-9.]+) MB", err).group(1))
        used = float(re.search(r"device buffers: ([0-9.]+) MB", err).group(1))
        self.assertLessEqual(abs(used - planned), 0.05 * planned + 0.1)  # the promise of the plan, and rounding to 0.1 MB


if __name__ == "__main__":
    main()
