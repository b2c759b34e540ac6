#!/usr/bin/env python3
"""What tools/demo-signal-peptides must be held against, on its own files: k-mers, nearest neighbours, a PyTorch transformer.

Reads train.fasta, valid.fasta, test.fasta and a table of labels (name, then columns with a header). Prints, for each method and
the test file, the area under the ROC curve (two classes: of the second in order of the alphabet, or of --positive), balanced
accuracy, Matthews' correlation. The strengths of regularisation are chosen on the validation file alone.

  kmers      multinomial logistic regression on the counts of all 1-, 2- and 3-mers
  neighbour  the label of the training sequence that shares most 3-mers (Jaccard)
  torch      a transformer with exact attention (exact_transformer.py) of the size of the preset tiny, trained on --pretrain with
             masks, then with a linear head on the mean over residues, the best of its evaluations on the validation file

    ~/.cache/performer-peers/bin/pip install torch numpy scipy
    ~/.cache/performer-peers/bin/python tests/peers/localisation.py DIR/begins --labels DIR/labels.tsv --column signal --positive yes --pretrain proteins.fasta
"""
import argparse
import os
import sys
import time

import numpy as np

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def read_fasta(path):
    names, sequences = [], []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.startswith(">"):
                names.append(line[1:].split()[0])
                sequences.append("")
            else:
                sequences[-1] += line.strip()
    return names, sequences


def read_labels(path, column):
    with open(path, encoding="utf-8") as file:
        header = file.readline().rstrip("\n").split("\t")
        at = header.index(column) if column else 1
        rows = (line.rstrip("\n").split("\t") for line in file)
        return {row[0]: row[at] for row in rows}


class Part:
    def __init__(self, path, labels, classes=None):
        names, sequences = read_fasta(path)
        self.sequences = [s for n, s in zip(names, sequences) if labels.get(n)]
        said = [labels[n] for n in names if labels.get(n)]
        self.classes = classes or sorted(set(said))
        self.y = np.array([self.classes.index(c) for c in said])


# ---- metrics ----


def area(score, positive):
    """The share of pairs of a positive and a negative that stand in the right order; equal ones count half."""
    order = np.argsort(score, kind="stable")
    value, ranks = score[order], np.empty(len(score))
    first = np.r_[True, value[1:] != value[:-1]]
    group = np.cumsum(first) - 1
    begin = np.flatnonzero(first)
    end = np.r_[begin[1:], len(value)]
    ranks[order] = ((begin + end + 1) / 2)[group]
    n = positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(score) - n))


def metrics(p, y, classes, positive):
    """p [N, classes]."""
    guess = p.argmax(1)
    table = np.zeros((len(classes), len(classes)))
    np.add.at(table, (y, guess), 1)
    recall = np.diag(table) / np.maximum(table.sum(1), 1)
    truth, said, total = table.sum(1), table.sum(0), table.sum()
    below = np.sqrt((total**2 - (truth**2).sum()) * (total**2 - (said**2).sum()))
    mcc = (np.trace(table) * total - truth @ said) / below if below else 0.0
    of = [classes.index(positive)] if positive else range(len(classes))
    return {"auc": np.mean([area(p[:, c], y == c) for c in of]), "accuracy": np.trace(table) / total, "balanced": recall.mean(), "mcc": mcc}


# ---- k-mers ----


def kmer_counts(sequences):
    """[N, 20 + 400 + 8000], a k-mer's share of its sequence's; sparse."""
    from scipy.sparse import csr_matrix

    code = np.full(128, -1)
    code[[ord(c) for c in LETTERS]] = np.arange(20)
    rows, columns, values = [], [], []
    for i, s in enumerate(sequences):
        c = code[np.frombuffer(s.encode(), dtype=np.uint8)]
        for k, offset in ((1, 0), (2, 20), (3, 420)):
            if len(c) < k:
                continue
            parts = [c[j : len(c) - k + 1 + j] for j in range(k)]
            index = sum(p * 20 ** (k - 1 - j) for j, p in enumerate(parts))
            index = index[np.min(parts, 0) >= 0]
            found, n = np.unique(index, return_counts=True)
            rows += [i] * len(found)
            columns += list(found + offset)
            values += list(np.sqrt(n))
    return csr_matrix((values, (rows, columns)), shape=(len(sequences), 8420))


