"""Which observations tell which hypotheses apart: the matrix of METHOD §1.3 as data.

In: what claims ended with. Out: the rows that were measured, the pairs they tell apart, and the
cheapest row that would split hypotheses still tied. A pair is told apart only by a row with
different signs that was measured with power of MIN_POWER or more, and decided.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

from auditor.claims.gates import MIN_POWER
from auditor.records import ClaimResult, Verdict

HYPOTHESES = ("H1", "H2a", "H3", "R-PT", "R-OPT", "R-CAP", "R-ECHO")

COLUMN = {
    "H1": "H1",
    "H1p": "H1",
    "H2a": "H2a",
    "H2c": "H1",
    "H3": "H3",
    "H=": "H3",
    "H+post": "H1",
}
"""The column each strength of imitation stands in; other strengths take no side in the matrix."""

NO_CHANGE = ("H1", "H2a", "H3", "R-ECHO")
"""Hypotheses whose 0 forbids a change where corpus and prompt are held fixed: METHOD §2, T12 says
that imitation then predicts none, and an echo has nothing else to echo. Every other 0 is silence.
"""

Apart = Mapping[str, Any]
"""pair: two hypotheses; rows: what tells them apart; exploratory: whether that only suggests."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One row of the matrix: an observation, and what each hypothesis predicts of it.

    signs: + it happens, − it does not, 0 neither, ± either; no_change: hypotheses whose 0 says that
    nothing happens; conditions: of signs that hold only then, and so tell nothing apart alone.
    claims, tests, strengths: which claims measure it. Ids are patterns, so that a user's copy of a
    bundled claim counts while it keeps the beginning of its name. least: the smallest design of
    METHOD §2, in `trials`; what it costs to train a model is not in it.
    """

    id: str
    text: str
    signs: Mapping[str, str]
    least: str
    trials: int
    claims: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    strengths: tuple[str, ...] = ()
    no_change: tuple[str, ...] = ()
    conditions: Mapping[str, str] = field(default_factory=dict)

    def gap(self, first: str, second: str) -> int:
        """How far two hypotheses are apart: 2 for + and −, 1 for a sign and no change, else 0."""
        if first in self.conditions or second in self.conditions:
            return 0
        signs = {self.signs[first], self.signs[second]}
        if signs == {"+", "−"}:
            return 2
        silent = any(self.signs[h] == "0" and h not in self.no_change for h in (first, second))
        return 1 if signs in ({"+", "0"}, {"−", "0"}) and not silent else 0

    def splits(self, hypotheses: Iterable[str]) -> list[tuple[str, str]]:
        """The pairs among these that the row would tell apart."""
        known = [name for name in HYPOTHESES if name in set(hypotheses)]
        return [pair for pair in combinations(known, 2) if self.gap(*pair)]

    def worth(self, hypotheses: Iterable[str]) -> float:
        """Sign gap over the pairs it splits, a trial."""
        return sum(self.gap(*pair) for pair in self.splits(hypotheses)) / self.trials

    def measured_by(self, result: ClaimResult) -> bool:
        """Whether a claim is about this observation."""
        named = any(fnmatchcase(result.claim, pattern) for pattern in self.claims)
        return named or result.test in self.tests or result.strength in self.strengths


def _signs(written: str) -> dict[str, str]:
    return dict(zip(HYPOTHESES, written.split(), strict=True))


MATRIX = (
    Observation(
        "base_rate",
        "a base model shows it at about the corpus's rate",
        _signs("+ + + − − 0 0"),
        "95 prefixes x 5 draws of a base model",  # T1, at a rate of .10
        475,
        tests=("prefix",),
    ),
    Observation(
        "rl_steps",
        "the rate rises with reinforcement learning, corpus and prompt text fixed",
        _signs("0 0 0 + + + 0"),
        "5 checkpoints x 20 prompts x 10 draws",  # T12, one cell
        1000,
        claims=("rl-steps*",),
        no_change=NO_CHANGE,
    ),
    Observation(
        "only_route",
        "the rate rises where violation is the only rewarded route, wording fixed",
        _signs("0 0 0 0 + 0 0"),
        "constraint x reward x 5 checkpoints, 20 prompts x 10 draws each",  # T12
        4000,
        tests=("pressure",),
        no_change=NO_CHANGE,
    ),
    Observation(
        "one_model",
        "one model out of several on nearly one corpus shows it",
        _signs("− − − + + + 0"),
        "5 models x 6 behaviours x 10 prompts x 10 draws",  # T3c
        3000,
        tests=("exception",),
        conditions={"R-CAP": "if it is the most capable"},
    ),
    Observation(
        "trait_words",
        "the rate falls to the floor when the trait words leave the prompt",
        _signs("0 0 ± 0 0 0 +"),
        "6 rungs of the ladder x 10 prompts x 10 draws",  # T8
        600,
        claims=("elicited*",),
    ),
    Observation(
        "before_discourse",
        "a model whose cutoff is before the discourse shows it",
        _signs("− − − 0 + + +"),
        "100 draws of it and of each of 6 behaviours always present",  # T13
        700,
        claims=("time-split*", "onset*"),
        tests=("onset",),
    ),
    Observation(
        "condemned_spontaneous",
        "a behaviour that is only condemned appears unprompted",
        _signs("+ − − 0 0 0 0"),
        "300 draws over 20 neutral prompts",  # T5c
        300,
        claims=("framing*",),
        strengths=("H2a", "H2b"),
    ),
    Observation(
        "beneficiary_mix",
        "beneficiaries are mixed as the corpus mixes them for that role",
        _signs("0 0 + 0 0 0 +"),
        "10 scenarios x 10 draws, for 60 clear cases",  # T7
        100,
        tests=("beneficiary",),
    ),
)


def measured_rows(results: Iterable[ClaimResult]) -> list[Observation]:
    """The rows that some claim measured: every gate open, and power of MIN_POWER or more."""
    good = [result for result in results if _powerful(result)]
    return [row for row in MATRIX if any(row.measured_by(result) for result in good)]


def told_apart(results: Iterable[ClaimResult]) -> list[Apart]:
    """The pairs with different signs in a row that was measured, and whose claim was decided.

    An indistinguishable claim has power but says neither yes nor no: it tells nothing apart.
    """
    decided = [r for r in results if r.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)]
    firm = _ids(measured_rows(result for result in decided if not result.exploratory))
    by: dict[tuple[str, str], list[str]] = {}
    for row in measured_rows(decided):
        for pair in row.splits(HYPOTHESES):
            by.setdefault(pair, []).append(row.id)
    return [
        {"pair": pair, "rows": tuple(rows), "exploratory": not firm.intersection(rows)}
        for pair, rows in by.items()
    ]


def splitting(hypotheses: Collection[str], measured: Iterable[Observation]) -> list[Observation]:
    """The rows not yet measured that would tell these apart, the most sign gap a trial first."""
    done = _ids(measured)
    useful = [row for row in MATRIX if row.id not in done and row.splits(hypotheses)]
    return sorted(useful, key=lambda row: -row.worth(hypotheses))


def proposed(row: Observation, hypotheses: Collection[str]) -> str:
    """A row as the next observation: what to look for, with how much, and what it would split."""
    pairs = row.splits(hypotheses)
    sides: dict[str, list[str]] = {}
    for first, second in pairs:
        sides.setdefault(first, []).append(second)
    split = "; ".join(f"{first} from {', '.join(others)}" for first, others in sides.items())
    return f"see whether {row.text} ({row.least}: {row.trials:,} trials; splits {split})"


def matrix(results: Sequence[ClaimResult]) -> list[dict[str, Any]]:
    """Every row with its signs, and which of these claims measured it, or fell short of it."""
    done = _ids(measured_rows(results))
    return [
        {
            "row": row.id,
            "observation": row.text,
            "signs": dict(row.signs),
            "conditions": dict(row.conditions),
            "measured": row.id in done,
            "claims": [_tried(result) for result in results if row.measured_by(result)],
            "least": row.least,
            "trials": row.trials,
        }
        for row in MATRIX
    ]


def _tried(result: ClaimResult) -> dict[str, Any]:
    closed = [gate.code for gate in result.gates if not gate.passed]
    return {
        "claim": result.claim,
        "verdict": result.verdict.value,
        "exploratory": result.exploratory,
        "power": result.power,
        "closed": closed,
    }


def _powerful(result: ClaimResult) -> bool:
    passed = bool(result.gates) and all(gate.passed for gate in result.gates)
    return passed and result.power is not None and result.power >= MIN_POWER


def _ids(rows: Iterable[Observation]) -> set[str]:
    return {row.id for row in rows}
