#!/usr/bin/env python3
"""performer against other programs on the same work, alternately in one run: each ratio that is aimed at, and whether it is reached.

    ~/.cache/performer-peers/bin/python tests/peers/compare.py --performer build/tools/performer [--suite attention] [--rounds 5]

A round runs `performer bench --json` and then the peers on the same shapes; a ratio is the median of the rounds' ratios, since
machines drift. See README.md beside this file.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = {"hidden_size": 512, "num_hidden_layers": 6, "num_attention_heads": 8, "intermediate_size": 1024, "hidden_dropout": 0,
         "attention": {"num_features": 256}, "train": {"eval_interval": 0, "checkpoint_interval": 0}}  # fmt: skip


class Peer:
    """The process that holds the other programs; it waits while performer runs."""

    def __init__(self, options):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "peer.py"), "--threads", str(options.threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # fmt: skip
        self.repeats = options.repeat

    def seconds(self, work, **job):
        print(json.dumps({"work": work, "repeats": self.repeats, **job}), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the peers could not do {work} {job}")
        return json.loads(answer)["seconds"]

    def forget(self):
        print(json.dumps({"work": "forget"}), file=self.process.stdin, flush=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Comparison:
    def __init__(self, options):
        self.options, self.peer = options, Peer(options)
        self.values, self.short = {}, 0

    def bench(self, suite, *arguments):
        command = [self.options.performer, "bench", "--json", "-q", "--repeat", str(self.options.repeat), "--suite", suite, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return [row for row in map(json.loads, done.stdout.splitlines()) if row["suite"] == suite]

    def note(self, name, value):
        """A ratio, or a part of one, of this round."""
        self.values.setdefault(name, []).append(value)

    def rounds(self, run, *arguments):
        self.values = {}
        for _ in range(self.options.rounds):
            run(*arguments)
        self.peer.forget()

    def tell(self, what, unit, ours, theirs, ratio, target=None, at_most=False):
        """A line: medians of both sides, the ratio, and whether it reaches the target."""
        value = lambda name: statistics.median(self.values[name]) if name in self.values else None
        show = lambda name: f"{value(name):10.4g}" if name and value(name) is not None else " " * 10
        reached = value(ratio)
        verdict = ""
        if target is not None:
            good = reached <= target if at_most else reached >= target
            self.short += not good
            verdict = f"{'<=' if at_most else '>='} {target:<5g} {'PASS' if good else 'short'}"
        print(f"{what:<72} {show(ours)} {show(theirs)} {unit:<8} {reached:7.2f} {verdict}".rstrip(), flush=True)


# ---- matrix products ----


def matmul_round(c):
    for row in c.bench("matmul"):
        name = f"{row['name']} {row['transpose']} {row['batch']}x{row['m']}x{row['n']}x{row['k']}"
        job = {key: row[key] for key in ("m", "n", "k", "transpose", "batch")}
        theirs = 2e-9 * row["m"] * row["n"] * row["k"] * row["batch"] / c.peer.seconds("matmul", **job)
        c.note(f"{name}|ours", row["gflops"])
        c.note(f"{name}|theirs", theirs)
        c.note(f"{name}|torch", row["gflops"] / theirs)
        c.note(f"{name}|peak", row["gflops"] / row["peak_gflops"])


def compare_matmul(c):
    c.rounds(matmul_round, c)
    for name in [key[:-5] for key in c.values if key.endswith("|ours")]:
        c.tell(f"{name} / torch.matmul", "GFLOP/s", f"{name}|ours", f"{name}|theirs", f"{name}|torch", 1)
        c.tell(f"{name} / peak in registers", "GFLOP/s", f"{name}|ours", None, f"{name}|peak", 0.72)


# ---- one attention layer ----


def attention_round(c, length, causal, peers):
    kernels = ("relu", "softmax", "exact") if ("exact", "") in peers else ("relu", "softmax")
    rows = c.bench("attention", "--lengths", str(length), "--kernel", ",".join(kernels), *(["--causal"] if causal else []))
    ours = {(row["kernel"], row["pass"]): row for row in rows}
    for (kernel, which), row in ours.items():
        c.note(f"{kernel} {which}|ms", row["ms"])
        c.note(f"{kernel} {which}|matmul", row["gflops"] / row["matmul_gflops"])
        c.note(f"{kernel} {which}|relu", row["ms"] / ours["relu", which]["ms"])
    for peer, kernel in peers:
        for which in ("forward", "forward_backward"):
            job = {"peer": peer, "kernel": kernel, "length": length, "causal": causal, "backward": which != "forward"}
            theirs = 1e3 * c.peer.seconds("attention", **job)
            c.note(f"{peer} {kernel} {which}|ms", theirs)
            for own in kernels:
                c.note(f"{own} {which}|{peer} {kernel}", theirs / ours[own, which]["ms"])


# (ours, peer, kernel of the peer, causal) -> target for forward and forward_backward at a length, None where none is set
def attention_targets(length, causal):
    lines = []
    for which in ("forward", "forward_backward"):
        jax = {("forward", False): 3.5, ("forward_backward", False): 3, ("forward", True): 6, ("forward_backward", True): 6}
        if length >= 512:
            lines.append(("relu", which, "jax relu", jax[which, causal] if length == 4096 else None))
        if length >= 512 and not causal:
            lines.append(("relu", which, "performer_pytorch relu", None))
            lines.append(("softmax", which, "performer_pytorch softmax", None))
        lines.append(("relu", which, "exact ", 1 if length >= 512 else None))
        lines.append(("softmax", which, "exact ", 1 if length >= 1024 else None))
        lines.append(("exact", which, "exact ", 1 / 1.2 if length <= 1024 else None))
    return lines


def compare_attention(c, lengths, causal):
    for length in lengths:
        peers = [("exact", "")] if length <= c.options.longest_exact else []
        peers += [("jax", "relu")] if length >= 512 else []
        peers += [("performer_pytorch", "relu"), ("performer_pytorch", "softmax")] if length >= 512 and not causal else []
        c.rounds(attention_round, c, length, causal, peers)
        head = f"{'causal' if causal else 'both sides'} L {length}: "
        for own, which, peer, target in attention_targets(length, causal):
            if f"{peer} {which}|ms" in c.values:
                c.tell(f"{head}{own} {which} / {peer}", "ms", f"{own} {which}|ms", f"{peer} {which}|ms", f"{own} {which}|{peer}",
                       target)  # fmt: skip
        if length >= 512 and not causal:
            c.tell(f"{head}relu forward / own matrix product", "", None, None, "relu forward|matmul", 0.88)
        for which in ("forward", "forward_backward") if length >= 512 else ():
            c.tell(f"{head}softmax {which}, time of relu's", "ms", f"softmax {which}|ms", f"relu {which}|ms", f"softmax {which}|relu",
                   1.3, at_most=True)  # fmt: skip


# ---- models ----


def model_round(c, batch, length):
    rows = {row["pass"]: row for row in c.bench("model", "--shapes", f"{batch}x{length}", "--kernel", "relu")}
    for peer in ("performer_pytorch", "returns_v", "exact"):
        for which in ("training", "forward"):
            if peer == "exact" and length > c.options.longest_exact:
                continue
            seconds = c.peer.seconds("model", peer=peer, batch=batch, length=length, training=which == "training")
            c.note(f"{peer} {which}", batch * length / seconds)
            c.note(f"{which}|{peer}", rows[which]["tokens_per_s"] * seconds / (batch * length))
    for which, row in rows.items():
        c.note(which, row["tokens_per_s"])


def compare_model(c, shapes):
    for batch, length in shapes:
        c.rounds(model_round, c, batch, length)
        targets = {("training", "performer_pytorch"): 2 if length >= 8192 else 1.35, ("forward", "performer_pytorch"): 1.25,
                   ("training", "returns_v"): 0.8, ("forward", "returns_v"): 0.8}  # fmt: skip
        for which in ("training", "forward"):
            for peer in ("performer_pytorch", "returns_v", "exact"):
                if f"{which}|{peer}" in c.values:
                    c.tell(f"model {batch}x{length}: {which} / {peer}", "tokens/s", which, f"{peer} {which}", f"{which}|{peer}",
                           targets.get((which, peer)))  # fmt: skip


def flat_round(c, lengths, tokens):
    shapes = ",".join(f"{max(1, tokens // length)}x{length}" for length in lengths)
    rows = [row for row in c.bench("model", "--shapes", shapes, "--kernel", "relu") if row["pass"] == "training"]
    speeds = [row["tokens_per_s"] for row in rows]
    for length, speed in zip(lengths, speeds):
        c.note(f"{length}", speed)
    c.note("flat", min(speeds) / max(speeds))


def compare_flat(c, lengths=(512, 2048, 8192, 32768)):
    """Training tokens/s by length, at the same tokens a step: measured in the same rounds of one process."""
    c.rounds(flat_round, c, lengths, max(lengths))
    print("training tokens/s: " + ", ".join(f"L {length} {statistics.median(c.values[str(length)]):.0f}" for length in lengths))
    c.tell(f"slowest over fastest, L {lengths[0]} to {lengths[-1]}", "", None, None, "flat", 0.95)


# ---- memory ----


def resident_gb(command, **how):
    """The most memory that a command had, of its own process."""
    process = subprocess.Popen(command, **how)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} failed")
    return usage.ru_maxrss * 1024e-9


def compare_memory(c, length=8192):
    folder = tempfile.mkdtemp(prefix="performer-peers-")
    draw = random.Random(1)
    try:
        fasta, config = os.path.join(folder, "random.fasta"), os.path.join(folder, "config.json")
        with open(fasta, "w", encoding="ascii") as file:
            file.writelines(f">p{i}\n{''.join(draw.choices('ACDEFGHIKLMNPQRSTVWY', k=length - 2))}\n" for i in range(4))
        train = {**MODEL["train"], "steps": 3, "batch_tokens": length, "micro_batch_tokens": length}
        with open(config, "w", encoding="ascii") as file:
            json.dump({**MODEL, "max_position_embeddings": length, "train": train}, file)
        command = [c.options.performer, "train", "-q", "--config", config, "--train", fasta, "-o", os.path.join(folder, "run")]
        ours = resident_gb(command, stdout=subprocess.DEVNULL)
    finally:
        shutil.rmtree(folder)
    theirs = resident_gb([sys.executable, os.path.join(HERE, "peer.py"), "--threads", str(c.options.threads), "--train", f"1x{length}"])
    c.values = {"ours": [ours], "theirs": [theirs], "ratio": [ours / theirs]}
    c.tell(f"memory of training 1x{length} / performer_pytorch", "GB", "ours", "theirs", "ratio")
    c.tell(f"memory of training 1x{length}, all of the process", "GB", None, None, "ours", 1.5, at_most=True)


# ---- mixed proteins ----


def tokens_per_s(c, folder, name, fasta, train):
    config = os.path.join(folder, f"{name}.json")
    with open(config, "w", encoding="ascii") as file:
        json.dump({**MODEL, "max_position_embeddings": 1024, "train": {**MODEL["train"], "steps": 4 + c.options.repeat, **train}}, file)
    run = tempfile.mkdtemp(dir=folder)
    subprocess.run([c.options.performer, "train", "-q", "--config", config, "--train", fasta, "-o", run], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    with open(os.path.join(run, "metrics.jsonl"), encoding="ascii") as file:
        return statistics.median(row["tokens_per_s"] for row in map(json.loads, file) if row["step"] > 3)


def mixed_round(c, folder, fasta):
    fixed = tokens_per_s(c, folder, "fixed", fasta, {"batch_tokens": 4096, "micro_batch_tokens": 4096, "packing": "concat"})
    mixed = tokens_per_s(c, folder, "mixed", fasta, {"batch_tokens": 4096, "micro_batch_tokens": 4096})
    c.note("fixed", fixed)
    c.note("mixed", mixed)
    c.note("ratio", mixed / fixed)


def compare_mixed(c, fasta):
    """Training on a file's own sequences against windows of 1,024 tokens cut from it, in tokens/s without padding."""
    folder = tempfile.mkdtemp(prefix="performer-peers-")
    try:
        c.rounds(mixed_round, c, folder, os.path.abspath(fasta))
    finally:
        shutil.rmtree(folder)
    c.tell("training on mixed proteins / on windows of 1024", "tokens/s", "mixed", "fixed", "ratio", 0.9)


