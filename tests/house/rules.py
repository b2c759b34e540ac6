"""The rules of the house: each takes the tree as {path: text} and yields what breaks it, as 'path:line: what'."""
import posixpath
import re

from source import blank, declarations, functions

# Who may include whom; everybody may include performer/ (include/performer) and its own folder.
LAYERS = {
    "base": set(),
    "data": {"base"},
    "store": {"base"},
    "device": {"base"},
    "ops": {"device", "base"},
    "model": {"ops", "device", "store", "base"},
    "train": {"model", "ops", "device", "store", "base"},
    "infer": {"model", "ops", "device", "store", "data", "base"},
    "api": {"infer", "train", "model", "ops", "device", "store", "data", "base"},
}
OPENCL_HOMES = ("src/device/", "src/ops/matmul/", "include/performer/opencl.h", "tests/support/faults.c",
                "tests/compile/recorder.c")
TOP_LEVEL = {"meson.build", "README.md", "LICENSE", "docs", "src", "cl", "include", "tests", "tools"}
LINES = {".c": 400, ".cl": 250, ".clh": 250, ".h": 250}
# .clang-format wraps code at 110 columns; a table or a message may stand out a little.
FUNCTION_LINES, PARAMETERS, COLUMNS = 60, 7, 130
# Kept as they came: cases made by other programs, and the scripts that set up further devices.
FOREIGN = ("tests/golden/", "tests/devices/")
SKIPPERS = ("tests/support/device.c", "tests/support/tap.py", "tests/support/count.py", "tests/tools/program.py",
            "tests/compile/test_compile.py", "tests/house/")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def suffix(path):
    return posixpath.splitext(path)[1]


def own(tree, *suffixes):
    for path, text in sorted(tree.items()):
        if not path.startswith(FOREIGN) and (not suffixes or suffix(path) in suffixes):
            yield path, text


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def may_include(path, kind, name):
    """Whether the file at `path` may include <name> or "name"."""
    if kind == "<":
        is_opencl = name.startswith("CL/") or name.startswith("clblast")
        return not is_opencl or path.startswith(OPENCL_HOMES)
    if name == "device/opencl.h" and not path.startswith("tests/"):
        return path.startswith(OPENCL_HOMES)
    folder, layer = path.split("/")[0], name.split("/")[0]
    if "/" not in name or "tools" == layer and folder not in ("tools", "tests"):
        return False
    if folder == "cl":
        return layer in ("lib", "maps")
    if layer == "performer" or folder == "tests":
        return True
    if folder == "include":
        return False
    if folder == "tools":
        return layer == "tools"
    mine = path.split("/")[1]
    return layer == mine or layer in LAYERS.get(mine, ())


def includes(tree):
    for path, text in own(tree, ".c", ".h", ".cl", ".clh"):
        for match in INCLUDE.finditer(text):
            if not may_include(path, match.group(1), match.group(2)):
                yield f"{path}:{line_of(text, match.start())}: may not include {match.group(2)}"


def layers_are_known(tree):
    for path in sorted(tree):
        parts = path.split("/")
        if parts[0] == "src" and len(parts) > 2 and parts[1] not in LAYERS:
            yield f"{path}: src/{parts[1]} is no layer of the house"


def sizes(tree):
    for path, text in own(tree, *LINES):
        lines = text.count("\n")
        if lines > LINES[suffix(path)]:
            yield f"{path}: {lines} lines, at most {LINES[suffix(path)]}"
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS and not path.startswith("cl/"):
                yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS}"


def function_sizes(tree):
    for path, text in own(tree, ".c", ".h"):
        for name, line, lines, count in functions(text):
            if lines > FUNCTION_LINES:
                yield f"{path}:{line}: {name} has {lines} lines, at most {FUNCTION_LINES}"
            if count > PARAMETERS:
                yield f"{path}:{line}: {name} has {count} parameters, at most {PARAMETERS}"
        for name, line, count in declarations(text) if suffix(path) == ".h" else ():
            if count > PARAMETERS:
                yield f"{path}:{line}: {name} has {count} parameters, at most {PARAMETERS}"


