"""performer embed --part-size: parts with an index hold what one file holds, wherever a run was killed, and memory does not
grow with the number of records."""
import hashlib
import json
import os
import shutil
import signal

import killed
import tensors
from program import GOLDEN, PERFORMER, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
MLM = os.path.join(MODELS, "mlm-learned-relu")
CLM = os.path.join(MODELS, "clm-none-mixed-elu1")
TILE = ["--set", "compute.matmul=tile"]
D = 32
# 23 records in parts of 5; one id four times, twice within a part, and names that would be trouble as names of files.
NAMES = ["a", "a", "b/../../c", "x" * 300, "a", *(f"s{i}" for i in range(16)), "a", "ünal"]
FASTA = "".join(f">{name} words\n{'MKVLATGIWE' * (1 + i % 4)}\n" for i, name in enumerate(NAMES))


class Parts(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", FASTA)

    def embed(self, *arguments, to="parts"):
        self.succeeds("embed", MLM, "in.fa", *arguments, "-o", to, *TILE)

    def index(self, folder="parts"):
        lines = [line.split("\t") for line in self.read(f"{folder}/index.tsv").splitlines()]
        return lines[0], lines[1:]

    def part(self, name, folder="parts"):
        path = self.path(f"{folder}/{name}")
        return tensors.npz(path) if name.endswith(".npz") else tensors.safetensors(path)[0]

    def test_the_index_leads_to_the_numbers_of_one_file(self):
        self.embed(to="whole.npz")
        whole = tensors.npz(self.path("whole.npz"))["embeddings"][1]
        for kind in ("npz", "safetensors"):
            self.embed("--part-size", "5", "--part-format", kind, to=kind)
            head, rows = self.index(kind)
            self.assertEqual(head, ["record", "id", "length", "part", "row"])
            self.assertEqual([row[:2] for row in rows], [[str(i), name] for i, name in enumerate(NAMES, 1)])
            for i, (_, _, length, part, row) in enumerate(rows):
                self.assertEqual((part, int(row)), (f"part-{i // 5:05d}.{kind}", i % 5))
                self.assertEqual(int(length), 10 * (1 + i % 4))
                got = self.part(part, kind)["embeddings"][1][int(row) * D:(int(row) + 1) * D]
                self.assertEqual(got, whole[i * D:(i + 1) * D])

    def test_parts_of_tensors_name_them_in_the_index(self):
        self.embed("--pool", "none", to="whole.npz")
        whole = list(tensors.npz(self.path("whole.npz")).values())
        for kind in ("npz", "safetensors"):
            self.embed("--pool", "none", "--part-size", "5", "--part-format", kind, to=kind)
            head, rows = self.index(kind)
            self.assertEqual(head, ["record", "id", "length", "part", "tensor"])
            self.assertEqual([row[1] for row in rows], NAMES)
            self.assertEqual([row[4] for row in rows if row[1] == "a"], ["a", "a#2", "a#3", "a"])  # unique within a part
            self.assertEqual([self.part(part, kind)[tensor] for _, _, _, part, tensor in rows], whole)

    def test_a_shards_index_has_the_numbers_of_the_input(self):
        self.embed("--part-size", "5", "--shard", "2/3", "--part-format", "tsv")
        self.assertEqual([(row[0], row[1]) for row in self.index()[1]], [(str(i), NAMES[i - 1]) for i in range(2, 24, 3)])
        self.embed("--part-size", "5", "--shard", "99/99", to="none")
        self.assertEqual(sorted(os.listdir(self.path("none"))), ["index.tsv", "manifest.json"])

    def test_the_manifest_knows_every_file(self):
        self.embed("--part-size", "5", "--half")
        manifest = json.loads(self.read("parts/manifest.json"))
        files = killed.contents(self.path("parts"))
        del files["manifest.json"]
        self.assertEqual({f["name"]: (f["bytes"], f["sha256"]) for f in manifest["files"]},
                         {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()})
        self.assertEqual([f.get("sequences") for f in manifest["files"]], [5, 5, 5, 5, 3, None])
        self.assertEqual((manifest["sequences"], manifest["options"]),
                         (23, "pool mean, long crop, shard 1/1, layers -1, half precision, parts of 5, safetensors"))

    def test_a_run_that_is_killed_at_any_change_of_a_file_goes_on_with_the_same_bytes(self):
        command = ["embed", MLM, "in.fa", "--part-size", "5", "--batch-tokens", "60", "--resume", *TILE]
        os.mkdir(self.path("work"))
        calls = killed.changes(self, "work", *command, "-o", "work/parts")
        whole = killed.contents(self.path("work"))
        self.assertEqual(len(whole), 7)
        for at in killed.places(calls, 12):
            shutil.rmtree(self.path("work/parts"))
            self.assertEqual(killed.kill_at(self, "work", at, *command, "-o", "work/parts"), -signal.SIGKILL, at)
            if at % 3 == 0:  # once more on the way
                killed.kill_at(self, "work", at // 2, *command, "-o", "work/parts")
            self.succeeds(*command, "-o", "work/parts")
            self.assertEqual(killed.contents(self.path("work")), whole, f"call {at}: {calls[at - 1]}")

    def test_a_part_that_is_missing_is_made_again_and_a_damaged_one_named(self):
        command = ["embed", MLM, "in.fa", "--part-size", "5", "--batch-tokens", "60", "--resume", *TILE, "-o", "parts"]
        self.succeeds(*command)
        whole = killed.contents(self.path("parts"))
        with open(self.path("parts/part-00001.safetensors"), "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\xff")
        self.fails(3, "parts/part-00001.safetensors: its content is not what its manifest says", *command)
        shutil.rmtree(self.path("parts"))
        calls = killed.changes(self, ".", *command)
        shutil.rmtree(self.path("parts"))
        killed.kill_at(self, ".", len(calls) - 4, *command)  # all parts are there, the manifest is not
        self.assertNotIn("manifest.json", os.listdir(self.path("parts")))
        with open(self.path("parts/part-00002.safetensors"), "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\xff")
        self.fails(3, "parts/part-00002.safetensors: is not what was written", *command)
        os.remove(self.path("parts/part-00002.safetensors"))
        self.succeeds(*command)
        self.assertEqual(killed.contents(self.path("parts")), whole)

    def test_another_model_other_options_and_other_sequences_are_named(self):
        command = ["in.fa", "--part-size", "5", *TILE, "-o", "parts"]
        self.write("more.fa", FASTA + ">more\nMKV\n")
        calls = killed.changes(self, ".", "embed", MLM, *command)
        for done in (True, False):
            self.fails(2, "made by another model" if done else "another model or other options",
                       "embed", CLM, *command, "--resume")
            self.fails(2, "parts of 6" if done else "another model or other options",
                       "embed", MLM, *command, "--resume", "--part-size", "6")
            self.write("in.fa", FASTA.replace(">s3 words\nM", ">s3 words\nA"))
            self.fails(2, "made of other sequences", "embed", MLM, *command, "--resume")
            self.write("in.fa", FASTA)
            self.fails(2, "other sequences", "embed", MLM, "more.fa", *command[1:], "--resume")
            self.fails(2, "is not empty", "embed", MLM, *command)
            if done:
                shutil.rmtree(self.path("parts"))
                killed.kill_at(self, ".", len(calls) - 4, "embed", MLM, *command)

    def test_wrong_usage_is_2(self):
        self.fails(2, "--part-size", "embed", MLM, "in.fa", "-o", "x", "--part-size", "0")
        self.fails(2, "--part-format", "embed", MLM, "in.fa", "-o", "x", "--part-format", "npz")
        self.fails(2, "--part-format", "embed", MLM, "in.fa", "-o", "x", "--part-size", "5", "--part-format", "h5")
        self.fails(2, "without pooling", "embed", MLM, "in.fa", "-o", "x", "--part-size", "5", "--part-format", "tsv", "--pool", "none")
        self.fails(2, "no half precision", "embed", MLM, "in.fa", "-o", "x", "--part-size", "5", "--part-format", "tsv", "--half")
        self.fails(2, "in.fa: is a file", "embed", MLM, "in.fa", "-o", "in.fa", "--part-size", "5")
        os.mkdir(self.path("full"))
        self.write("full/notes.txt", "mine")
        self.fails(2, "holds 'notes.txt'", "embed", MLM, "in.fa", "-o", "full", "--part-size", "5", "--resume")

    def largest_memory(self, *arguments):
        """Of a run, in KiB: what the system says when it ends."""
        process = os.posix_spawn(PERFORMER, [PERFORMER, *arguments, "--quiet"], {**os.environ})
        _, status, used = os.wait4(process, 0)
        self.assertEqual(status, 0)
        return used.ru_maxrss

    def test_memory_does_not_grow_with_the_number_of_records(self):
        for count in (40000, 80000):  # the first is enough to have used all of the buffers, 8 MiB of staging among them
            self.write(f"{count}.fa", "".join(f">a-name-like-any-other-{i}\n{'MKVLATGIWE'[i % 9:]}\n" for i in range(count)))
        for i, (ending, *command) in enumerate((("", "embed", "--part-size", "500", "--pool", "none"), (".npz", "embed"),
                                                (".tsv", "score", "--stride", "1", "--resume"))):
            peaks = [self.largest_memory(command[0], MLM, self.path(f"{count}.fa"), *command[1:], "-o", self.path(f"{i}-{count}{ending}"),
                                         "--batch-tokens", "512", *TILE) for count in (40000, 80000)]
            # Pages come and go by some hundred KiB. Had each of the 40,000 more records left 16 bytes, that were 625 KiB.
            self.assertLess(peaks[1] - peaks[0], 600, (command, ending, peaks))


if __name__ == "__main__":
    main()
