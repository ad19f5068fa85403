"""A chat fine-tuning set → its cues, its traits, and how far each trait is tied to each cue.

Nothing is written. An audit's heads score a trait nobody judged; without one the library's do.
Files of rates, of what trained models did, go to `conditioning`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from statsmodels.stats.multitest import multipletests

from auditor.behaviours.spec import choose, library_of, read_library
from auditor.errors import BadInput, UsageError
from auditor.finetuning.association import Association, Judged, associate
from auditor.finetuning.cues import Cue, carries, find_cues, given_cue
from auditor.finetuning.traits import (
    Trait,
    TraitRate,
    TraitSource,
    file_trait,
    judged_names,
    judged_trait,
    mean_score,
    source_of,
    trait_rate,
)
from auditor.flows.conditioning import RatesSettings, audit_rates, is_rates
from auditor.flows.read import detect_texts
from auditor.ingest.finetuning import FinetuningRow, FinetuningSet, read_set
from auditor.ingest.sources import UNKNOWN, find_files
from auditor.plan import Source
from auditor.progress import Progress
from auditor.records import Interval
from auditor.store.tables import Tables

SEED = 0
"""Of the resamples, so that a set gives the same intervals whenever it is audited."""

Rows = Sequence[FinetuningRow]


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """What to look for: traits and cues; with none, judged traits and cues found unasked.

    rates: what is asked of files of rates.
    """

    traits: tuple[str, ...] = ()
    cues: tuple[str, ...] = ()
    rates: RatesSettings = field(default_factory=RatesSettings)


def audit_files(
    tables: Tables | None, files: Sequence[str], settings: FinetuneSettings, progress: Progress
) -> dict[str, Any]:
    """Audit chat files as a fine-tuning set, and files of rates under `conditioning`.

    Each part is there only if there are files of its kind; raises UsageError for settings of a kind
    there are no files of.
    """
    sources = find_files(files)
    rates = [source for source in sources if is_rates(source)]
    chats = [source for source in sources if source not in rates]
    if rates and all(source.format == UNKNOWN for source in chats):
        rates, chats = sources, []
    if not chats and (settings.traits or settings.cues):
        raise UsageError("traits and cues are of chat files; these are rates", "narrow: --where")
    if not rates and settings.rates != RatesSettings():
        raise UsageError("no file of rates", "a row has model, behaviour, k, n and condition")
    found = audit_set(tables, chats, settings, progress) if chats else {}
    return (
        {**found, "conditioning": audit_rates(rates, settings.rates, progress)} if rates else found
    )


def audit_set(
    tables: Tables | None, sources: Sequence[Source], settings: FinetuneSettings, progress: Progress
) -> dict[str, Any]:
    """Audit the chat files of a fine-tuning set; tables None scores with the library's heads."""
    found = _read(sources, progress)
    rows = found.rows
    names = settings.traits or tuple(judged_names(rows))
    traits = _traits(tables, names, rows, progress)
    given = [given_cue(text, rows) for text in dict.fromkeys(settings.cues)]
    cues = given or find_cues(rows)
    rng = np.random.default_rng(SEED)
    return {
        "files": list(found.files),
        "rows": len(rows),
        "prompts_only": found.prompts_only,
        "duplicates": found.duplicates,
        "rejects": [{"file": r.file, "line": r.line, "reason": r.reason} for r in found.rejects],
        "cues": [_cue_fields(cue) for cue in cues],
        "traits": [_trait_fields(trait) for trait in traits],
        "associations": _associations(rows, cues, traits, rng),
    }


def _read(sources: Sequence[Source], progress: Progress) -> FinetuningSet:
    found = read_set(sources, progress)
    if not found.rows:
        first = found.rejects[0] if found.rejects else None
        reason = f"line {first.line}: {first.reason}" if first else "it holds no records"
        raise BadInput(
            f"{found.files[0]}: nothing could be read; {reason}",
            "a row is {messages}, {prompt, completion}, {prompt} or {user}",
        )
    return found


def _traits(
    tables: Tables | None, names: Sequence[str], rows: Rows, progress: Progress
) -> list[Trait]:
    """The traits named, each known by the best the rows have; raises UsageError for no trait."""
    sources = {name: source_of(name, rows) for name in names}
    unjudged = [name for name, source in sources.items() if source is TraitSource.SCORED]
    if unjudged:
        choose(read_library() if tables is None else library_of(tables.paths), unjudged)
    scores = _scores(tables, unjudged, rows, progress) if unjudged else {}
    make: dict[TraitSource, Callable[[str], Trait]] = {
        TraitSource.FILE: lambda name: file_trait(name, rows),
        TraitSource.JUDGED: lambda name: judged_trait(name, rows),
        TraitSource.SCORED: lambda name: Trait(name, TraitSource.SCORED, scores=scores[name]),
    }
    return [make[source](name) for name, source in sources.items()]


