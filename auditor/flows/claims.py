"""Claims → locks and verdicts: frequencies from the audit, outcomes from its observations.

`predict` never looks at observations; `test` uses the locked frequencies, and calls a verdict
exploratory where any outcome was read before the lock.
"""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from auditor.behaviours.spec import choose
from auditor.claims.decide import decide
from auditor.claims.evidence import Frequency, select_rows
from auditor.claims.lock import (
    is_exploratory,
    lock_digest,
    locked_frequencies,
    open_lock,
    predict,
)
from auditor.claims.spec import Claim, choose_claims
from auditor.errors import StageMissing
from auditor.flows.measure import Measurer
from auditor.flows.recording import Started
from auditor.paths import replacing
from auditor.plan import canonical_json, digest, versions
from auditor.prevalence.targets import Target, parse_target
from auditor.progress import Progress
from auditor.records import BehaviourKind, ClaimResult, Prevalence, plain
from auditor.statistics.concordance import kendall_w
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, now, rows_table

PACKAGES = ("numpy", "scipy")
MIN_SHARED = 5
"""Behaviours two corpora must both measure before their ranks are compared."""


def lock_claims(
    tables: Tables, names: Sequence[str], output: str | None, progress: Progress
) -> list[dict[str, Any]]:
    """Lock claims on what the audit now holds; returns each prediction with its digest."""
    claims = choose_claims(names)
    measurer = Measurer(tables)
    locks = []
    with progress.task("locking predictions", len(claims), "claims") as task:
        for claim in claims:
            locks.append(_lock(tables, claim, measurer))
            task.advance(1)
    if output:
        with replacing(Path(output)) as temporary:
            temporary.write_text(canonical_json(locks) + "\n")
    return locks


def test_claims(tables: Tables, names: Sequence[str], progress: Progress) -> list[ClaimResult]:
    """Test claims and write `verdicts`; unlocked claims are tested as exploratory."""
    claims = choose_claims(names)
    rows = Catalogue(tables).rows("SELECT * FROM observations")
    measurer = Measurer(tables)
    results = []
    with progress.task("testing claims", len(claims), "claims") as task:
        for claim in claims:
            results.append(_test(tables, claim, rows, measurer))
            task.advance(1)
    return results


def _lock(tables: Tables, claim: Claim, measurer: Measurer) -> dict[str, Any]:
    started = Started("predict", PACKAGES)
    corpora = _corpora(tables, claim)
    frequencies = claim_frequencies(measurer, claim, list(corpora))
    prediction = predict(claim, frequencies, corpora, versions("auditor", *PACKAGES))
    sha256 = lock_digest(prediction)
    earlier = [row for row in _locks(tables, claim) if row["sha256"] == sha256]
    locked_at = earlier[-1]["locked_at"] if earlier else now()
    row = {
        "claim_id": claim.id,
        "sha256": sha256,
        "prediction": canonical_json(prediction),
        "locked_at": locked_at,
    }
    if not earlier:
        name = f"{claim.id}-{sha256[:16]}"
        path = tables.write("locks", claim.id, rows_table("locks", [row]))
        _record(tables, name, claim, prediction["corpora"], path, started)
    return {"lock": sha256, "locked_at": locked_at.isoformat(), **prediction}


def _test(
    tables: Tables, claim: Claim, rows: Sequence[Mapping[str, Any]], measurer: Measurer
) -> ClaimResult:
    started = Started("test", PACKAGES)
    corpora = _corpora(tables, claim)
    lock = _current_lock(tables, claim)
    if lock:
        prediction = open_lock(lock)
        if prediction["corpora"] != corpora:
            raise StageMissing(
                f"the corpora changed since claim {claim.id} was locked",
                f"lock it again: auditor predict {claim.id}",
            )
        frequencies = locked_frequencies(prediction)
    else:
        frequencies = claim_frequencies(measurer, claim, list(corpora))
    read = [row["observed_at"] for row in select_rows(claim, rows)]
    exploratory = is_exploratory(lock["locked_at"] if lock else None, read)
    concordance = _concordance(measurer, claim, list(corpora))
    result = decide(
        claim, frequencies, rows, exploratory, lock["sha256"] if lock else None, concordance
    )
    verdict = {
        "claim_id": claim.id,
        "verdict": result.verdict.value,
        "exploratory": result.exploratory,
        "forbidden_fraction": result.forbidden_fraction,
        "power": result.power,
        "lock": result.lock,
        "result": canonical_json(plain(result)),
        "tested_at": now(),
    }
    path = tables.write("verdicts", claim.id, rows_table("verdicts", [verdict]))
    _record(tables, claim.id, claim, [corpora, sorted(map(str, read))], path, started)
    return result


