"""tools/to-safetensors: pickles of weights become what `performer import` reads, and nothing in them is run."""
import json
import os
import subprocess

import tensors
from program import GOLDEN, ProgramTest, main

SCRIPT = os.path.join(os.path.dirname(GOLDEN), "..", "tools", "to-safetensors")
# All in one process: importing torch takes seconds.
RUN = """
import contextlib, io, json, runpy, sys, torch
base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
torch.save({"a": base, "turned": base.t(), "tied": base, "row": base[1], "none": torch.zeros(0, 2)}, "one.bin")
torch.save({"state_dict": {"half": base.half(), "brain": base.bfloat16(), "whole": torch.tensor([2**40])}}, "two.pt")
class Evil:
    def __reduce__(self):
        import os
        return os.mkdir, ("was-run",)
torch.save({"a": base, "evil": Evil()}, "evil.bin")
torch.save([1, 2], "list.bin")
torch.save({"a": 5}, "number.bin")
results = []
for arguments in json.loads(sys.argv[2]):
    sys.argv[1:], said, code = arguments, io.StringIO(), 0
    with contextlib.redirect_stderr(said):
        try:
            runpy.run_path(SCRIPT)
        except SystemExit as end:
            code = end.code
    results.append((code, said.getvalue()))
print(json.dumps(results))
"""


class ToSafetensors(ProgramTest):
    def convert(self, *calls):
        """(exit code, stderr) of each call."""
        done = subprocess.run([self.needs_torch(), "-c", f"SCRIPT = {SCRIPT!r}\n{RUN}", self.folder, json.dumps(calls)],
                              cwd=self.folder, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return [tuple(result) for result in json.loads(done.stdout)]

    def test_tensors_become_what_import_reads_and_nothing_is_run(self):
        bad = {"evil.bin": "holds more than tensors", "list.bin": "holds a list", "number.bin": "'a' is a int",
               "text.bin": "damaged", "nowhere.bin": "No such file"}
        self.write("text.bin", "no pickle")
        one, both, twice, *others = self.convert(
            ["one.bin", "-o", "one.safetensors"], ["one.bin", "two.pt", "-o", "both.safetensors"],
            ["one.bin", "one.bin", "-o", "no.safetensors"], *([name, "-o", "no.safetensors"] for name in bad))
        self.assertEqual((one, both), ((0, ""), (0, "")))
        got, metadata = tensors.safetensors(self.path("one.safetensors"))
        numbers = [float(i) for i in range(12)]
        self.assertEqual(got, {"a": ([3, 4], numbers), "turned": ([4, 3], [numbers[4 * j + i] for i in range(4) for j in range(3)]),
                               "tied": ([3, 4], numbers), "row": ([4], numbers[4:8]), "none": ([0, 2], [])})
        self.assertEqual(metadata, {"format": "pt"})
        with open(self.path("both.safetensors"), "rb") as file:
            header = file.read()
        for text in (b'"half":{"dtype":"F16"', b'"brain":{"dtype":"BF16"', b'"whole":{"dtype":"I64"', b'"a":{"dtype":"F32"'):
            self.assertIn(text, header)
        self.assertEqual((twice[0], "tensor a is in an earlier input" in twice[1]), (3, True), twice)
        for (code, said), (name, says) in zip(others, bad.items()):
            self.assertEqual((code, len(said.splitlines())), (3, 1), (name, said))
            self.assertIn(says, said)
        self.assertFalse(os.path.exists(self.path("was-run")))
        self.assertFalse(os.path.exists(self.path("no.safetensors")))


if __name__ == "__main__":
    main()
