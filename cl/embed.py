#!/usr/bin/env python3
"""Kernel texts as C arrays: includes flattened, #line kept, so that build logs name the real file.

embed.py OUTPUT.c DEPFILE FILE.cl...   Bytes and not string literals: compilers limit the length of those."""
import re
import sys
from pathlib import Path


def flatten(path, seen):
    """The text of `path` with each #include "lib/..." put in place once; "maps/*.clh" is every file of that folder."""
    lines = [f'#line 1 "{path.name}"\n']
    folder = Path(__file__).parent
    for number, line in enumerate(path.read_text().splitlines(keepends=True), 1):
        include = re.match(r'\s*#include "([^"]+)"', line)
        if not include:
            lines.append(line)
            continue
        targets = sorted(folder.glob(include[1])) if "*" in include[1] else [folder / include[1]]
        if "*" in include[1]:
            seen.add((folder / include[1]).parent)  # a new file there changes the folder
        for target in targets:
            if target not in seen:
                seen.add(target)
                lines += flatten(target, seen)
        lines.append(f'#line {number + 1} "{path.name}"\n')
    return lines


def main():
    out, files, seen = Path(sys.argv[1]), sorted(Path(f) for f in sys.argv[3:]), set()
    parts = ['// Made by cl/embed.py from cl/*.cl.\n#include "device/opencl.h"\n\n']
    rows = []
    for i, path in enumerate(files):
        pieces = set()
        text = "".join(flatten(path, pieces)).encode()
        seen |= pieces
        body = "\n".join(",".join(map(str, text[k : k + 32])) + "," for k in range(0, len(text), 32))
        parts.append(f"static const unsigned char text_{i}[] = {{\n{body}0}};\n")
        rows.append(f'    {{"{path.stem}", text_{i}, {len(text)}}},\n')
    parts.append("const pf_source pf_sources[] = {\n" + "".join(rows) + "};\n")
    parts.append(f"const int pf_n_sources = {len(files)};\n")
    out.write_text("".join(parts))
    Path(sys.argv[2]).write_text(f"{out}: " + " ".join(str(f.resolve()) for f in sorted([*files, *seen])) + "\n")


main()
