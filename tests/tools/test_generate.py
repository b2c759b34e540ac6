"""performer generate: FASTA from a causal model, the same for the same seed, whatever the number of sequences."""
import os

from program import GOLDEN, DeviceTest, main

MODELS = os.path.join(GOLDEN, "models")
CAUSAL = ["clm-none-mixed-elu1", "clm-rotary-local-heads"]


class Generate(DeviceTest):
    def generate(self, *arguments, model=CAUSAL[1]):
        return self.succeeds("generate", os.path.join(MODELS, model), *arguments)

    def sequences(self, *arguments, model=CAUSAL[1]):
        """The sequences of FASTA text; names and line lengths are checked on the way."""
        found = []
        for line in self.generate(*arguments, model=model).splitlines():
            if line.startswith(">"):
                found.append("")
                self.assertEqual(line, f">generated_{len(found)}")
            else:
                self.assertLessEqual(len(line), 60)
                found[-1] += line
        return found

    def test_the_first_of_many_are_those_of_few(self):
        for model in CAUSAL:
            many = self.sequences("-n", "5", model=model)
            self.assertEqual(len(many), 5)
            self.assertEqual(self.sequences("-n", "2", model=model), many[:2])
            self.assertEqual(self.sequences(model=model), many[:1])
            self.assertEqual(self.sequences("-n5", "--seed=0", model=model), many)
            self.assertNotEqual(self.sequences("-n", "5", "--seed", "1", model=model), many)

    def test_only_residues_and_at_least_one(self):
        for sequence in self.sequences("-n", "40", "--temperature", "5", "--max-length", "9"):
            self.assertRegex(sequence, r"\A[ACDEFGHIKLMNPQRSTVWYBOUXZ]{1,9}\Z")

    def test_the_prompt_stands_first_and_counts(self):
        for sequence in self.sequences("-n", "3", "--prompt", "mktayiak", "--max-length", "12"):
            self.assertTrue(sequence.startswith("MKTAYIAK"))
            self.assertLessEqual(len(sequence), 12)
        self.assertEqual(self.sequences("--prompt", "MKV", "--max-length", "3"), ["MKV"])

    def test_temperature_zero_ignores_the_seed(self):
        first = self.sequences("--temperature", "0", "-n", "2")
        self.assertEqual(first[0], first[1])
        self.assertEqual(self.sequences("--temperature", "0", "-n", "2", "--seed", "9"), first)
        self.assertEqual(self.sequences("--top-p", "1e-9", "-n", "2", "--seed", "9"), first)

    def test_output_goes_to_a_file(self):
        text = self.generate("-n", "2")
        self.assertEqual(self.generate("-n", "2", "-o", "new.fasta"), "")
        self.assertEqual(self.read("new.fasta"), text)
        listing = self.succeeds("fasta", "--list", "new.fasta").splitlines()
        self.assertEqual([line.split("\t")[0] for line in listing[1:]], ["generated_1", "generated_2"])

    def test_what_is_wrong_is_said(self):
        model = os.path.join(MODELS, CAUSAL[1])
        self.fails(2, "objective=clm", "generate", os.path.join(MODELS, "mlm-learned-relu"))
        self.fails(2, "usage: performer generate", "generate")
        self.fails(2, "--temperature", "generate", model, "--temperature", "-1")
        self.fails(2, "--top-p", "generate", model, "--top-p", "1.5")
        self.fails(2, "-n: '0'", "generate", model, "-n", "0")
        self.fails(2, "1 to 126 residues", "generate", model, "--max-length", "127")
        self.fails(2, "'*' at position 2", "generate", model, "--prompt", "M*")
        self.fails(2, "a prompt of 3 residues", "generate", model, "--prompt", "MKV", "--max-length", "2")
        self.fails(2, "compute", "generate", model, "--set", "hidden_size=3")
        self.fails(3, "nothing-here", "generate", "nothing-here")
        self.fails(4, "pocl-opencl-icd", "generate", model, env={"OCL_ICD_VENDORS": self.folder + "/none"})
        self.fails(1, "nowhere/new.fasta", "generate", model, "-o", "nowhere/new.fasta")


if __name__ == "__main__":
    main()
