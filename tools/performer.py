"""performer from Python: models and FAVOR attention on any OpenCL device, NumPy arrays in and out.

One file over libperformer by ctypes: no build step, nothing but NumPy needed. Put its folder on PYTHONPATH, or copy it.

    import performer
    model = performer.Model("run")                     # a model directory, a run or a checkpoint
    model.embed(["MKTAYIAKQR", "GSHMLEDP"])            # [2, D]; pool="none": a list of [residues, D]
    model.logits("MKT*YIAKQR")                         # [12, A], rows of begin and end included; * is the mask
    model.score(pathlib.Path("proteins.fasta")).log_likelihood
    performer.Model("task-run").predict(sequences).prediction  # of a model that was trained with --task
    performer.attention(q, k, v, causal=True)          # FAVOR; [B,H,L,E], [H,L,E] or [L,E]
    performer.Parts("embeddings")["P0C6X7"]            # of what `performer embed --part-size` wrote

Sequences are a string, a list of strings, or a pathlib.Path to FASTA (gzip too). What the library refuses is a
performer.Error with its message; what it warns of goes through `warnings`. The library is looked for in PERFORMER_LIBRARY,
in build folders beside a source tree, by pkg-config, and where the system keeps libraries.
"""
import collections
import ctypes
import ctypes.util
import glob
import itertools
import json
import os
import pathlib
import subprocess
import threading
import warnings
import weakref
from ctypes import POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

import numpy

__all__ = ["Device", "DeviceError", "Error", "InputError", "Model", "Parts", "Predictions", "Scores", "UsageError", "attention", "devices",
           "projection", "read_fasta"]

Scores = collections.namedtuple("Scores", "ids lengths log_likelihood perplexity")
Predictions = collections.namedtuple("Predictions", "ids lengths prediction probabilities")
POOLS = ("mean", "begin", "max", "none")
LONG = ("crop", "window", "error")
MODEL_KEYS = 1


class Error(RuntimeError):
    """What the library says of a failure; `status` is its code, the exit code of the program."""
    status = 1


class UsageError(Error, ValueError):
    """Options that do not fit each other or the model."""
    status = 2


class InputError(Error, ValueError):
    """A file or sequence that cannot be read."""
    status = 3


class DeviceError(Error):
    """No device, or one that fails."""
    status = 4


class _DeviceInfo(Structure):
    _fields_ = [("id", c_char * 16), ("platform", c_char * 128), ("name", c_char * 128), ("version", c_char * 128),
                ("driver", c_char * 128), ("type", c_char * 16), ("compute_units", c_uint32), ("global_bytes", c_uint64),
                ("largest_buffer_bytes", c_uint64), ("local_bytes", c_uint64), ("largest_work_group", c_uint64),
                ("usable", c_bool), ("is_auto", c_bool), ("reason", c_char * 256)]


class _DeviceOptions(Structure):
    _fields_ = [("selector", c_char_p), ("cache_directory", c_char_p), ("threads", c_int), ("profile", c_bool)]


class _AttentionOptions(Structure):
    _fields_ = [("exact", c_bool), ("causal", c_bool), ("window", c_int32), ("kernel", c_int), ("projected", c_bool),
                ("renormalize", c_bool), ("epsilon", c_double), ("oprf_s", c_double)]


class _AttentionArrays(Structure):
    _fields_ = [("batch", c_int32), ("heads", c_int32), ("length", c_int32), ("head_size", c_int32), ("lengths", c_void_p),
                ("query", c_void_p), ("key", c_void_p), ("value", c_void_p), ("gradient", c_void_p),
                ("projection", c_void_p), ("n_features", c_int32), ("output", c_void_p), ("dq", c_void_p),
                ("dk", c_void_p), ("dv", c_void_p)]


class _ModelOptions(Structure):
    _fields_ = [("settings", POINTER(c_char_p)), ("n_settings", c_int), ("batch_tokens", c_int64),
                ("max_sequences", c_int32), ("max_length", c_int32), ("layers", POINTER(c_int32)), ("n_layers", c_int),
                ("probe", c_bool), ("row_losses", c_bool), ("carry", c_bool)]


