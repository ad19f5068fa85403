"""Labelled opportunities → prefixes for base models to continue, and what the documents said next.

A prefix is what a document says before a labelled span in which the behaviour could be shown. What
the reader found there is not in the file, so that continuations are judged blind; `prefix_id` leads
back to it (METHOD T1).
"""

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from auditor.behaviours.spec import choose, library_of
from auditor.errors import StageMissing, UsageError
from auditor.flows.recording import need_text
from auditor.index import kernels
from auditor.index.tokens import tokenise
from auditor.ingest.continuations import PrefixId, Truth
from auditor.paths import replacing
from auditor.progress import Progress
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

MIN_PREFIX_WORDS = 20
"""A shorter prefix says too little of the situation to be the same one for model and author."""

LEFT_OUT = ("short", "no_opportunity", "undecided", "no_text")
"""Why a label gives no prefix: too little before it, no opportunity coded, readers who differ or
did not answer, a corpus whose words are not stored."""

Span = tuple[int, int, int]
"""document_id, start, end."""

_LABELLED = (
    'SELECT l.document_id, l.start, l."end", l.behaviour, d.corpus, d.id AS document, '
    "CASE WHEN bool_and(present) = bool_or(present) THEN bool_or(present) END AS present, "
    "CASE WHEN min(opportunity) = max(opportunity) THEN min(opportunity) END AS opportunity "
    "FROM labels_resolved l JOIN documents d USING (document_id) "
    "WHERE d.corpus = coalesce($corpus, d.corpus) GROUP BY ALL ORDER BY 1, 2, 3, 4"
)
"""One row a span and behaviour, over all label sets."""

_PIECES = (
    'SELECT w.document_id, w.start, w."end", p.start AS first, p.text FROM ('
    'SELECT w.document_id, w.start, w."end", min(p.ordinal) AS ordinal FROM wanted w '
    'JOIN passages p ON p.document_id = w.document_id AND p."end" > w.start GROUP BY ALL) w '
    "JOIN passages p ON p.document_id = w.document_id "
    'AND p.start < w."end" AND p.ordinal + {back} >= w.ordinal '
    'ORDER BY w.document_id, w.start, w."end", first'
)
"""The passages that hold each span, and as many as `back` before them."""

_KNOWN = (
    "SELECT w.prefix_id, d.n_chars, count(l.behaviour) AS labels FROM wanted w "
    "LEFT JOIN documents d ON d.document_id = w.document_id LEFT JOIN labels l "
    "ON l.document_id = w.document_id AND l.start = w.start "
    'AND l."end" = w."end" AND l.behaviour = w.behaviour GROUP BY ALL'
)


@dataclass(frozen=True, slots=True)
class _Prefix:
    """The last words before a span, how many they are, and how many words the span has."""

    text: str
    words: int
    continuation_words: int


def export_prefixes(
    tables: Tables,
    path: Path,
    behaviours: Sequence[str],
    words: int,
    corpus: str | None,
    progress: Progress,
) -> dict[str, Any]:
    """Write a line for each labelled opportunity: its id and at most `words` words before it.

    The text ends with the last word or mark before the span, without the space between them.
    Raises UsageError for a file that exists, StageMissing where there are no words or no labels.
    """
    need_text(tables)
    if path.exists():
        raise UsageError(f"{path} exists", "export to a new file")
    if words < MIN_PREFIX_WORDS:
        raise UsageError(f"{words} words are no prefix", f"--words {MIN_PREFIX_WORDS} or more")
    choose(library_of(tables.paths), behaviours)
    catalogue = Catalogue(tables)
    labelled = _labelled(catalogue, behaviours, corpus)
    prefixes = _prefixes(catalogue, filter(_is_opportunity, labelled), words)
    left_out = dict.fromkeys(LEFT_OUT, 0)
    kept = []
    for row in labelled:
        if reason := _reason(row, prefixes):
            left_out[reason] += 1
        else:
            kept.append(row)
    with replacing(path) as temporary:
        lines = (json.dumps(_line(row, prefixes), ensure_ascii=False) for row in kept)
        temporary.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    counts = _counts(behaviours or {row["behaviour"] for row in labelled}, kept)
    _warn_without_denominator(counts, progress)
    return {
        "target": "prefixes",
        "file": str(path),
        "prefixes": len(kept),
        "behaviours": counts,
        "left_out": left_out,
    }


def read_truths(tables: Tables, ids: Iterable[str]) -> dict[str, Truth]:
    """What the documents say after exported prefixes, by prefix_id, or why that is not known."""
    library, catalogue = library_of(tables.paths), Catalogue(tables)
    parsed = {text: PrefixId.parse(text) for text in ids}
    known = {text: prefix for text, prefix in parsed.items() if prefix is not None}
    rows = {row["prefix_id"]: row for row in _known(catalogue, known)}
    stretches = _stretches(catalogue, {_span_of(prefix) for prefix in known.values()}, 0)
    truths = {}
    for text, prefix in parsed.items():
        if prefix is None:
            expected = "expected one that `auditor export prefixes` wrote"
            truths[text] = Truth(problem=f"prefix_id is {text!r}, {expected}")
            continue
        problem = _misfit(prefix, rows[text], library)
        _, said = stretches.get(_span_of(prefix), ("", ""))
        if not problem and not said:
            problem = f"the words of {text} are not stored: index without --no-store-text"
        truths[text] = Truth(prefix.behaviour, said, problem)
    return truths


