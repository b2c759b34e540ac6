#!/usr/bin/env python3
"""Imported models held against the programs they come from, layer by layer, with random weights: nothing is downloaded.

ESM-2, ESM-1b and ProtBert shapes of transformers, contacts and scores of variants that follow from them, and PerformerLM of
performer-pytorch with its options: those that have no place here must be refused by name. The reference runs in float64;
performer's float32 may be off by 1e-5 of a layer's largest number, and by 1e-4 of the largest logit. Prints a line a model and exits 1
if one is over. The last lines are twins: what ports forget must be found out.

    ~/.cache/performer-peers/bin/pip install transformers einops performer-pytorch
    ~/.cache/performer-peers/bin/python tests/peers/import_models.py --performer build/tools/performer
"""
import argparse
import itertools
import json
import os
import struct
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np
import torch
import transformers as hf

ESM = "<cls> <pad> <eos> <unk> L A G V S E R T I D P K Q N F Y M H W C X B U Z O . - <null_1> <mask>".split()
BERT = "[PAD] [UNK] [CLS] [SEP] [MASK] L A G V E S I K R D T P N Q F Y M H C W X U B Z O".split()
PYTORCH = "<pad> <cls> <eos> <mask> A C D E F G H I K L M N P Q R S T V W Y X".split()
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
LAYER_BOUND, LOGIT_BOUND, CONTACT_BOUND = 1e-5, 1e-4, 1e-5


