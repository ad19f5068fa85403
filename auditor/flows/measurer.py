"""Answers how often a target appears, from labels, exact rules and scores.

SQL gathers and counts; the estimators see arrays. One `Measurer` loads the label sets once and then
answers any target of them, for `measure` and for the claims alike.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from auditor.behaviours.spec import Behaviour, read_library
from auditor.errors import StageMissing
from auditor.flows.recording import need_index
from auditor.prevalence.estimators import Frame, Sample, estimate, exact, uncalibrated
from auditor.prevalence.targets import Target
from auditor.records import Prevalence
from auditor.schema import FACETS, OPTIONAL_FACETS
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

FIELDS = {
    "source": "coalesce(d.source, '(none)')",
    "genre": "coalesce(d.genre, '(none)')",
    "year": "coalesce(nullif(regexp_extract(d.date, '\\d{4}'), ''), '(none)')",
    "author": "coalesce(d.author, '(none)')",
}
"""Metadata a rate can be split by, as SQL over `documents d`."""

UNCODED = "uncoded"
"""Positives whose facet no reader coded, shown as a value of their own."""


@dataclass(frozen=True)
class LabelledSet:
    """One label set in one corpus: a sample a behaviour, and the frame it was drawn from."""

    name: str
    corpus: str
    samples: dict[str, Sample]
    frame: Frame
    fields: pa.Table
    field_frames: dict[str, dict[str, Frame]]


class Measurer:
    """Answers how often a target appears, from what the audit holds."""

    def __init__(self, tables: Tables) -> None:
        """Load every label set; raises StageMissing where no corpus is indexed."""
        need_index(tables)
        self._tables = tables
        self.catalogue = Catalogue(tables)
        self.library = read_library()
        self.corpora = [run["corpus"] for run in tables.current("index")]
        self.sets = list(self._labelled_sets())

    def rows(
        self, behaviours: Sequence[Behaviour], corpora: Sequence[str], by: str | None
    ) -> Iterator[Prevalence]:
        """Every measurable row of some behaviours in some corpora, split by a facet or a field."""
        for corpus in corpora:
            for behaviour in behaviours:
                labelled = [
                    s for s in self.sets if s.corpus == corpus and behaviour.id in s.samples
                ]
                for one in labelled:
                    yield from _labelled_rows(one, behaviour.id, by)
                if behaviour.rule:
                    yield from self._counted_rows(behaviour, corpus, by)
                elif not labelled and (by is None or by in FIELDS):
                    yield from self._scored_rows(behaviour, corpus, by)

    def target(self, target: Target, corpus: str) -> Prevalence | None:
        """One target in one corpus, from an exact rule or the label set with most labels.

        None where nobody looked for it, or a reader left a facet of the target uncoded.
        """
        behaviour = self.library[target.behaviour]
        if behaviour.rule:
            return next(self._counted_rows(behaviour, corpus, None))
        sets = [s for s in self.sets if s.corpus == corpus and behaviour.id in s.samples]
        if not sets:
            return None
        largest = max(sets, key=lambda s: len(s.samples[behaviour.id].present))
        sample = largest.samples[behaviour.id]
        if any(None in sample.facets[facet][sample.present] for facet in target.framing):
            return None
        return estimate(largest.samples[behaviour.id], largest.frame, target)

    def _labelled_sets(self) -> Iterator[LabelledSet]:
        fields = ", ".join(f"{sql} AS {name}" for name, sql in FIELDS.items())
        frames = self.catalogue.query(_FRAMES.format(fields=fields))
        labels = self.catalogue.query(_LABELS.format(fields=fields))
        pairs = sorted(
            {
                (r["label_set"], r["corpus"])
                for r in labels.select(["label_set", "corpus"]).to_pylist()
            }
        )
        for name, corpus in pairs:
            inside = _where(labels, label_set=name, corpus=corpus)
            frame = _where(frames, label_set=name, corpus=corpus)
            samples = {
                behaviour: _sample(behaviour, corpus, name, _where(inside, behaviour=behaviour))
                for behaviour in sorted(set(inside["behaviour"].to_pylist()))
            }
            self._check_labels_are_newer(name, corpus)
            given = json.loads(self._run("label", name)["summary"])["frame"] is not None
            yield LabelledSet(name, corpus, samples, *_frame_sizes(frame, inside, given))

    def _run(self, stage: str, group: str) -> dict[str, Any]:
        return self._tables.current(stage, group)[0]

    def _check_labels_are_newer(self, label_set: str, corpus: str) -> None:
        """Labels of a text that was indexed anew may point at other words."""
        if self._run("label", label_set)["started_at"] < self._run("index", corpus)["started_at"]:
            raise StageMissing(
                f"corpus {corpus} was indexed again after label set {label_set} was imported",
                "import the labels again: auditor label --import FILE",
            )

    def _counted_rows(
        self, behaviour: Behaviour, corpus: str, by: str | None
    ) -> Iterator[Prevalence]:
        if by is not None and by not in FIELDS:
            return
        for row in self._counts(behaviour.id, corpus, by):
            frame = Frame(int(row["spans"]), int(row["words"]))
            unique = float(row["unique_hits"] or 0)
            yield exact(behaviour.id, corpus, int(row["hits"]), unique, frame, by, row["value"])

    def _scored_rows(
        self, behaviour: Behaviour, corpus: str, by: str | None
    ) -> Iterator[Prevalence]:
        for row in self._counts(behaviour.id, corpus, by):
            frame = Frame(int(row["spans"]), int(row["words"]))
            yield uncalibrated(behaviour.id, corpus, float(row["mean"]), frame, by, row["value"])

    def _counts(self, behaviour: str, corpus: str, by: str | None) -> list[dict[str, Any]]:
        split = FIELDS[by] if by else "CAST(NULL AS VARCHAR)"
        sql = _COUNTS.format(split=split)
        return self.catalogue.rows(sql, {"behaviour": behaviour, "corpus": corpus})


def _labelled_rows(one: LabelledSet, behaviour: str, by: str | None) -> Iterator[Prevalence]:
    sample = one.samples[behaviour]
    if by is None:
        yield estimate(sample, one.frame, Target(behaviour))
    elif by in FIELDS:
        column = np.array(_where(one.fields, behaviour=behaviour)[by].to_pylist(), object)
        for value, frame in one.field_frames[by].items():
            yield estimate(sample, frame, Target(behaviour), column == value, by, value)
    else:
        coded = sample.facets[by][sample.present].tolist()
        for value in FACETS.get(by, ()) or sorted(set(coded) - {None}):
            yield estimate(sample, one.frame, Target(behaviour, {by: (value,)}), None, by, value)
        if None in coded:
            blank = np.array([value is None for value in sample.facets[by]])
            uncoded = blank & sample.present
            yield estimate(_only(sample, uncoded), one.frame, Target(behaviour), None, by, UNCODED)


def _only(sample: Sample, present: npt.NDArray[np.bool_]) -> Sample:
    """The same spans, with the behaviour present in some of its positives alone."""
    return replace(sample, present=present)


def _sample(behaviour: str, corpus: str, label_set: str, rows: pa.Table) -> Sample:
    kinds = sorted(set(rows["reader_kind"].to_pylist()))
    return Sample(
        behaviour=behaviour,
        corpus=corpus,
        label_set=label_set,
        reader_kind="+".join(kinds),
        document=rows["document_id"].to_numpy(),
        pi=rows["pi"].to_numpy(),
        multiplicity=rows["multiplicity"].to_numpy().astype(float),
        present=rows["present"].to_numpy(zero_copy_only=False).astype(bool),
        facets={f: np.array(rows[f].to_pylist(), object) for f in (*FACETS, *OPTIONAL_FACETS)},
    )


def _frame_sizes(
    frame: pa.Table, labels: pa.Table, given: bool
) -> tuple[Frame, pa.Table, dict[str, dict[str, Frame]]]:
    """The frame's size overall and a field's value.

    Where no frame was given, it is what the labelled spans stand for: the sum of 1/pi.
    """
    weight = np.ones(frame.num_rows) if given else 1.0 / frame["pi"].to_numpy()
    words = weight * frame["n_words"].to_numpy()
    parts: dict[str, dict[str, Frame]] = {}
    for field in FIELDS:
        values = np.array(frame[field].to_pylist(), object)
        parts[field] = {
            str(value): _size(weight[values == value], words[values == value])
            for value in sorted(set(values.tolist()))
        }
    return _size(weight, words), labels, parts


def _size(weight: Any, words: Any) -> Frame:  # noqa: ANN401
    return Frame(max(1, round(float(weight.sum()))), round(float(words.sum())))


def _where(table: pa.Table, **equal: str) -> pa.Table:
    mask = None
    for column, value in equal.items():
        one = pc.equal(table[column], value)
        mask = one if mask is None else pc.and_(mask, one)
    return table.filter(mask)


_FRAMES = (
    "SELECT f.label_set, d.corpus, f.n_words, f.pi, "
    "{fields} FROM frames f JOIN documents d USING (document_id)"
)
_LABELS = (
    "SELECT l.*, f.multiplicity, d.corpus, {fields} FROM labels l "
    'JOIN frames f USING (label_set, document_id, start, "end") '
    "JOIN documents d USING (document_id) WHERE l.pi IS NOT NULL AND l.present IS NOT NULL "
    'ORDER BY l.behaviour, l.document_id, l.start, l."end"'
)
_COUNTS = (
    "SELECT {split} AS value, count(*) AS spans, sum(p.n_words) AS words, "
    "count(*) FILTER (s.score = 1) AS hits, avg(s.score) AS mean, "
    "sum(1.0 / coalesce(u.multiplicity, 1)) FILTER (s.score = 1) AS unique_hits "
    "FROM scores s JOIN passages p USING (passage_id) JOIN documents d USING (document_id) "
    "LEFT JOIN duplicates u USING (passage_id) "
    "WHERE s.behaviour = $behaviour AND d.corpus = $corpus GROUP BY 1 ORDER BY 1"
)
