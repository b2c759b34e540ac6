"""performer split: every sequence once, copies dropped, nothing left behind when it goes wrong."""
import os

from program import TWO, ProgramTest, main

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def sequence(number):
    return "M" + "".join(LETTERS[(number * (i + 7) ** 2 + i) % 397 % 20] for i in range(80))


def records(text):
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1].replace("\n", "") for part in text.split(">")[1:]}


class Split(ProgramTest):
    def split(self, *arguments):
        self.succeeds("split", *arguments, "-o", "data")
        self.assertEqual(sorted(os.listdir(self.path("data"))), ["test.fasta", "train.fasta", "valid.fasta"])
        return [records(self.read(f"data/{part}.fasta")) for part in ("train", "valid", "test")]

    def test_every_sequence_is_in_one_part(self):
        all_records = {f"s{i} protein {i}": sequence(i) for i in range(300)}
        self.write("a.fa", "".join(f">{k}\n{v}\n" for k, v in all_records.items()))
        parts = self.split("a.fa", "--valid", "0.2", "--test", "0.3")
        self.assertEqual({k: v for part in parts for k, v in part.items()}, all_records)
        self.assertEqual(sum(map(len, parts)), 300)
        for part, share in zip(parts, (150, 60, 90)):
            self.assertAlmostEqual(len(part), share, delta=45)

    def test_copies_are_dropped_across_files_and_counted(self):
        self.write("a.fa", TWO)
        self.write("b.fa", ">again\nmktayiakqrqisfvkshfs\n>new\nMKV\n")
        code, out, err = self.run_program("split", "a.fa", "b.fa", "--valid", "0", "--test", "0", "-o", "data")
        self.assertEqual((code, out), (0, ""))
        self.assertIn("train.fasta: 3 sequences, 31 residues", err)
        self.assertIn("dropped: 1 copies", err)
        self.assertNotIn("again", self.read("data/train.fasta"))

    def test_what_was_repaired_is_written_repaired(self):
        self.write("a.fa", ">j\nLIJ*\n")
        self.assertEqual(self.split("a.fa", "--valid", "0", "--test=0")[0], {"j": "LIX"})

    def test_relatives_stay_together(self):
        self.write("a.fa", "".join(f">sp|P{i}|X\n{sequence(i)}\n" for i in range(200)))
        self.write("c.tsv", "".join(f"P{i // 20 * 20}\tP{i}\n" for i in range(200)))
        parts = self.split("a.fa", "--clusters", "c.tsv", "--valid", "0.3", "--test", "0.3")
        families = [{int(name.split("|")[1][1:]) // 20 for name in part} for part in parts]
        self.assertEqual(sum(map(len, families)), 10)

    def test_wrong_use_and_input_leave_nothing_behind(self):
        self.write("a.fa", TWO)
        self.write("bad.fa", TWO + ">x\nMK-V\n")
        self.fails(2, "--output DIR is missing", "split", "a.fa")
        self.fails(2, "from 0 to 1", "split", "a.fa", "--valid", "1.5", "-o", "data")
        self.fails(2, "less than 1 together", "split", "a.fa", "--valid", "0.5", "--test", "0.5", "-o", "data")
        self.fails(3, "bad.fa: line 6", "split", "a.fa", "bad.fa", "-o", "data")
        self.fails(3, "none.tsv", "split", "a.fa", "--clusters", "none.tsv", "-o", "data")
        self.fails(3, "'one' (line 1) is in no cluster", "split", "a.fa", "--clusters", self.write("c.tsv", "a\tb\n"), "-o", "data")
        self.fails(2, "a.fa: is a file", "split", "a.fa", "-o", "a.fa")
        os.mkdir(self.path("used"))
        self.write("used/mine", "x")
        self.fails(2, "it holds 'mine'", "split", "a.fa", "-o", "used")
        self.fails(1, "/proc/x", "split", "a.fa", "-o", "/proc/x")

    def test_an_empty_directory_is_as_good_as_a_new_one(self):
        self.write("a.fa", TWO)
        os.mkdir(self.path("data"))
        self.split("a.fa")


if __name__ == "__main__":
    main()