def randomise(model, seed):
    """Every parameter random, also those that start as 0 or 1, so that nothing left out or swapped goes unseen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.ndim == 1:
                p.copy_(0.2 * noise + (1 if "norm" in name.lower() and name.endswith("weight") else 0))
            else:
                p.copy_(0.4 * noise if "emb" in name else noise / p.shape[1] ** 0.5)
    return model.eval()


def esm(seed, **how):
    keys = {"vocab_size": 33, "max_position_embeddings": 1026, "layer_norm_eps": 1e-5, "pad_token_id": 1, "mask_token_id": 32,
            "token_dropout": True, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **how}
    return randomise(hf.EsmForMaskedLM(hf.EsmConfig(**keys)), seed), ESM


def bert(seed, **how):
    keys = {"vocab_size": 30, "max_position_embeddings": 1024, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, **how}
    return randomise(hf.BertForMaskedLM(hf.BertConfig(**keys)), seed), BERT


SMALL = {"hidden_size": 320, "num_hidden_layers": 6, "num_attention_heads": 20, "intermediate_size": 1280}  # ESM-2 8M
MODELS = {
    "esm2-8m": lambda: esm(1, position_embedding_type="rotary", **SMALL),
    "esm2-head24": lambda: esm(2, position_embedding_type="rotary", hidden_size=96, num_hidden_layers=3, num_attention_heads=4,
                               intermediate_size=200),
    "esm1b": lambda: esm(3, position_embedding_type="absolute", emb_layer_norm_before=True, hidden_size=128, num_hidden_layers=4,
                         num_attention_heads=4, intermediate_size=512),
    "esm1v": lambda: esm(4, position_embedding_type="absolute", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                         intermediate_size=256, tie_word_embeddings=False),
    "protbert": lambda: bert(5, hidden_size=256, num_hidden_layers=5, num_attention_heads=4, intermediate_size=1024),
    "bert-gelu-tanh": lambda: bert(6, hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=96,
                                   hidden_act="gelu_new"),
}


def proteins(seed):
    rng = np.random.default_rng(seed)
    return {f"p{n}": "".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWYX*"), n)) for n in (1, 7, 63, 300, 1000)}


def ids_of(residues, words):
    begin, end, mask = ("[CLS]", "[SEP]", "[MASK]") if words is BERT else ("<cls>", "<eos>", "<mask>")
    return torch.tensor([[words.index(w) for w in [begin, *(mask if c == "*" else c for c in residues), end]]])


def run(performer, *arguments):
    done = subprocess.run([performer, *arguments, "--quiet"], capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr.decode()}")


def relative(got, expected):
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def reference(model, sequences, words):
    """{name: ([layers + 1, residues, D], logits)} in float64."""
    out = {}
    model = model.double()
    with torch.no_grad():
        for name, residues in sequences.items():
            ids = ids_of(residues, words)
            got = model(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
            states = np.stack([h[0].numpy() for h in got.hidden_states])
            out[name] = states[:, 1:-1], got.logits[0].numpy()
    return out


def compare(performer, folder, expected, count):
    """The worst layer and the worst logit. Layers of sequences without masks: embed takes none."""
    worst = [0.0] * count
    run(performer, "embed", f"{folder}/model", f"{folder}/plain.fa", "--pool", "none", "--layers",
        ",".join(map(str, range(count))), "-o", f"{folder}/e.npz")
    run(performer, "logits", f"{folder}/model", f"{folder}/all.fa", "-o", f"{folder}/l.npz")
    for name, states in np.load(f"{folder}/e.npz").items():
        worst = [max(w, relative(states[i], expected[name + "-plain"][0][i])) for i, w in enumerate(worst)]
    logits = np.load(f"{folder}/l.npz")
    return worst, max(relative(logits[name], expected[name][1]) for name in logits)


def write(folder, sequences):
    with open(f"{folder}/all.fa", "w", encoding="utf-8") as file:
        file.writelines(f">{name}\n{s}\n" for name, s in sequences.items())
    with open(f"{folder}/plain.fa", "w", encoding="utf-8") as file:
        file.writelines(f">{name}\n{s.replace('*', 'A')}\n" for name, s in sequences.items())
    return {**sequences, **{name + "-plain": s.replace("*", "A") for name, s in sequences.items()}}


def save(model, words, folder):
    model.float().save_pretrained(f"{folder}/source")
    with open(f"{folder}/source/vocab.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(words) + "\n")


def check_transformers(performer, name):
    with tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        model, words = MODELS[name]()
        sequences = write(folder, proteins(7))
        save(model, words, folder)
        run(performer, "import", f"{folder}/source", "-o", f"{folder}/model")
        expected = reference(model, sequences, words)
        layers, logits = compare(performer, folder, expected, model.config.num_hidden_layers + 1)
        ok = max(layers) <= LAYER_BOUND and logits <= LOGIT_BOUND
        print(json.dumps({"model": name, "layers": [f"{x:.1e}" for x in layers], "logits": f"{logits:.1e}", "ok": ok}), flush=True)
        return ok


def write_variants(folder, residues):
    """All single substitutions and some pairs; [(sites, text)]."""
    singles = [[(i, letter)] for i in range(0, len(residues), 7) for letter in LETTERS if letter != residues[i]]
    variants = singles + [a + b for a, b in itertools.pairwise(singles) if a[0][0] != b[0][0]]
    texts = [":".join(f"{residues[i]}{i + 1}{letter}" for i, letter in sites) for sites in variants]
    with open(f"{folder}/v.tsv", "w", encoding="utf-8") as file:
        file.write("\n".join(["mutation", *texts]) + "\n")
    with open(f"{folder}/wt.fa", "w", encoding="utf-8") as file:
        file.write(f">wt\n{residues}\n")
    return variants, texts


def marginals(model, words, residues, variants, masked):
    """Scores from logits of transformers in float64: one pass, or a pass for each masked site."""
    ids, rows = ids_of(residues, words), {}
    model = model.double()
    with torch.no_grad():
        plain = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0]
        for i in {i for sites in variants for i, _ in sites}:
            seen = ids_of(residues[:i] + "*" + residues[i + 1:], words) if masked else None
            row = model(input_ids=seen, attention_mask=torch.ones_like(ids)).logits[0, i + 1] if masked else plain[i + 1]
            rows[i] = torch.log_softmax(row, -1)
    return [float(sum(rows[i][words.index(b)] - rows[i][words.index(residues[i])] for i, b in sites)) for sites in variants]


def check_variants(performer, name):
    """Wild-type and masked marginals are what transformers' logits make them, to 1e-4 of the largest score."""
    residues = proteins(3)["p63"].replace("*", "A").replace("X", "L")
    with tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        model, words = MODELS[name]()
        save(model, words, folder)
        run(performer, "import", f"{folder}/source", "-o", f"{folder}/model")
        variants, texts = write_variants(folder, residues)
        worst = {}
        for method in ("wt-marginals", "masked-marginals"):
            run(performer, "variants", f"{folder}/model", "--wild-type", f"{folder}/wt.fa", "--mutations", f"{folder}/v.tsv",
                "--method", method, "-o", f"{folder}/s.tsv")
            with open(f"{folder}/s.tsv", encoding="utf-8") as file:
                rows = [line.split() for line in file.read().splitlines()[1:]]
            assert [row[0] for row in rows] == texts
            expected = np.array(marginals(model, words, residues, variants, method == "masked-marginals"))
            worst[method] = relative(np.array([float(row[1]) for row in rows]), expected)
        ok = max(worst.values()) <= LOGIT_BOUND
        print(json.dumps({"model": name, "variants": len(variants), **{m: f"{x:.1e}" for m, x in worst.items()}, "ok": ok}), flush=True)
        return ok