SUITES = ("matmul", "short", "attention", "causal", "model", "flat", "memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--performer", default="performer", help="the program (default: that of PATH)")
    parser.add_argument("--suite", default=",".join(SUITES), help=f"some of {', '.join(SUITES)}, separated by commas, or none")
    parser.add_argument("--lengths", default="512,1024,4096,16384", help="of attention, both sides and causal")
    parser.add_argument("--shapes", default="4x1024,1x4096,1x8192", help="of the model")
    parser.add_argument("--longest-exact", type=int, default=8192, help="longest sequence that exact attention is asked to do")
    parser.add_argument("--fasta", help="proteins to train on, for mixed lengths against windows of one length")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="of each piece of work in a round")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)),
                        help="of PyTorch, by default as many as performer takes")  # fmt: skip
    options = parser.parse_args()
    options.performer = shutil.which(options.performer) or parser.error(f"{options.performer}: no such program")
    suites = [] if options.suite == "none" else options.suite.split(",")
    unknown = set(suites) - set(SUITES)
    if unknown:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    lengths = list(map(int, options.lengths.split(",")))
    c = Comparison(options)
    run = {
        "matmul": lambda: compare_matmul(c),
        "short": lambda: compare_attention(c, (128, 256), False),
        "attention": lambda: compare_attention(c, lengths, False),
        "causal": lambda: compare_attention(c, lengths, True),
        "model": lambda: compare_model(c, [tuple(map(int, shape.split("x"))) for shape in options.shapes.split(",")]),
        "flat": lambda: compare_flat(c),
        "memory": lambda: compare_memory(c),
    }
    print(f"{'':<72} {'performer':>10} {'peer':>10} {'':<8} {'ratio':>7} target")
    for suite in suites:
        run[suite]()
    if options.fasta:
        compare_mixed(c, options.fasta)
    c.peer.close()
    print(f"{c.short} short of their targets" if c.short else "all targets reached")


if __name__ == "__main__":
    main()
