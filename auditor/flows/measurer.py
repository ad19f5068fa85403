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

from auditor.behaviours.spec import Behaviour, library_of
from auditor.errors import StageMissing
from auditor.flows.recording import has_frame, need_index
from auditor.flows.score import need_fresh_scores
from auditor.flows.span_scores import SpanScores
from auditor.prevalence.estimators import (
    Frame,
    Sample,
    estimate,
    exact,
    refused,
    residual_bound,
    uncalibrated,
)
from auditor.prevalence.shares import framing_shares
from auditor.prevalence.targets import Target
from auditor.records import Counted, Prevalence
from auditor.schema import FACETS, OPTIONAL_FACETS
from auditor.statistics.intervals import clopper_pearson
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables

FIELDS = {
    "source": "coalesce(d.source, '(none)')",
    "genre": "coalesce(d.genre, '(none)')",
    "year": "coalesce(nullif(regexp_extract(d.date, '\\d{4}'), ''), '(none)')",
    "author": "coalesce(d.author, '(none)')",
}
"""Metadata a rate can be split by, as SQL over `documents d`."""

Floats = npt.NDArray[np.float64]

UNCODED = "uncoded"
"""Positives whose facet no reader coded, shown as a value of their own."""


MOST_MISSING = 0.1
"""Share of drawn spans without a usable answer above which a rate is refused."""

SURE_JUDGE = (20, 0.95)
"""A judge that finds a behaviour in this share of at least so many spans always says yes."""


@dataclass(frozen=True)
class LabelledSet:
    """One label set in one corpus: a sample a behaviour, and the frame it was drawn from.

    weight: (spans,) 1, or 1/pi where no frame was given; pi: (spans,) as drawn; read: behaviour to
    the share of the draw that was read; fields: metadata field to its value at every
    span of the frame; scores: behaviour to its score there.
    """

    name: str
    corpus: str
    samples: dict[str, Sample]
    refusals: dict[str, str]
    weight: Floats
    pi: Floats
    read: dict[str, float]
    words: Floats
    fields: dict[str, npt.NDArray[np.object_]]
    scores: dict[str, Floats]
    labelled: dict[str, pa.Table]

    def frame(self, behaviour: str, field: str | None = None, value: str | None = None) -> Frame:
        """The frame's size, or that of its part with one value of a field, and its mean score."""
        inside = np.ones(len(self.weight), bool) if field is None else self.fields[field] == value
        weight = self.weight[inside]
        score = self.scores.get(behaviour)
        return Frame(
            max(1, round(float(weight.sum()))),
            round(float((weight * self.words[inside]).sum())),
            None if score is None else float(score[inside].mean()),
            float(self.pi[inside].min()) * self.read.get(behaviour, 1.0) if inside.any() else None,
        )

    def codes(self, target: Target) -> bool:
        """Whether every positive has a value of each facet that a target names."""
        sample = self.samples[target.behaviour]
        return not any(None in sample.facets[facet][sample.present] for facet in target.framing)

    def values(self, field: str) -> list[str]:
        """The values a field has in the frame."""
        return sorted(set(self.fields[field].tolist()))