def fit(x, y, n_classes, strength, balance):
    """Multinomial logistic regression, L2, by L-BFGS; `balance`: classes weigh alike."""
    from scipy.optimize import minimize

    n, d = x.shape
    count = np.bincount(y, minlength=n_classes)
    weight = (n / (n_classes * np.maximum(count, 1)))[y] if balance else np.ones(n)
    one = np.eye(n_classes)[y]

    def loss(flat):
        w = flat.reshape(d + 1, n_classes)
        z = x @ w[:-1] + w[-1]
        z -= z.max(1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
        g = weight[:, None] * (np.exp(log_p) - one) / n
        gradient = np.vstack([x.T @ g + strength * w[:-1], g.sum(0)])
        return -(weight * log_p[np.arange(n), y]).mean() + 0.5 * strength * (w[:-1] ** 2).sum(), gradient.ravel()

    w = minimize(loss, np.zeros((d + 1) * n_classes), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(d + 1, n_classes)

    def predict(x):
        z = x @ w[:-1] + w[-1]
        p = np.exp(z - z.max(1, keepdims=True))
        return p / p.sum(1, keepdims=True)

    return predict


def kmers(parts, positive):
    x = [kmer_counts(p.sequences) for p in parts]
    best = None
    for balance in (False, True):
        for strength in (1e-4, 1e-3, 1e-2):
            predict = fit(x[0], parts[0].y, len(parts[0].classes), strength, balance)
            got = metrics(predict(x[1]), parts[1].y, parts[1].classes, positive)
            if best is None or got["mcc"] > best[0]:
                best = got["mcc"], strength, balance, predict
    print(f"kmers: L2 {best[1]:g}{', classes weigh alike' if best[2] else ''} (validation)", file=sys.stderr)
    return best[3](x[2])


# ---- nearest neighbour ----


def neighbour(parts, _):
    x = [kmer_counts(p.sequences)[:, 420:] for p in (parts[0], parts[2])]
    for m in x:
        m.data[:] = 1
    common = np.asarray((x[1] @ x[0].T).todense())
    size = [np.asarray(m.sum(1)).ravel() for m in x]
    similarity = common / np.maximum(size[1][:, None] + size[0][None, :] - common, 1)
    guess = np.zeros((len(parts[2].y), len(parts[0].classes)))
    for c in range(guess.shape[1]):  # the best of each class: a score that can be ranked, too
        guess[:, c] = similarity[:, parts[0].y == c].max(1)
    return guess


# ---- a transformer in PyTorch ----


def torch_model(options, parts, positive):
    import torch
    from torch import nn
    from torch.nn import functional

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import exact_transformer as exact

    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(options.seed)
    model, place = exact.Model(128, 4, 2, 512), options.keep
    if place and os.path.exists(place):
        model.load_state_dict(torch.load(place, weights_only=True))
    else:
        pretrain(model, options, rng, exact, torch)
        if place:
            torch.save(model.state_dict(), place)
    head = nn.Linear(128, len(parts[0].classes))
    nn.init.zeros_(head.weight)

    def encode(s):
        return np.array([exact.BEGIN] + [exact.LETTERS.find(c) if c in exact.LETTERS else 23 for c in s[: options.length - 2]] + [exact.END])

    def hidden(ids):
        angle = torch.arange(ids.shape[1])[:, None] * 10000.0 ** (-torch.arange(0, model.size, 2) / model.size)
        x, mask = model.token(ids), (ids != exact.PAD)[:, None, None, :]
        for layer in model.layers:
            x = layer(x, angle.cos(), angle.sin(), mask)
        rows = (ids < exact.BEGIN).float()[:, :, None]
        return (model.norm(x) * rows).sum(1) / rows.sum(1).clamp(min=1)

    tokens = [[encode(s) for s in p.sequences] for p in parts]

    def predict(which):
        model.eval(), head.eval()
        out = []
        with torch.no_grad():
            for i in range(0, len(tokens[which]), 64):
                out.append(functional.softmax(head(hidden(exact.pad(tokens[which][i : i + 64]))), -1))
        model.train(), head.train()
        return torch.cat(out).double().numpy()

    steps = int(options.epochs * len(tokens[0]) / options.batch)
    optimiser = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=options.learning_rate, weight_decay=0.01, betas=(0.9, 0.98))
    best, order, began = (-1, None), [], time.perf_counter()
    for step in range(1, steps + 1):
        if len(order) < options.batch:
            order = list(rng.permutation(len(tokens[0])))
        pick = [order.pop() for _ in range(options.batch)]
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * min(step / (0.1 * steps), 0.5 + 0.5 * np.cos(np.pi * step / steps))
        loss = functional.cross_entropy(head(hidden(exact.pad([tokens[0][i] for i in pick]))), torch.from_numpy(parts[0].y[pick]))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_([*model.parameters(), *head.parameters()], 0.5)
        optimiser.step()
        if step % max(1, steps // 10) == 0:
            got = metrics(predict(1), parts[1].y, parts[1].classes, positive)
            print(f"step {step}/{steps}: validation {got}", file=sys.stderr)
            if got["mcc"] > best[0]:
                best = got["mcc"], predict(2)
    print(f"{time.perf_counter() - began:.0f} s of fine-tuning", file=sys.stderr)
    return best[1]


def pretrain(model, options, rng, exact, torch):
    sequences, seen, step = exact.read_fasta(options.pretrain), 0, 0
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), eps=1e-9, weight_decay=0.1)
    began = time.perf_counter()
    sequences = [s[: options.pretrain_length] for s in sequences]
    for batch in exact.steps(sequences, 4096, options.pretrain_length, rng):
        step += 1
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1.0, step / 100) * (0.5 + 0.5 * np.cos(np.pi * min(1.0, seen / options.tokens)))
        ids = exact.pad(batch).numpy()
        noisy, chosen = exact.corrupt(ids, rng)
        loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(noisy))[torch.from_numpy(chosen)], torch.from_numpy(ids[chosen]))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimiser.step()
        seen += sum(map(len, batch))
        if step % 200 == 0:
            print(f"step {step}, {seen} tokens: loss {loss.item():.3f}", file=sys.stderr)
        if seen >= options.tokens:
            break
    print(f"{time.perf_counter() - began:.0f} s of training on {seen} tokens", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="with train.fasta, valid.fasta, test.fasta")
    parser.add_argument("--labels", required=True)
    parser.add_argument("--column", help="by default the second")
    parser.add_argument("--positive", help="the class whose AUC counts; without it the mean over all classes, one against the others")
    parser.add_argument("--methods", default="kmers,neighbour,torch")
    parser.add_argument("--pretrain", help="FASTA for the transformer")
    parser.add_argument("--pretrain-length", type=int, default=512)
    parser.add_argument("--tokens", type=float, default=9.8e6, help="to pretrain on")
    parser.add_argument("--keep", metavar="FILE", help="where the pretrained transformer is, or is kept")
    parser.add_argument("--length", type=int, default=72, help="most tokens of a sequence in fine-tuning")
    parser.add_argument("--epochs", type=float, default=8)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    labels = read_labels(options.labels, options.column)
    parts = [Part(os.path.join(options.folder, "train.fasta"), labels)]
    parts += [Part(os.path.join(options.folder, name), labels, parts[0].classes) for name in ("valid.fasta", "test.fasta")]
    for name, part in zip(("train", "valid", "test"), parts):
        print(f"{name}: {len(part.y)} sequences, " + ", ".join(f"{n} {c}" for c, n in zip(part.classes, np.bincount(part.y, minlength=len(part.classes)))))
    print("method\tauc\tbalanced\tmcc\taccuracy")
    for method in options.methods.split(","):
        p = {"kmers": kmers, "neighbour": neighbour, "torch": lambda a, b: torch_model(options, a, b)}[method](parts, options.positive)
        got = metrics(p, parts[2].y, parts[2].classes, options.positive)
        print(f"{method}\t{got['auc']:.3f}\t{got['balanced']:.3f}\t{got['mcc']:.3f}\t{got['accuracy']:.3f}", flush=True)


if __name__ == "__main__":
    main()