class _StreamOptions(Structure):
    _fields_ = [("files", POINTER(c_char_p)), ("n_files", c_int), ("text", c_char_p), ("text_bytes", c_size_t),
                ("shard", c_int64), ("n_shards", c_int64), ("long_sequences", c_int)]


class _LogitsOptions(Structure):
    _fields_ = [("stream", _StreamOptions), ("output", c_char_p), ("resume", c_bool), ("stop", c_void_p)]


class _EmbedOptions(Structure):
    _fields_ = [("stream", _StreamOptions), ("pool", c_int), ("output", c_char_p), ("resume", c_bool), ("half", c_bool), ("stop", c_void_p),
                ("part_size", c_int64), ("part_format", c_char_p)]


class _ScoreOptions(Structure):
    _fields_ = [("stream", _StreamOptions), ("stride", c_int64), ("output", c_char_p), ("resume", c_bool), ("stop", c_void_p)]


class _ScoreResult(Structure):
    _fields_ = [("id", c_char_p), ("id_length", c_size_t), ("length", c_uint64), ("log_likelihood", c_double),
                ("perplexity", c_double)]


class _PredictOptions(Structure):
    _fields_ = [("stream", _StreamOptions), ("threshold", c_double), ("positive", c_int32), ("output", c_char_p), ("resume", c_bool), ("stop", c_void_p)]


class _Prediction(Structure):
    _fields_ = [("id", c_char_p), ("id_length", c_size_t), ("length", c_uint64), ("n_rows", c_uint64), ("residue", c_void_p),
                ("value", POINTER(c_double)), ("choice", POINTER(c_int32))]


class _SequenceResult(Structure):
    _fields_ = [("id", c_char_p), ("id_length", c_size_t), ("n_rows", c_uint64), ("values", POINTER(c_float)),
                ("count", c_uint64)]


class _Progress(Structure):
    _fields_ = [("sequences", c_uint64), ("tokens", c_uint64)]


class _FastaRecord(Structure):
    _fields_ = [("id", c_char_p), ("description", c_char_p), ("sequence", c_char_p), ("id_length", c_size_t),
                ("description_length", c_size_t), ("length", c_size_t), ("number", c_uint64), ("line", c_uint64)]


# What each struct is called in the headers; the tests hold sizes and places to these.
_STRUCTS = {"pf_device_info": _DeviceInfo, "pf_device_options": _DeviceOptions, "pf_attention_options": _AttentionOptions,
            "pf_attention_arrays": _AttentionArrays, "pf_model_options": _ModelOptions, "pf_stream_options": _StreamOptions,
            "pf_logits_options": _LogitsOptions, "pf_embed_options": _EmbedOptions, "pf_score_options": _ScoreOptions,
            "pf_score_result": _ScoreResult, "pf_predict_options": _PredictOptions, "pf_prediction": _Prediction,
            "pf_sequence_result": _SequenceResult, "pf_progress": _Progress,
            "pf_fasta_record": _FastaRecord}

