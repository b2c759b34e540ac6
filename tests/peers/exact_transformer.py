#!/usr/bin/env python3
"""A PyTorch transformer with exact attention, trained as the quickstart trains `tiny`: what a Performer must be held against.

Same files, tokens, crops, corruption (15 %, 80/10/10), optimiser and evaluation (every chosen residue masked) as
spec says; rotary positions, batches of sequences sorted by length and padded, as PyTorch users do. Prints a JSON object
a line: tokens seen, seconds of training, validation loss, the unigram's loss on the same targets, and the gain in nats.

    python3 -m venv ~/.cache/performer-peers && ~/.cache/performer-peers/bin/pip install torch numpy
    ~/.cache/performer-peers/bin/python tests/peers/exact_transformer.py --train train.fasta --valid valid.fasta
"""
import argparse
import gzip
import json
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LETTERS = "ACDEFGHIKLMNPQRSTVWYBOUXZ"
BEGIN, END, PAD, MASK, VOCABULARY = 25, 26, 27, 28, 29


def read_fasta(path):
    opener = gzip.open if open(path, "rb").read(2) == b"\x1f\x8b" else open
    sequences, lines = [], []
    for line in list(opener(path, "rt")) + [">"]:
        if line.startswith(">"):
            residues = "".join(lines).upper().rstrip("*")
            if residues:
                sequences.append(np.array([BEGIN] + [max(LETTERS.find(c), 0) if c in LETTERS else 23 for c in residues] + [END]))
            lines = []
        else:
            lines.append(line.strip())
    return sequences


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class Layer(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x, cos, sin, mask):
        B, L, D = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(B, L, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        o = functional.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, attn_mask=mask)
        x = x + self.out(o.transpose(1, 2).reshape(B, L, D))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Model(nn.Module):
    def __init__(self, width, layers, heads, hidden):
        super().__init__()
        self.token = nn.Embedding(VOCABULARY, width)
        self.layers = nn.ModuleList(Layer(width, heads, hidden) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, VOCABULARY)
        self.size = width // heads
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, ids):
        L = ids.shape[1]
        angle = torch.arange(L)[:, None] * 10000.0 ** (-torch.arange(0, self.size, 2) / self.size)
        mask = (ids != PAD)[:, None, None, :]
        x, mask = self.token(ids), None if mask.all() else mask
        for layer in self.layers:
            x = layer(x, angle.cos(), angle.sin(), mask)
        return self.head(self.norm(x))


def pad(sequences):
    out = np.full((len(sequences), max(map(len, sequences))), PAD)
    for row, s in zip(out, sequences):
        row[: len(s)] = s
    return torch.from_numpy(out)


def steps(sequences, tokens, length, rng):
    """Batches without end: a pool of sequences in random order, cut, sorted by length and grouped by tokens."""
    while True:
        order = rng.permutation(len(sequences))
        for first in range(0, len(order), 512):
            pool = []
            for i in order[first : first + 512]:
                s = sequences[i]
                start = rng.integers(0, len(s) - length + 1) if len(s) > length else 0
                pool.append(s[start : start + length])
            pool.sort(key=len)
            batches, batch, size = [], [], 0
            for s in pool:
                if batch and size + len(s) > tokens:
                    batches.append(batch)
                    batch, size = [], 0
                batch.append(s)
                size += len(s)
            batches.append(batch)
            for i in rng.permutation(len(batches)):
                yield batches[i]


def corrupt(ids, rng, mask=0.8, random=0.1):
    chosen = (ids < BEGIN) & (rng.random(ids.shape) < 0.15)
    kind, letters = rng.random(ids.shape), rng.integers(0, 20, ids.shape)
    out = np.where(chosen & (kind < mask), MASK, ids)
    return np.where(chosen & (kind >= mask) & (kind < mask + random), letters, out), chosen


@torch.no_grad()
def evaluate(model, valid, unigram, length, tokens):
    rng, total, base, count = np.random.default_rng(0), 0.0, 0.0, 0
    ordered = sorted((s[:length] for s in valid), key=len)
    while ordered:
        batch = ordered[: max(1, tokens // len(ordered[0]))]
        while len(batch) > 1 and len(batch[-1]) * len(batch) > tokens:
            batch.pop()
        ordered = ordered[len(batch) :]
        ids = pad(batch).numpy()
        seen, chosen = corrupt(ids, rng, mask=1.0, random=0.0)
        where = torch.from_numpy(chosen)
        targets = torch.from_numpy(ids)[where]
        if len(targets) == 0:
            continue
        total += functional.cross_entropy(model(torch.from_numpy(seen))[where], targets, reduction="sum").item()
        base -= unigram[targets.numpy()].sum()
        count += len(targets)
    return total / count, base / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", required=True)
    parser.add_argument("--valid", required=True)
    parser.add_argument("--tokens", type=float, default=2.8e6, help="tokens to train on")
    parser.add_argument("--every", type=float, default=0.7e6, help="tokens between evaluations")
    parser.add_argument("--batch-tokens", type=int, default=8192)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(2)
    rng = np.random.default_rng(a.seed)
    train, valid = read_fasta(a.train), read_fasta(a.valid)
    letters = np.bincount(np.concatenate(train), minlength=VOCABULARY)[:BEGIN] + 1e-9
    unigram = np.log(letters / letters.sum())
    model = Model(128, 4, 2, 512)
    decayed = [p for n, p in model.named_parameters() if p.ndim == 2 and "token" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "token" in n]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
                                  lr=a.learning_rate, betas=(0.9, 0.98), eps=1e-9)  # fmt: skip
    seen, seconds, due, step = 0, 0.0, a.every, 0
    for batch in steps(train, a.batch_tokens, a.length, rng):
        start = time.perf_counter()
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = a.learning_rate * min(1.0, step / 100)
        ids = pad(batch).numpy()
        noisy, chosen = corrupt(ids, rng)
        loss = functional.cross_entropy(model(torch.from_numpy(noisy))[torch.from_numpy(chosen)], torch.from_numpy(ids[chosen]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        seconds += time.perf_counter() - start
        seen += sum(map(len, batch))
        if seen >= due or seen >= a.tokens:
            due += a.every
            value, base = evaluate(model, valid, unigram, a.length, a.batch_tokens)
            print(json.dumps({"tokens": seen, "seconds": round(seconds, 1), "tokens_per_s": round(seen / seconds),
                              "valid_loss": value, "perplexity": math.exp(value), "unigram_loss": base,
                              "gain_nats": base - value, "seed": a.seed}), flush=True)  # fmt: skip
        if seen >= a.tokens:
            break


if __name__ == "__main__":
    main()