class Measurer:
    """Answers how often a target appears, from what the audit holds."""

    def __init__(self, tables: Tables) -> None:
        """Load every label set; raises StageMissing where no corpus is indexed."""
        need_index(tables)
        self._tables = tables
        self.catalogue = Catalogue(tables)
        self.library = library_of(tables.paths)
        self.corpora = [run["corpus"] for run in tables.current("index")]
        for corpus in self.corpora:
            need_fresh_scores(tables, corpus)
        self._counted: dict[tuple[str, str, str | None], list[dict[str, Any]]] = {}
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
                    yield from self._labelled_rows(one, behaviour.id, by)
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
            return next(self._counted_rows(behaviour, corpus, None), None)
        sets = [s for s in self.sets if s.corpus == corpus and behaviour.id in s.samples]
        sets = [s for s in sets if behaviour.id not in s.refusals and s.codes(target)]
        if not sets:
            return None
        largest = max(sets, key=lambda s: len(s.samples[behaviour.id].present))
        return estimate(largest.samples[behaviour.id], largest.frame(behaviour.id), target)

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
        spans = SpanScores(self._tables, frames)
        for name, corpus in pairs:
            self._check_labels_are_newer(name, corpus)
            inside = _where(labels, label_set=name, corpus=corpus)
            rows = np.flatnonzero(_mask(frames, label_set=name, corpus=corpus).to_numpy(False))
            yield self._labelled_set(name, corpus, inside, frames.take(pa.array(rows)), rows, spans)

    def _labelled_set(
        self, name: str, corpus: str, labels: pa.Table, frame: pa.Table,
        rows: npt.NDArray[np.int64], spans: SpanScores,
    ) -> LabelledSet:  # fmt: skip
        """Lay out one label set: its answered spans by behaviour, and its frame."""
        given = has_frame(self._tables, name)
        samples, refusals, kept, read = {}, {}, {}, {}
        scores = spans.of(rows) if given else {}
        for behaviour in sorted(set(labels["behaviour"].to_pylist())):
            drawn = _where(labels, behaviour=behaviour)
            score = spans.of_labels(behaviour, drawn) if behaviour in scores else None
            samples[behaviour] = _sample(behaviour, corpus, name, drawn, score)
            kept[behaviour] = drawn
            read[behaviour] = float(np.median(samples[behaviour].pi / drawn["frame_pi"].to_numpy()))
            methods = set(drawn["method"].to_pylist())
            if reason := _refusal(samples[behaviour], methods):
                refusals[behaviour] = reason
        return LabelledSet(
            name,
            corpus,
            samples,
            refusals,
            np.ones(frame.num_rows) if given else 1.0 / frame["pi"].to_numpy(),
            frame["pi"].to_numpy(),
            read,
            frame["n_words"].to_numpy().astype(float),
            {field: np.array(frame[field].to_pylist(), object) for field in FIELDS},
            scores,
            kept,
        )

    def _run(self, stage: str, group: str) -> dict[str, Any]:
        return self._tables.current(stage, group)[0]

    def _check_labels_are_newer(self, label_set: str, corpus: str) -> None:
        """Labels of a text that was indexed anew may point at other words."""
        if self._run("label", label_set)["started_at"] < self._run("index", corpus)["started_at"]:
            raise StageMissing(
                f"corpus {corpus} was indexed again after label set {label_set} was imported",
                "import the labels again, or draw anew: auditor label --import FILE, or --plan",
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
        """Counts over every passage; asked once, since claims ask for the same ones."""
        key = (behaviour, corpus, by)
        if key not in self._counted:
            split = FIELDS[by] if by else "CAST(NULL AS VARCHAR)"
            named = {"behaviour": behaviour, "corpus": corpus}
            self._counted[key] = self.catalogue.rows(_COUNTS.format(split=split), named)
        return self._counted[key]

    def _labelled_rows(
        self, one: LabelledSet, behaviour: str, by: str | None
    ) -> Iterator[Prevalence]:
        sample, whole = one.samples[behaviour], one.frame(behaviour)
        if behaviour in one.refusals:
            if by is None:
                yield refused(behaviour, one.corpus, sample, whole, one.refusals[behaviour])
        elif by is None:
            row = estimate(sample, whole, Target(behaviour))
            below = self._threshold(one.corpus, behaviour)
            yield replace(
                row,
                recall=self._recall(one.corpus, behaviour),
                elusion=None if below is None else residual_bound(sample, whole, below),
            )
        elif by in FIELDS:
            column = np.array(one.labelled[behaviour][by].to_pylist(), object)
            for value in one.values(by):
                frame = one.frame(behaviour, by, value)
                yield estimate(sample, frame, Target(behaviour), column == value, by, value)
        else:
            yield from _framing_rows(sample, whole, by)

    def _threshold(self, corpus: str, behaviour: str) -> float | None:
        """The score from which a passage counts as retrieved; None where nothing was scored."""
        runs = self._tables.current("score", corpus)
        thresholds = json.loads(runs[0]["summary"])["thresholds"] if runs else {}
        found: float | None = thresholds.get(behaviour)
        return found

    def _recall(self, corpus: str, behaviour: str) -> Counted | None:
        rows = self.catalogue.rows(_RECALL, {"corpus": corpus, "behaviour": behaviour})
        return clopper_pearson(rows[0]["k"], rows[0]["n"]) if rows else None


def _framing_rows(sample: Sample, whole: Frame, by: str) -> Iterator[Prevalence]:
    """One row for each value of a facet, with its share of the positives."""
    coded = sample.facets[by][sample.present].tolist()
    values = FACETS.get(by, ()) or sorted(set(coded) - {None})
    shares = framing_shares(sample, by, values)
    for value in values:
        target = Target(sample.behaviour, {by: (value,)})
        row = estimate(sample, whole, target, None, by, value)
        yield replace(row, share=shares.get(value))
    if None in coded:
        blank = np.array([value is None for value in sample.facets[by]])
        uncoded = _only(sample, blank & sample.present)
        yield estimate(uncoded, whole, Target(sample.behaviour), None, by, UNCODED)


def _refusal(sample: Sample, methods: set[str]) -> str | None:
    """Why these labels cannot give a rate; None where they can."""
    drawn, missing = len(sample.present), int(sample.missing.sum())
    if missing > MOST_MISSING * drawn:
        return f"{missing} of {drawn} spans read have no usable answer"
    read, shown = drawn - missing, int(sample.present.sum())
    if read > 1 and shown == read:
        return f"all {read} spans read portray it: labels without negatives say nothing of a rate"
    fewest, share = SURE_JUDGE
    if "judge" in methods and read >= fewest and shown >= share * read:
        return f"the judge said yes to {shown} of {read} spans"
    return None


def _only(sample: Sample, present: npt.NDArray[np.bool_]) -> Sample:
    """The same spans, with the behaviour present in some of its positives alone."""
    return replace(sample, present=present)


def _sample(
    behaviour: str, corpus: str, label_set: str, rows: pa.Table, score: Floats | None
) -> Sample:
    kinds = sorted(set(rows["reader_kind"].to_pylist()))
    return Sample(
        behaviour=behaviour,
        corpus=corpus,
        label_set=label_set,
        reader_kind="+".join(kinds),
        document=rows["document_id"].to_numpy(),
        pi=rows["pi"].to_numpy(),
        multiplicity=rows["multiplicity"].to_numpy().astype(float),
        present=pc.fill_null(rows["present"], False).to_numpy(zero_copy_only=False).astype(bool),
        missing=pc.is_null(rows["present"]).to_numpy(zero_copy_only=False),
        facets={f: np.array(rows[f].to_pylist(), object) for f in (*FACETS, *OPTIONAL_FACETS)},
        score=score,
    )


def _where(table: pa.Table, **equal: str) -> pa.Table:
    return table.filter(_mask(table, **equal))


def _mask(table: pa.Table, **equal: str) -> pa.ChunkedArray:
    mask = None
    for column, value in equal.items():
        one = pc.equal(table[column], value)
        mask = one if mask is None else pc.and_(mask, one)
    return mask


_FRAMES = (
    'SELECT f.label_set, f.document_id, f.start, f."end", d.corpus, f.n_words, f.pi, '
    "{fields} FROM frames f JOIN documents d USING (document_id) "
    'ORDER BY f.label_set, f.document_id, f.start, f."end"'
)
_LABELS = (
    "SELECT l.*, f.multiplicity, f.pi AS frame_pi, d.corpus, {fields} FROM labels_resolved l "
    'JOIN frames f USING (label_set, document_id, start, "end") '
    "JOIN documents d USING (document_id) WHERE l.pi IS NOT NULL "
    'ORDER BY l.behaviour, l.document_id, l.start, l."end"'
)
_RECALL = (
    "SELECT positives AS k, labels AS n FROM cards WHERE metric = 'spike_in_recall' "
    "AND corpus = $corpus AND name = $behaviour AND labels > 0"
)
_COUNTS = (
    "SELECT {split} AS value, count(*) AS spans, sum(p.n_words) AS words, "
    "count(*) FILTER (s.score = 1) AS hits, avg(s.score) AS mean, "
    "sum(1.0 / coalesce(u.multiplicity, 1)) FILTER (s.score = 1) AS unique_hits "
    "FROM scores s JOIN passages p USING (passage_id) JOIN documents d USING (document_id) "
    "LEFT JOIN duplicates u USING (passage_id) "
    "WHERE s.behaviour = $behaviour AND d.corpus = $corpus GROUP BY 1 ORDER BY 1"
)
