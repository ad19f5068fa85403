"""Claims as data: one TOML each, read into a frozen `Claim`.

A claim states its strength in numbers: the smallest slope it commits to, the scatter it allows, the
judge it assumes. A user's file is read by the same function as a shipped one.
"""

import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.errors import BadInput, UsageError
from auditor.plan import digest

LIBRARY = Path(__file__).parent / "library"
TIERS = ("A", "B", "C")
MAX_ALPHA = 0.05
NEEDED = ("scatter", "design")
"""Tables a claim must have; without the others it says less, and the gates notice."""

KNOWN = {
    "": {
        *("id", "statement", "strength", "beta_min", "alpha", "seed", "behaviours", "target"),
        *("corpora", "observations", "scatter", "judge", "design", "rivals", "controls"),
    },
    "corpora": {"names", "tier"},
    "observations": {"studies", "models", "conditions"},
    "scatter": {"behaviour", "model", "prompt"},
    "judge": {"sensitivity", "specificity"},
    "design": {"models", "conditions", "prompts", "draws", "mean_rate"},
    "controls": {"beta_min"},
}
"""The fields of a claim, by table."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Sensitivity and specificity of whoever judged the transcripts; None where unknown."""

    sensitivity: float | None
    specificity: float | None

    @property
    def known(self) -> bool:
        """Whether both rates are stated."""
        return self.sensitivity is not None and self.specificity is not None


@dataclass(frozen=True, slots=True)
class Scatter:
    """Logit standard deviations the claim allows: behaviour, model x behaviour, prompt."""

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
    """A rival explanation and the column of the observations that measures its covariate."""

    id: str
    covariate: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One strength of the imitation hypothesis, stated so that it can fail (METHOD §1.2)."""

    id: str
    statement: str
    strength: str
    beta_min: float
    alpha: float
    seed: int
    behaviours: tuple[str, ...]
    target: str
    corpora: tuple[str, ...]
    tier: str
    studies: tuple[str, ...]
    models: tuple[str, ...]
    conditions: tuple[str, ...]
    scatter: Scatter
    judge: Judge
    design: Design
    rivals: tuple[RivalSpec, ...]
    control_beta_min: float
    digest: str


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
    return chosen or list(bundled.values())


def read_claim(path: Path) -> Claim:
    """Read one claim; raises BadInput naming the file, the field and what it needs."""
    try:
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}", "a claim is a TOML file") from error
    except OSError as error:
        raise BadInput(
            f"{path}: {error.strerror}", "name a bundled claim or a TOML file"
        ) from error
    try:
        return _claim(content)
    except KeyError as error:
        raise BadInput(f"{path}: no field {error}", "compare auditor/claims/library") from error
    except (TypeError, ValueError) as error:
        raise BadInput(f"{path}: {error}", "compare auditor/claims/library") from error


def _claim(content: Mapping[str, Any]) -> Claim:
    _check_names(content)
    corpora, controls = _table(content, "corpora"), _table(content, "controls")
    judge, observations = _table(content, "judge"), _table(content, "observations")
    scatter, design = _table(content, "scatter"), _table(content, "design")
    claim = Claim(
        id=str(content["id"]),
        statement=str(content["statement"]),
        strength=str(content["strength"]),
        beta_min=_number(content, "beta_min"),
        alpha=_number(content, "alpha", 0.05),
        seed=_count(content, "seed", 0),
        behaviours=_names(content, "behaviours", ()),
        target=str(content.get("target", "")),
        corpora=_names(corpora, "names"),
        tier=str(corpora.get("tier", "C")),
        studies=_names(observations, "studies"),
        models=_names(observations, "models"),
        conditions=_names(observations, "conditions"),
        scatter=Scatter(*(_number(scatter, name) for name in ("behaviour", "model", "prompt"))),
        judge=Judge(_rate(judge, "sensitivity"), _rate(judge, "specificity")),
        design=Design(
            _count(design, "models", 1),
            _count(design, "conditions", 1),
            _count(design, "prompts", 1),
            _count(design, "draws", 1),
            _number(design, "mean_rate"),
        ),
        rivals=tuple(
            RivalSpec(str(r["id"]), str(r["covariate"])) for r in content.get("rivals", ())
        ),
        control_beta_min=_number(controls, "beta_min", 0.30),
        digest=digest(content),
    )
    _check(claim)
    return claim


def _check_names(content: Mapping[str, Any]) -> None:
    """A misspelt name would silently leave a default in force."""
    for table, known in KNOWN.items():
        within = content if table == "" else content.get(table, {})
        unknown = sorted(set(within) - known) if isinstance(within, Mapping) else []
        if unknown:
            where = f" in [{table}]" if table else ""
            raise ValueError(f"no field is called {unknown[0]!r}{where}")


def _check(claim: Claim) -> None:
    if claim.tier not in TIERS:
        raise ValueError(f"corpora.tier is {claim.tier!r}, expected A, B or C")
    if not 0 < claim.alpha <= MAX_ALPHA:
        raise ValueError(f"alpha is {claim.alpha}, expected a probability of at most {MAX_ALPHA}")
    if claim.control_beta_min <= 0:
        raise ValueError(f"controls.beta_min is {claim.control_beta_min}, expected more than 0")
    if min(claim.scatter.behaviour, claim.scatter.model, claim.scatter.prompt) < 0:
        raise ValueError("scatter is a standard deviation, 0 or more")
    if not 0 < claim.design.mean_rate < 1:
        raise ValueError(f"design.mean_rate is {claim.design.mean_rate}, expected a share")


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = content[name] if name in NEEDED else content.get(name, {})
    if not isinstance(table, Mapping):
        raise TypeError(f"{name} is {table!r}, expected a table [{name}]")
    return table


def _number(table: Mapping[str, Any], name: str, default: float | None = None) -> float:
    value = table[name] if default is None else table.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) == math.inf:
        raise TypeError(f"{name} is {value!r}, expected a number")
    return float(value)


def _count(table: Mapping[str, Any], name: str, least: int) -> int:
    value = table[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}, expected a whole number, {least} or more")
    return value


def _names(table: Mapping[str, Any], name: str, default: Sequence[str] = ("*",)) -> tuple[str, ...]:
    value = table.get(name, default)
    if isinstance(value, str) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name} is {value!r}, expected a list of names")
    return tuple(value)


def _rate(table: Mapping[str, Any], name: str) -> float | None:
    if name not in table:
        return None
    value = _number(table, name)
    if not 0 < value <= 1:
        raise ValueError(f"judge.{name} is {value:g}, expected a share")
    return value
