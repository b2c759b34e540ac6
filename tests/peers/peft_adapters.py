#!/usr/bin/env python3
"""Adapters of `performer export --format peft` held against peft: the base model with them must be the merged model of `--format esm`.

Trains adapters in the tiny ESM-2 of tests/golden/hf for some steps; peft and transformers run in float64. Prints the largest
differences of logits and exits 1 if peft's are off by more than 1e-6, the rounding of a merged weight; the twin is the base alone.

    ~/.cache/performer-peers/bin/pip install transformers peft
    ~/.cache/performer-peers/bin/python tests/peers/peft_adapters.py --performer build/tools/performer
"""
import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import peft
import torch
import transformers as hf

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "hf")
TARGETS = "query,value,up,layers.1.attention.output,layers.0.feed_forward.down"


def prepare(performer, folder):
    """The directories base, merged and adapters in `folder`."""
    def run(*arguments):
        subprocess.run([os.path.abspath(performer), *arguments], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    run("import", os.path.join(GOLDEN, "esm"), "-o", "model")
    run("train", "--init", "model", "--train", os.path.join(GOLDEN, "sequences.fasta"), "-o", "run", "--set", "lora.rank=4",
        "--set", f"lora.targets={TARGETS}", "--set", "train.steps=20", "--set", "train.learning_rate=0.01")
    run("export", "model", "--format", "esm", "-o", "base")
    run("export", "run", "--format", "esm", "-o", "merged")
    run("export", "run", "--format", "peft", "-o", "adapters")


def logits(model):
    ids = torch.tensor([[0] + [4 + i % 20 for i in range(60)] + [2]])
    with torch.no_grad():
        return model.eval().double()(input_ids=ids).logits


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performer", required=True)
    with tempfile.TemporaryDirectory() as folder:
        prepare(parser.parse_args().performer, folder)
        base, merged = (hf.EsmForMaskedLM.from_pretrained(os.path.join(folder, name)) for name in ("base", "merged"))
        alone, expected = logits(base), logits(merged)
        adapted = logits(peft.PeftModel.from_pretrained(base, os.path.join(folder, "adapters")))
    scale = float(expected.abs().max())
    error, twin = (float((x - expected).abs().max()) / scale for x in (adapted, alone))
    print(f"peft {peft.__version__}: {error:.1e} of the largest logit; without adapters {twin:.1e}")
    return int(error > 1e-6 or twin < 1e-3)


if __name__ == "__main__":
    sys.exit(main())
