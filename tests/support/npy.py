"""NumPy files without NumPy: arrays as (shape, flat list of numbers)."""
import array
import ast
import math
import struct

TYPES = {"<f4": "f", "<f8": "d"}


def load(path):
    with open(path, "rb") as file:
        data = file.read()
    assert data[:6] == b"\x93NUMPY" and data[6] == 1, path
    length = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10:10 + length].decode("latin-1"))
    assert not header["fortran_order"], path
    numbers = array.array(TYPES[header["descr"]])
    numbers.frombytes(data[10 + length:])
    assert len(numbers) == math.prod(header["shape"]), path
    return tuple(header["shape"]), numbers


def dump(shape, numbers, descr="<f4", fortran=False):
    """The bytes of a file; `numbers` are floats, or bytes as they are."""
    header = repr({"descr": descr, "fortran_order": fortran, "shape": tuple(shape)}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    body = numbers if isinstance(numbers, bytes) else array.array(TYPES[descr], numbers).tobytes()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body
