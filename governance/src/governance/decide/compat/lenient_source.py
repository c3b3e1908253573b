"""Protobuf source that registries read and protoc does not."""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<reserved>\breserved\b)|(?P<other>[^"'/r]+|.)""",
    re.DOTALL,
)
_STATEMENT: Final = re.compile(
    r"""\breserved\b((?:[^;"'{}]|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')*);"""
)
_NAMES: Final = re.compile(r"""\s*("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')\s*""")


def split_reservations(source: str) -> str:
    """Return source in which `reserved 1, "a";` is two statements, as protoc wants it.

    Line numbers stay.
    """
    if "reserved" not in source:
        return source
    out, position = [], 0
    for token in _TOKEN.finditer(source):
        if token.start() < position or token.lastgroup != "reserved":
            continue
        if not (statement := _STATEMENT.match(source, token.start())):
            continue
        out += [source[position : token.start()], _split(statement)]
        position = statement.end()
    return "".join([*out, source[position:]])


def _split(statement: re.Match[str]) -> str:
    parts = re.findall(r"""(?:[^,"']|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')+""", statement[1])
    names = [part for part in parts if _NAMES.fullmatch(part)]
    numbers = [part for part in parts if not _NAMES.fullmatch(part) and part.strip()]
    if not names or not numbers or "//" in statement[1] or "/*" in statement[1]:
        return statement[0]
    return f"reserved{','.join(numbers)}; reserved{','.join(names)};"
