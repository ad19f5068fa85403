"""Which passages, or which observed turns, a label set reads: drawn once, before any reading."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours.spec import choose, library_of
from auditor.errors import StageMissing, UsageError
from auditor.flows.recording import Started, need_text
from auditor.flows.score import need_fresh_scores
from auditor.flows.span_scores import SpanScores, span_keys, unpacked
from auditor.labelling.sampling import (
    BANDS,
    Draw,
    Read,
    band_edges,
    draw_sample,
    permanent_uniforms,
    read_bands,
)
from auditor.plan import digest
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, with_schema

DEFAULT_LABELS = 1_500
"""The low end of METHOD §3's usual budget, read once for all behaviours."""

MILLION = 1e6

_PASSAGES = (
    'SELECT p.passage_id, p.document_id, p.start, p."end", p.n_words, '
    "coalesce(u.multiplicity, 1)::UINTEGER AS multiplicity FROM passages p "
    "JOIN documents d USING (document_id) LEFT JOIN duplicates u USING (passage_id) "
    "WHERE d.corpus = $corpus ORDER BY p.passage_id"
)
_LABELLED = (
    'SELECT DISTINCT l.label_set, l.document_id, l.start, l."end" FROM labels_resolved l '
    "JOIN documents d USING (document_id) WHERE d.corpus = $corpus ORDER BY 1, 2, 3, 4"
)
_PRESENT = (
    'SELECT l.label_set, l.document_id, l.start, l."end", l.behaviour, l.present '
    "FROM labels_resolved l JOIN documents d USING (document_id) "
    "WHERE d.corpus = $corpus AND l.present IS NOT NULL"
)
_TURNS = (
    "SELECT transcript_id, turn FROM turns "
    "WHERE source = 'model' AND trim(text) != '' ORDER BY transcript_id, turn"
)


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """What the user asked of a sample; target: the lowest rate to measure, per million."""

    label_set: str
    behaviours: tuple[str, ...] = ()
    n: int = DEFAULT_LABELS
    corpus: str | None = None
    target: float | None = None
    seed: int = 0


def plan_passages(tables: Tables, settings: PlanSettings) -> dict[str, Any]:
    """Draw a sample of passages into `frames`; the summary the command prints."""
    need_text(tables)
    started = Started("plan", ("numpy",))
    _check(tables, settings)
    corpus = _corpus(tables, settings.corpus)
    learned = [b.id for b in choose(library_of(tables.paths), settings.behaviours) if not b.rule]
    passages = Catalogue(tables).query(_PASSAGES, {"corpus": corpus})
    need_fresh_scores(tables, corpus)
    stored = tables.read("scores", "score", corpus).sort_by("passage_id")
    names = [name for name in learned if name in stored.column_names]
    if not names:
        raise UsageError("none of these behaviours is learned", "exact rules need no labels")
    scores = np.stack([unpacked(stored[name]) for name in names], axis=1).astype(np.float32)
    uniform = permanent_uniforms(passages["passage_id"].to_numpy(), _seed(settings))
    read = _read_before(tables, corpus, names, scores)
    target = settings.target / MILLION if settings.target else None
    draw = draw_sample(scores, uniform, settings.n, target, read)
    frames = passages.drop_columns(["passage_id"])
    for name, column in (("pi", draw.pi), ("draw", draw.draw), ("band", draw.band)):
        frames = frames.append_column(name, pa.array(column))
    label_set = pa.array([settings.label_set] * frames.num_rows, pa.string())
    path = tables.write(
        "frames",
        settings.label_set,
        with_schema("frames", frames.add_column(0, "label_set", label_set)),
    )
    summary = {
        "label_set": settings.label_set,
        "of": "passages",
        "corpus": corpus,
        "behaviours": names,
        "frame_size": frames.num_rows,
        "drawn": len(draw.chosen),
        "expected": round(float(draw.pi.sum()), 1),
        "target_per_million": round(draw.target * MILLION, 1),
        "pilot": read is None,
        "bands": _bands(draw),
        "seed": settings.seed,
    }
    indexed = tables.current("index", corpus)[0]["input_digest"]
    started.finish(
        tables, settings.label_set, digest(summary), indexed, [path], frames.num_rows, summary,
        seed=settings.seed,
    )  # fmt: skip
    return summary