def _labelled(
    catalogue: Catalogue, behaviours: Sequence[str], corpus: str | None
) -> list[dict[str, Any]]:
    corpora = [str(r["corpus"]) for r in catalogue.rows("SELECT DISTINCT corpus FROM documents")]
    if corpus is not None and corpus not in corpora:
        raise UsageError(f"no corpus {corpus!r}", "there are: " + ", ".join(sorted(corpora)))
    rows = catalogue.rows(_LABELLED, {"corpus": corpus})
    if not rows:
        raise StageMissing("no passage is labelled", "auditor label comes first")
    return [row for row in rows if not behaviours or row["behaviour"] in behaviours]


def _is_opportunity(row: Mapping[str, Any]) -> bool:
    """Whether the behaviour could have been shown: it was, or a reader said that it could."""
    return bool(row["present"]) or row["opportunity"] == "yes"


def _reason(row: Mapping[str, Any], prefixes: Mapping[Span, _Prefix]) -> str | None:
    """Why a label gives no prefix; None where it does."""
    if row["present"] is None:
        return "undecided"
    if not _is_opportunity(row):
        return "no_opportunity"
    prefix = prefixes.get(_span(row))
    if prefix is None:
        return "no_text"
    return "short" if prefix.words < MIN_PREFIX_WORDS else None


def _prefixes(
    catalogue: Catalogue, rows: Iterable[Mapping[str, Any]], words: int
) -> dict[Span, _Prefix]:
    back = math.ceil(words / kernels.MIN_WORDS)
    stretches = _stretches(catalogue, {_span(row) for row in rows}, back)
    return {span: _prefix(before, said, words) for span, (before, said) in stretches.items()}


def _prefix(before: str, said: str, words: int) -> _Prefix:
    tokens = tokenise([before, said])
    first = tokens.char_starts[: tokens.document_offsets[1]]
    starts = first[tokens.is_word[: len(first)]]
    cut = int(starts[-words]) if len(starts) > words else 0
    return _Prefix(before[cut:].strip(), min(len(starts), words), int(tokens.n_words[1]))


def _stretches(
    catalogue: Catalogue, spans: Collection[Span], back: int
) -> dict[Span, tuple[str, str]]:
    """What documents say before each span (`back` passages or more) and in it, where stored.

    What the passages leave out between them is space.
    """
    columns = zip(*sorted(spans), strict=True) if spans else ((), (), ())
    names = ("document_id", "start", "end")
    types = (pa.uint64(), pa.int64(), pa.int64())
    wanted = pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
    pieces: dict[Span, list[tuple[int, str | None]]] = {}
    for row in catalogue.join(_PIECES.format(back=back), wanted=wanted).to_pylist():
        pieces.setdefault(_span(row), []).append((row["first"], row["text"]))
    found = {}
    for (document, start, end), parts in pieces.items():
        origin, text = parts[0][0], ""
        for first, part in parts:
            text = text.ljust(first - origin) + (part or "")
        if all(part is not None for _, part in parts):
            here = max(0, start - origin)
            found[document, start, end] = (text[:here].ljust(here), text[here : end - origin])
    return found


def _line(row: Mapping[str, Any], prefixes: Mapping[Span, _Prefix]) -> dict[str, Any]:
    """What a model and its judge may know of an opportunity: not what the reader found."""
    prefix = prefixes[_span(row)]
    return {
        "prefix_id": str(PrefixId(*_span(row), row["behaviour"])),
        **{name: row[name] for name in ("behaviour", "corpus", "document", "start", "end")},
        "text": prefix.text,
        "continuation_words": prefix.continuation_words,
    }


def _counts(
    behaviours: Iterable[str], kept: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, int]]:
    counts = {name: {"prefixes": 0, "present": 0, "absent": 0} for name in sorted(behaviours)}
    for row in kept:
        count = counts[row["behaviour"]]
        count["prefixes"] += 1
        count["present" if row["present"] else "absent"] += 1
    return counts


def _warn_without_denominator(counts: Mapping[str, Mapping[str, int]], progress: Progress) -> None:
    bare = [name for name, count in counts.items() if count["prefixes"] and not count["absent"]]
    if bare:
        progress.warn(
            f"{', '.join(bare)}: no denominator: every exported prefix is one where the text went "
            "on to show it; code `opportunity` (U4)"
        )


def _known(catalogue: Catalogue, prefixes: Mapping[str, PrefixId]) -> list[dict[str, Any]]:
    wanted = pa.table(
        {
            "prefix_id": pa.array(list(prefixes), pa.string()),
            "document_id": pa.array([p.document_id for p in prefixes.values()], pa.uint64()),
            "start": pa.array([p.start for p in prefixes.values()], pa.int64()),
            "end": pa.array([p.end for p in prefixes.values()], pa.int64()),
            "behaviour": pa.array([p.behaviour for p in prefixes.values()], pa.string()),
        }
    )
    rows: list[dict[str, Any]] = catalogue.join(_KNOWN, wanted=wanted).to_pylist()
    return rows


def _misfit(prefix: PrefixId, known: Mapping[str, Any], library: Collection[str]) -> str | None:
    """Why a well-formed prefix_id leads to no outcome of a reader; None where it does."""
    where = f"{prefix.start}-{prefix.end}"
    if prefix.behaviour not in library:
        return f"no behaviour {prefix.behaviour!r} in the library"
    if known["n_chars"] is None:
        return f"prefix_id {prefix}: its document is not in this audit"
    if not prefix.start < prefix.end <= known["n_chars"]:
        return f"span {where} is not in the document's {known['n_chars']} characters"
    if not known["labels"]:
        return f"prefix_id {prefix}: no reader judged {prefix.behaviour} at {where}"
    return None


def _span(row: Mapping[str, Any]) -> Span:
    return row["document_id"], row["start"], row["end"]


def _span_of(prefix: PrefixId) -> Span:
    return prefix.document_id, prefix.start, prefix.end
