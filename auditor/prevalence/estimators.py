"""Labels of a probability sample → prevalence with a 95 % interval (METHOD §3).

Labelled spans of one document are summed before anything is squared. Spans are drawn independently
(Poisson sampling), so the most one draw can add is the weight of one span; tests/simulation shows
the coverage this gives. A rate is a share of the frame the sample came from, never of the labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from auditor.prevalence.targets import Target
from auditor.records import Interval, Prevalence
from auditor.statistics.intervals import fay_feuer, log_standard_error

MILLION = 1e6
METHOD = "fay_feuer"

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The spans of one label set, read for one behaviour, in one corpus.

    Arrays have one entry a span: document, inclusion probability, copies of the passage it lies in,
    whether the behaviour is present, and facet → value where it is.
    """

    behaviour: str
    corpus: str
    label_set: str
    reader_kind: str
    document: npt.NDArray[np.uint64]
    pi: Floats
    multiplicity: Floats
    present: Mask
    facets: Mapping[str, npt.NDArray[np.object_]]

    def positives(self, target: Target) -> Mask:
        """Which spans show the target."""
        mask = self.present.copy()
        for facet, values in target.framing.items():
            mask &= np.isin(self.facets[facet].astype(str), values)
        return mask


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of what a sample was drawn from: spans and words."""

    spans: int
    words: int


def estimate(
    sample: Sample,
    frame: Frame,
    target: Target,
    within: Mask | None = None,
    facet: str | None = None,
    value: str | None = None,
) -> Prevalence:
    """Estimate how often a target appears in a frame.

    within: spans that belong to the part of the corpus the frame describes; None takes all.
    """
    inside = np.ones_like(sample.present) if within is None else within
    positive = sample.positives(target) & inside
    share = _interval(sample, positive, inside, 1.0 / frame.spans)
    unique = _interval(sample, positive, inside, 1.0 / sample.multiplicity)
    return Prevalence(
        behaviour=sample.behaviour,
        target=str(target),
        corpus=sample.corpus,
        facet=facet,
        value=value,
        per_million_passages=_capped(share.scaled(MILLION), MILLION),
        per_million_words=share.scaled(MILLION * frame.spans / max(frame.words, 1)),
        exposure=_capped(share.scaled(frame.spans), frame.spans),
        unique=_capped(unique, frame.spans),
        frame_size=frame.spans,
        labels=int(inside.sum()),
        positives=int(positive.sum()),
        method=METHOD,
        calibrated=True,
        reader_kind=sample.reader_kind,
        se_log=log_standard_error(sample.pi[positive]),
        label_set=sample.label_set,
    )


def _interval(sample: Sample, positive: Mask, inside: Mask, scale: Floats | float) -> Interval:
    if not inside.any():
        return Interval(None, None, None)
    heaviest = float(np.max(np.where(inside, scale / sample.pi, 0.0)))
    return fay_feuer(_totals(sample, positive, scale), heaviest)


def _totals(sample: Sample, chosen: Mask, scale: Floats | float) -> Floats:
    """Weighted count of the chosen spans in each document: t_D = sum of scale / pi (METHOD §3)."""
    _, document = np.unique(sample.document, return_inverse=True)
    return np.bincount(document, weights=np.where(chosen, scale / sample.pi, 0.0)).astype(float)


def _capped(interval: Interval, most: float) -> Interval:
    """A share cannot exceed the whole: the gamma limit is cut there."""
    if interval.estimate is None or interval.high is None:
        return interval
    return Interval(min(interval.estimate, most), interval.low, min(interval.high, most))


def exact(
    behaviour: str,
    corpus: str,
    hits: int,
    unique: float,
    frame: Frame,
    facet: str | None = None,
    value: str | None = None,
) -> Prevalence:
    """Count of an exact rule over every passage: no sampling, so the limits are the count."""
    share = hits / max(frame.spans, 1)
    row = _over_all(behaviour, corpus, Interval(share, share, share), frame, facet, value)
    counted = Interval(hits, hits, hits)
    once = Interval(unique, unique, unique)
    error = 0.0 if hits else None
    return replace(row, exposure=counted, unique=once, positives=hits, method="exact", se_log=error)


def uncalibrated(
    behaviour: str,
    corpus: str,
    mean_score: float,
    frame: Frame,
    facet: str | None = None,
    value: str | None = None,
) -> Prevalence:
    """Mean detector score where nobody read a sample: no interval, and no verdict may use it."""
    share = Interval(mean_score, None, None)
    row = _over_all(behaviour, corpus, share, frame, facet, value)
    return replace(row, calibrated=False, method="scores")


def _over_all(
    behaviour: str, corpus: str, share: Interval, frame: Frame, facet: str | None, value: str | None
) -> Prevalence:
    """A row that rests on every passage of the frame rather than on labels."""
    return Prevalence(
        behaviour=behaviour,
        target=behaviour,
        corpus=corpus,
        facet=facet,
        value=value,
        per_million_passages=share.scaled(MILLION),
        per_million_words=share.scaled(MILLION * frame.spans / max(frame.words, 1)),
        exposure=share.scaled(frame.spans),
        unique=Interval(None, None, None),
        frame_size=frame.spans,
        labels=0,
        positives=0,
        method="",
        calibrated=True,
        reader_kind=None,
    )
