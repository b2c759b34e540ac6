#!/usr/bin/env python3
"""Joins what `performer embed`, `logits`, `score` or `predict` wrote with --shard 1/N … N/N into what one run would have written.

usage: join.py SHARD-1 SHARD-2 … SHARD-N -o FILE      (.tsv, .npz or .safetensors; Python's standard library is enough)

Shard I holds records I, I+N, …, so a record of each in turn is the order of the input. Numbers are copied, not computed.
"""
import argparse
import ast
import itertools
import json
import os
import shutil
import struct
import sys
import zipfile

CHUNK = 1 << 16  # rows of a matrix that are read at once


def fail(text):
    sys.exit(f"join: {text}")


def check_counts(counts, paths):
    """Shards of one input, in their order, have as many records as the last one or one more."""
    for a, b, path in zip(counts, counts[1:], paths[1:]):
        if not b <= a <= counts[-1] + 1:
            fail(f"{path}: {b} records behind a shard of {a}; give all shards of one input, 1/N to N/N in order")


def in_turn(shards):
    """One of each in turn, as long as there are any."""
    nothing = object()
    for row in itertools.zip_longest(*shards, fillvalue=nothing):
        yield from (one for one in row if one is not nothing)


def by_position(lines):
    """Records of a table with a line for each residue: they begin at position 1."""
    records = []
    for line in lines:
        if line.split(b"\t", 2)[1] == b"1":
            records.append([])
        records[-1].append(line)
    return [b"".join(record) for record in records]


def join_tsv(paths, out):
    tables = []
    for path in paths:
        with open(path, "rb") as file:
            tables.append(file.read().splitlines(keepends=True))
    if len({table[0] for table in tables}) != 1:
        fail("the tables have different columns")
    if tables[0][0].startswith(b"id\tposition\t"):
        records = [by_position(table[1:]) for table in tables]
    else:
        layers = 1
        if tables[0][0].startswith(b"id\tlayer\t"):
            layers = 1 + max((int(line.split(b"\t", 2)[1]) for table in tables for line in table[1:]), default=0)
        records = [[b"".join(table[i:i + layers]) for i in range(1, len(table), layers)] for table in tables]
    check_counts([len(r) for r in records], paths)
    with open(out, "wb") as file:
        file.write(tables[0][0])
        file.writelines(in_turn(records))


def read_npy_header(file):
    """(type, shape) of the array whose numbers come next."""
    if file.read(8)[:7] != b"\x93NUMPY\x01":
        fail("an array that performer did not write")
    about = ast.literal_eval(file.read(*struct.unpack("<H", file.read(2))).decode())
    return about["descr"], about["shape"]


def npy_header(descr, shape):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def rows(file, count, row_bytes):
    """The rows one by one, read many at a time."""
    for first in range(0, count, CHUNK):
        block = file.read(min(CHUNK, count - first) * row_bytes)
        yield from (block[i:i + row_bytes] for i in range(0, len(block), row_bytes))


def join_ids(archives, files):
    """ids.npy of all: texts of one width, the widest."""
    kinds, texts = [], []
    for archive in archives:
        with archive.open("ids.npy") as file:
            descr, shape = read_npy_header(file)
            kinds.append(int(descr[2:]))
            data = file.read()
            texts.append([data[i:i + 4 * kinds[-1]] for i in range(0, len(data), 4 * kinds[-1])][:shape[0]])
    width = 4 * max(kinds)
    files.write(npy_header(f"<U{max(kinds)}", (sum(map(len, texts)),)))
    files.writelines(text.ljust(width, b"\0") for text in in_turn(texts))


def join_matrix(archives, paths, to):
    files = [archive.open("embeddings.npy") for archive in archives]
    heads = [read_npy_header(file) for file in files]
    shapes = [shape for _, shape in heads]
    check_counts([shape[0] for shape in shapes], paths)
    if len({(descr, shape[1:]) for descr, shape in heads}) != 1:
        fail("the matrices have different widths")
    row_bytes = int(heads[0][0][2:])
    for size in shapes[0][1:]:
        row_bytes *= size
    to.write(npy_header(heads[0][0], (sum(shape[0] for shape in shapes), *shapes[0][1:])))
    to.writelines(in_turn([rows(file, shape[0], row_bytes) for file, shape in zip(files, shapes)]))


