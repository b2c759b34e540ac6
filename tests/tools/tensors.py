"""Reads what the program writes: .safetensors, .npy and .npz, with the standard library alone; and writes .safetensors."""
import ast
import json
import math
import struct
import zipfile

SIZES = {"F32": ("f", 4), "F64": ("d", 8), "F16": ("e", 2), "<f2": ("e", 2), "<f4": ("f", 4), "<f8": ("d", 8)}


def numbers(data, kind, shape):
    letter, size = SIZES[kind]
    count = math.prod(shape)
    assert len(data) == count * size, (len(data), shape)
    return list(struct.unpack(f"<{count}{letter}", data))


def safetensors(path):
    """({name: (shape, numbers)}, metadata)"""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        tensors[name] = (about["shape"], numbers(data[begin:end], about["dtype"], about["shape"]))
    return tensors, metadata


def npy(data):
    """(shape, numbers) or (shape, texts)"""
    assert data[:6] == b"\x93NUMPY", data[:6]
    length = struct.unpack("<H", data[8:10])[0]
    about = ast.literal_eval(data[10:10 + length].decode())
    assert not about["fortran_order"]
    shape, kind, rest = list(about["shape"]), about["descr"], data[10 + length:]
    if kind.startswith("<U"):
        room = 4 * int(kind[2:])
        return shape, [rest[i:i + room].decode("utf-32-le").rstrip("\0") for i in range(0, len(rest), room)]
    return shape, numbers(rest, kind, shape)


def npz(path):
    """{name: (shape, numbers)} in the order of the file"""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name.removesuffix(".npy"): npy(archive.read(name)) for name in archive.namelist()}


def read_raw(path):
    """{name: [dtype, shape, bytes]}"""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    header.pop("__metadata__", None)
    return {name: [t["dtype"], t["shape"], data[slice(*t["data_offsets"])]] for name, t in header.items()}


def write_raw(path, raw):
    header, data = {}, b""
    for name, (kind, shape, values) in raw.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
