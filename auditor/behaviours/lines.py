"""Where things stand in a TOML file: every key, table and array element, to its line.

tomllib and tomlkit give values without positions. This reads no values: it walks over strings,
keys and brackets, so that a bracket or a line break inside a string cannot mislead it.
"""

import re
from collections import Counter
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""A way into the parsed file: ("examples", 2, "stance") is the stance of the third example."""

_NAME = r"""(?:[\w-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*')"""
_NAMES = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_HEADER = re.compile(
    rf"^[ \t]*\[(?P<array>\[)?[ \t]*(?P<table>{_NAMES})[ \t]*\](?(array)\])", re.MULTILINE
)
_TOKEN = re.compile(
    rf'''
      (?P<long> """(?:\\.|[^\\])*?"{{3,5}} | \'\'\'.*?\'{{3,5}} )
    | (?P<key> {_NAMES} ) (?=[ \t]*=)
    | (?P<short> "(?:\\.|[^"\\\n])*" | '[^'\n]*' | [^\s,\[\]{{}}="'\#]+ )
    | (?P<open> [\[{{] )
    | (?P<close> [\]}}] )
    | (?P<comma> , )
    | \#[^\n]* | [\s\S]
    ''',
    re.VERBOSE | re.DOTALL,
)


def find_lines(toml: str) -> dict[Place, int]:
    """The line, from 1, of everything in a valid TOML file."""
    lines: dict[Place, int] = {(): 1}
    walk, position = _Walk(), 0
    while position < len(toml):
        header = None if walk.brackets else _HEADER.match(toml, position)
        token = header or _TOKEN.match(toml, position)
        if token is None:  # never: the last alternative takes any character
            break
        place = walk.enter(token) if header else walk.step(token)
        line = 1 + toml.count("\n", 0, position)
        for depth in range(len(place)):
            lines.setdefault(place[: depth + 1], line)
        position = token.end()
    return lines


def line_of(lines: Mapping[Place, int], place: Place) -> int:
    """The line of a place, or of the nearest thing around it that the file does hold."""
    while place not in lines:
        place = place[:-1]
    return lines[place]


class _Walk:
    """How far a walk has come: the table it is in, the last key, the brackets that are open."""

    def __init__(self) -> None:
        self.brackets: list[tuple[str, Place]] = []
        self._table: Place = ()
        self._key: Place = ()
        self._tables: Counter[Place] = Counter()
        self._elements: Counter[Place] = Counter()

    def enter(self, header: re.Match[str]) -> Place:
        """Go into a table; returns its place."""
        names = _names(header["table"])
        self._table = ()
        for depth, name in enumerate(names, 1):
            self._table += (name,)
            self._tables[self._table] += bool(header["array"]) and depth == len(names)
            if self._tables[self._table]:
                self._table += (self._tables[self._table] - 1,)
        return self._table

    def step(self, token: re.Match[str]) -> Place:
        """Take one token; returns the place that starts with it, () for none."""
        match token.lastgroup:
            case "key":
                self._key = self._inside() + _names(token[0])
                return self._key
            case "open":
                place = self._here()
                self.brackets.append((token[0], place))
                return place
            case "close" if self.brackets:
                self.brackets.pop()
            case "comma" if self.brackets:
                self._elements[self.brackets[-1][1]] += 1
            case "long" | "short":
                return self._here()
        return ()

    def _inside(self) -> Place:
        """The table, or the inline table, that a key belongs to."""
        return self.brackets[-1][1] if self.brackets else self._table

    def _here(self) -> Place:
        """The place of a value that starts now: an element of an array, or what the key names."""
        if self.brackets and self.brackets[-1][0] == "[":
            array = self.brackets[-1][1]
            return (*array, self._elements[array])
        return self._key


def _names(dotted: str) -> Place:
    return tuple(name.strip("\"'") for name in re.findall(_NAME, dotted))
