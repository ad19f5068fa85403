"""Labels, exact rules and scores → rows of `prevalence`, overall and by any facet or field."""

from collections.abc import Iterable, Sequence
from typing import Any

from auditor.behaviours.spec import choose, library_of
from auditor.errors import UsageError
from auditor.flows.measurer import FIELDS, Measurer
from auditor.flows.recording import Started
from auditor.plan import digest
from auditor.records import Interval, Prevalence
from auditor.schema import FACETS, OPTIONAL_FACETS
from auditor.store.tables import Tables, rows_table

DEFAULT_SPLITS = (None, "stance", "mode")


def measure(
    tables: Tables, ids: Sequence[str], by: Sequence[str], corpus: str | None
) -> list[Prevalence]:
    """Measure the library into `prevalence`, and give the rows asked for.

    Splits by stance and mode too where none is named.
    """
    started = Started("measure", ("numpy", "scipy"))
    _check_splits(by)
    asked = {behaviour.id for behaviour in choose(library_of(tables.paths), ids)}
    measurer = Measurer(tables)
    corpora = _corpora(measurer, corpus)
    splits: tuple[str | None, ...] = tuple(by) or DEFAULT_SPLITS
    rows = []
    for name in corpora:
        for split in splits:
            measured = list(measurer.rows(list(measurer.library.values()), [name], split))
            _record(tables, name, split, measured, started)
            rows += [row for row in measured if row.behaviour in asked]
    return rows


def _record(
    tables: Tables,
    corpus: str,
    split: str | None,
    rows: Sequence[Prevalence],
    started: Started,
) -> None:
    """Write one corpus's rows of one split, in place of those measured before."""
    table = rows_table("prevalence", [flat(row) for row in rows])
    path = tables.write("prevalence", corpus, table)
    inputs = [r["input_digest"] for s in ("index", "label", "score") for r in tables.current(s)]
    group = f"{corpus}-{split or 'all'}"
    summary = {"rows": len(rows)}
    started.finish(tables, group, digest(split), digest(inputs), [path], len(rows), summary)


def flat(row: Prevalence) -> dict[str, Any]:
    """A `Prevalence` as a row of the table: intervals spread over columns."""
    passages, words = row.per_million_passages, row.per_million_words
    return {
        **{name: getattr(row, name) for name in _PLAIN},
        "estimate": passages.estimate,
        "low": passages.low,
        "high": passages.high,
        "words_estimate": words.estimate,
        "words_low": words.low,
        "words_high": words.high,
        "exposure": row.exposure.estimate,
        "exposure_low": row.exposure.low,
        "exposure_high": row.exposure.high,
        "unique_passages": row.unique.estimate,
        "unique_low": row.unique.low,
        "unique_high": row.unique.high,
        **_beside(row),
    }


def _beside(row: Prevalence) -> dict[str, Any]:
    share = row.share or Interval(None, None, None)
    return {
        "share": share.estimate,
        "share_low": share.low,
        "share_high": share.high,
        "recall_k": row.recall.k if row.recall else None,
        "recall_n": row.recall.n if row.recall else None,
        "elusion_high": row.elusion.high if row.elusion else None,
    }


_PLAIN = (
    "behaviour", "target", "corpus", "facet", "value", "frame_size", "labels", "positives",
    "method", "calibrated", "reader_kind", "se_log", "label_set", "reason",
)  # fmt: skip


def _check_splits(by: Iterable[str]) -> None:
    known = (*FACETS, *OPTIONAL_FACETS, *FIELDS)
    for split in by:
        if split not in known:
            raise UsageError(f"cannot split by {split!r}", "there are: " + ", ".join(known))


def _corpora(measurer: Measurer, corpus: str | None) -> list[str]:
    if corpus is not None and corpus not in measurer.corpora:
        raise UsageError(f"no corpus {corpus!r}", "there are: " + ", ".join(measurer.corpora))
    return [corpus] if corpus else measurer.corpora