def entry(out, name):
    return out.open(zipfile.ZipInfo(name), "w", force_zip64=True)


def join_npz(paths, out_path):
    archives = [zipfile.ZipFile(path) for path in paths]
    names = [archive.namelist() for archive in archives]
    with zipfile.ZipFile(out_path, "w") as out:
        if all(set(n) == {"embeddings.npy", "ids.npy"} for n in names):
            with entry(out, "embeddings.npy") as to:
                join_matrix(archives, paths, to)
            with entry(out, "ids.npy") as to:
                join_ids(archives, to)
            return
        check_counts([len(n) for n in names], paths)
        for archive, name in in_turn([[(a, x) for x in n] for a, n in zip(archives, names)]):
            with archive.open(name) as source, entry(out, name) as to:
                shutil.copyfileobj(source, to, 1 << 20)


class Safetensors:
    def __init__(self, path):
        self.file = open(path, "rb")  # pylint: disable=consider-using-with # read until the end
        length, = struct.unpack("<Q", self.file.read(8))
        self.tensors = json.loads(self.file.read(length))
        self.metadata = self.tensors.pop("__metadata__", {})
        self.begin = 8 + length

    def names(self):
        return sorted(self.tensors, key=lambda name: self.tensors[name]["data_offsets"])

    def seek(self, name):
        begin, end = self.tensors[name]["data_offsets"]
        self.file.seek(self.begin + begin)
        return end - begin


def write_safetensors(out_path, metadata, tensors, pieces):
    """`tensors`: (name, about, bytes) in order; `pieces`: all their bytes."""
    head, at = ({"__metadata__": metadata} if metadata else {}), 0
    for name, about, size in tensors:
        head[name] = {**about, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(out_path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(pieces)


def join_safetensors(paths, out_path):
    shards = [Safetensors(path) for path in paths]
    if all("ids" in shard.metadata for shard in shards):
        about = [shard.tensors["embeddings"] for shard in shards]
        counts = [a["shape"][0] for a in about]
        check_counts(counts, paths)
        ids = list(in_turn([json.loads(shard.metadata["ids"]) for shard in shards]))
        sizes = [shard.seek("embeddings") for shard in shards]
        row_bytes = sizes[0] // max(counts[0], 1)
        joined = {"dtype": about[0]["dtype"], "shape": [sum(counts), *about[0]["shape"][1:]]}
        pieces = in_turn([rows(shard.file, count, row_bytes) for shard, count in zip(shards, counts)])
        metadata = {"ids": json.dumps(ids, ensure_ascii=False, separators=(",", ":"))}
        write_safetensors(out_path, metadata, [("embeddings", joined, sum(sizes))], pieces)
        return
    check_counts([len(shard.tensors) for shard in shards], paths)
    order = list(in_turn([[(shard, name) for name in shard.names()] for shard in shards]))
    tensors = [(name, {key: shard.tensors[name][key] for key in ("dtype", "shape")}, shard.seek(name)) for shard, name in order]
    write_safetensors(out_path, shards[0].metadata, tensors, (shard.file.read(shard.seek(name)) for shard, name in order))


def main():
    parser = argparse.ArgumentParser(description="joins shards in the order of the input")
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="what --shard 1/N … N/N wrote, in this order")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    given = parser.parse_args()
    kinds = {os.path.splitext(path)[1] for path in [*given.shards, given.output]}
    join = {".tsv": join_tsv, ".npz": join_npz, ".safetensors": join_safetensors}.get(kinds.pop() if len(kinds) == 1 else None)
    if not join:
        fail("shards and output must all end in .tsv, all in .npz or all in .safetensors")
    partial = given.output + ".partial" + os.path.splitext(given.output)[1]
    try:
        join(given.shards, partial)
        os.replace(partial, given.output)
    except OSError as error:
        fail(error)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


if __name__ == "__main__":
    main()
