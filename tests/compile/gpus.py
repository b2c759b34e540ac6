"""Compilers for GPUs that need not be in the machine, and what they say a kernel takes."""
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass

LIBCLC = "/usr/lib/clc"
CLANG = ("clang-15", "-x", "cl", "-O2", "-S", "-w", "-o", "-", "-Wno-linker-warnings", "-nogpulib")


@dataclass
class Use:
    """What one kernel takes of a multiprocessor; `spilled` registers or bytes go to memory, `stack` bytes an item has there."""
    registers: int
    spilled: int
    stack: int
    local: int
    arguments: int = 0 # bytes


class Failed(Exception):
    """A compiler refused the text; what it said."""


def run(command, text):
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"{os.path.basename(command[0])}: " + (done.stderr or done.stdout)[:2000])
    return done.stdout + done.stderr


def builtins(name):
    return ["-Xclang", "-mlink-builtin-bitcode", "-Xclang", os.path.join(LIBCLC, name)]


def find_ptxas():
    """ptxas of a CUDA toolkit, else of the Python package that tests/compile/setup installs."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = (shutil.which("ptxas"), "/usr/local/cuda/bin/ptxas", os.path.join(home, "performer-devices", "ptxas", "ptxas"))
    return next((place for place in places if place and os.access(place, os.X_OK)), None)


class Nvidia:
    """clang to PTX, as a driver does it, then NVIDIA's assembler."""
    library = "nvptx64--nvidiacl.bc"

    def __init__(self, arch, compiles_all=True):
        self.name, self.compiles_all = arch, compiles_all

    def missing(self):
        return [] if find_ptxas() else ["ptxas (tests/compile/setup)"]

    def compile(self, text, options):
        # Debian's clang knows no sm_90; PTX for an older one is what any newer one takes.
        ptx = run([*CLANG, "--target=nvptx64-nvidia-nvcl", "-Xclang", "-target-cpu", "-Xclang", "sm_80", "-Xclang", "-target-feature",
                   "-Xclang", "+ptx75", *builtins(self.library), *options, "-"], text)
        with tempfile.NamedTemporaryFile("w", suffix=".ptx") as file:
            file.write(ptx)
            file.flush()
            said = run([find_ptxas(), f"-arch={self.name}", "-v", file.name, "-o", "/dev/null"], "")
        arguments = {name: sum({"64": 8, "32": 4}[size] for size in re.findall(r"\.param \.[usfb](64|32)", body))
                     for name, body in re.findall(r"\.entry (\w+)\((.*?)\)", ptx, re.S)}
        pattern = (r"Function properties for (\w+)\s+(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads\s+"
                   r"ptxas info\s*: Used (\d+) registers[^\n]*")
        return {m[1]: Use(int(m[5]), max(int(m[3]), int(m[4])), int(m[2]), int((re.search(r"(\d+) bytes smem", m[0]) or [0, 0])[1]),
                          arguments[m[1]]) for m in re.finditer(pattern, said)}


class Amd:
    """clang's own code generator; the figures are the metadata that a driver launches by."""
    library = "amdgcn--amdhsa.bc"

    def __init__(self, arch, compiles_all=True):
        self.name, self.compiles_all = arch, compiles_all

    def missing(self):
        return []

    def compile(self, text, options):
        assembly = run([*CLANG, "--target=amdgcn-amd-amdhsa", f"-mcpu={self.name}", *builtins(self.library), *options, "-"], text)
        found = {}
        kernels = assembly[assembly.index("amdhsa.kernels:"):assembly.rindex("amdhsa.target:")]
        for kernel in re.split(r"^  - ", kernels, flags=re.M)[1:]:
            value = {key: text for key, text in re.findall(r"^(?:    )?\.(\w+): +(\S+)$", kernel, re.M)}
            # Spilled scalars go to lanes of vector registers, not to memory.
            found[value["name"]] = Use(int(value["vgpr_count"]), int(value["vgpr_spill_count"]), int(value["private_segment_fixed_size"]),
                                       int(value["group_segment_fixed_size"]), int(value["kernarg_segment_size"]))
        return found


# An H100; AMD's gaming cards (32 lanes, 256 registers) and its compute cards (64 lanes, 512 registers), for which a program of each
# file is enough: they have room where the others have.
ALL = (Nvidia("sm_90"), Amd("gfx1030"), Amd("gfx90a", compiles_all=False))


def missing():
    """What has to be installed before anything compiles."""
    names = [] if shutil.which("clang-15") else ["clang-15"]
    if not all(os.path.exists(os.path.join(LIBCLC, gpu.library)) for gpu in ALL):
        names.append("libclc-15")
    return names + [name for gpu in ALL for name in gpu.missing()]
