"""The values that cross the door between stages and users; all frozen, all plain.

Enums close the sets that DESIGN §5, §6 and §10 name. Nothing here reads, writes or computes
beyond a property.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What a test of a claim can end with."""

    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    INDISTINGUISHABLE = "indistinguishable"
    UNTESTABLE = "untestable"


class State(StrEnum):
    """How a stage stands against its inputs and settings."""

    FRESH = "fresh"
    STALE = "stale"
    MISSING = "missing"


class LinkKind(StrEnum):
    """How a span resembles a passage."""

    COPIED = "copied"
    NEAR = "near"
    SEMANTIC = "semantic"


class BehaviourKind(StrEnum):
    """What an entry of the library is for."""

    BEHAVIOUR = "behaviour"
    PLACEBO = "placebo"
    POSITIVE_CONTROL = "positive_control"


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the limits of its 95 % interval; limits are None where none may be given."""

    estimate: float | None
    low: float | None
    high: float | None

    def scaled(self, factor: float) -> "Interval":
        """Return the same interval in another unit."""
        return Interval(*(None if v is None else v * factor for v in self._values()))

    def _values(self) -> tuple[float | None, float | None, float | None]:
        return self.estimate, self.low, self.high


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that was refused, and why."""

    stage: str
    file: str
    line: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Counted:
    """A share with its count and its denominator."""

    k: int
    n: int
    interval: Interval


@dataclass(frozen=True, slots=True)
class Prevalence:
    """How often one behaviour, in one framing, appears in one corpus.

    `exposure` counts every copy of a passage, `unique` counts each near-duplicate group once;
    both are estimated numbers of passages in the frame of `frame_size` passages. `share` is a facet
    value's part of the behaviour's positives. `recall` (of planted texts) and `elusion` (passages
    per million that no detector would have retrieved) stand beside the rate and are never part of
    it. `reason` says why an estimate was refused.
    """

    behaviour: str
    target: str
    corpus: str
    facet: str | None
    value: str | None
    per_million_passages: Interval
    per_million_words: Interval
    exposure: Interval
    unique: Interval
    frame_size: int
    labels: int
    positives: int
    method: str
    calibrated: bool
    reader_kind: str | None
    se_log: float | None = None
    label_set: str | None = None
    share: Interval | None = None
    recall: Counted | None = None
    elusion: Interval | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A span of a text and the passage it resembles, with offsets on both sides."""

    transcript: str | None
    turn: int | None
    span_start: int
    span_end: int
    span_text: str
    kind: LinkKind
    strength: float
    placebo_percentile: float | None
    p: float | None
    corpus: str
    document: str
    passage_id: int
    start: int
    end: int
    text: str
    source: str | None
    date: str | None
    multiplicity: int
    framing: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition a claim must meet before its tests may speak (METHOD §4.2)."""

    code: str
    passed: bool
    value: str
    needs: str


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of a claim: its statistic, its p-value, and how the p-value was calibrated."""

    name: str
    statistic: float | None
    p: float | None
    method: str
    detail: str = ""

    __test__ = False


@dataclass(frozen=True, slots=True)
class Rival:
    """Another explanation, whether it was measured, and the claim's test with it held fixed."""

    rival: str
    measured: bool
    p: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The verdict on one claim, with everything a reader needs to doubt it.

    corpus, models: rates with their denominators and intervals; told_apart: pairs of hypotheses
    with the observations that did it; standing: rivals not disposed of; reversal: what would have
    to be observed for another verdict.
    """

    claim: str
    statement: str
    verdict: Verdict
    exploratory: bool
    forbidden_fraction: float | None
    power: float | None
    slope: Interval
    gates: tuple[Gate, ...]
    tests: tuple[TestResult, ...]
    rivals: tuple[Rival, ...]
    next_observation: str
    lock: str | None
    tier: str
    units: Mapping[str, int] = field(default_factory=dict)
    points: tuple[Mapping[str, Any], ...] = ()
    strength: str = ""
    test: str = ""
    evidence: str = "obs"
    claimed: str | None = None
    reading: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    corpus: tuple[Mapping[str, Any], ...] = ()
    models: tuple[Mapping[str, Any], ...] = ()
    told_apart: tuple[Mapping[str, Any], ...] = ()
    standing: tuple[Mapping[str, Any], ...] = ()
    reversal: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


def plain(value: Any) -> Any:  # noqa: ANN401
    """Turn a record, or a container of records, into what `json.dumps` takes."""
    if hasattr(value, "__dataclass_fields__"):
        return asdict(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value