def plan_turns(tables: Tables, settings: PlanSettings) -> dict[str, Any]:
    """Draw a sample of the models' turns into `turn_frames`, each with the same probability."""
    started = Started("plan", ("numpy",))
    _check(tables, settings)
    turns = Catalogue(tables).query(_TURNS)
    if not turns.num_rows:
        raise StageMissing("no transcript is observed", "auditor observe FILE comes first")
    learned = [b.id for b in choose(library_of(tables.paths), settings.behaviours) if not b.rule]
    pi = min(1.0, settings.n / turns.num_rows)
    draw = permanent_uniforms(_turn_ids(turns), _seed(settings)) / pi
    rows = turns
    label_set = pa.array([settings.label_set] * turns.num_rows, pa.string())
    for name, column in (
        ("label_set", label_set),
        ("pi", pa.array(np.full(turns.num_rows, pi))),
        ("draw", pa.array(draw)),
    ):
        rows = rows.append_column(name, column)
    path = tables.write("turn_frames", settings.label_set, with_schema("turn_frames", rows))
    summary = {
        "label_set": settings.label_set,
        "of": "transcripts",
        "corpus": None,
        "behaviours": learned,
        "frame_size": turns.num_rows,
        "drawn": int((draw < 1.0).sum()),
        "expected": round(pi * turns.num_rows, 1),
        "seed": settings.seed,
    }
    inputs = digest(sorted(run["input_digest"] for run in tables.current("observe")))
    started.finish(
        tables, settings.label_set, digest(summary), inputs, [path], turns.num_rows, summary,
        seed=settings.seed,
    )  # fmt: skip
    return summary


def _turn_ids(turns: pa.Table) -> npt.NDArray[np.uint64]:
    """A number for each turn that no other machine or version would give otherwise."""
    return np.array([int(digest(list(row.values()))[:16], 16) for row in turns.to_pylist()], "u8")


def _seed(settings: PlanSettings) -> int:
    """A seed of its own for each label set.

    A second set's probabilities rest on the first one's labels: with the same random numbers a span
    would be likelier drawn because it was drawn before.
    """
    return int(digest([settings.label_set, settings.seed])[:12], 16)


def _check(tables: Tables, settings: PlanSettings) -> None:
    if not re.fullmatch(r"\w[\w.@-]*", settings.label_set):
        raise UsageError(
            f"label set {settings.label_set!r}", "a name of letters, digits and . @ - _"
        )
    if settings.n < 1:
        raise UsageError(f"cannot draw {settings.n} spans", "give --n a number above 0")
    if settings.target is not None and not 0 < settings.target <= MILLION:
        raise UsageError(f"target is {settings.target} per million", "expected 1 to 1,000,000")
    name = settings.label_set
    plans = tables.current("plan", name)
    if plans and is_outdated(tables, plans[0]):
        _set_aside(tables.paths.journals / name)
    elif plans or tables.current("label", name):
        raise UsageError(
            f"label set {name!r} exists",
            f"read it: auditor label --set {name}; or draw another: --plan --set NAME",
        )


def is_outdated(tables: Tables, plan: Mapping[str, Any]) -> bool:
    """Whether a sample names spans of a text that was indexed again since it was drawn."""
    corpus = json.loads(plan["summary"])["corpus"]
    if corpus is None:
        return False
    indexed: str = tables.current("index", corpus)[0]["input_digest"]
    return bool(indexed != plan["input_digest"])


def _set_aside(journals: Path) -> None:
    """Keep what was said of another text, where nobody takes it for answers to the new sample."""
    if journals.is_dir():
        number = len(list(journals.parent.glob(f"{journals.name}~*"))) + 1
        journals.rename(journals.with_name(f"{journals.name}~{number}"))


def _corpus(tables: Tables, asked: str | None) -> str:
    corpora = [run["corpus"] for run in tables.current("score")]
    if asked is not None and asked not in corpora:
        raise UsageError(f"no corpus {asked!r}", "there are: " + ", ".join(corpora))
    if asked is None and len(corpora) > 1:
        raise UsageError("the audit has several corpora", f"--corpus {corpora[0]}, for one")
    return asked or corpora[0]


def _read_before(
    tables: Tables, corpus: str, names: Sequence[str], scores: npt.NDArray[np.float32]
) -> Read | None:
    """What earlier label sets found in each band; None before any reading (the pilot)."""
    catalogue = Catalogue(tables)
    spans = catalogue.query(_LABELLED, {"corpus": corpus})
    if not spans.num_rows:
        return None
    found = SpanScores(tables, spans)
    known = found.of(np.arange(spans.num_rows))
    if not set(names) <= set(known):
        return None
    place = {key: row for row, key in enumerate(span_keys(spans))}
    present = np.full((spans.num_rows, len(names)), np.nan, np.float32)
    for row in catalogue.rows(_PRESENT, {"corpus": corpus}):
        if row["behaviour"] in names:
            key = (row["label_set"], row["document_id"], row["start"], row["end"])
            present[place[key], names.index(row["behaviour"])] = row["present"]
    columns = np.stack([known[name] for name in names], axis=1).astype(np.float32)
    return read_bands(columns, present, band_edges(scores))


def _bands(draw: Draw) -> list[dict[str, Any]]:
    """How many passages each band holds, how many were drawn, and with what probability."""
    rows = []
    for band in range(len(BANDS)):
        inside = draw.band == band
        if inside.any():
            rows.append(
                {
                    "band": band,
                    "passages": int(inside.sum()),
                    "drawn": int((draw.draw[inside] < 1.0).sum()),
                    "pi": round(float(draw.pi[inside].mean()), 6),
                }
            )
    return rows
