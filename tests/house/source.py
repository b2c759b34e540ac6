"""Reading C well enough for the house rules: comments and texts blanked, functions found."""
import re

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.S,
)
SIGNATURE = re.compile(r"([A-Za-z_]\w*)\s*\(([^{};]*)\)\s*(?:PF_\w+\([^()]*\)\s*|__attribute__\s*\(\(.*?\)\)\s*)*$", re.S)
NOT_FUNCTIONS = {"if", "for", "while", "switch", "return", "sizeof", "__attribute__", "START_TEST"}


def blank(text):
    """The same text with comments, character and string literals blanked; lines stay where they are."""

    def spaces(match):
        word = match.group(0)
        body = re.sub(r"[^\n]", " ", word)
        return body if word[0] == "/" else word[0] + body[1:-1] + word[0]

    return TOKEN.sub(spaces, text)


def without_directives(text):
    """Blanks preprocessor lines, continued ones too."""
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


def parameters(inside):
    """The number of parameters between the parentheses of a declaration."""
    if inside.strip() in ("", "void"):
        return 0
    depth = count = 0
    for letter in inside:
        depth += (letter in "([") - (letter in ")]")
        count += letter == "," and depth == 0
    return count + 1


def functions(text):
    """(name, first line, lines, number of parameters) of each function that is defined, tests of Check included."""
    code = without_directives(blank(text))
    found, depth, begin, start = [], 0, 0, None
    for at, letter in enumerate(code):
        if letter == "{":
            if depth == 0:
                head = code[begin:at]
                match = SIGNATURE.search(head.rstrip())
                if match is None:
                    match = re.search(r"(START_TEST)\s*\(([^()]*)\)\s*$", head)
                start = (match, begin + len(head) - len(head.lstrip())) if match else None
                if match and match.group(1) in NOT_FUNCTIONS - {"START_TEST"}:
                    start = None
            depth += 1
        elif letter == "}":
            depth -= 1
            if depth == 0:
                if start:
                    match, first = start
                    line = code.count("\n", 0, first) + 1
                    found.append((match.group(1), line, code.count("\n", first, at) + 1, parameters(match.group(2))))
                begin = at + 1
        elif letter == ";" and depth == 0:
            begin = at + 1
    return found


def declarations(text):
    """(name, line, number of parameters) of each function that is declared, in a header for example."""
    code = without_directives(blank(text))
    found, depth, begin = [], 0, 0
    for at, letter in enumerate(code):
        depth += (letter == "{") - (letter == "}")
        if letter not in ";{}":
            continue
        piece = code[begin:at]
        begin = at + 1
        match = SIGNATURE.search(piece.rstrip()) if letter == ";" and depth <= 1 else None
        if match and "typedef" not in piece and "(*" not in piece and "=" not in piece and match.group(1) not in NOT_FUNCTIONS:
            found.append((match.group(1), code.count("\n", 0, begin) + 1, parameters(match.group(2))))
    return found