# Functions: arguments, and what is returned: a status unless said otherwise.
_FUNCTIONS = {
    "pf_error_message": ([], c_char_p),
    "pf_release": ([c_void_p], None),
    "pf_device_list": ([c_void_p, c_int, POINTER(c_int)], c_int),
    "pf_device_open": ([POINTER(_DeviceOptions), POINTER(c_void_p)], c_int),
    "pf_device_close": ([c_void_p], None),
    "pf_device_describe": ([c_void_p], POINTER(_DeviceInfo)),
    "pf_favor_kernel_read": ([c_char_p, POINTER(c_int)], c_int),
    "pf_favor_kernel_is_softmax": ([c_int], c_bool),
    "pf_attention_default": ([POINTER(_AttentionOptions)], None),
    "pf_attention_run": ([c_void_p, POINTER(_AttentionOptions), POINTER(_AttentionArrays)], c_int),
    "pf_attention_projection": ([c_int32, c_int32, c_uint64, c_void_p], c_int),
    "pf_model_open": ([c_void_p, c_char_p, POINTER(_ModelOptions), POINTER(c_void_p), POINTER(c_void_p)], c_int),
    "pf_model_close": ([c_void_p], None),
    "pf_model_config": ([c_void_p], c_void_p),
    "pf_config_write": ([c_void_p, ctypes.c_uint, POINTER(c_void_p)], c_int),
    "pf_logits_open": ([c_void_p, POINTER(_LogitsOptions), POINTER(c_void_p)], c_int),
    "pf_logits_step": ([c_void_p, POINTER(_Progress)], c_int),
    "pf_logits_results": ([c_void_p, POINTER(POINTER(_SequenceResult))], c_size_t),
    "pf_logits_warning": ([c_void_p, c_size_t], c_char_p),
    "pf_logits_close": ([c_void_p], None),
    "pf_embed_open": ([c_void_p, POINTER(_EmbedOptions), POINTER(c_void_p)], c_int),
    "pf_embed_step": ([c_void_p, POINTER(_Progress)], c_int),
    "pf_embed_results": ([c_void_p, POINTER(POINTER(_SequenceResult))], c_size_t),
    "pf_embed_warning": ([c_void_p, c_size_t], c_char_p),
    "pf_embed_close": ([c_void_p], None),
    "pf_score_open": ([c_void_p, POINTER(_ScoreOptions), POINTER(c_void_p)], c_int),
    "pf_score_step": ([c_void_p, POINTER(POINTER(_ScoreResult)), POINTER(c_size_t)], c_int),
    "pf_score_warning": ([c_void_p, c_size_t], c_char_p),
    "pf_score_close": ([c_void_p], None),
    "pf_predict_open": ([c_void_p, POINTER(_PredictOptions), POINTER(c_void_p)], c_int),
    "pf_predict_step": ([c_void_p, POINTER(POINTER(_Prediction)), POINTER(c_size_t)], c_int),
    "pf_predict_warning": ([c_void_p, c_size_t], c_char_p),
    "pf_predict_close": ([c_void_p], None),
    "pf_fasta_open": ([c_char_p, c_void_p, POINTER(c_void_p)], c_int),
    "pf_fasta_next": ([c_void_p, POINTER(_FastaRecord)], c_int),
    "pf_fasta_close": ([c_void_p], None),
    "pf_fasta_warning_count": ([c_void_p], c_size_t),
    "pf_fasta_get_warning": ([c_void_p, c_size_t], c_char_p),
}