def check_contacts(performer, name):
    """Probabilities of contacts of ESM's own regression: a probability's rounding in float32 and that of thousands of weights."""
    with tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        model, words = MODELS[name]()
        sequences = {n: s.replace("*", "A") for n, s in proteins(7).items() if 1 < len(s) <= 300}
        write(folder, sequences)
        save(model, words, folder)
        run(performer, "import", f"{folder}/source", "-o", f"{folder}/model")
        run(performer, "contacts", f"{folder}/model", f"{folder}/plain.fa", "-o", f"{folder}/contacts")
        model, worst = model.double(), 0.0
        model.set_attn_implementation("eager")
        for i, (n, residues) in enumerate(sequences.items()):
            ids = ids_of(residues, words)
            with torch.no_grad():
                expected = model.predict_contacts(ids, torch.ones_like(ids))[0].numpy()
            got = np.load(f"{folder}/contacts/{i + 1}-{n}.npy")
            assert got.shape == expected.shape and (got == got.T).all()
            worst = max(worst, float(np.abs(got - expected).max()))
        print(json.dumps({"model": name, "contacts": f"{worst:.1e}", "ok": worst <= CONTACT_BOUND}), flush=True)
        return worst <= CONTACT_BOUND


def check_twin(performer, setting):
    """Something that a bound must find out."""
    with tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        model, words = MODELS["esm2-head24"]()
        sequences = write(folder, proteins(7))
        save(model, words, folder)
        run(performer, "import", f"{folder}/source", "-o", f"{folder}/model", "--set", setting)
        layers, logits = compare(performer, folder, reference(model, sequences, words), 4)
        ok = max(layers) > LAYER_BOUND and logits > LOGIT_BOUND
        print(json.dumps({"twin": setting, "layers": f"{max(layers):.1e}", "logits": f"{logits:.1e}", "found": ok}), flush=True)
        return ok


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        values = t.float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def performer_lm(folder, **how):
    """A PerformerLM with random parameters, and its state dict and tokens as files."""
    import performer_pytorch
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = performer_pytorch.PerformerLM(**{"num_tokens": len(PYTORCH), "max_seq_len": 512, "dim": 64, "depth": 3, "heads": 4,
                                                 "dim_head": 16, "nb_features": 64, **how}).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn(p.shape, generator=generator))
    with open(f"{folder}/tokens.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(PYTORCH) + "\n")
    write_safetensors(f"{folder}/source.safetensors", model.state_dict())
    return model


def check_pytorch(performer, name, options, differs=False, **how):
    """performer-pytorch has no hidden states to show: logits. `differs`: a twin, which the bound must find out."""
    with torch.no_grad(), tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        model = performer_lm(folder, **how)
        sequences = {n: s for n, s in write(folder, {"a": "MKTAYIAKQR*ISFVKSHFSRQ", "b": "G" * 60 + "AVLIP" * 40}).items() if "-" not in n}
        run(performer, "import", f"{folder}/source.safetensors", "--tokens", f"{folder}/tokens.txt", "-o", f"{folder}/model", *options)
        run(performer, "logits", f"{folder}/model", f"{folder}/all.fa", "-o", f"{folder}/l.npz")
        model = model.double()
        got = np.load(f"{folder}/l.npz")
        worst = max(relative(got[n], model(ids_of(s, PYTORCH))[0].numpy()) for n, s in sequences.items())
        ok = (worst > LOGIT_BOUND) if differs else (worst <= LOGIT_BOUND)
        print(json.dumps({"twin" if differs else "model": "performer-pytorch " + name, "logits": f"{worst:.1e}", "ok": ok}), flush=True)
        return ok


def check_refused(performer, option, **how):
    """What has no place in a configuration here is an error that names the option."""
    with tempfile.TemporaryDirectory(prefix="performer-peers-") as folder:
        performer_lm(folder, **how)
        done = subprocess.run([performer, "import", f"{folder}/source.safetensors", "--tokens", f"{folder}/tokens.txt", "-o",
                               f"{folder}/model"], capture_output=True, check=False)
        said = done.stderr.decode().strip()
        ok = done.returncode == 3 and option in said
        print(json.dumps({"refused": option, "says": said.replace(folder, ""), "ok": ok}), flush=True)
        return ok


def check_performer_pytorch(performer):
    relu = {"generalized_attention": True, "kernel_fn": torch.nn.ReLU()}
    learned = {"rotary_position_emb": False, "tie_embed": True, "qkv_bias": True, "attn_out_bias": True}
    causal = ["--set", "objective=clm"]
    return [
        check_pytorch(performer, "relu, rotary", ["--kernel", "relu"], **relu),
        check_pytorch(performer, "relu, learned, tied, biases", ["--kernel", "relu"], **learned, **relu),
        check_pytorch(performer, "relu, causal", ["--kernel", "relu", *causal], causal=True, **relu),
        check_pytorch(performer, "relu, biases of query, key, value alone, chunks", ["--kernel", "relu"], qkv_bias=True, ff_chunks=4, ff_mult=2, **relu),
        check_pytorch(performer, "gelu features", ["--kernel", "gelu"], generalized_attention=True, kernel_fn=torch.nn.GELU()),
        check_pytorch(performer, "sigmoid features, one head", ["--kernel", "sigmoid"], heads=1, dim_head=64, generalized_attention=True,
                      kernel_fn=torch.nn.Sigmoid()),
        check_pytorch(performer, "softmax, rotary", []),
        check_pytorch(performer, "softmax, learned, tied, biases", [], **learned),
        check_pytorch(performer, "softmax, features of an odd number", [], nb_features=37),
        check_pytorch(performer, "softmax, no epsilon", ["--set", "attention.softmax_epsilon=0"], differs=True),
        check_pytorch(performer, "softmax, causal", causal, differs=True, causal=True),
        check_refused(performer, "reversible", reversible=True),
        check_refused(performer, "ff_glu", ff_glu=True),
        check_refused(performer, "use_scalenorm", use_scalenorm=True),
        check_refused(performer, "use_rezero", use_rezero=True),
        check_refused(performer, "shift_tokens", shift_tokens=True),
        check_refused(performer, "local_attn_heads", local_attn_heads=2),
        check_refused(performer, "axial_position_emb", rotary_position_emb=False, axial_position_emb=True),
        check_refused(performer, "heads that together are as wide as the model", dim_head=32),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--performer", required=True)
    parser.add_argument("--only", choices=("transformers", "performer-pytorch"), help="models of one of them")
    options = parser.parse_args()
    performer, results = os.path.abspath(options.performer), []
    if options.only != "performer-pytorch":
        results += [check_transformers(performer, name) for name in MODELS]
        results += [check_variants(performer, name) for name in ("esm2-8m", "protbert")]
        results += [check_contacts(performer, name) for name in ("esm2-8m", "esm1b")]
        results += [check_twin(performer, "token_dropout=false"), check_twin(performer, "layer_norm_eps=1e-3")]
    if options.only != "transformers":
        results += check_performer_pytorch(performer)
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
