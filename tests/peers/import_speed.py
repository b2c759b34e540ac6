#!/usr/bin/env python3
"""Speed of imported models: `embed` and `score` with ESM-2-shaped weights (random: nothing is downloaded) against transformers in
fp32, on a file's own proteins, with the same most tokens a batch. The peer's batches are padded and sorted by length, as
esm-extract makes them, and only its passes are timed; performer's time is that of the whole process, file to file. Alternating
rounds; prints the median of the rounds' ratios.

    ~/.cache/performer-peers/bin/pip install transformers
    ~/.cache/performer-peers/bin/python tests/peers/import_speed.py --performer build/tools/performer proteins.fasta
"""
import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import torch
from import_models import ESM, hf, randomise

SHAPES = {"8M": {"hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 20, "intermediate_size": 1280},
          "35M": {"hidden_size": 480, "num_hidden_layers": 12, "num_attention_heads": 20, "intermediate_size": 1920}}
LONGEST, STRIDE, AIM = 1022, 8, 1.5


def proteins(path, count):
    names, found = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(">"):
                names.append(line[1:].split()[0])
                found.append("")
            else:
                found[-1] += line.strip()
    step = max(1, len(found) // count)  # from all over the file
    return [s[:LONGEST] for s in found[::step][:count] if s]


def batches(sequences, most_tokens):
    """Indices by length, as many as fit when padded to the longest."""
    out, longest = [[]], 0
    for i in sorted(range(len(sequences)), key=lambda i: len(sequences[i])):
        longest = max(longest, len(sequences[i]) + 2)
        if out[-1] and longest * (len(out[-1]) + 1) > most_tokens:
            out.append([])
            longest = len(sequences[i]) + 2
        out[-1].append(i)
    return out


def tensors_of(rows):
    longest = max(map(len, rows))
    ids = torch.tensor([row + [ESM.index("<pad>")] * (longest - len(row)) for row in rows])
    return ids, (ids != ESM.index("<pad>")).long()


def tokens_of(sequence):
    return [ESM.index("<cls>"), *map(ESM.index, sequence), ESM.index("<eos>")]


def embed_peer(model, sequences, most_tokens):
    for batch in batches(sequences, most_tokens):
        ids, mask = tensors_of([tokens_of(sequences[i]) for i in batch])
        hidden = model.esm(input_ids=ids, attention_mask=mask).last_hidden_state
        for row, i in enumerate(batch):
            hidden[row, 1:len(sequences[i]) + 1].mean(0)


def score_peer(model, sequences, most_tokens):
    """Every STRIDE-th residue masked together, STRIDE passes for a sequence."""
    for batch in batches(sequences, most_tokens):
        rows = [tokens_of(sequences[i]) for i in batch]
        for first in range(STRIDE):
            masked = [[ESM.index("<mask>") if t > 0 and t < len(r) - 1 and (t - 1) % STRIDE == first else x for t, x in enumerate(r)] for r in rows]
            ids, mask = tensors_of(masked)
            torch.log_softmax(model(input_ids=ids, attention_mask=mask).logits, -1)


def timed(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def compare(options, name, folder, sequences):
    model = randomise(hf.EsmForMaskedLM(hf.EsmConfig(vocab_size=33, max_position_embeddings=1026, layer_norm_eps=1e-5, pad_token_id=1,
                                                     mask_token_id=32, token_dropout=True, position_embedding_type="rotary",
                                                     hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **SHAPES[name])), 1)
    model.save_pretrained(f"{folder}/source")
    with open(f"{folder}/source/vocab.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(ESM) + "\n")
    ours = lambda *arguments: subprocess.run([options.performer, *arguments, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    ours("import", f"{folder}/source", "-o", f"{folder}/{name}")
    few = sequences[::STRIDE]
    work = {"embed": (sequences, embed_peer, ["-o", f"{folder}/e.npz"]), "score": (few, score_peer, ["--stride", str(STRIDE)])}
    reached = True
    for what, (subset, peer, arguments) in work.items():
        with open(f"{folder}/{what}.fa", "w", encoding="utf-8") as file:
            file.writelines(f">{i}\n{s}\n" for i, s in enumerate(subset))
        command = [what, f"{folder}/{name}", f"{folder}/{what}.fa", "--batch-tokens", str(options.batch_tokens), *arguments]
        ours(*command)  # compiles
        peer(model, subset[:4], options.batch_tokens)
        rounds = [(timed(lambda: ours(*command)), timed(lambda: peer(model, subset, options.batch_tokens))) for _ in range(options.rounds)]
        mine, theirs = (statistics.median(times) for times in zip(*rounds))
        ratio = statistics.median(b / a for a, b in rounds)
        residues = sum(map(len, subset)) * (STRIDE if what == "score" else 1)
        reached &= ratio >= AIM
        print(f"ESM-2 {name} {what}: {residues / mine:.0f} residues/s, transformers {residues / theirs:.0f}, ratio {ratio:.2f} >= {AIM}"
              f" {'PASS' if ratio >= AIM else 'short'}", flush=True)
    return reached


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--performer", default="performer", help="the program")
    parser.add_argument("--models", default="8M,35M")
    parser.add_argument("--count", type=int, default=200, help="proteins, from all over the file")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("fasta")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sequences = proteins(options.fasta, options.count)
    reached = True
    with torch.no_grad(), tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        for name in options.models.split(","):
            reached &= compare(options, name, folder, sequences)
    sys.exit(not reached)


if __name__ == "__main__":
    main()
