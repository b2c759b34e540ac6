"""Every kernel that models build on a GPU compiles for NVIDIA's and AMD's, without spills and within 32 KiB of local memory.

usage: test_compile.py PROGRAMS CL-FOLDER FOLDER [PART-OF-A-NAME]    PROGRAMS lists what is built (programs.c); FOLDER keeps results
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from dataclasses import asdict

import gpus

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import tap  # noqa: E402

MOST_LOCAL = 32 << 10    # bytes: design, what every GPU has
MOST_ARGUMENTS = 1024    # bytes: what OpenCL promises
PROGRAMS, CL, FOLDER = (os.path.abspath(a) for a in sys.argv[1:4])


def complaints(kernel, use):
    """What is wrong with a kernel that compiled."""
    if use.spilled:
        yield f"{kernel}: {use.spilled} of its registers or bytes spilled"
    if use.local > MOST_LOCAL:
        yield f"{kernel}: {use.local} bytes of local memory, at most {MOST_LOCAL}"
    if use.arguments > MOST_ARGUMENTS:
        yield f"{kernel}: {use.arguments} bytes of arguments, at most {MOST_ARGUMENTS}"


def try_compile(gpu, text, options):
    """({kernel: Use}, '') or ({}, what the compiler said); kept from run to run."""
    key = hashlib.sha256("\0".join([json.dumps([repr(vars(gpu)), options]), open(gpus.__file__, encoding="utf-8").read(), text]).encode())
    path = os.path.join(FOLDER, key.hexdigest() + ".json")
    if not os.path.exists(path):
        try:
            result = [{name: asdict(use) for name, use in gpu.compile(text, options).items()}, ""]
        except gpus.Failed as error:
            result = [{}, str(error)]
        with tempfile.NamedTemporaryFile("w", dir=FOLDER, delete=False) as file:
            json.dump(result, file)
        os.replace(file.name, path)
    with open(path, encoding="utf-8") as file:
        found, said = json.load(file)
    return {name: gpus.Use(**use) for name, use in found.items()}, said


def case_name(gpu, file):
    return re.sub(r"\W", "_", f"test_{gpu.name}_{file.removesuffix('.cl')}")


class Programs:
    """What models build, compiled for every GPU: `result[file][options][gpu]`, and which kernels of a program are created."""

    def __init__(self, only):
        os.makedirs(FOLDER, exist_ok=True)
        self.created, self.result = {}, {}
        with tempfile.TemporaryDirectory() as folder:
            lines = subprocess.run([PROGRAMS, folder], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
            self.text = {name: open(os.path.join(folder, name), encoding="utf-8").read() for name in os.listdir(folder)}
        for file, options, kernel in (line.split("\t") for line in lines):
            self.created.setdefault((file, options), set()).add(kernel)
        first = {file: options for file, options in sorted(self.created, reverse=True)}
        jobs = [(gpu, file, options) for file, options in sorted(self.created) for gpu in gpus.ALL
                if only in case_name(gpu, file) and (gpu.compiles_all or options == first[file])]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = pool.map(lambda job: try_compile(job[0], self.text[job[1]], job[2].split()), jobs)
        for (gpu, file, options), result in zip(jobs, results):
            self.result.setdefault(file, {}).setdefault(options, {})[gpu.name] = result

    def worst(self):
        """{(file, kernel): {gpu: Use}}, the largest of each figure over all programs."""
        table = {}
        for file, programs in sorted(self.result.items()):
            for options, on in programs.items():
                for gpu, (found, _) in on.items():
                    for kernel in self.created[file, options] & set(found):
                        old, new = table.setdefault((file, kernel), {}).get(gpu), asdict(found[kernel])
                        table[file, kernel][gpu] = gpus.Use(**{k: max(v, getattr(old, k)) if old else v for k, v in new.items()})
        return table

    def print_table(self):
        print("# registers, spilled, stack bytes, local bytes: the worst of all programs with the kernel")
        print("# " + f"{'kernel':30}" + "".join(f"{gpu.name:>28}" for gpu in gpus.ALL))
        for (_, kernel), on in sorted(self.worst().items()):
            cells = (f"{use.registers:9}{use.spilled:6}{use.stack:6}{use.local:7}" if (use := on.get(gpu.name)) else f"{'-':>28}"
                     for gpu in gpus.ALL)
            print("# " + f"{kernel:30}" + "".join(cells), flush=True)


class Compile(unittest.TestCase):
    """One case for each GPU and kernel file, made below."""
    programs = None

    def check(self, gpu, file):
        wrong = []
        for options, on in self.programs.result[file].items():
            if gpu.name not in on:
                continue
            found, said = on[gpu.name]
            kernels = self.programs.created[file, options]
            if said or kernels - set(found):
                wrong.append(f"{file} {options}: {said or kernels - set(found)}")
            wrong += [f"{file} {options}: {c}" for name in sorted(kernels & set(found)) for c in complaints(name, found[name])]
        if wrong:
            self.fail("\n".join(wrong))

    def test_every_kernel_of_every_file_is_built(self):
        names = {name for name in os.listdir(CL) if name.endswith(".cl")}
        self.assertEqual(names, set(self.programs.result))
        created, there = set(), set()
        for (file, options), kernels in self.programs.created.items():
            created |= {(file, kernel) for kernel in kernels}
            for found, _ in self.programs.result[file][options].values():
                there |= {(file, kernel) for kernel in found}
        self.assertEqual(there - created, set())


class Twin(unittest.TestCase):
    """What would be wrong with a kernel is seen."""
    NARROW = ["-cl-std=CL1.2", "-DWG=64", "-DVEC=4"]

    def complaints(self, gpu, text, options):
        found, said = try_compile(gpu, text, options)
        return ([said] if said else []) + [c for name, use in found.items() for c in complaints(name, use)]

    def test_a_tile_of_more_sums_than_registers(self):
        text = """__kernel void f(__global float4 *x, int n)
            {
                float4 sum[TILE];
                _Pragma("unroll") for (int i = 0; i < TILE; i++) sum[i] = x[i];
                for (int k = 0; k < n; k++)
                    _Pragma("unroll") for (int i = 0; i < TILE; i++) sum[i] = fma(sum[i], x[k], x[k + i % 2]);
                _Pragma("unroll") for (int i = 0; i < TILE; i++) x[i] = sum[i];
            }"""
        for gpu in gpus.ALL:
            self.assertEqual(self.complaints(gpu, text, [*self.NARROW, "-DTILE=16"]), [], gpu.name)
            self.assertTrue(any("spilled" in c for c in self.complaints(gpu, text, [*self.NARROW, "-DTILE=160"])), gpu.name)

    def test_too_much_local_memory(self):
        text = "__kernel void f(__global float *x, int i)\n{\n    __local float y[8200];\n    y[i] = x[i];\n    barrier(1);\n    x[i] = y[i + 1];\n}\n"
        for gpu in gpus.ALL:
            self.assertEqual(self.complaints(gpu, text.replace("8200", "8192"), self.NARROW), [], gpu.name)
            self.assertTrue(any("local memory" in c for c in self.complaints(gpu, text, self.NARROW)), gpu.name)

    def test_a_text_that_does_not_compile(self):
        for gpu in gpus.ALL:
            self.assertTrue(self.complaints(gpu, "__kernel void f(__global float *x) { x[0] = nothing; }", self.NARROW), gpu.name)


def add_cases():
    """A case for each GPU and file, so that the count and a failure name both."""
    for file, programs in Compile.programs.result.items():
        for gpu in gpus.ALL:
            if any(gpu.name in on for on in programs.values()):
                setattr(Compile, case_name(gpu, file), lambda self, gpu=gpu, file=file: self.check(gpu, file))


def main():
    missing = gpus.missing()
    if missing:
        # A machine without the compilers skips; continuous integration installs them.
        needed = bool(os.environ.get("PERFORMER_REQUIRE_DEVICE"))
        print("1..1\n" + ("not ok 1 - compile" if needed else f"ok 1 - compile # SKIP missing: {', '.join(missing)}"))
        if needed:
            print(f"missing: {', '.join(missing)}", file=sys.stderr)
        return needed
    only = sys.argv[4] if len(sys.argv) > 4 else ""
    Compile.programs = Programs(only)
    Compile.programs.print_table()
    add_cases()
    return tap.main(only)


if __name__ == "__main__":
    sys.exit(main())
