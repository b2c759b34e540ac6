#!/usr/bin/env python3
"""Joins what `performer embed`, `logits`, `score` or `predict` wrote with --shard 1/N … N/N into what one run would have written.

usage: join.py SHARD-1 SHARD-2 … SHARD-N -o FILE      (.tsv, .npz or .safetensors; Python's standard library is enough)

Shard I holds records I, I+N, …, so a record of each in turn is the order of the input. Numbers are copied, not computed.
A shard may also be a directory that `embed --part-size` made, of parts of FILE's format; a single one becomes one file.
"""
import argparse
import ast
import collections
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


class Shard:
    """One file, or a directory of parts: its files in their order."""

    def __init__(self, path):
        self.path, self.paths, self.model, self.is_directory = path, [path], None, os.path.isdir(path)
        if not self.is_directory:
            return
        try:
            with open(os.path.join(path, "manifest.json"), encoding="utf-8") as file:
                manifest = json.load(file)
            self.model = manifest["model"]
            parts = [(os.path.join(path, part["name"]), part["bytes"]) for part in manifest["files"] if part["name"] != "index.tsv"]
        except FileNotFoundError:
            fail(f"{path}: holds no manifest.json; a run that is not finished goes on with --resume")
        except (ValueError, KeyError, TypeError):
            fail(f"{path}/manifest.json: is not that of `embed --part-size`")
        self.paths = [part for part, _ in parts]
        for part, size in parts:
            if not os.path.exists(part) or os.path.getsize(part) != size:
                fail(f"{part}: expected a file of {size} bytes, as manifest.json says")

    def ids(self):
        """Of a directory, in the order of its records."""
        with open(os.path.join(self.path, "index.tsv"), encoding="utf-8", errors="surrogateescape") as file:
            return [line.split("\t", 2)[1] for line in file.read().split("\n")[1:-1]]


def open_shards(paths):
    shards = [Shard(path) for path in paths]
    for shard in shards:
        if shard.is_directory != shards[0].is_directory or shard.model != shards[0].model:
            fail(f"{shard.path}: made by another model than {shards[0].path}" if shard.is_directory and shards[0].is_directory
                 else "shards must all be files or all be directories")
    return shards


def unique(ids):
    """Names as one run gives them: a repeated id becomes id#2, id#3, …."""
    uses = collections.Counter()
    for name in ids:
        uses[name] += 1
        made = name
        while uses[name] > 1:
            made = f"{name}#{uses[name]}"
            uses[made] += 1
            if uses[made] == 1:
                break
            uses[name] += 1
        yield made


def names_of(shards, named):
    """(source, its name there, its name in the joined file) in the order of the input; `named`: (source, name) of each shard."""
    order = list(in_turn(named))
    if not shards[0].is_directory:
        return [(source, name, name) for source, name in order]
    return [(source, name, new) for (source, name), new in zip(order, unique(in_turn([shard.ids() for shard in shards])))]


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


def join_tsv(shards, out):
    tables = []
    for shard in shards:
        lines = []
        for path in shard.paths:
            with open(path, "rb") as file:
                part = file.read().splitlines(keepends=True)
            lines += part[1:] if lines else part
        tables.append(lines or [b""])
    heads = {table[0] for table in tables} - {b""}
    if len(heads) != 1:
        fail("the tables have different columns")
    head = heads.pop()
    if head.startswith(b"id\tposition\t"):
        records = [by_position(table[1:]) for table in tables]
    else:
        layers = 1
        if head.startswith(b"id\tlayer\t"):
            layers = 1 + max((int(line.split(b"\t", 2)[1]) for table in tables for line in table[1:]), default=0)
        records = [[b"".join(table[i:i + layers]) for i in range(1, len(table), layers)] for table in tables]
    check_counts([len(r) for r in records], [shard.path for shard in shards])
    with open(out, "wb") as file:
        file.write(head)
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


def read_texts(archive):
    with archive.open("ids.npy") as file:
        descr, shape = read_npy_header(file)
        size = 4 * int(descr[2:])
        data = file.read()
    return [data[i:i + size] for i in range(0, size * shape[0], size)]


def join_ids(archives, to):
    """ids.npy of all: texts of one width, the widest."""
    texts = [[text for archive in shard for text in read_texts(archive)] for shard in archives]
    width = max((len(text) for shard in texts for text in shard), default=4)
    to.write(npy_header(f"<U{width // 4}", (sum(map(len, texts)),)))
    to.writelines(text.ljust(width, b"\0") for text in in_turn(texts))


