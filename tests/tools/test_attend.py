"""performer attend: the golden attention cases through the command line, and what it makes of wrong input.

With --small (or PERFORMER_TEST_SMALL=1) one golden case for each kernel and direction, for slow devices."""
import json
import math
import os
import sys

from program import GOLDEN, DeviceTest, main

import npy

FOLDER = os.path.join(GOLDEN, "attention")
SMALL = "--small" in sys.argv or os.environ.get("PERFORMER_TEST_SMALL") == "1"
with open(os.path.join(FOLDER, "index.json"), encoding="utf-8") as index:
    CASES = json.load(index)


def chosen_cases():
    # Every case goes through the library (tests/ops/test_favor*_golden.c); a hundred features of each kernel would only
    # compile the same programs again for minutes.
    if not SMALL:
        return [case for case in CASES if case["M"] != 100 or case["kernel"] in ("relu", "softmax")]
    smallest = {}
    for case in CASES:
        key = case["kernel"], case["causal"]
        size = case["B"] * case["L"] * case["E"] * (case["M"] or 1)
        if key not in smallest or size < smallest[key][0]:
            smallest[key] = size, case
    return [case for _, case in smallest.values()]


def golden(name):
    return os.path.join(FOLDER, name)


def in_padding(case, i):
    """Whether number i of [B,H,L,E] belongs to a row behind the end of its sequence."""
    token = i // case["E"] % case["L"]
    entry = i // (case["E"] * case["L"] * case["H"])
    return case["lengths"] is not None and token >= case["lengths"][entry]


def error(case, got, expected, floor):
    """Largest difference over the largest expected number, padding left out; NaN counts as infinite."""
    real = [i for i in range(len(expected)) if not in_padding(case, i)]
    largest = max([floor] + [abs(expected[i]) for i in real])
    worst = max(abs(got[i] - expected[i]) if not math.isnan(got[i]) else math.inf for i in real)
    return worst / largest


class GoldenCases(DeviceTest):
    def attend(self, case, gradients=True):
        arguments = ["attend", "--query", golden(case["q"]), "--key", golden(case["k"]), "--value", golden(case["v"]),
                     "-o", "o.npy"]
        if case["kernel"] == "exact":
            arguments += ["--exact"]
        else:
            arguments += ["--kernel", case["kernel"], "--projection", golden(case["w"]) if case["w"] else "none"]
        if case["causal"]:
            arguments += ["--causal"]
        if case["lengths"]:
            arguments += ["--lengths", ",".join(map(str, case["lengths"]))]
        if gradients:
            arguments += ["--grad", golden(case["g"]), "--grad-out", f"grad-{case['name']}"]
        self.succeeds(*arguments, timeout=300)
        names = ["o.npy"] + [f"grad-{case['name']}/{x}.npy" for x in ("dq", "dk", "dv") if gradients]
        results = []
        for name in names:
            shape, numbers = npy.load(self.path(name))
            self.assertEqual(shape, (case["B"], case["H"], case["L"], case["E"]))
            self.assertFalse(any(numbers[i] for i in range(len(numbers)) if in_padding(case, i)), "padding is not 0")
            results.append(numbers)
        return results

    def check(self, case):
        got = self.attend(case)
        _, numbers = npy.load(golden(case["expected"]))
        count = len(numbers) // 4
        expected = [numbers[i * count:(i + 1) * count] for i in range(4)]
        # dq and dk are 0 for a sequence of one token, so what counts there is the size of dv.
        floor = 0.05 * max(map(abs, expected[3]))
        for what, numbers_got, wanted, least in zip(("o", "dq", "dk", "dv"), got, expected, (1e-30, floor, floor, 1e-30)):
            allowed = case["tolerance"]["o" if what == "o" else "gradients"]
            self.assertLessEqual(error(case, numbers_got, wanted, least), allowed, f"{case['name']}: {what}")
            # The twin: one number moved by twice what is allowed must be caught.
            moved = list(numbers_got)
            moved[0] += math.copysign(2 * allowed * max([least] + [abs(x) for x in wanted]), moved[0] - wanted[0])
            self.assertGreater(error(case, moved, wanted, least), allowed, f"{case['name']}: the comparison cannot fail")


def add_case(case):
    setattr(GoldenCases, f"test_{case['name'].replace('-', '_')}", lambda self: self.check(case))


for each in chosen_cases():
    add_case(each)


