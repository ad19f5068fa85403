"""A world whose scores are learned from the very labels that they later help: real heads, few
features, cross-fitted by document as the auditor does it."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from auditor.behaviours.heads import calibrate, fit_heads
from auditor.behaviours.training import FOLDS
from auditor.prevalence.estimators import Frame, Sample
from tests.simulation.populations import PER_DOCUMENT

FRAME = 30_000
FEATURES = 12

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Learnable:
    """Spans with features; document effects make a document's spans alike."""

    features: Floats32
    present: npt.NDArray[np.bool_]
    pi: npt.NDArray[np.float64]

    @property
    def rate(self) -> float:
        return 1e6 * float(self.present.mean())


def learnable(
    share: float, strength: float, unequal: bool, labels: int, rng: np.random.Generator
) -> Learnable:
    """A frame where a linear sum of features, `strength` strong, decides what is portrayed."""
    documents = rng.standard_normal((FRAME // PER_DOCUMENT, FEATURES))
    own = rng.standard_normal((FRAME, FEATURES))
    features = np.sqrt(0.3) * np.repeat(documents, PER_DOCUMENT, axis=0) + np.sqrt(0.7) * own
    direction = np.ones(FEATURES) / np.sqrt(FEATURES)
    sums = strength * features @ direction + rng.logistic(size=FRAME)
    present = sums > np.quantile(sums, 1.0 - share)
    cued = features[:, 0] > np.quantile(features[:, 0], 0.85)
    most = min(1.0, 0.5 * labels / FRAME / 0.15)
    rest = (labels - most * cued.sum()) / (~cued).sum()
    pi = np.where(cued, most, rest) if unequal else np.full(FRAME, labels / FRAME)
    return Learnable(features.astype(np.float32), present, pi)


def read_and_learn(world: Learnable, rng: np.random.Generator) -> tuple[Sample, Frame]:
    """Draw, read, fit a head for each fold, calibrate; labelled spans are scored out of fold.

    The frame's mean score is the folds' mean of each head's own: the head of averaged weights is
    less sure of itself, and its mean is some 2 % short of theirs.
    """
    chosen = np.flatnonzero(rng.random(FRAME) < world.pi)
    document = chosen // PER_DOCUMENT + 1
    fold, pi = (document % FOLDS).astype(np.int64), world.pi[chosen]
    features, present = world.features[chosen], world.present[chosen]
    wanted = present[:, None].astype(np.float32)
    weight = np.ones(len(chosen), np.float32)
    heads = fit_heads(["planted"], features, wanted, weight, fold, regularisation=0.1)
    heads = calibrate(heads, heads.sums(features, fold), wanted, pi, fold)
    everywhere = np.mean(
        [heads.probabilities(world.features, np.full(FRAME, k)).mean() for k in range(FOLDS)]
    )
    sample = Sample(
        behaviour="planted",
        corpus="population",
        label_set="drawn",
        reader_kind="human",
        document=document.astype(np.uint64),
        pi=pi,
        multiplicity=np.ones(len(chosen)),
        present=present,
        facets={},
        score=heads.probabilities(features, fold)[:, 0].astype(float),
    )
    return sample, Frame(FRAME, 100 * FRAME, float(everywhere))


def memorise(sample: Sample, frame: Frame, elsewhere: float) -> tuple[Sample, Frame]:
    """What a score would be that has seen the labels: right where read, `elsewhere` the frame's."""
    known = sample.present.astype(float)
    return replace(sample, score=known), replace(frame, score=elsewhere)


def explained(sample: Sample, frame: Frame) -> float:
    """Share of the squared weighted labels that the best multiple of the score takes away."""
    assert sample.score is not None and frame.score is not None
    spread = (1 - sample.pi) / np.square(sample.pi)
    excess, shown = sample.score - frame.score, sample.present.astype(float)
    both, own = spread @ (shown * excess), spread @ excess**2
    return float(both**2 / own / (spread @ shown))
