"""Claims as data: what a claim states, in frozen values.

A claim states its strength in numbers: the smallest effect it commits to (`beta_min`), or the
largest it allows (`margin`), the scatter of its units, the judge it assumes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from auditor.statistics.claimed import AtLeast, Claimed
from auditor.statistics.judge import Judge

TIERS = ("A", "B", "C")
EVIDENCE = ("obs", "time-split", "intervention")
STRENGTHS = ("H0", "S0", "H1", "H1p", "H2a", "H2b", "H2c", "H3", "H=", "H+post", "effect")
"""METHOD §1.2; `effect` is a statement about observations alone."""

TESTS = (
    "frequency", "context", "prefix", "exception", "contrast", "swap", "beneficiary", "onset",
    "verbatim", "interventions", "existential", "saturated", "tuning", "elicitation",
    "conditional", "distribution", "control", "pressure", "combination",
)  # fmt: skip
"""How a claim is put to the test: a module of auditor.claims.questions each."""

CONTRASTS = (
    "contrast", "tuning", "conditional", "distribution", "control", "pressure", "combination",
)  # fmt: skip
"""Tests that cannot do without a table [contrast]."""

SETTINGS = ("focus", "contexts", "cutoffs", "roles", "arms")
"""Tables that one kind of test alone needs."""

PLACEBO = "placebo corpora"
"""Name of the predictor that placebo corpora make."""

RIVALS = ("R-PT", "R-OPT", "R-CAP", "R-ECHO", "R-JUDGE")
"""Explanations an imitation claim stands against (METHOD §1.3)."""

KINDS = ("behaviour", "placebo", "positive_control")
MAX_ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Scatter:
    """Logit standard deviations the claim allows: behaviour (or unit), model, prompt."""

    behaviour: float
    model: float
    prompt: float


@dataclass(frozen=True, slots=True)
class Design:
    """What the claimant expects to observe; power is computed for it before outcomes are read."""

    models: int
    conditions: int
    prompts: int
    draws: int
    mean_rate: float


@dataclass(frozen=True, slots=True)
class RivalSpec:
    """A rival explanation: the column that measures it, its locked values, or why it is held.

    values: covariate a behaviour, locked with the claim; held: what in the design keeps the rival
    the same on both sides of a contrast.
    """

    id: str
    covariate: str
    values: Mapping[str, float] = field(default_factory=dict)
    held: str = ""


@dataclass(frozen=True, slots=True)
class Predictor:
    """What of the corpus predicts: the log rate of a target, less that of another where named.

    components: behaviour to the skills it is made of, whose rarest counts; given: targets whose log
    rates are held fixed, or PLACEBO for the mean log rate in placebo corpora.
    """

    target: str = ""
    against: str = ""
    components: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    kind: str = "behaviour"


@dataclass(frozen=True, slots=True)
class Part:
    """Observations of one level or group of a contrast, and their weight in it.

    where: column or factor to the pattern it must match.
    """

    weight: float
    where: Mapping[str, str]


ALIKE = ("study", "model", "behaviour")
SHARED = ("behaviour",)
"""Columns or factors that a contrast compares like with like in, unless it says otherwise."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """Levels within a unit, and groups of units, whose average log odds are compared.

    alike: what must be the same at every level of a unit; shared: what every group must have.
    """

    unit: tuple[str, ...]
    levels: tuple[Part, ...]
    groups: tuple[Part, ...]
    alike: tuple[str, ...] = ALIKE
    shared: tuple[str, ...] = SHARED


@dataclass(frozen=True, slots=True)
class Claim:
    """One strength of the imitation hypothesis, stated so that it can fail (METHOD §1.2).

    settings: what one kind of test alone needs, as strings: the focus of an exception, the framing
    that goes with a condition, the cutoff of a model.
    """

    id: str
    statement: str
    strength: str
    test: str
    claimed: Claimed | None
    rival_effect: float
    alpha: float
    seed: int
    behaviours: tuple[str, ...]
    predictor: Predictor
    corpora: tuple[str, ...]
    placebo: tuple[str, ...]
    tier: str
    evidence: str
    studies: tuple[str, ...]
    models: tuple[str, ...]
    conditions: tuple[str, ...]
    where: Mapping[str, str]
    scatter: Scatter
    judge: Judge
    design: Design
    rivals: tuple[RivalSpec, ...]
    control_beta_min: float
    contrast: Contrast | None
    settings: Mapping[str, Mapping[str, str]]
    family: tuple[str, ...]
    after: str
    digest: str
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def directional(self) -> bool:
        """Whether the claim only names a direction, and so forbids next to nothing."""
        return self.claimed is None or (
            isinstance(self.claimed, AtLeast) and self.claimed.least <= 0.0
        )

    @property
    def of_text(self) -> bool:
        """Whether the claim rests on how often a corpus holds something."""
        return self.test in ("frequency", "context", "swap", "onset", "existential")

    @property
    def reads_text(self) -> bool:
        """Whether anything measured in a corpus enters: a rate, or the mix of a role."""
        return self.of_text or bool(self.settings["roles"])

    @property
    def rests_on_text(self) -> bool:
        """Whether a corpus or its labels enter at all: they are then part of the lock."""
        return self.reads_text or self.test in ("prefix", "verbatim")

    @property
    def has_controls(self) -> bool:
        """Whether placebos and positive controls are asked the same question (U7)."""
        return self.test == "frequency"