class Attend(DeviceTest):
    """One head of 3 tokens, 4 numbers each, unless a test says otherwise."""
    files = ["--query", "q.npy", "--key", "k.npy", "--value", "v.npy"]

    def setUp(self):
        super().setUp()
        for place, name in enumerate("qkvg"):
            self.array(name, (3, 4), [math.sin(1 + place + 0.7 * i) for i in range(12)])

    def array(self, name, shape, numbers, descr="<f4"):
        return self.write(f"{name}.npy", npy.dump(shape, numbers, descr))

    def attend(self, *arguments):
        self.succeeds("attend", *self.files, "-o", "o.npy", *arguments)
        return npy.load(self.path("o.npy"))

    def refused(self, code, says, *arguments):
        self.fails(code, says, "attend", *self.files, "-o", "o.npy", *arguments)

    def test_the_seed_decides_the_default_projection(self):
        shape, first = self.attend()
        self.assertEqual(shape, (3, 4))
        self.assertEqual(self.attend("--num-features", "256", "--kernel", "relu", "--epsilon", "1e-3")[1], first)
        self.assertNotEqual(self.attend("--seed", "1")[1], first)

    def test_double_precision_input_is_taken(self):
        first = self.attend()
        self.array("q", (3, 4), npy.load(self.path("q.npy"))[1], "<f8")
        self.assertEqual(self.attend(), first)

    def test_padding_is_never_looked_at(self):
        clean = {name: npy.load(self.path(f"{name}.npy"))[1] for name in "qkvg"}
        for extra in ([], ["--causal"], ["--exact"], ["--exact", "--causal", "--window", "2"]):
            results = []
            for rubbish in (0.0, math.nan, math.inf):
                for name, numbers in clean.items():
                    self.array(name, (2, 1, 3, 4), list(numbers[:8]) + [rubbish] * 4 + list(numbers))
                self.attend("--lengths", "2,3", "--grad", "g.npy", "--grad-out", f"d{rubbish}{len(results)}{''.join(extra)}", *extra)
                results.append([npy.load(self.path("o.npy"))] + [npy.load(self.path(f"d{rubbish}{len(results)}{''.join(extra)}/{d}.npy"))
                                                                for d in ("dq", "dk", "dv")])
            self.assertEqual(results[0], results[1], extra)
            self.assertEqual(results[0], results[2], extra)

    def test_a_head_alone_gives_the_bits_that_it_gives_among_others(self):
        alone = self.attend("--causal")[1]
        for name in "qkv":
            numbers = list(npy.load(self.path(f"{name}.npy"))[1])
            self.array(name, (2, 2, 3, 4), [x * 3 for x in numbers] + numbers + [-x for x in numbers] * 2)
        self.assertEqual(self.attend("--causal")[1][12:24], alone)

    def test_a_sequence_without_tokens_is_padding_all_over(self):
        for name in "qkv":
            self.array(name, (2, 1, 3, 4), list(npy.load(self.path(f"{name}.npy"))[1]) * 2)
        self.assertEqual(list(self.attend("--lengths", "0,3")[1][:12]), [0.0] * 12)
        self.assertEqual(list(self.attend("--lengths", "0,0")[1]), [0.0] * 24)

    def test_a_window_of_one_returns_the_values(self):
        self.assertEqual(self.attend("--exact", "--window", "1")[1], npy.load(self.path("v.npy"))[1])

    def test_without_renormalising_the_sum_of_weights_stays(self):
        # One token: o = (phi.phi) v, so o/v is the same number, not 1, in every column.
        for name in "qkv":
            self.array(name, (1, 4), [1.0, 2.0, 3.0, 4.0])
        self.assertTrue(all(abs(x / y - 1) < 1e-6 for x, y in zip(self.attend()[1], (1, 2, 3, 4))))
        ratios = [x / y for x, y in zip(self.attend("--no-renormalize")[1], (1, 2, 3, 4))]
        self.assertGreater(abs(ratios[0] - 1), 0.01)
        self.assertTrue(all(abs(x / ratios[0] - 1) < 1e-6 for x in ratios))

    def test_contradicting_options_are_2(self):
        self.refused(2, "--window needs --exact", "--window", "3")
        self.refused(2, "exclude each other", "--exact", "--kernel", "relu")
        self.refused(2, "exclude each other", "--exact", "--no-renormalize")
        self.refused(2, "exclude each other", "--projection", "none", "--num-features", "8")
        self.refused(2, "softmax needs a projection", "--kernel", "softmax", "--projection", "none")
        self.refused(2, "softmax_hyperbolic", "--kernel", "soft")
        self.refused(2, "--grad needs --grad-out", "--grad", "g.npy")
        self.refused(2, "--grad-out needs --grad", "--grad-out", "grads")
        self.refused(2, "--oprf-s needs", "--oprf-s", "1")
        self.refused(2, "--num-features", "--num-features", "0")
        self.refused(2, "--epsilon", "--epsilon", "-1")
        self.fails(2, "--value", "attend", "--query", "q.npy", "--key", "k.npy", "-o", "o.npy")
        self.fails(2, "--output", "attend", *self.files)
        self.fails(2, "x.npy", "attend", *self.files, "-o", "o.npy", "x.npy")

    def test_lengths_that_do_not_fit_are_2(self):
        self.refused(2, "length 4 of batch entry 0", "--lengths", "4")
        self.refused(2, "length -1", "--lengths", "-1")
        self.refused(2, "2 lengths for the 1 batch entries of q.npy", "--lengths", "3,3")

    def test_wrong_files_are_3_and_named(self):
        self.array("wide", (3, 5), [0.0] * 15)
        for option, name in (("--query", "wide.npy"), ("--key", "wide.npy"), ("--value", "wide.npy")):
            self.refused(3, "[3,5]", option, name)
            self.refused(3, "[3,4]", option, name)
        self.refused(3, "wide.npy has shape [3,5], q.npy has [3,4]", "--grad", "wide.npy", "--grad-out", "grads")
        self.refused(3, "wide.npy has shape [3,5], its rows must be as wide as those of q.npy, which has [3,4]", "--projection",
                     "wide.npy")
        self.refused(3, "no.npy", "--key", "no.npy")
        self.refused(3, "no .npy file", "--key", self.write("text.npy", "some text that is no array"))
        self.refused(3, "Fortran", "--key", self.write("f.npy", npy.dump((3, 4), [0.0] * 12, fortran=True)))
        self.refused(3, "objects", "--key", self.write("obj.npy", npy.dump((3, 4), b"x" * 96, "|O")))
        self.refused(3, "<i8", "--key", self.write("int.npy", npy.dump((3, 4), b"x" * 96, "<i8")))
        self.refused(3, "big-endian", "--key", self.write("big.npy", npy.dump((3, 4), b"x" * 48, ">f4")))
        self.refused(3, "need 48", "--key", self.write("short.npy", npy.dump((3, 4), [0.0] * 11)))
        self.refused(3, "expected [B,H,L,E] or [L,E]", "--query", self.array("three", (1, 3, 4), [0.0] * 12))
        self.refused(3, "at least 1", "--query", self.array("none", (0, 4), []))
        self.refused(3, "at most 128", "--query", self.array("head", (1, 129), [0.0] * 129))
        self.refused(3, "[M,E]", "--projection", self.array("w", (4,), [0.0] * 4))

    def test_numbers_that_are_none_are_3_with_their_place(self):
        self.refused(3, "k.npy: NaN at [0,0,1,2]", "--key", self.array("k", (3, 4), [0.0] * 6 + [math.nan] + [0.0] * 5))
        self.array("k", (3, 4), [0.0] * 12)
        self.refused(3, "v.npy: an infinite number at [0,0,2,3]", "--value", self.array("v", (3, 4), [0.0] * 11 + [math.inf]))

    def test_on_an_error_outputs_stay_as_they_were(self):
        self.write("o.npy", "old")
        os.mkdir(self.path("grads"))
        self.write("grads/x", "old")
        self.refused(2, "grads: is not empty", "--grad", "g.npy", "--grad-out", "grads")
        self.refused(3, "no.npy", "--grad", "no.npy", "--grad-out", "new")
        self.assertEqual(self.read("o.npy"), "old")
        self.fails(1, "nowhere/o.npy", "attend", *self.files, "-o", "nowhere/o.npy", "--grad", "g.npy", "--grad-out", "new")

    def test_results_too_large_for_float32_are_told(self):
        self.array("q", (3, 4), [1e19] * 12)
        code, _, err = self.run_program("attend", *self.files, "-o", "o.npy", "--kernel", "requ", "--no-renormalize")
        self.assertEqual(code, 0, err)
        self.assertIn("are not finite", err)


if __name__ == "__main__":
    main()