def claim_frequencies(
    measurer: Measurer, claim: Claim, corpora: Sequence[str]
) -> dict[str, Frequency]:
    """The frequency of every behaviour a claim is about, in the corpus with most labels of it.

    Placebos and positive controls are always measured: they are the claim's controls.
    """
    framing = parse_target(claim.target).framing
    choose(measurer.library, claim.behaviours)
    found = {}
    for behaviour in measurer.library.values():
        wanted = not claim.behaviours or behaviour.id in claim.behaviours
        if behaviour.kind is BehaviourKind.BEHAVIOUR and not wanted:
            continue
        target = Target(behaviour.id, {} if behaviour.rule else framing)
        rows = [row for corpus in corpora if (row := measurer.target(target, corpus))]
        if rows:
            found[behaviour.id] = _frequency(max(rows, key=lambda r: r.labels), behaviour.kind)
    return found


def _frequency(row: Prevalence, kind: BehaviourKind) -> Frequency:
    passages = row.per_million_passages
    return Frequency(
        behaviour=row.behaviour,
        kind=kind,
        estimate=passages.estimate or 0.0,
        low=passages.low or 0.0,
        high=passages.high or 0.0,
        se_log=row.se_log or 0.0,
        method=row.method,
        labels=row.labels,
        positives=row.positives,
        corpus=row.corpus,
    )


def _concordance(measurer: Measurer, claim: Claim, corpora: Sequence[str]) -> float | None:
    """Kendall's W of the behaviours' frequencies over corpora; None where fewer than two speak."""
    framing = parse_target(claim.target).framing
    ranks: list[dict[str, float]] = []
    for corpus in corpora:
        rows = {
            b.id: measurer.target(Target(b.id, framing), corpus)
            for b in measurer.library.values()
            if b.kind is BehaviourKind.BEHAVIOUR
        }
        measured = {n: r.per_million_passages.estimate for n, r in rows.items() if r is not None}
        if measured:
            ranks.append({n: e for n, e in measured.items() if e is not None})
    shared = sorted(set.intersection(*map(set, ranks))) if ranks else []
    if len(ranks) < 2 or len(shared) < MIN_SHARED:
        return None
    return kendall_w(np.array([[one[name] for name in shared] for one in ranks]))


def _corpora(tables: Tables, claim: Claim) -> dict[str, str]:
    """The indexed corpora a claim names, each with the digest of what its frequencies rest on."""
    labels = [run["input_digest"] for run in tables.current("label")]
    found = {
        run["corpus"]: digest([run["settings_digest"], run["input_digest"], labels])
        for run in tables.current("index")
        if any(fnmatch(run["corpus"], pattern) for pattern in claim.corpora)
    }
    if not found:
        raise StageMissing(
            f"no indexed corpus matches {', '.join(claim.corpora)}, which claim {claim.id} names",
            "auditor index SOURCE… --corpus NAME",
        )
    return found


def _current_lock(tables: Tables, claim: Claim) -> dict[str, Any] | None:
    """The newest lock of exactly this claim; a lock of an edited claim does not count."""
    return next(iter(_locks(tables, claim)), None)


def _locks(tables: Tables, claim: Claim) -> list[dict[str, Any]]:
    """Every lock of exactly this claim, newest first; locks are never replaced."""
    rows = Catalogue(tables).rows(
        "SELECT * FROM locks WHERE claim_id = $claim ORDER BY locked_at DESC", {"claim": claim.id}
    )
    return [r for r in rows if json.loads(r["prediction"])["claim_digest"] == claim.digest]


def _record(
    tables: Tables, group: str, claim: Claim, inputs: object, path: Path, started: Started
) -> None:
    summary = {"claim": claim.id}
    started.finish(tables, group, claim.digest, digest(inputs), [path], 1, summary, seed=claim.seed)
