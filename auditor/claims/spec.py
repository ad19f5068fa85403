"""Claims as data: one TOML each, read into a frozen `Claim`.

A claim states its strength in numbers: the smallest effect it commits to (`beta_min`), or the
largest it allows (`margin`), the scatter of its units, the judge it assumes. A user's file is read
by the same function as a shipped one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.claims.fields import Fields, read_fields
from auditor.errors import UsageError
from auditor.plan import digest
from auditor.statistics.claimed import AtLeast, Claimed, Within
from auditor.statistics.judge import Judge

LIBRARY = Path(__file__).parent / "library"
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


def read_claims(extra: Iterable[Path] = ()) -> dict[str, Claim]:
    """Read the bundled claims and the user's own, by id."""
    claims = [read_claim(path) for path in (*sorted(LIBRARY.glob("*.toml")), *extra)]
    return {claim.id: claim for claim in claims}


def choose_claims(names: Iterable[str]) -> list[Claim]:
    """Pick claims by id or by the path of a TOML; all bundled ones for none. Raises UsageError."""
    bundled = read_claims()
    chosen = []
    for name in names:
        if name.endswith(".toml"):
            chosen.append(read_claim(Path(name)))
        elif name in bundled:
            chosen.append(bundled[name])
        else:
            raise UsageError(f"no claim {name!r}", "there are: " + ", ".join(bundled))
    by_id: dict[str, Claim] = {}
    for claim in chosen:
        if by_id.setdefault(claim.id, claim).digest != claim.digest:
            raise UsageError(f"two different claims are called {claim.id!r}", "give one its own id")
    return list(by_id.values()) or list(bundled.values())


def read_claim(path: Path) -> Claim:
    """Read one claim; raises BadInput naming file, line, field and what it needs."""
    fields = read_fields(path)
    corpora, observations = fields.table("corpora"), fields.table("observations")
    controls = fields.table("controls")
    claim = Claim(
        id=fields.text("id"),
        statement=fields.text("statement"),
        strength=fields.one_of("strength", STRENGTHS),
        test=fields.one_of("test", TESTS, "frequency"),
        claimed=_claimed(fields),
        rival_effect=fields.number("rival_effect", 0.0),
        alpha=fields.between("alpha", 0.0, MAX_ALPHA, MAX_ALPHA),
        seed=fields.count("seed", 0),
        behaviours=fields.names("behaviours"),
        predictor=_predictor(fields.table("predictor")),
        corpora=corpora.names("names", ("*",)),
        placebo=corpora.names("placebo", ("placebo*",)),
        tier=corpora.one_of("tier", TIERS, "C"),
        evidence=observations.one_of("evidence", EVIDENCE, "obs"),
        studies=observations.names("studies", ("*",)),
        models=observations.names("models", ("*",)),
        conditions=observations.names("conditions", ("*",)),
        where=observations.texts("where"),
        scatter=_scatter(fields.table("scatter", needed=True)),
        judge=_judge(fields.table("judge")),
        design=_design(fields.table("design", needed=True)),
        rivals=tuple(_rival(rival) for rival in fields.tables("rivals")),
        control_beta_min=controls.between("beta_min", 0.0, 100.0, 0.30),
        contrast=_contrast(fields.table("contrast")) if fields.has("contrast") else None,
        settings={name: fields.texts(name) for name in SETTINGS},
        family=fields.names("family"),
        after=fields.text("after", ""),
        digest=digest(fields.content),
        content=fields.content,
    )
    _check_rival_effect(fields, claim)
    if claim.test in CONTRASTS and claim.contrast is None:
        raise fields.wrong("test", f"the test {claim.test} needs a table [contrast]")
    for read in (fields, corpora, observations, controls):
        read.done()
    return claim


