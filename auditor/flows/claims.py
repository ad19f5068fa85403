"""Claims → locks and verdicts: frequencies from the audit, outcomes from its observations.

`predict` never looks at observations; `test` uses the locked frequencies, and calls a verdict
exploratory where any outcome was read before the lock, or was read once and is no longer there.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from auditor.claims.decide import Assessed, assess, conclude
from auditor.claims.evidence import Measured, Row, select_rows
from auditor.claims.gates import Findings
from auditor.claims.lock import is_exploratory, lock_digest, open_lock, predict
from auditor.claims.question import missing
from auditor.claims.reading import choose_claims
from auditor.claims.spec import Claim
from auditor.errors import BadInput, StageMissing
from auditor.flows.claim_rows import claim_rows
from auditor.flows.held import Held
from auditor.flows.observe import draws
from auditor.flows.recording import Started
from auditor.flows.workers import map_jobs
from auditor.paths import replacing
from auditor.plan import canonical_json, digest, versions
from auditor.progress import Progress
from auditor.records import ClaimResult, Gate, plain
from auditor.store.tables import Tables, now, rows_table

PACKAGES = ("numpy", "scipy")


def lock_claims(
    tables: Tables, names: Sequence[str], output: str | None, progress: Progress
) -> list[dict[str, Any]]:
    """Lock claims on what the audit now holds; returns each prediction with its digest."""
    claims = choose_claims(names)
    held = Held(tables, claims)
    held.need_texts()
    locks = []
    with progress.task("locking predictions", len(claims), "claims") as task:
        for claim in claims:
            locks.append(_lock(held, claim))
            task.advance(1)
    if output:
        if Path(output).is_dir():
            raise BadInput(f"{output} is a folder", "name the lock's file: -o claims.lock.json")
        with replacing(Path(output)) as temporary:
            temporary.write_text(canonical_json(locks) + "\n")
    return locks


@dataclass(frozen=True, slots=True)
class Job:
    """All that assessing one claim needs; it travels between processes.

    inputs: digest of the corpora and of when its rows were read; blocked: the gate that is closed
    because a stage the claim builds on is missing or stale.
    """

    claim: Claim
    measured: Measured
    rows: Sequence[Mapping[str, Any]]
    exploratory: bool
    lock: str | None
    inputs: str
    blocked: Gate | None = None


def test_claims(
    tables: Tables, names: Sequence[str], workers: int, progress: Progress
) -> list[ClaimResult]:
    """Test claims and write `verdicts`; unlocked claims are tested as exploratory.

    Each claim draws from random streams of its own, so that workers change no number. A claim whose
    corpora are missing or whose lock is stale is untestable; the only one asked for raises.
    """
    claims = choose_claims(names)
    held = Held(tables, claims)
    make = _job if len(claims) == 1 else _job_or_gate
    jobs = [make(held, claim) for claim in claims]
    with progress.task("testing claims", len(claims), "claims") as task:
        assessed = map_jobs(_assess, jobs, workers, task)
    results = conclude(assessed)
    for job, result in zip(jobs, results, strict=True):
        _write_verdict(tables, job, result)
    return results


def _lock(held: Held, claim: Claim) -> dict[str, Any]:
    started, tables = Started("predict", PACKAGES), held.tables
    corpora = _corpora(held, claim)
    measured = held.measure(claim, list(corpora))
    prediction = predict(claim, measured, corpora, versions("auditor", *PACKAGES))
    sha256 = lock_digest(prediction)
    earlier = [row for row in _locks(held, claim) if row["sha256"] == sha256]
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
        _record(tables, name, claim, digest(prediction["corpora"]), path, started)
    return {"lock": sha256, "locked_at": locked_at.isoformat(), **prediction}


def _job(held: Held, claim: Claim) -> Job:
    rows = [*held.rows, *claim_rows(held.tables, claim, held.rows)]
    corpora = _corpora(held, claim)
    lock = _current_lock(held, claim, corpora)
    measured = (
        Measured.read(open_lock(lock)["measured"]) if lock else held.measure(claim, list(corpora))
    )
    selected = select_rows(claim, rows)
    read = [row["observed_at"] for row in selected]
    dropped = _outcomes_dropped(held, claim, selected)
    exploratory = is_exploratory(lock["locked_at"] if lock else None, read, dropped)
    sha256 = lock["sha256"] if lock else None
    return Job(claim, measured, rows, exploratory, sha256, _inputs(corpora, selected))


def _job_or_gate(held: Held, claim: Claim) -> Job:
    """What assessing a claim needs, or the closed gate that says why it cannot be."""
    try:
        return _job(held, claim)
    except StageMissing as error:
        gate = Gate("U5", False, error.message, error.hint)
        inputs = _inputs({}, select_rows(claim, held.rows))
        return Job(claim, Measured({}), held.rows, True, None, inputs, gate)


def _inputs(corpora: Mapping[str, str], selected: Sequence[Row]) -> str:
    return digest([corpora, sorted(str(row["observed_at"]) for row in selected)])


def _outcomes_dropped(held: Held, claim: Claim, selected: Sequence[Row]) -> bool:
    """Whether a claim once selected outcomes that it no longer does, whatever the reason.

    A row is the same in whatever study or file it now stands, while model, behaviour, condition,
    prompt, seed, counts and factors are. So correcting a study after it was read, adding to its
    transcripts or mapping its names anew makes the verdict exploratory; a further study does not.
    """
    shown = Counter(map(_opened_draws, selected))
    return any(
        Counter(map(_opened_draws, select_rows(claim, read))) - shown for read in held.replaced
    )


def _opened_draws(row: Row) -> tuple[object, ...]:
    """The draws of a row whose factors were opened."""
    return draws({**row, "factors": canonical_json(row["factors"])})


def _assess(job: Job) -> Assessed:
    if job.blocked:
        findings = Findings(
            claim=job.claim,
            measured=job.measured,
            question=missing(job.blocked),
            tested=None,
            judge_p=None,
            placebo_p=None,
            control_p=None,
            covariates={},
        )
        return Assessed(job.claim, findings, (job.blocked,), (), job.exploratory, job.lock)
    return assess(job.claim, job.measured, job.rows, job.exploratory, job.lock)


def _write_verdict(tables: Tables, job: Job, result: ClaimResult) -> None:
    started, claim = Started("test", PACKAGES), job.claim
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
    _record(tables, claim.id, claim, job.inputs, path, started)


def _corpora(held: Held, claim: Claim) -> dict[str, str]:
    """The indexed corpora a claim names, with their digests; none for observations alone."""
    if not claim.rests_on_text:
        return {}
    patterns = claim.corpora
    found = {c: d for c, d in held.corpora.items() if any(fnmatch(c, p) for p in patterns)}
    if not found and claim.of_text:
        raise StageMissing(
            f"no indexed corpus matches {', '.join(patterns)}, which claim {claim.id} names",
            "auditor index SOURCE… --corpus NAME",
        )
    return found


def _current_lock(held: Held, claim: Claim, corpora: Mapping[str, str]) -> dict[str, Any] | None:
    """The first lock that says what the newest one says of this claim on these corpora.

    Saying it again, with newer packages, does not make the prediction younger.

    None where the claim was never locked, or only in another wording; raises StageMissing where it
    was locked on other contents of its corpora.
    """
    locks = _locks(held, claim)
    same = [lock for lock in locks if open_lock(lock)["corpora"] == corpora]
    if same:
        newest = _said(same[0])
        return [lock for lock in same if _said(lock) == newest][-1]
    if locks:
        raise StageMissing(
            f"the corpora or their labels changed since claim {claim.id} was locked",
            f"auditor predict {claim.id} locks it anew; outcomes read before are then exploratory",
        )
    return None


def _said(lock: Mapping[str, Any]) -> dict[str, Any]:
    """What a lock predicts, whatever the versions that wrote it and the power they computed."""
    return {k: v for k, v in open_lock(lock).items() if k not in ("versions", "power")}


def _locks(held: Held, claim: Claim) -> list[dict[str, Any]]:
    """Every lock of exactly this claim, newest first; locks are never replaced."""
    rows = held.catalogue.rows(
        "SELECT * FROM locks WHERE claim_id = $claim ORDER BY locked_at DESC", {"claim": claim.id}
    )
    return [r for r in rows if json.loads(r["prediction"])["claim_digest"] == claim.digest]


def _record(
    tables: Tables, group: str, claim: Claim, inputs: str, path: Path, started: Started
) -> None:
    summary = {"claim": claim.id}
    started.finish(tables, group, claim.digest, inputs, [path], 1, summary, seed=claim.seed)
