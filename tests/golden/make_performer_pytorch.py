#!/usr/bin/env python3
"""State dicts of tiny random models of performer-pytorch 1.1.4 with softmax and ReLU features, and their logits in float64.

    ~/.cache/performer-peers/bin/python tests/golden/make_performer_pytorch.py

Needs torch, performer-pytorch, numpy, safetensors. Files go to performer-pytorch/ beside this script; sequences are those of hf/.
"""
import os
import warnings

warnings.simplefilter("ignore")
import torch
from performer_pytorch import PerformerLM
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = "<pad> <cls> <eos> <mask> A C D E F G H I K L M N P Q R S T V W Y X".split()
MODELS = {
    "softmax": {},  # rotary, its default
    "relu": {"generalized_attention": True, "kernel_fn": torch.nn.ReLU(), "rotary_position_emb": False, "tie_embed": True,
             "qkv_bias": True, "attn_out_bias": True},
}  # fmt: skip


def sequences():
    with open(os.path.join(HERE, "hf", "sequences.fasta"), encoding="utf-8") as file:
        return {text.split("\n", 1)[0]: text.split("\n", 1)[1].replace("\n", "") for text in file.read().split(">")[1:]}


def main():
    folder = os.path.join(HERE, "performer-pytorch")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "tokens.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(TOKENS) + "\n")
    for name, how in MODELS.items():
        torch.manual_seed(1)
        model = PerformerLM(num_tokens=len(TOKENS), max_seq_len=80, dim=16, depth=2, heads=2, dim_head=8, nb_features=12, ff_mult=2,
                            **how).eval()  # fmt: skip
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
        # proj_updater holds the same tensors under other names.
        tensors = {n: t.contiguous() for n, t in model.state_dict().items() if "proj_updater" not in n}
        save_file(tensors, os.path.join(folder, name + ".safetensors"))
        model = model.double()
        logits = {}
        for label, residues in sequences().items():
            words = ["<cls>", *("<mask>" if c == "*" else c for c in residues), "<eos>"]
            with torch.no_grad():
                logits[label] = model(torch.tensor([[TOKENS.index(word) for word in words]]))[0]
        save_file(logits, os.path.join(folder, name + ".expected.safetensors"))
        os.chmod(os.path.join(folder, name + ".safetensors"), 0o644)
        os.chmod(os.path.join(folder, name + ".expected.safetensors"), 0o644)


main()