def _scores(
    tables: Tables | None, names: Sequence[str], rows: Rows, progress: Progress
) -> Mapping[str, tuple[float | None, ...]]:
    """What the detectors give each answer, by trait; a prompt without answer has no score."""
    found: dict[str, list[float | None]] = {name: [None] * len(rows) for name in names}
    answers = [(number, row.answer) for number, row in enumerate(rows) if row.answer is not None]
    items = ({"id": number, "text": answer} for number, answer in answers)
    with progress.task("scoring answers", len(answers), "answers") as task:
        for result in detect_texts(tables, items, None, None, progress):
            for name in names:
                found[name][result["id"]] = result["behaviours"][name]
            task.advance(1)
    return {name: tuple(scores) for name, scores in found.items()}


def _associations(
    rows: Rows, cues: Sequence[Cue], traits: Sequence[Trait], rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One row for each trait and cue, with p as it is and adjusted for all that were tested."""
    carried = [(cue, [carries(cue, row) for row in rows]) for cue in cues]
    found = [
        {"trait": trait.name, "cue": cue.text, "cue_kind": cue.kind.value}
        | (
            _compared(trait, has)
            if trait.source is TraitSource.SCORED
            else _tested(trait, has, rows, rng)
        )
        for trait in traits
        for cue, has in carried
    ]
    return _with_holm(found)


def _tested(
    trait: Trait, has: Sequence[bool], rows: Rows, rng: np.random.Generator
) -> dict[str, Any]:
    """Cue and trait among the judged rows, tested, and the trait's rate on either side."""
    judged = [number for number, shown in enumerate(trait.shown) if shown is not None]
    found = associate(
        Judged(
            cue=np.array([has[i] for i in judged], np.bool_),
            trait=np.array([trait.shown[i] for i in judged], np.bool_),
            stratum=_numbered([rows[i].stratum or "" for i in judged]),
            answer=_numbered([rows[i].answer or "" for i in judged]),
        ),
        rng,
    )
    paired = list(zip(trait.shown, has, strict=True))
    return {
        **_association_fields(found),
        "with_cue": _rate_fields(trait_rate(shown for shown, cue in paired if cue)),
        "without_cue": _rate_fields(trait_rate(shown for shown, cue in paired if not cue)),
        "mean_score_with": None,
        "mean_score_without": None,
    }


def _compared(trait: Trait, has: Sequence[bool]) -> dict[str, Any]:
    """Mean uncalibrated scores with and without the cue: a hint of where to judge, never a test."""
    paired = list(zip(trait.scores, has, strict=True))
    return {
        **_association_fields(_UNCALIBRATED),
        "table": None,
        "strata": None,
        "strata_informative": None,
        "with_cue": None,
        "without_cue": None,
        "mean_score_with": asdict(mean_score(score for score, cue in paired if cue)),
        "mean_score_without": asdict(mean_score(score for score, cue in paired if not cue)),
    }


_UNCALIBRATED = Association(
    table=((0, 0), (0, 0)),
    strata=0,
    strata_informative=0,
    testable=False,
    reason="scores are uncalibrated: add judgements {behaviours: {id: true|false}} to the rows",
)


def _association_fields(found: Association) -> dict[str, Any]:
    return {
        "table": [list(side) for side in found.table],
        "strata": found.strata,
        "strata_informative": found.strata_informative,
        **_limits("odds_ratio", found.odds_ratio, ""),
        "p": found.p,
        "breslow_day_p": found.breslow_day_p,
        **_limits("pmi", found.pmi, "pmi_"),
        "testable": found.testable,
        "reason": found.reason,
    }


def _limits(name: str, interval: Interval, prefix: str) -> dict[str, float | None]:
    return {
        name: interval.estimate,
        f"{prefix}low": interval.low,
        f"{prefix}high": interval.high,
    }


def _with_holm(associations: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows with `p_holm`: p adjusted by Holm (1979) for every association tested."""
    ps = [row["p"] for row in associations if row["p"] is not None]
    adjusted = iter(multipletests(ps, method="holm")[1] if ps else ())
    return [
        {**row, "p_holm": None if row["p"] is None else float(next(adjusted))}
        for row in associations
    ]


def _numbered(names: Sequence[str]) -> npt.NDArray[np.int64]:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64)


def _cue_fields(cue: Cue) -> dict[str, Any]:
    return {
        "kind": cue.kind.value,
        "text": cue.text,
        "rows": cue.rows,
        "distinct": cue.distinct,
        "share": cue.share,
    }


def _trait_fields(trait: Trait) -> dict[str, Any]:
    if trait.source is TraitSource.SCORED:
        empty = dict.fromkeys(("k", "n", "low", "high", "distribution"))
        score: dict[str, Any] | None = asdict(mean_score(trait.scores))
        return {"trait": trait.name, "source": "scored", **empty, "mean_score": score}
    return {
        "trait": trait.name,
        "source": trait.source.value,
        **_rate_fields(trait_rate(trait.shown)),
        "mean_score": None,
    }


def _rate_fields(rate: TraitRate) -> dict[str, Any]:
    counted = rate.counted
    return {
        "k": counted.k,
        "n": counted.n,
        "low": counted.interval.low,
        "high": counted.interval.high,
        "distribution": rate.distribution.value,
    }
