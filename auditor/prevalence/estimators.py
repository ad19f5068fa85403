"""Labels of a probability sample → prevalence with a 95 % interval (METHOD §3).

Labelled spans of one document are summed before anything is squared. Spans are drawn independently
(Poisson sampling), so the most one draw can add is the weight of one span; tests/simulation shows
the coverage this gives. A rate is a share of the frame the sample came from, never of the labels.
Where every span of the frame has a detector's score, and labels suffice, the scores take part of
the error away (`assisted`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from auditor.prevalence.targets import Target
from auditor.records import Interval, Prevalence
from auditor.statistics.intervals import fay_feuer, log_standard_error

MILLION = 1e6
PLAIN, ASSISTED = "fay_feuer", "ppi"
"""Methods: labels alone, or labels with the frame's scores."""

ENOUGH_LABELS, ENOUGH_POSITIVES = 200, 30
"""Below these the scores' weight cannot be trusted, and labels stand alone (METHOD §3)."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """The spans of one label set, read for one behaviour, in one corpus.

    Arrays have one entry a span: document, inclusion probability, copies of the passage it lies in,
    whether the behaviour is present, facet → value where it is, and the detector's score of each
    span, from heads that saw no label of its document; None where nothing was scored. missing:
    spans read without a usable answer, or with answers that contradict each other: absent in the
    estimate and the lower limit, present in the upper one, since nobody knows.
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
    score: Floats | None = None
    missing: Mask = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        """Nothing is missing unless it is said to be."""
        if len(self.missing) != len(self.present):
            object.__setattr__(self, "missing", np.zeros(len(self.present), bool))

    def positives(self, target: Target) -> Mask:
        """Which spans show the target."""
        mask = self.present.copy()
        for facet, values in target.framing.items():
            mask &= np.isin(self.facets[facet].astype(str), values)
        return mask


@dataclass(frozen=True, slots=True)
class Frame:
    """What a sample was drawn from: its spans, their words and, where known, their mean score.

    least: the smallest inclusion probability of its spans, read or not, which bounds what one more
    span could have added; None takes the smallest that was read.
    """

    spans: int
    words: int
    score: float | None = None
    least: float | None = None


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
    amounts = assisted(sample, positive, inside, frame)
    method = PLAIN if amounts is None else ASSISTED
    amounts = positive.astype(float) if amounts is None else amounts
    share = _interval(sample, amounts, inside, 1.0 / frame.spans, frame.least)
    unique = _interval(
        sample, positive.astype(float), inside, 1.0 / sample.multiplicity, frame.least
    )
    read = inside & ~sample.missing
    counted = (amounts != 0.0) & inside
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
        labels=int(read.sum()),
        positives=int(positive.sum()),
        method=method,
        calibrated=True,
        reader_kind=sample.reader_kind,
        se_log=log_standard_error(sample.pi[counted], amounts[counted]),
        label_set=sample.label_set,
    )


def assisted(sample: Sample, positive: Mask, inside: Mask, frame: Frame) -> Floats | None:
    """What each span adds once the scores have said their part; None where they may not help.

    Power-tuned prediction-powered inference (Angelopoulos, Duchi and Zrnic 2023) as a difference
    estimator (Särndal et al. 1992, §6.3), because inclusion probabilities differ: each span adds
    y - lambda (f - mean of f over the frame), whose second part sums to nothing over the frame.
    lambda, in [0, 1], is the one that leaves the documents' totals least spread.
    """
    if sample.score is None or frame.score is None:
        return None
    if inside.sum() < ENOUGH_LABELS or positive.sum() < ENOUGH_POSITIVES:
        return None
    shown = positive.astype(float)
    excess = np.where(inside, sample.score - frame.score, 0.0)
    seen, foreseen = _totals(sample, shown, 1.0), _totals(sample, excess, 1.0)
    weight = float(np.clip(seen @ foreseen / max(float(foreseen @ foreseen), 1e-12), 0.0, 1.0))
    amounts: Floats = shown - weight * excess
    return amounts if weight > 0.0 and _totals(sample, amounts, 1.0).sum() > 0.0 else None


def residual_bound(sample: Sample, frame: Frame, below: float) -> Interval | None:
    """How many per million passages may portray it among those no detector would have retrieved.

    Spans that score under `below`; an interval of its own, never added to the rate (METHOD §3, P7).
    """
    if sample.score is None:
        return None
    unretrieved = sample.score < below
    share = _interval(
        sample,
        (sample.present & unretrieved).astype(float),
        unretrieved,
        1.0 / frame.spans,
        frame.least,
    )
    return _capped(share.scaled(MILLION), MILLION)


def _interval(
    sample: Sample, amounts: Floats, inside: Mask, scale: Floats | float, least: float | None
) -> Interval:
    if not inside.any():
        return Interval(None, None, None)
    heaviest = float(np.max(np.where(inside, scale / sample.pi, 0.0)))
    if least is not None:
        heaviest = max(heaviest, float(np.max(scale)) / least)
    seen = fay_feuer(_totals(sample, amounts, scale), heaviest)
    unknown = sample.missing & inside
    if not unknown.any():
        return seen
    most = fay_feuer(_totals(sample, amounts + unknown, scale), heaviest)
    return Interval(seen.estimate, seen.low, most.high)


def _totals(sample: Sample, amounts: Floats, scale: Floats | float) -> Floats:
    """Weighted sum over each document's spans: t_D = sum of amount * scale / pi (METHOD §3)."""
    _, document = np.unique(sample.document, return_inverse=True)
    return np.bincount(document, weights=amounts * scale / sample.pi).astype(float)


def _capped(interval: Interval, most: float) -> Interval:
    """A share cannot exceed the whole: the gamma limit is cut there."""
    if interval.estimate is None or interval.high is None:
        return interval
    return Interval(min(interval.estimate, most), interval.low, min(interval.high, most))


def refused(behaviour: str, corpus: str, sample: Sample, frame: Frame, reason: str) -> Prevalence:
    """No estimate where labels would mislead; the reason says what is wrong with them."""
    nothing = Interval(None, None, None)
    row = _over_all(behaviour, corpus, nothing, frame, None, None)
    return replace(
        row,
        labels=int((~sample.missing).sum()),
        positives=int(sample.present.sum()),
        method="refused",
        calibrated=False,
        reader_kind=sample.reader_kind,
        label_set=sample.label_set,
        reason=reason,
    )


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