def join_matrix(archives, paths, to):
    files = [[archive.open("embeddings.npy") for archive in shard] for shard in archives]
    heads = [[read_npy_header(file) for file in shard] for shard in files]
    counts = [sum(shape[0] for _, shape in shard) for shard in heads]
    check_counts(counts, paths)
    kinds = {(descr, shape[1:]) for shard in heads for descr, shape in shard}
    if len(kinds) != 1:
        fail("the matrices have different widths")
    descr, inner = kinds.pop()
    row_bytes = int(descr[2:])
    for size in inner:
        row_bytes *= size
    to.write(npy_header(descr, (sum(counts), *inner)))
    to.writelines(in_turn([itertools.chain.from_iterable(rows(file, shape[0], row_bytes) for file, (_, shape) in zip(*shard))
                           for shard in zip(files, heads)]))


def entry(out, name):
    return out.open(zipfile.ZipInfo(name), "w", force_zip64=True)


def join_npz(shards, out_path):
    archives = [[zipfile.ZipFile(path) for path in shard.paths] for shard in shards]
    paths = [shard.path for shard in shards]
    with zipfile.ZipFile(out_path, "w") as out:
        if all(set(archive.namelist()) == {"embeddings.npy", "ids.npy"} for shard in archives for archive in shard):
            with entry(out, "embeddings.npy") as to:
                join_matrix(archives, paths, to)
            with entry(out, "ids.npy") as to:
                join_ids(archives, to)
            return
        named = [[(archive, name.removesuffix(".npy")) for archive in shard for name in archive.namelist()] for shard in archives]
        check_counts([len(names) for names in named], paths)
        for archive, name, new in names_of(shards, named):
            with archive.open(name + ".npy") as source, entry(out, new + ".npy") as to:
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


def join_safetensors(shards, out_path):
    files = [[Safetensors(path) for path in shard.paths] for shard in shards]
    paths = [shard.path for shard in shards]
    every = [file for shard in files for file in shard]
    if all("ids" in file.metadata for file in every):
        kinds = {(file.tensors["embeddings"]["dtype"], *file.tensors["embeddings"]["shape"][1:]) for file in every}
        if len(kinds) != 1:
            fail("the matrices have different widths")
        dtype, *inner = kinds.pop()
        counts = [[file.tensors["embeddings"]["shape"][0] for file in shard] for shard in files]
        check_counts([sum(c) for c in counts], paths)
        ids = list(in_turn([[name for file in shard for name in json.loads(file.metadata["ids"])] for shard in files]))
        size = sum(file.seek("embeddings") for file in every)
        row_bytes = size // max(len(ids), 1)
        pieces = in_turn([itertools.chain.from_iterable(rows(file.file, count, row_bytes) for file, count in zip(*shard))
                          for shard in zip(files, counts)])
        metadata = {"ids": json.dumps(ids, ensure_ascii=False, separators=(",", ":"))}
        write_safetensors(out_path, metadata, [("embeddings", {"dtype": dtype, "shape": [len(ids), *inner]}, size)], pieces)
        return
    named = [[(file, name) for file in shard for name in file.names()] for shard in files]
    check_counts([len(names) for names in named], paths)
    order = names_of(shards, named)
    tensors = [(new, {key: file.tensors[name][key] for key in ("dtype", "shape")}, file.seek(name)) for file, name, new in order]
    write_safetensors(out_path, every[0].metadata if every else {}, tensors, (file.file.read(file.seek(name)) for file, name, _ in order))


def main():
    parser = argparse.ArgumentParser(description="joins shards in the order of the input")
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="what --shard 1/N … N/N wrote, in this order")
    parser.add_argument("-o", "--output", required=True, metavar="FILE")
    given = parser.parse_args()
    shards = open_shards(given.shards)
    kinds = {os.path.splitext(path)[1] for path in [*(path for shard in shards for path in shard.paths), given.output]}
    join = {".tsv": join_tsv, ".npz": join_npz, ".safetensors": join_safetensors}.get(kinds.pop() if len(kinds) == 1 else None)
    if not join:
        fail("shards and output must all end in .tsv, all in .npz or all in .safetensors")
    partial = given.output + ".partial" + os.path.splitext(given.output)[1]
    try:
        join(shards, partial)
        os.replace(partial, given.output)
    except OSError as error:
        fail(error)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


if __name__ == "__main__":
    main()
