#!/usr/bin/env python3
"""The peers' side of compare.py: reads a piece of work as a JSON line, does it a few times, answers with the median seconds.

{"work": "matmul", "m": 4096, "n": 512, "k": 512, "transpose": "NT", "batch": 1, "repeats": 3}
{"work": "attention", "peer": "exact|performer_pytorch|jax", "kernel": "relu", "length": 4096, "causal": false, "backward": true}
{"work": "model", "peer": "performer_pytorch|exact|returns_v", "batch": 4, "length": 1024, "training": true}

Compilation and the first run are left out; work shorter than two milliseconds is done several times between two looks at
the clock, as performer bench does it. `peer.py --train BxL` takes two training steps of performer-pytorch and ends: for
its memory.
"""
import argparse
import json
import math
import os
import sys
import time
import warnings

warnings.filterwarnings("ignore")
HEADS, HEAD, FEATURES, CHUNK = 8, 64, 256, 128
WIDTH, HIDDEN, LAYERS, TOKENS = 512, 1024, 6, 29
LONG_ENOUGH_S = 2e-3


class Timed:
    """A piece of work, compiled and run once before the clock looks at it."""

    def __init__(self, run):
        run()
        begin = time.perf_counter()
        run()
        self.run, self.once = run, time.perf_counter() - begin
        self.calls = min(64, math.ceil(LONG_ENOUGH_S / self.once))

    def seconds(self, repeats):
        """The median; another program ran since the last time, so what is short begins with a run for the caches."""
        if self.once < 0.1:
            self.run()
        seconds = []
        for _ in range(repeats):
            begin = time.perf_counter()
            for _ in range(self.calls):
                self.run()
            seconds.append((time.perf_counter() - begin) / self.calls)
        return sorted(seconds)[len(seconds) // 2]


# ---- matrix products: PyTorch's library ----


def matmul(job):
    import torch

    batch, m, n, k = job["batch"], job["m"], job["n"], job["k"]
    a = torch.rand(batch, *((k, m) if job["transpose"][0] == "T" else (m, k))) - 0.5
    b = torch.rand(batch, *((n, k) if job["transpose"][1] == "T" else (k, n))) - 0.5
    a = a.transpose(1, 2) if job["transpose"][0] == "T" else a
    b = b.transpose(1, 2) if job["transpose"][1] == "T" else b
    out = torch.empty(batch, m, n)
    if batch == 1:
        a, b, out = a[0], b[0], out[0]

    def run():
        with torch.no_grad():
            torch.matmul(a, b, out=out)

    return run


# ---- one attention layer ----


def jax_attention(causal):
    """FAVOR with ReLU features on [H, L, E]; causal by chunks, the state before each being a running sum."""
    import jax
    import jax.numpy as jnp

    def features(x, w):
        return jnp.maximum(x @ (w.T * HEAD**-0.25), 0) + 1e-3

    def both_sides(q, k, v, w):
        fq, fk = features(q, w), features(k, w)
        one = jnp.concatenate([v, jnp.ones((*v.shape[:-1], 1))], -1)
        out = fq @ jnp.einsum("hlm,hle->hme", fk, one)
        return out[..., :HEAD] / out[..., HEAD:]

    def one_side(q, k, v, w):
        heads, length, _ = q.shape
        size = min(CHUNK, length)
        cut = lambda x: x.reshape(heads, length // size, size, x.shape[-1])
        fq, fk = cut(features(q, w)), cut(features(k, w))
        one = cut(jnp.concatenate([v, jnp.ones((heads, length, 1))], -1))
        sums = jnp.einsum("hclm,hcle->hcme", fk, one)
        before = jnp.cumsum(sums, 1) - sums
        near = jnp.tril(jnp.einsum("hcim,hcjm->hcij", fq, fk))
        out = jnp.einsum("hcij,hcje->hcie", near, one) + jnp.einsum("hcim,hcme->hcie", fq, before)
        out = out.reshape(heads, length, HEAD + 1)
        return out[..., :HEAD] / out[..., HEAD:]

    return jax, one_side if causal else both_sides


def attention_in_jax(job):
    jax, function = jax_attention(job["causal"])
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    q, k, v = (jax.random.normal(key, (HEADS, job["length"], HEAD)) for key in keys[:3])
    w = jax.random.normal(keys[3], (FEATURES, HEAD))
    if job["backward"]:
        compiled = jax.jit(jax.grad(lambda *qkv: function(*qkv, w).sum(), (0, 1, 2)))
    else:
        compiled = jax.jit(lambda *qkv: function(*qkv, w))
    return lambda: jax.block_until_ready(compiled(q, k, v))


def attention(job):
    if job["peer"] == "jax":
        return attention_in_jax(job)
    import torch

    if job["peer"] == "exact":
        function = lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=job["causal"])
    else:
        from performer_pytorch import FastAttention

        function = FastAttention(HEAD, nb_features=FEATURES, generalized_attention=job["kernel"] == "relu", causal=job["causal"])
    q, k, v = (torch.randn(1, HEADS, job["length"], HEAD, requires_grad=True) for _ in range(3))
    gradient = torch.ones(1, HEADS, job["length"], HEAD)

    def run():
        if job["backward"]:
            torch.autograd.grad(function(q, k, v), (q, k, v), gradient)
        else:
            with torch.no_grad():
                function(q, k, v)

    return run


# ---- a model of six layers ----


def transformer(length, exact):
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before, self.middle = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.project, self.merge = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.hidden = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, WIDTH))

        def forward(self, x):
            heads = self.project(self.before(x)).unflatten(-1, (3, HEADS, HEAD))
            q, k, v = (heads[:, :, i].transpose(1, 2) for i in range(3))
            seen = nn.functional.scaled_dot_product_attention(q, k, v) if exact else v
            x = x + self.merge(seen.transpose(1, 2).flatten(2))
            return x + self.hidden(self.middle(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.letters, self.places = nn.Embedding(TOKENS, WIDTH), nn.Parameter(0.02 * torch.randn(length, WIDTH))
            self.layers = nn.Sequential(*(Block() for _ in range(LAYERS)))
            self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, TOKENS)

        def forward(self, ids):
            return self.head(self.norm(self.layers(self.letters(ids) + self.places)))

    return Model()


def performer_pytorch(length):
    from performer_pytorch import PerformerLM

    return PerformerLM(num_tokens=TOKENS, max_seq_len=length, dim=WIDTH, depth=LAYERS, heads=HEADS, dim_head=HEAD, nb_features=FEATURES,
                       ff_mult=HIDDEN // WIDTH, generalized_attention=True, rotary_position_emb=False)  # fmt: skip


def model(job):
    import torch

    batch, length = job["batch"], job["length"]
    net = performer_pytorch(length) if job["peer"] == "performer_pytorch" else transformer(length, job["peer"] == "exact")
    ids = torch.randint(0, 20, (batch, length))
    optimiser = torch.optim.AdamW(net.parameters(), fused=True)

    def train():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(ids).flatten(0, 1), ids.flatten()).backward()
        optimiser.step()

    def forward():
        with torch.no_grad():
            net(ids)

    net.train(job["training"])
    return train if job["training"] else forward


WORK = {"matmul": matmul, "attention": attention, "model": model}


def serve():
    made = {}
    for line in sys.stdin:
        job = json.loads(line)
        if job["work"] == "forget":  # memory for the next shape
            made.clear()
            continue
        key = json.dumps(job, sort_keys=True)
        if key not in made:
            made[key] = Timed(WORK[job["work"]](job))
        print(json.dumps({"seconds": made[key].seconds(job["repeats"])}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of PyTorch, which by itself may take fewer")
    parser.add_argument("--train", metavar="BxL", help="two training steps of performer-pytorch, nothing else")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    if not options.train:
        return serve()
    batch, length = map(int, options.train.split("x"))
    step = model({"peer": "performer_pytorch", "batch": batch, "length": length, "training": True})
    step(), step()


if __name__ == "__main__":
    main()
