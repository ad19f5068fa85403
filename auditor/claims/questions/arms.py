"""The arms of one model trained on different corpora: how much of a text, and how it was framed.

A stage is one study's arms at one point of training, on one behaviour. What it says of itself is
read off its rates; nothing here is a trial.
"""

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import logit

from auditor.records import Interval
from auditor.statistics.intervals import clopper_pearson

PRINTED_DIGITS = 2
"""Digits a rate is taken to be rounded to where its counts are not printed, if it shows no more."""

LEAST_RATE = 0.0005
"""What a rate of 0 is taken for in log odds where nobody says of how many."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One corpus: its dose and framing, the rate with its interval, counts where they are given."""

    condition: str
    dose: float
    framing: float
    rate: float
    interval: Interval
    k: int | None
    n: int | None

    @property
    def log_odds(self) -> float:
        """Log odds of the rate, half a trial away from 0 and 1 at the least."""
        least = 0.5 / self.n if self.n else LEAST_RATE
        return float(logit(np.clip(self.rate, least, 1.0 - least)))


@dataclass(frozen=True, slots=True)
class Stage:
    """The arms of one study at one stage of training, on one behaviour."""

    study: str
    name: str
    behaviour: str
    arms: tuple[Arm, ...]

    @property
    def unframed(self) -> tuple[Arm, ...]:
        """Arms without framed text, in the order of their dose."""
        return tuple(sorted((a for a in self.arms if a.framing == 0), key=lambda arm: arm.dose))

    @property
    def pairs(self) -> list[int]:
        """For each two arms of different dose: 1 with the dose, -1 against it, 0 tied."""
        return [
            (b.rate > a.rate) - (b.rate < a.rate)
            for a, b in combinations(self.unframed, 2)
            if b.dose > a.dose
        ]

    @property
    def orders(self) -> int:
        """Orders that the rates could have, each as likely by chance; one of them is the dose's."""
        doses = [arm.dose for arm in self.unframed]
        ties = math.prod(math.factorial(doses.count(dose)) for dose in set(doses))
        return math.factorial(len(doses)) // ties

    @property
    def follows_dose(self) -> bool | None:
        """Whether the order of rates is that of the dose; None for a single dose."""
        return all(pair == 1 for pair in self.pairs) if self.pairs else None

    @property
    def framed(self) -> list[tuple[Arm, Arm]]:
        """Each framed arm beside one of the same dose without framing."""
        plain = {arm.dose: arm for arm in self.unframed}
        return [(arm, plain[arm.dose]) for arm in self.arms if arm.framing and arm.dose in plain]

    @property
    def follows_framing(self) -> bool | None:
        """Whether framed arms lie on their framing's side of the others; None where none is."""
        sides = [(arm.rate - other.rate) * arm.framing > 0 for arm, other in self.framed]
        return all(sides) if sides else None

    @property
    def goes_with(self) -> str:
        """What the rates go with."""
        return {
            (True, True): "both dose and framing",
            (True, False): "the dose alone",
            (False, True): "the framing alone",
            (False, False): "neither dose nor framing",
        }[bool(self.follows_dose), bool(self.follows_framing)]


def rate_interval(k: int | None, n: int | None, rate: float) -> Interval:
    """Exact limits of k of n; of the fewest and most counts that round to a rate printed bare."""
    if n is None:
        return Interval(rate, None, None)
    if k is not None:
        return clopper_pearson(k, n).interval
    digits = max(PRINTED_DIGITS, len(repr(rate).partition(".")[2]))
    half = 0.5 * 10.0**-digits
    least = max(0, math.ceil((rate - half) * n))
    most = min(n, math.floor((rate + half) * n))
    low, high = clopper_pearson(least, n).interval.low, clopper_pearson(most, n).interval.high
    return Interval(rate, low, high)
