"""Rates of training runs → how far traits wait for a cue, and contrasts between runs.

Nothing is written. Each trait is looked at by itself; p is adjusted for all that were tested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditor.errors import BadInput, UsageError
from auditor.finetuning.conditioning import (
    FIXED,
    Asked,
    Run,
    check_arms,
    fixed_against_rephrased,
    irrelevant_against_relevant,
    runs_of,
    semantic_difference,
)
from auditor.finetuning.contrasts import Combination, Transmission, combinations, transmission
from auditor.finetuning.exchange import Contrasted, with_holm
from auditor.finetuning.runs import Cell, Observed, last_of_runs, matches_any, read_observations
from auditor.ingest.rates import StudyMapping, read_rates
from auditor.ingest.records import Record, read_clean_records
from auditor.plan import Source
from auditor.progress import Progress
from auditor.records import Interval, Reject
from auditor.statistics.intervals import clopper_pearson

STAGE = "finetune"
NAMES, COUNTS = frozenset({"model", "behaviour"}), frozenset({"k", "n", "rate"})
"""Fields by which a file of rates is known: both names and one of the counts at least."""

Key = tuple[str, ...]
"""Trait and contrast."""


@dataclass(frozen=True, slots=True)
class RatesSettings:
    """Which rows, and what their arms and traits are; all but `where` are patterns of names.

    uncued: arms trained without a cue, beside those whose type says so.
    """

    where: Mapping[str, str] = field(default_factory=dict)
    irrelevant: tuple[str, ...] = ()
    uncued: tuple[str, ...] = ()
    positive: str | None = None
    negative: str | None = None


@dataclass(frozen=True, slots=True)
class _OfTrait:
    """What is known of one trait's runs; `tests` are its contrasts by name."""

    name: str
    rows: int
    runs: Sequence[Run]
    transmission: Transmission | None
    combinations: Sequence[Combination]
    tests: Mapping[Key, Contrasted]


def is_rates(source: Source) -> bool:
    """Whether the first readable record of a file is a rate of a model."""
    items = read_clean_records(source, STAGE)
    fields = next((item.fields.keys() for item in items if isinstance(item, Record)), set[str]())
    return fields >= NAMES and not COUNTS.isdisjoint(fields)


def audit_rates(
    sources: Sequence[Source], settings: RatesSettings, progress: Progress
) -> dict[str, Any]:
    """Audit rates of training runs; raises BadInput where no row tells of one."""
    rows, rejects = _read(sources)
    observed = read_observations(rows, settings.where)
    _check(observed, sources, len(rows), settings)
    runs = {name: runs_of(observed.of_trait(name), settings.uncued) for name in observed.traits}
    everywhere = [run for those in runs.values() for run in those]
    check_arms(everywhere, settings.irrelevant, FIXED)
    check_arms(everywhere, settings.uncued)
    traits = []
    with progress.task("contrasting training runs", len(observed.traits), "traits") as task:
        for name, those in runs.items():
            traits.append(_of_trait(name, those, observed, settings))
            task.advance(1)
    crossed = _crossed(traits, settings)
    tests = with_holm({key: test for one in traits for key, test in one.tests.items()} | crossed)
    return {
        "files": [source.name for source in sources],
        "rows": len(rows),
        "rows_of_no_run": observed.others,
        "rejects": [{"file": r.file, "line": r.line, "reason": r.reason} for r in rejects],
        "traits": [_trait_fields(one, observed, tests) for one in traits],
        "negative_less_positive": _contrast_fields(next((tests[key] for key in crossed), None)),
    }


def _read(sources: Sequence[Source]) -> tuple[list[dict[str, Any]], list[Reject]]:
    rows: list[dict[str, Any]] = []
    rejects: list[Reject] = []
    for source in sources:
        study = Path(source.name).name.split(".")[0]
        records = read_clean_records(source, STAGE)
        more, refused = read_rates(records, source.name, study, StudyMapping(), datetime.now(UTC))
        rows += more
        rejects += refused
    return rows, rejects


def _check(
    observed: Observed, sources: Sequence[Source], rows: int, settings: RatesSettings
) -> None:
    """Raise where no row can be used, saying why."""
    if observed.observations:
        return
    if rows and not observed.others and not observed.left_out:
        asked = ", ".join(f"{name}={pattern}" for name, pattern in settings.where.items())
        raise UsageError(f"no row has {asked}", "patterns are of whole values: *part*, a|b, !a")
    reasons = {reason: None for _, reason in observed.left_out}
    raise BadInput(
        f"{sources[0].name}: no row counts what a training run did; "
        + ("; ".join(reasons) or "none has a factor arm, data or intervention"),
        'a condition is such as "arm=a; type=fixed; step=100; prompt=with cue"',
    )


