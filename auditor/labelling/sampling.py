"""Which passages to read: one Poisson sample for all behaviours, of known probabilities.

Passages are cut into bands by their score, a behaviour at a time; a band's share of positives says
how much a label there is worth (Neyman), and a floor keeps the unlikely bands in (METHOD §3). Every
passage has a permanent random number u and is drawn where u < pi, so that reading the draws in the
order of u / pi and stopping early still leaves a Poisson sample, with smaller pi.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BANDS = (0.0, 0.5, 0.8, 0.95, 0.99, 0.997, 0.999)
"""Where the bands of a behaviour's scores begin, as quantiles: seven, narrow at the top."""

EXPECTED = (0.0005, 0.002, 0.006, 0.02, 0.06, 0.12, 0.25)
"""Positives expected in each band before any label is read; a factor e off costs little."""

PRIOR_LABELS = 20.0
"""Labels that the expectation is worth against those already read in a band."""

FLOOR_LABELS = 7.4
"""n_h >= 7.4 W_h / rate keeps an empty band's part of the upper limit under half the rate
(METHOD §3, P3): twice the 3.69 events that none seen still allows."""

FLOOR_SHARE = 0.5
"""Share of the labels that goes into the floor where no target rate is given."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draw:
    """A drawn sample: for each passage its band, inclusion probability and u / pi.

    band: the highest band it is in for any behaviour; draw below 1: it is in the sample.
    target: the lowest rate (a share) whose upper limit the floor keeps within half of it.
    """

    band: Ints
    pi: Floats
    draw: Floats
    target: float

    @property
    def chosen(self) -> Ints:
        """Passages in the sample, in the order they should be read."""
        order = np.argsort(self.draw, kind="stable")
        return order[: int((self.draw < 1.0).sum())]


@dataclass(frozen=True, slots=True)
class Read:
    """Labels already read: for each band (rows) and behaviour, positives and labels."""

    positives: Floats
    labels: Floats


def permanent_uniforms(ids: npt.NDArray[np.uint64], seed: int) -> Floats:
    """A number in [0, 1) for each id that never changes with the rest; (n,).

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014) over id and seed.
    """
    with np.errstate(over="ignore"):
        mixed = ids + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def band_edges(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where each behaviour's bands begin; scores (n, behaviours) to (bands - 1, behaviours)."""
    return np.asarray(np.quantile(scores, BANDS[1:], axis=0), np.float32)


def bands_of(scores: npt.NDArray[np.float32], edges: npt.NDArray[np.float32]) -> Ints:
    """Band of every score of every behaviour; ties share a band. (n, behaviours)."""
    above = [(scores[:, b, None] > edges[None, :, b]).sum(axis=1) for b in range(scores.shape[1])]
    return np.stack(above, axis=1).astype(np.int64)


def read_bands(
    scores: npt.NDArray[np.float32],
    present: npt.NDArray[np.float32],
    edges: npt.NDArray[np.float32],
) -> Read:
    """Count what was read in each band; scores and present (spans, behaviours), nan: not read."""
    band, known = bands_of(scores, edges), ~np.isnan(present)
    counts = np.zeros((2, len(BANDS), scores.shape[1]))
    for column in range(scores.shape[1]):
        rows = known[:, column]
        where, size = band[rows, column], len(BANDS)
        counts[0, :, column] = np.bincount(where, present[rows, column], minlength=size)
        counts[1, :, column] = np.bincount(where, minlength=size)
    return Read(counts[0], counts[1])


def draw_sample(
    scores: npt.NDArray[np.float32],
    uniform: Floats,
    n: int,
    target: float | None = None,
    read: Read | None = None,
) -> Draw:
    """Draw about n of the passages; scores (passages, behaviours), uniform (passages,) in [0, 1).

    target: the lowest rate to be measured, as a share; None: what half of the labels afford.
    """
    size = len(scores)
    band = bands_of(scores, band_edges(scores))
    share = np.repeat(np.array(EXPECTED)[:, None], scores.shape[1], axis=1)
    if read is not None:
        share = (read.positives + PRIOR_LABELS * share) / (read.labels + PRIOR_LABELS)
    worth = np.sqrt(share * (1.0 - share))
    need = np.take_along_axis(worth, band, axis=0).max(axis=1)
    target = target or min(1.0, FLOOR_LABELS / (FLOOR_SHARE * min(n, size)))
    floor = min(1.0, FLOOR_LABELS / (target * size))
    pi = np.maximum(floor, np.minimum(1.0, _scale(need, floor, n) * need))
    return Draw(band.max(axis=1), pi, uniform / pi, target)


def _scale(need: Floats, floor: float, n: int) -> float:
    """The factor that makes the inclusion probabilities add up to n; 0 where the floor does."""
    low, high = 0.0, 1.0 / max(float(need[need > 0].min(initial=1.0)), 1e-12)
    for _ in range(60):
        middle = (low + high) / 2.0
        drawn = np.maximum(floor, np.minimum(1.0, middle * need)).sum()
        low, high = (middle, high) if drawn < n else (low, middle)
    return low


def read_so_far(draw: Floats, answered: npt.NDArray[np.bool_]) -> float:
    """How much of a sample was read, as the factor its inclusion probabilities shrink by.

    draw: u / pi of the chosen passages in reading order; answered: whether each was read. Reading
    stops at the first that was not: the rest was drawn with probability pi times its draw (the
    sequential Poisson sampling of Ohlsson 1998, with a threshold in place of a size). Only for a
    reader who stops for reasons that have nothing to do with the answers.
    """
    if answered.all():
        return 1.0
    return float(draw[int(np.argmin(answered))])
