#!/usr/bin/env python3
"""Half a million proteins through a command: memory at each tenth of the way and sequences/s, and whether all came in order.

    apt-get download metastudent-data && dpkg-deb -x metastudent-data_*.deb metastudent
    tests/peers/stream.py --performer build/tools/performer metastudent WORK                   # embed --part-size 100000
    tests/peers/stream.py --performer build/tools/performer metastudent WORK --command score   # --stride 1 --resume

The package holds a BLAST database of 486,000 proteins (178,226,192 residues), which becomes WORK/proteins.fasta. Without --model
a model of one layer of 64 is made, so that reading and writing are a good part of the work.
"""
import argparse
import os
import struct
import subprocess
import sys
import time

LETTERS = "-ABCDEFGHIKLMNPQRSTVWXYZU*OJ"  # NCBIstdaa
DATABASE = "usr/share/metastudent-data/dataset_201401/BPO/goasp.fasta"
SMALL = {"num_hidden_layers": 1, "hidden_size": 64, "num_attention_heads": 1, "intermediate_size": 256, "attention.local_heads": 0}


def records(base):
    """(title, sequence) of a BLAST database of proteins, version 4."""
    with open(base + ".pin", "rb") as file:
        index = file.read()
    at = 8
    for _ in range(2):  # title, date
        at += 4 + struct.unpack_from(">i", index, at)[0]
    count, = struct.unpack_from(">i", index, at)
    headers = struct.unpack_from(f">{count + 1}i", index, at + 16)
    starts = struct.unpack_from(f">{count + 1}i", index, at + 16 + 4 * (count + 1))
    table = bytes(ord(LETTERS[i]) if i < len(LETTERS) else ord("X") for i in range(256))
    with open(base + ".phr", "rb") as file:
        titles = file.read()
    with open(base + ".psq", "rb") as file:
        sequences = file.read()
    for i in range(count):
        text = titles[headers[i]:headers[i + 1]]
        begin = text.index(b"\x1a") + 1  # a VisibleString of ASN.1, its length in one byte or behind a count of bytes
        size, begin = text[begin], begin + 1
        if size & 128:
            bytes_of = size & 127
            size, begin = int.from_bytes(text[begin:begin + bytes_of], "big"), begin + bytes_of
        yield text[begin:begin + size].decode(), sequences[starts[i]:starts[i + 1] - 1].translate(table).decode()


def write_fasta(folder, path, first):
    with open(path, "w", encoding="utf-8") as file:
        for i, (title, sequence) in enumerate(records(os.path.join(folder, DATABASE))):
            if i == first:
                break
            file.write(f">{title.replace('|', ' ', 1)}\n{sequence}\n")


def memory(pid):
    """(resident now, most so far) in KiB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        lines = dict(line.split(":", 1) for line in file)
    return tuple(int(lines[key].split()[0]) for key in ("VmRSS", "VmHWM"))


def way(pid, path):
    """Bytes of the file that the process has read."""
    for number in os.listdir(f"/proc/{pid}/fd"):
        if os.path.realpath(f"/proc/{pid}/fd/{number}") == path:
            with open(f"/proc/{pid}/fdinfo/{number}", encoding="utf-8") as file:
                return int(file.readline().split()[1])
    return 0


def watch(process, path):
    tenth, size, began = 0, os.path.getsize(path), time.monotonic()
    print("read  seconds  resident KiB  most KiB", flush=True)
    while process.poll() is None:
        try:
            share, (now, most) = way(process.pid, path) * 10 // size, memory(process.pid)
        except (OSError, KeyError):  # it ended meanwhile
            continue
        if share > tenth:
            tenth = share
            print(f"{share * 10:3d}%  {time.monotonic() - began:7.0f}  {now:12d}  {most:8d}", flush=True)
        time.sleep(0.2)
    if process.returncode:
        sys.exit(process.returncode)
    return time.monotonic() - began


def names(path):
    with open(path, encoding="utf-8") as file:
        return [line[1:].split()[0] for line in file if line.startswith(">")]


def column(path, i):
    with open(path, encoding="utf-8") as file:
        return [line.split("\t")[i] for line in file][1:]


def main():
    parser = argparse.ArgumentParser(description="memory and rate of a long stream")
    parser.add_argument("package", help="where metastudent-data is unpacked")
    parser.add_argument("work", help="a folder for proteins.fasta and what is made of it; new or empty")
    parser.add_argument("--performer", default="performer")
    parser.add_argument("--command", choices=("embed", "score"), default="embed")
    parser.add_argument("--model")
    parser.add_argument("--first", type=int, default=-1, metavar="N", help="only so many proteins")
    given = parser.parse_args()
    os.makedirs(given.work, exist_ok=True)
    fasta, model = os.path.realpath(os.path.join(given.work, "proteins.fasta")), given.model or os.path.join(given.work, "model")
    write_fasta(given.package, fasta, given.first)
    if not given.model:
        settings = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
        subprocess.run([given.performer, "init", "--preset", "tiny", *settings, "-o", model], check=True)
    output = os.path.join(given.work, "scores.tsv" if given.command == "score" else "embeddings")
    how = ["--stride", "1"] if given.command == "score" else ["--part-size", "100000"]
    with subprocess.Popen([given.performer, given.command, model, fasta, *how, "-o", output, "--resume"]) as process:
        seconds = watch(process, fasta)
    ids = names(fasta)
    got = column(output, 0) if given.command == "score" else column(os.path.join(output, "index.tsv"), 1)
    print(f"{len(ids)} sequences in {seconds:.0f} s: {len(ids) / seconds:.0f}/s;", "all in order" if got == ids else "NOT ALL IN ORDER")
    sys.exit(got != ids)


if __name__ == "__main__":
    main()