def _places():
    """Where the library may be, likeliest first."""
    named = os.environ.get("PERFORMER_LIBRARY")
    if named:
        yield named
        return
    here = os.path.dirname(os.path.realpath(__file__))
    if os.path.exists(os.path.join(here, "..", "meson.build")):
        yield from sorted(glob.glob(os.path.join(here, "..", "build*", "libperformer.so")), key=os.path.getmtime, reverse=True)
    prefix = os.path.dirname(os.path.dirname(here))  # of PREFIX/share/performer/performer.py
    yield from glob.glob(os.path.join(prefix, "lib*", "libperformer.so.0")) + glob.glob(os.path.join(prefix, "lib*", "*", "libperformer.so.0"))
    try:
        found = subprocess.run(["pkg-config", "--variable=libdir", "performer"], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            yield os.path.join(found.stdout.strip(), "libperformer.so.0")
    except OSError:
        pass
    yield ctypes.util.find_library("performer") or "libperformer.so.0"


def _load():
    said = []
    for path in _places():
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            said.append(str(error))
            continue
        for name, (arguments, result) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.argtypes, function.restype = arguments, result
        return library
    raise ImportError("libperformer is not found; install it, or name it in PERFORMER_LIBRARY: " + "; ".join(said))


_library = _load()
_END = -1


def _check(status):
    """PF_OK or PF_END pass; all else is raised with the library's message."""
    if status in (0, _END):
        return status
    kinds = {kind.status: kind for kind in (UsageError, InputError, DeviceError)}
    error = kinds.get(status, Error)(_library.pf_error_message().decode("utf-8", "replace"))
    error.status = status
    raise error


def _text(value):
    return None if value is None else os.fsencode(value)


def _choice(name, value, choices):
    if value not in choices:
        raise UsageError(f"{name} {value!r}: one of {', '.join(choices)}")
    return choices.index(value)


def _describe(info):
    plain = {name: getattr(info, name) for name, _ in _DeviceInfo._fields_}
    return {name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value for name, value in plain.items()}


def devices():
    """What there is: a dictionary for each device, as `performer devices --json` has them."""
    infos, count = (_DeviceInfo * 64)(), c_int()
    _check(_library.pf_device_list(infos, len(infos), byref(count)))
    return [_describe(info) for info in infos[:count.value]]


class _Handle:
    """Something of the library's that is closed once: by close(), at the end of `with`, or when nobody has it any more."""

    def _own(self, handle, close):
        self._handle = handle
        self._closer = weakref.finalize(self, close, handle)

    def close(self):
        self._closer()
        self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Device(_Handle):
    """An open device. `selector`: auto, gpu, cpu, accelerator, P.D or part of a name; PERFORMER_DEVICE by default."""

    def __init__(self, selector=None, cache=None, threads=0):
        selector = selector or os.environ.get("PERFORMER_DEVICE") or "auto"
        options = _DeviceOptions(_text(selector), _text(cache or os.environ.get("PERFORMER_CACHE")), threads, False)
        handle = c_void_p()
        _check(_library.pf_device_open(byref(options), byref(handle)))
        self._own(handle, _library.pf_device_close)
        self._users = weakref.WeakSet()
        self._lock = threading.RLock()  # one call at a time: a device has one queue
        self.info = _describe(_library.pf_device_describe(handle).contents)

    def close(self):
        for user in list(self._users):
            user.close()
        super().close()

    def __repr__(self):
        return f"<performer.Device {self.info['id']} {self.info['name']!r}>"


_default = None


def _device(device):
    """The device given, or one that all who give none share."""
    global _default  # pylint: disable=global-statement
    if device is None:
        if _default is None or _default._handle is None:
            _default = Device()
        device = _default
    if device._handle is None:
        raise UsageError("the device is closed")
    return device


def _floats(array):
    return numpy.ascontiguousarray(array, dtype=numpy.float32)


def _pointer(array):
    return None if array is None else array.ctypes.data


def projection(num_features, head_size, seed=0):
    """W [num_features, head_size]: orthogonal rows with norms as those of Gaussian ones, the draw of `performer attend`."""
    out = numpy.empty((num_features, head_size), numpy.float32)
    _check(_library.pf_attention_projection(num_features, head_size, seed, _pointer(out)))
    return out


def attention(query, key, value, *, causal=False, exact=False, window=0, kernel="relu", projection=256, epsilon=1e-3,  # pylint: disable=redefined-outer-name
              renormalize=True, oprf_s=0.0, lengths=None, gradient=None, seed=0, device=None):
    """One attention layer over [B,H,L,E], [H,L,E] or [L,E]: FAVOR, or exact attention (perhaps over a window).

    projection: W [M,E], the number of features to draw with `seed`, or None for phi of queries and keys themselves.
    lengths: [B] real tokens; rows behind them are padding and 0 in the result.
    Returns the output as float32, with `gradient` (of the output) also dq, dk, dv.
    """
    arrays = [_floats(a) for a in (query, key, value)] + ([] if gradient is None else [_floats(gradient)])
    shape = arrays[0].shape
    if len(shape) not in (2, 3, 4) or any(a.shape != shape for a in arrays):
        raise UsageError(f"query, key, value and gradient must be of one shape [B,H,L,E], [H,L,E] or [L,E], not {[a.shape for a in arrays]}")
    options, chosen = _AttentionOptions(), c_int()
    _library.pf_attention_default(byref(options))
    _check(_library.pf_favor_kernel_read(_text(kernel), byref(chosen)))
    options.exact, options.causal, options.window, options.kernel = exact, causal, window, chosen.value
    options.projected, options.renormalize = projection is not None, renormalize
    options.epsilon, options.oprf_s = epsilon, oprf_s
    B, H, L, E = (1,) * (4 - len(shape)) + shape
    if isinstance(projection, (int, numpy.integer)):
        projection = None if exact else globals()["projection"](projection, E, seed)
    w = None if projection is None else _floats(projection)
    if w is not None and (w.ndim != 2 or w.shape[1] != E):
        raise UsageError(f"a projection of shape {w.shape} for heads of {E}: expected [M,{E}]")
    if w is None and not exact and _library.pf_favor_kernel_is_softmax(chosen):
        raise UsageError(f"kernel {kernel} needs a projection")
    lengths = None if lengths is None else numpy.ascontiguousarray(lengths, numpy.int32)
    if lengths is not None and lengths.shape != (B,):
        raise UsageError(f"lengths of shape {lengths.shape}, expected ({B},)")
    results = [numpy.empty(shape, numpy.float32) for _ in range(1 if gradient is None else 4)]
    given = _AttentionArrays(B, H, L, E, _pointer(lengths), *map(_pointer, arrays + [None] * (4 - len(arrays))), _pointer(w),
                             0 if w is None else w.shape[0], *map(_pointer, results + [None] * (4 - len(results))))
    device = _device(device)
    with device._lock:
        _check(_library.pf_attention_run(device._handle, byref(options), byref(given)))
    return results[0] if gradient is None else tuple(results)


def read_fasta(path):
    """(ids, sequences) of a FASTA file (gzip too): letters as the models take them, records without residues left out."""
    reader, record = c_void_p(), _FastaRecord()
    _check(_library.pf_fasta_open(_text(path), None, byref(reader)))
    try:
        ids, sequences = [], []
        while _check(_library.pf_fasta_next(reader, byref(record))) != _END:
            ids.append(record.id.decode("utf-8", "replace"))
            sequences.append(record.sequence.decode())
        for i in range(_library.pf_fasta_warning_count(reader)):
            warnings.warn(_library.pf_fasta_get_warning(reader, i).decode("utf-8", "replace"), stacklevel=2)
        return ids, sequences
    finally:
        _library.pf_fasta_close(reader)


def _safetensors(path):
    """{name: array}, read when they are looked at."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    kinds = {"F32": numpy.float32, "F16": numpy.float16}
    bytes_of = numpy.memmap(path, numpy.uint8, "r", 8 + length) if os.path.getsize(path) > 8 + length else numpy.empty(0, numpy.uint8)
    return {name: bytes_of[slice(*about["data_offsets"])].view(kinds[about["dtype"]]).reshape(about["shape"])
            for name, about in header.items()}


class Parts:
    """Embeddings that `performer embed -o DIR --part-size N` wrote as safetensors or npz, one sequence at a time.

    parts[i]: of the i-th line of the index, from 0; parts["id"]: of the first sequence of that id; len(parts); parts.ids().
    The index is mapped and parts are opened when something of them is asked for: memory is that of one part.
    """

    def __init__(self, directory):
        self.directory = os.fspath(directory)
        manifest = os.path.join(self.directory, "manifest.json")
        if not os.path.exists(manifest):
            raise InputError(f"{manifest}: is missing; a run that is not finished goes on with --resume")
        self._index = numpy.memmap(os.path.join(self.directory, "index.tsv"), numpy.uint8, "r")
        self._starts = numpy.flatnonzero(self._index == 10) + 1
        self._pooled = self._index[:self._starts[0] - 1].tobytes().split(b"\t")[-1] == b"row"
        self._part, self._tensors = None, None

    def __len__(self):
        return len(self._starts) - 1

    def _line(self, i):
        record, name, length, part, place = self._index[self._starts[i]:self._starts[i + 1] - 1].tobytes().decode("utf-8", "surrogateescape").split("\t")
        return int(record), name, int(length), part, place

    def ids(self):
        """Of all sequences, in the order of the input."""
        return (self._line(i)[1] for i in range(len(self)))

    def __getitem__(self, which):
        if isinstance(which, str):
            which = next((i for i, name in enumerate(self.ids()) if name == which), None)
            if which is None:
                raise KeyError("no sequence of this id in the index of " + self.directory)
        if not -len(self) <= which < len(self):
            raise IndexError(f"sequence {which} of {len(self)}")
        _, _, _, part, place = self._line(which % len(self))
        if part != self._part:
            path = os.path.join(self.directory, part)
            if not os.path.exists(path) or not path.endswith((".safetensors", ".npz")):
                raise InputError(f"{path}: expected a part in safetensors or npz")
            self._tensors, self._part = _safetensors(path) if path.endswith(".safetensors") else numpy.load(path), part
        return numpy.array(self._tensors["embeddings"][int(place)] if self._pooled else self._tensors[place])


def _fasta_of(sequences):
    """Strings as FASTA text, so that they are read by the same rules as files."""
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, str) or not sequence.strip() or any(c in sequence for c in ">;\r\n\0"):
            raise UsageError(f"sequence {i}: expected a string of residues, not {sequence!r:.80}")
    return "".join(f">{i}\n{sequence}\n" for i, sequence in enumerate(sequences)).encode()


class Model(_Handle):
    """A finished model: a model directory, a run (its newest checkpoint) or a checkpoint.

    layers: those that embed gives: 0 the embedding sum, n after n layers, -1 the last one after the final norm.
    settings: compute keys, as {"compute.matmul": "tile"}. batch_tokens: most tokens at once; 0: by the device's memory.
    """

    def __init__(self, path, *, device=None, layers=(-1,), batch_tokens=0, settings=None):
        self.device = _device(device)
        self._n_layers = len(layers)
        texts = [f"{key}={value}".encode() for key, value in (settings or {}).items()]
        options = _ModelOptions((c_char_p * len(texts))(*texts), len(texts), batch_tokens, 0, 0,
                                (c_int32 * len(layers))(*layers), len(layers), False, True, False)
        handle, said = c_void_p(), c_void_p()
        with self.device._lock:
            _check(_library.pf_model_open(self.device._handle, _text(path), byref(options), byref(handle), byref(said)))
        self._own(handle, _library.pf_model_close)
        self.device._users.add(self)
        if said:
            warnings.warn(self._take(said), stacklevel=2)
        self.config = json.loads(self._configuration())

    @staticmethod
    def _take(pointer):
        """The library's text, released."""
        text = ctypes.string_at(pointer).decode("utf-8", "replace")
        _library.pf_release(pointer)
        return text

    def _configuration(self):
        text = c_void_p()
        _check(_library.pf_config_write(_library.pf_model_config(self._handle), MODEL_KEYS, byref(text)))
        return self._take(text)

    def _run(self, name, options, sequences, long_sequences, collect):
        """Opens the stream, calls `collect` after each step, and warns of what the library noticed."""
        if self._handle is None:
            raise UsageError("the model is closed")
        if isinstance(sequences, pathlib.PurePath):
            options.stream.files, options.stream.n_files = (c_char_p * 1)(_text(sequences)), 1
        else:
            text = _fasta_of([sequences] if isinstance(sequences, str) else list(sequences))
            if not text:
                return
            options.stream.text, options.stream.text_bytes = text, len(text)
        options.stream.long_sequences = _choice("long", long_sequences, LONG)
        call = {verb: getattr(_library, f"pf_{name}_{verb}") for verb in ("open", "warning", "close")}
        stream = c_void_p()
        with self.device._lock:
            _check(call["open"](self._handle, byref(options), byref(stream)))
            try:
                while collect(stream):
                    pass
                for i in itertools.count():
                    text = call["warning"](stream, i)
                    if text is None:
                        break
                    warnings.warn(text.decode("utf-8", "replace"), stacklevel=3)
            finally:
                call["close"](stream)

    def _results(self, name, options, sequences, long_sequences):
        found, progress, results = [], _Progress(), POINTER(_SequenceResult)()
        step, lent = getattr(_library, f"pf_{name}_step"), getattr(_library, f"pf_{name}_results")

        def collect(stream):
            if _check(step(stream, byref(progress))) == _END:
                return False
            for i in range(lent(stream, byref(results))):
                result = results[i]
                values = numpy.ctypeslib.as_array(result.values, (result.count,)) if result.count else numpy.empty(0, numpy.float32)
                found.append((result.n_rows, values.copy()))
            return True

        self._run(name, options, sequences, long_sequences, collect)
        return found

    def logits(self, sequences, *, long="crop"):
        """[tokens, A] of each sequence, rows of begin and end included; '*' is the mask. A string gives one array."""
        found = [values.reshape(rows, -1) for rows, values in self._results("logits", _LogitsOptions(), sequences, long)]
        return found[0] if isinstance(sequences, str) else found

    def embed(self, sequences, *, pool="mean", long="crop"):
        """[N, D] ([N, layers, D] for several layers); with pool="none" a list of [residues, D] ([layers, residues, D]).

        A string gives what one row or entry of the list would be.
        """
        options = _EmbedOptions(pool=_choice("pool", pool, POOLS))
        found = self._results("embed", options, sequences, long)
        width = self.config["hidden_size"]
        inner = (self._n_layers,) if self._n_layers > 1 else ()
        if pool == "none":
            shaped = [values.reshape(*inner, rows, width) for rows, values in found]
        else:
            shaped = numpy.array([values for _, values in found], numpy.float32).reshape(len(found), *inner, width)
        return shaped[0] if isinstance(sequences, str) else shaped

    def score(self, sequences, *, stride=0, long="crop"):
        """Scores(ids, lengths, log_likelihood, perplexity), as `performer score` has them; of strings the ids are 0, 1, …."""
        found, results, count = [], POINTER(_ScoreResult)(), c_size_t()

        def collect(stream):
            if _check(_library.pf_score_step(stream, byref(results), byref(count))) == _END:
                return False
            found.extend((r.id.decode("utf-8", "replace"), r.length, r.log_likelihood, r.perplexity) for r in results[:count.value])
            return True

        self._run("score", _ScoreOptions(stride=stride), sequences, long, collect)
        ids, lengths, log_likelihood, perplexity = zip(*found) if found else ((), (), (), ())
        return Scores(list(ids), numpy.array(lengths, numpy.int64), numpy.array(log_likelihood), numpy.array(perplexity))

    def predict(self, sequences, *, threshold=0.0, positive=None, long="crop"):
        """Predictions(ids, lengths, prediction, probabilities) of a model with a head for labels, as `performer predict` has them.

        prediction: [N] names of classes, or values in the labels' units; probabilities: [N, C], None of a regression. Of a model
        of residues both are lists, [residues] and [residues, C] of each sequence. threshold: of two classes `positive` (a name; by
        default the second) is predicted where its probability is at least this; 0: the likelier.
        """
        task = self.config.get("task", {})
        names = numpy.array(task.get("classes", []), dtype=str)
        options = _PredictOptions(threshold=threshold, positive=1 if positive is None else _choice("positive", positive, names.tolist()))
        found, results, count = [], POINTER(_Prediction)(), c_size_t()

        def collect(stream):
            if _check(_library.pf_predict_step(stream, byref(results), byref(count))) == _END:
                return False
            for r in results[:count.value]:
                values = numpy.ctypeslib.as_array(r.value, (r.n_rows, max(len(names), 1))).copy()
                chosen = names[numpy.ctypeslib.as_array(r.choice, (r.n_rows,))] if r.choice else values[:, 0]
                found.append((r.id.decode("utf-8", "replace"), r.length, chosen, values if r.choice else None))
            return True

        self._run("predict", options, sequences, long, collect)
        ids, lengths, prediction, probabilities = map(list, zip(*found)) if found else ([], [], [], [])
        if task.get("level") != "residue":
            prediction = numpy.concatenate(prediction) if found else numpy.empty(0)
            probabilities = numpy.concatenate(probabilities) if found and len(names) else numpy.empty((0, len(names)))
        if not len(names):
            probabilities = None
        return Predictions(ids, numpy.array(lengths, numpy.int64), prediction, probabilities)