def _check_rival_effect(fields: Fields, claim: Claim) -> None:
    """The nearest rival world is one in which the claim fails; any other would buy power."""
    effect, claimed = claim.rival_effect, claim.claimed
    if isinstance(claimed, AtLeast) and not claim.directional and not 0 <= effect < claimed.least:
        message = f"rival_effect is {effect:g}, expected 0 or more and less than beta_min"
        raise fields.wrong("rival_effect", message)
    if isinstance(claimed, Within) and abs(effect) <= claimed.margin:
        message = f"rival_effect is {effect:g}, expected to lie outside the margin"
        raise fields.wrong("rival_effect", message)


def _claimed(fields: Fields) -> Claimed | None:
    """`beta_min`, or `margin` with `reach`; neither where the claim commits to no number."""
    if fields.has("margin"):
        margin = fields.at_least("margin", 0.0)
        reach = fields.between("reach", 0.0, 100.0, margin or None)
        if fields.has("beta_min"):
            raise fields.wrong("beta_min", "a claim states beta_min or margin, not both")
        if reach < margin:
            raise fields.wrong("reach", f"reach is {reach:g}, expected the margin or more")
        if not fields.has("rival_effect"):
            message = "a claim of no effect needs rival_effect, that of the nearest rival world"
            raise fields.wrong("margin", message)
        return Within(margin, reach)
    return AtLeast(fields.number("beta_min")) if fields.has("beta_min") else None


def _scatter(table: Fields) -> Scatter:
    scatter = Scatter(*(table.at_least(name, 0.0) for name in ("behaviour", "model", "prompt")))
    table.done()
    return scatter


def _judge(table: Fields) -> Judge:
    rates = [
        table.between(name, 0.0, 1.0) if table.has(name) else None
        for name in ("sensitivity", "specificity")
    ]
    table.done()
    return Judge(*rates)


def _design(table: Fields) -> Design:
    models, conditions = table.count("models", 1), table.count("conditions", 1)
    prompts, draws = table.count("prompts", 1), table.count("draws", 1)
    rate = table.between("mean_rate", 0.0, 1.0)
    if rate == 1.0:
        raise table.wrong("mean_rate", "mean_rate is 1, expected a share below it")
    table.done()
    return Design(models, conditions, prompts, draws, rate)


def _rival(table: Fields) -> RivalSpec:
    rival = RivalSpec(
        table.text("id"),
        table.text("covariate", ""),
        table.numbers("values"),
        table.text("held", ""),
    )
    if not rival.covariate and not rival.values and not rival.held:
        raise table.wrong("id", "a rival needs a covariate, its values, or held")
    table.done()
    return rival


def _predictor(table: Fields) -> Predictor:
    components = table.table("components")
    predictor = Predictor(
        target=table.text("target", ""),
        against=table.text("against", ""),
        components={name: components.names(name) for name in components.content},
        given=table.names("given"),
        kind=table.one_of("kind", KINDS, "behaviour"),
    )
    table.done()
    return predictor


def _contrast(table: Fields) -> Contrast:
    contrast = Contrast(
        unit=table.names("unit", ("prompt",)),
        levels=_parts(table, "levels"),
        groups=_parts(table, "groups"),
        alike=table.names("alike", ALIKE),
        shared=table.names("shared", SHARED),
    )
    table.done()
    if max(len(contrast.levels), len(contrast.groups)) < 2:
        raise table.wrong("levels", "a contrast needs two levels or two groups")
    return contrast


def _parts(table: Fields, name: str) -> tuple[Part, ...]:
    """The levels or groups; one of weight 1 that takes everything where there are none."""
    parts = []
    for one in table.tables(name):
        parts.append(Part(one.number("weight"), one.texts("where")))
        one.done()
    if len(parts) > 1 and abs(sum(part.weight for part in parts)) > 1e-9:
        total = sum(part.weight for part in parts)
        raise table.wrong(name, f"the weights of {name} add up to {total:g}, expected 0")
    return tuple(parts) or (Part(1.0, {}),)