def opening_comments(tree):
    for path, text in own(tree):
        body = re.sub(r"\A#![^\n]*\n", "", text)
        if suffix(path) in (".c", ".h", ".cl", ".clh"):
            good = re.match(r"//\s*\S|/\*+\s*\S", body)
        elif suffix(path) == ".py" or text.startswith("#!"):
            good = re.match(r'#\s*\S|"""\s*\S', body)
        else:
            continue
        if not good:
            yield f"{path}:1: begins without a comment that says what it is for"


def types(tree):
    for path, text in own(tree, ".c", ".h"):
        code = blank(text)
        for match in re.finditer(r"\btypedef\b[^;{]*?(\*\s*\w+|\b\w+_t)\s*;", code):
            yield f"{path}:{line_of(code, match.start())}: typedef of a pointer or a name that ends in _t"
        for match in re.finditer(r"^}\s*(\w+_t)\s*;", code, re.M):
            yield f"{path}:{line_of(code, match.start())}: {match.group(1)} ends in _t"


def library_is_silent(tree):
    for path, text in own(tree, ".c", ".h"):
        if not path.startswith("src/"):
            continue
        code = blank(text)
        for match in re.finditer(r"(?<![\w.>])(printf|puts|putchar|perror|exit|_exit|abort|stdout|stderr)\b(?!\s*[:,])", code):
            yield f"{path}:{line_of(code, match.start())}: the library neither prints nor ends the program ({match.group(1)})"


def machine_paths(tree):
    pattern = re.compile(r"(?<![\w.])/(?:work|farm|root|tmp|home|Users)/\w+")
    for path, text in own(tree):
        for match in pattern.finditer(text):
            yield f"{path}:{line_of(text, match.start())}: a path of one machine: {match.group(0)}"


def top_level(tree):
    for name in sorted({path.split("/")[0] for path in tree}):
        if name not in TOP_LEVEL and not name.startswith("."):
            yield f"{name}: does not belong on the top level"


def reached(tree, folder=""):
    """The folders that meson.build files reach from `folder` on."""
    text = tree.get(posixpath.join(folder, "meson.build"))
    if text is None:
        return
    yield folder
    for name in re.findall(r"^\s*subdir\('([^']+)'\)", text, re.M):
        yield from reached(tree, posixpath.join(folder, name))


def tests_run(tree):
    folders = list(reached(tree))
    for path in sorted(tree):
        folder, name = posixpath.split(path)
        if not path.startswith("tests/") or path.startswith(FOREIGN) or not re.match(r"test_\w+\.(c|py)$", name):
            continue
        lists = [tree.get(posixpath.join(at, "meson.build"), "") for at in folders if at and path.startswith(at + "/")]
        if not any(re.search(rf"'(?:[^']*/)?{re.escape(name)}'", text) for text in lists):
            yield f"{path}: no meson.build that the build reaches lists it"


def no_silent_skips(tree):
    """Only the device fixture may skip, and it fails instead where a device is required."""
    pattern = re.compile(r"(?:exit|return|_Exit)\s*\(?\s*77\b|\bskipTest\b|\bunittest\.skip|# SKIP|\bexit 77\b")
    for path, text in own(tree):
        if not path.startswith("tests/") or path.startswith(SKIPPERS):
            continue
        for match in pattern.finditer(text):
            yield f"{path}:{line_of(text, match.start())}: only {SKIPPERS[0]} may skip"
    fixture = tree.get(SKIPPERS[0])
    if fixture and not re.search(r"PERFORMER_REQUIRE_DEVICE", fixture):
        yield f"{SKIPPERS[0]}: a missing device must be an error where PERFORMER_REQUIRE_DEVICE is set"


ALL = [includes, layers_are_known, sizes, function_sizes, opening_comments, types, library_is_silent, machine_paths,
       top_level, tests_run, no_silent_skips]
