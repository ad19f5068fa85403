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
from auditor.errors import BadInput, StageMissing
from auditor.flows.measurer import Measurer
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
MIN_CORPORA = 3
"""Proxy corpora from which the spread between corpora can be judged (METHOD §1.1)."""

MIN_SHARED = 5
"""Behaviours every corpus must measure before their ranks are compared."""


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
        if Path(output).is_dir():
            raise BadInput(f"{output} is a folder", "name the lock's file: -o claims.lock.json")
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
    lock = _current_lock(tables, claim, corpora)
    if lock:
        frequencies = locked_frequencies(open_lock(lock))
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
    """The frequency of every behaviour a claim is about, all in the corpus with most labels.

    Placebos and positive controls are always measured: they are the claim's controls. For proxy
    corpora (tier B) the spread between corpora is part of each frequency's error (METHOD §1.1).
    """
    choose(measurer.library, claim.behaviours)
    measured = {corpus: _measured(measurer, claim, corpus) for corpus in corpora}
    primary = max(corpora, key=lambda corpus: sum(row.labels for row in measured[corpus].values()))
    found = {}
    for name, row in measured[primary].items():
        kind = measurer.library[name].kind
        spread = 0.0 if claim.tier == "A" else _spread(measurer, measured, kind)
        found[name] = _frequency(row, kind, spread)
    return found


def _measured(measurer: Measurer, claim: Claim, corpus: str) -> dict[str, Prevalence]:
    framing = parse_target(claim.target).framing
    found = {}
    for behaviour in measurer.library.values():
        wanted = not claim.behaviours or behaviour.id in claim.behaviours
        if behaviour.kind is BehaviourKind.BEHAVIOUR and not wanted:
            continue
        row = measurer.target(Target(behaviour.id, {} if behaviour.rule else framing), corpus)
        if row is not None:
            found[behaviour.id] = row
    return found


def _spread(
    measurer: Measurer, measured: Mapping[str, Mapping[str, Prevalence]], kind: BehaviourKind
) -> float:
    """Standard deviation of log frequency between corpora, sampling error taken out.

    Each behaviour is centred on its mean, each corpus on its own: a common factor shifts no slope.
    """
    shared = _shared(measurer, measured, kind)
    if len(measured) < 2 or len(shared) < 2:
        return 0.0
    rows = [[one[name] for name in shared] for one in measured.values()]
    logs = np.log([[row.per_million_passages.estimate or 0.0 for row in c] for c in rows])
    left = logs - logs.mean(axis=0) - logs.mean(axis=1, keepdims=True) + logs.mean()
    freedom = (len(rows) - 1) * (len(shared) - 1)
    error = np.mean([[(row.se_log or 0.0) ** 2 for row in corpus] for corpus in rows])
    return float(np.sqrt(max(0.0, np.square(left).sum() / freedom - error)))


def _shared(
    measurer: Measurer, measured: Mapping[str, Mapping[str, Prevalence]], kind: BehaviourKind
) -> list[str]:
    """Behaviours of a kind that were seen in every corpus."""
    seen = [
        {n for n, row in corpus.items() if row.per_million_passages.estimate}
        for corpus in measured.values()
    ]
    return sorted(n for n in set.intersection(*seen) if measurer.library[n].kind is kind)


def _frequency(row: Prevalence, kind: BehaviourKind, spread: float) -> Frequency:
    passages = row.per_million_passages
    return Frequency(
        behaviour=row.behaviour,
        kind=kind,
        estimate=passages.estimate or 0.0,
        low=passages.low or 0.0,
        high=passages.high or 0.0,
        se_log=float(np.hypot(row.se_log or 0.0, spread)),
        method=row.method,
        labels=row.labels,
        positives=row.positives,
        corpus=row.corpus,
    )


def _concordance(measurer: Measurer, claim: Claim, corpora: Sequence[str]) -> float | None:
    """Kendall's W of the behaviours' frequencies; None for fewer than three corpora."""
    measured = {corpus: _measured(measurer, claim, corpus) for corpus in corpora}
    shared = _shared(measurer, measured, BehaviourKind.BEHAVIOUR)
    if len(measured) < MIN_CORPORA or len(shared) < MIN_SHARED:
        return None
    rows = [[one[name] for name in shared] for one in measured.values()]
    return kendall_w(
        np.array([[row.per_million_passages.estimate or 0.0 for row in corpus] for corpus in rows])
    )


def _corpora(tables: Tables, claim: Claim) -> dict[str, str]:
    """The indexed corpora a claim names, each with a digest of what its frequencies rest on.

    The digest is of contents, passages and label files, so that it is the same on every machine.
    """
    labelled = Catalogue(tables).rows(
        "SELECT DISTINCT f.label_set, d.corpus FROM frames f JOIN documents d USING (document_id)"
    )
    found = {}
    for run in tables.current("index"):
        corpus = run["corpus"]
        if not any(fnmatch(corpus, pattern) for pattern in claim.corpora):
            continue
        outputs = json.loads(run["outputs"])
        passages = sorted(o["digest"] for o in outputs if o["path"].split("/")[1] == "passages")
        sets = {row["label_set"] for row in labelled if row["corpus"] == corpus}
        labels = [r["input_digest"] for r in tables.current("label") if r["corpus"] in sets]
        found[corpus] = digest([passages, labels])
    if not found:
        raise StageMissing(
            f"no indexed corpus matches {', '.join(claim.corpora)}, which claim {claim.id} names",
            "auditor index SOURCE… --corpus NAME",
        )
    return found


def _current_lock(
    tables: Tables, claim: Claim, corpora: Mapping[str, str]
) -> dict[str, Any] | None:
    """The newest lock of exactly this claim on exactly these corpora.

    None where the claim was never locked, or only in another wording; raises StageMissing where it
    was locked on other contents of its corpora.
    """
    locks = _locks(tables, claim)
    for lock in locks:
        if open_lock(lock)["corpora"] == corpora:
            return lock
    if locks:
        raise StageMissing(
            f"the corpora or their labels changed since claim {claim.id} was locked",
            f"auditor predict {claim.id} locks it anew; outcomes read before are then exploratory",
        )
    return None


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
