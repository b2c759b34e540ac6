#!/usr/bin/env python3
"""Kernel texts as C arrays: includes flattened, #line kept, so that build logs name the real file.

embed.py OUTPUT.c FILE.cl...   Bytes and not string literals: compilers limit the length of those."""
import re
import sys
from pathlib import Path


def flatten(path, seen):
    """The text of `path` with each #include "lib/..." put in place once."""
    lines = [f'#line 1 "{path.name}"\n']
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        include = re.match(r'\s*#include "([^"]+)"', line)
        if not include:
            lines.append(line)
            continue
        target = Path(__file__).parent / include[1]
        if target not in seen:
            seen.add(target)
            lines += flatten(target, seen)
        lines.append(f'#line {number + 1} "{path.name}"\n')
    return lines


def main():
    out, files = Path(sys.argv[1]), sorted(Path(f) for f in sys.argv[2:])
    parts = ['// Made by cl/embed.py from cl/*.cl.\n#include "device/opencl.h"\n\n']
    rows = []
    for i, path in enumerate(files):
        text = "".join(flatten(path, set())).encode()
        body = "\n".join(",".join(map(str, text[k : k + 32])) + "," for k in range(0, len(text), 32))
        parts.append(f"static const unsigned char text_{i}[] = {{\n{body}0}};\n")
        rows.append(f'    {{"{path.stem}", text_{i}, {len(text)}}},\n')
    parts.append("const pf_source pf_sources[] = {\n" + "".join(rows) + "};\n")
    parts.append(f"const int pf_n_sources = {len(files)};\n")
    out.write_text("".join(parts))


main()