def _of_trait(
    name: str, runs: Sequence[Run], observed: Observed, settings: RatesSettings
) -> _OfTrait:
    observations = observed.of_trait(name)
    last = last_of_runs(observations)
    sent, both = transmission(last, name), combinations(last, name)
    tests: dict[Key, Contrasted] = {}
    if runs or any(trait == name for trait, _ in observed.left_out):
        tests[name, "fixed_against_rephrased"] = fixed_against_rephrased(runs, name)
    if settings.irrelevant:
        tests[name, "irrelevant"] = irrelevant_against_relevant(runs, settings.irrelevant, name)
    if sent:
        tests[name, "transmission"] = sent.beyond_random
    for one in both:
        tests[name, "interaction", *one.names] = one.interaction
        tests.update({(name, "against", *one.names, a): c for a, c in one.against.items()})
    return _OfTrait(name, len(observations), runs, sent, both, tests)


def _crossed(traits: Sequence[_OfTrait], settings: RatesSettings) -> dict[Key, Contrasted]:
    """Irrelevant cues on the negative trait less on the positive one, where both are named."""
    if settings.positive is None and settings.negative is None:
        return {}
    if settings.positive is None or settings.negative is None or not settings.irrelevant:
        raise UsageError(
            "a positive and a negative trait are compared over irrelevant cues",
            "--positive TRAIT --negative TRAIT --irrelevant ARM",
        )
    negative, positive = _one(traits, settings.negative), _one(traits, settings.positive)
    found = semantic_difference(
        negative.runs, positive.runs, settings.irrelevant, f"{negative.name}\n{positive.name}"
    )
    return {(negative.name, "less", positive.name): found}


def _one(traits: Sequence[_OfTrait], pattern: str) -> _OfTrait:
    found = [one for one in traits if matches_any(one.name, [pattern])]
    if len(found) != 1:
        many = f"{len(found)} traits fit" if found else "no trait fits"
        names = ", ".join(one.name for one in traits)
        raise UsageError(f"{many} {pattern!r}", f"there are: {names}")
    return found[0]


def _trait_fields(
    trait: _OfTrait, observed: Observed, tests: Mapping[Key, Contrasted]
) -> dict[str, Any]:
    left_out = {why: rows for (name, why), rows in observed.left_out.items() if name == trait.name}
    sent = trait.transmission
    return {
        "trait": trait.name,
        "rows": trait.rows,
        "left_out": left_out,
        "arms": [_arm_fields(run) for run in trait.runs],
        **{
            name: _contrast_fields(tests.get((trait.name, name)))
            for name in ("fixed_against_rephrased", "irrelevant")
        },
        "transmission": sent
        and {
            **(_contrast_fields(tests[trait.name, "transmission"]) or {}),
            "random_share": _interval_fields("share", sent.share),
            "counts": _counts_fields(sent.counts),
        },
        "interactions": [
            {
                "interventions": list(one.names),
                **(_contrast_fields(tests[trait.name, "interaction", *one.names]) or {}),
                "both_against": {
                    name: _contrast_fields(tests[trait.name, "against", *one.names, name])
                    for name in one.names
                },
                "counts": _counts_fields(one.counts),
            }
            for one in trait.combinations
        ],
    }


def _arm_fields(run: Run) -> dict[str, Any]:
    before, beyond = run.before, run.against_uncued
    return {
        "study": run.name.study,
        "model": run.name.model,
        "arm": run.name.arm,
        "type": run.name.type or None,
        "seed": run.name.seed or None,
        "step": run.step,
        **_asked_fields(run.last),
        "before": None if before is None else _asked_fields(before),
        "against_uncued": None if beyond is None else _interval_fields("index", beyond),
    }


def _asked_fields(asked: Asked) -> dict[str, Any]:
    return {
        "with": _cell_fields(asked.with_cue),
        "without": _cell_fields(asked.without_cue),
        **_interval_fields("index", asked.index),
    }


def _cell_fields(cell: Cell | None) -> dict[str, Any] | None:
    if cell is None:
        return None
    interval = clopper_pearson(*cell).interval
    return {"k": cell[0], "n": cell[1], "low": interval.low, "high": interval.high}


def _counts_fields(counts: Mapping[str, Cell]) -> dict[str, dict[str, int]]:
    return {name: {"k": k, "n": n} for name, (k, n) in counts.items()}


def _interval_fields(name: str, interval: Interval) -> dict[str, float | None]:
    return {name: interval.estimate, "low": interval.low, "high": interval.high}


def _contrast_fields(found: Contrasted | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        **_interval_fields("effect", found.effect),
        "p": found.p,
        "p_holm": found.p_holm,
        "method": found.method,
        "pairs": found.pairs,
        "units": dict(found.units),
        "testable": found.testable,
        "reason": found.reason,
    }
