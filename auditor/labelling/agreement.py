"""How far two readers of the same items agree, and how a judge fares against a reference reader.

Judgements by item key come in; only items that both answered count, and every figure keeps its
counts. Intervals for kappa resample whole documents, since passages of one document are alike.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from statsmodels.stats.inter_rater import cohens_kappa

from auditor.labelling.codebook import Codebook, Judgement
from auditor.records import Counted, Interval
from auditor.statistics.intervals import LEVEL, clopper_pearson

DRAWS = 1000
"""Bootstrap samples of documents; the limits of a 95 % interval rest on 25 of them each side."""

UNDEFINED = 0.05
"""Largest share of samples without a kappa (one class only) under which limits are still given:
beyond it the tail that a limit marks could consist of such samples."""

Judgements = Mapping[str, Judgement]
Label = Mapping[str, str | None]
Table = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BehaviourAgreement:
    """How two readers agree on whether one behaviour is portrayed."""

    behaviour: str
    both: int
    only_first: int
    only_second: int
    neither: int
    kappa: Interval

    @property
    def items(self) -> int:
        """Items that both readers answered."""
        return self.both + self.one + self.neither

    @property
    def one(self) -> int:
        """Items where only one reader saw it."""
        return self.only_first + self.only_second

    @property
    def positive(self) -> float | None:
        """Agreement on presence, 2·both / (2·both + one); None where nobody saw it."""
        return _share(2 * self.both, 2 * self.both + self.one)

    @property
    def negative(self) -> float | None:
        """Agreement on absence, 2·neither / (2·neither + one); None where both always saw it."""
        return _share(2 * self.neither, 2 * self.neither + self.one)


@dataclass(frozen=True, slots=True)
class FacetAgreement:
    """How two readers agree on one facet of the behaviours that both saw and coded."""

    facet: str
    labels: int
    agreed: int
    kappa: Interval


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two readers agree: items both answered, each behaviour, each facet."""

    items: int
    behaviours: tuple[BehaviourAgreement, ...]
    facets: tuple[FacetAgreement, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One item two readers answered differently; facets: pairs of behaviour and facet."""

    key: str
    behaviours: tuple[str, ...]
    facets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What a judge finds of one behaviour, and what it finds that is not there."""

    behaviour: str
    sensitivity: Counted
    false_positives: Counted


def agree(
    first: Judgements,
    second: Judgements,
    codebook: Codebook,
    documents: Mapping[str, Hashable],
    rng: np.random.Generator,
) -> Agreement:
    """Compare two readers, behaviour by behaviour and facet by facet.

    documents: the document of each item key; kappa's interval resamples them.
    """
    pairs = [(documents[key], *said) for key, said in _pairs(first, second)]
    behaviours = []
    for name in codebook.ids:
        seen = [(doc, (name in a, name in b)) for doc, a, b in pairs]
        tables = _tables(seen, (True, False))
        (both, only_first), (only_second, neither) = tables.sum(axis=0).tolist()
        kappa = _kappa(tables, rng)
        behaviours.append(BehaviourAgreement(name, both, only_first, only_second, neither, kappa))
    facets = []
    for facet, values in codebook.facets.items():
        coded = [(doc, said) for doc, a, b in pairs for said in _coded(a, b, facet)]
        tables = _tables(coded, values or tuple(sorted({v for _, said in coded for v in said})))
        agreed = sum(one == other for _, (one, other) in coded)
        facets.append(FacetAgreement(facet, len(coded), agreed, _kappa(tables, rng)))
    return Agreement(len(pairs), tuple(behaviours), tuple(facets))


def disagreements(
    first: Judgements, second: Judgements, facets: Sequence[str]
) -> tuple[Disagreement, ...]:
    """The items two readers answered differently: behaviours only one saw, facets that differ."""
    found = []
    for key, (a, b) in _pairs(first, second):
        behaviours = tuple(sorted(a.keys() ^ b.keys()))
        differing = tuple(
            (name, facet)
            for name in sorted(a.keys() & b.keys())
            for facet in facets
            if any(one != other for one, other in _coded({name: a[name]}, {name: b[name]}, facet))
        )
        if behaviours or differing:
            found.append(Disagreement(key, behaviours, differing))
    return tuple(found)


def sensitivity(
    judged: Judgements, truth: Judgements, behaviours: Sequence[str]
) -> tuple[Sensitivity, ...]:
    """How a judge fares against a reference reader, over the items both answered.

    The counts are of items as sampled; no inclusion probability enters.
    """
    pairs = [said for _, said in _pairs(judged, truth)]
    found = []
    for name in behaviours:
        counts = Counter((name in judge, name in reference) for judge, reference in pairs)
        hits, misses = counts[True, True], counts[False, True]
        alarms, rejections = counts[True, False], counts[False, False]
        found.append(
            Sensitivity(
                name,
                clopper_pearson(hits, hits + misses),
                clopper_pearson(alarms, alarms + rejections),
            )
        )
    return tuple(found)


def _pairs(
    first: Judgements, second: Judgements
) -> Iterator[tuple[str, tuple[dict[str, Label], dict[str, Label]]]]:
    """Every item both answered, with the label of each behaviour they saw."""
    for key, judgement in first.items():
        other = second.get(key)
        if judgement.labels is not None and other is not None and other.labels is not None:
            yield key, (_by_behaviour(judgement.labels), _by_behaviour(other.labels))


def _by_behaviour(labels: Sequence[Label]) -> dict[str, Label]:
    return {str(label["id"]): label for label in labels}


def _coded(a: Mapping[str, Label], b: Mapping[str, Label], facet: str) -> Iterator[tuple[str, str]]:
    """The two values of a facet wherever both saw the behaviour and both coded the facet."""
    for name in a.keys() & b.keys():
        one, other = a[name].get(facet), b[name].get(facet)
        if one is not None and other is not None:
            yield one, other


def _tables(
    said: Sequence[tuple[Hashable, tuple[object, object]]], values: Sequence[object]
) -> Table:
    """Documents x values x values: how often a document's items drew each pair of answers."""
    places = {value: place for place, value in enumerate(values)}
    rows = {document: row for row, document in enumerate(dict.fromkeys(doc for doc, _ in said))}
    tables = np.zeros((len(rows), len(values), len(values)), dtype=np.int64)
    for document, (one, other) in said:
        tables[rows[document], places[one], places[other]] += 1
    return tables


def _kappa(tables: Table, rng: np.random.Generator) -> Interval:
    """Cohen's kappa with its percentile bootstrap interval over documents.

    Documents with equal tables are drawn together: the counts of each kind of document in a
    bootstrap sample are multinomial. A sample with one class only has no kappa.
    """
    estimate = _table_kappa(tables.sum(axis=0))
    if estimate is None or len(tables) < 2:
        return Interval(estimate, None, None)
    kinds, counts = np.unique(tables, axis=0, return_counts=True)
    drawn = rng.multinomial(len(tables), counts / len(tables), size=DRAWS)
    sampled, times = np.unique(np.tensordot(drawn, kinds, axes=1), axis=0, return_counts=True)
    kappas = [_table_kappa(table) for table in sampled]
    defined = np.repeat(
        [kappa for kappa in kappas if kappa is not None],
        [n for kappa, n in zip(kappas, times, strict=True) if kappa is not None],
    )
    if len(defined) < (1 - UNDEFINED) * DRAWS:
        return Interval(estimate, None, None)
    low, high = np.quantile(defined, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(estimate, float(low), float(high))


def _table_kappa(table: Table) -> float | None:
    """Kappa of one table; None where both readers used one and the same class throughout."""
    total = table.sum()
    if np.diag(table).max(initial=0) == total:
        return None
    return float(cohens_kappa(table, return_results=False))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
