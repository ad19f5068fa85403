"""Claims → locks and verdicts: frequencies from the audit, outcomes from its observations.

`predict` never looks at observations; `test` uses the locked frequencies, and calls a verdict
exploratory where any outcome was read before the lock, or was read once and is no longer there.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from auditor.behaviours.spec import library_of
from auditor.claims.decide import Assessed, assess, conclude
from auditor.claims.evidence import Measured, Row, select_rows
from auditor.claims.gates import Findings
from auditor.claims.lock import is_exploratory, lock_digest, open_lock, predict
from auditor.claims.question import missing
from auditor.claims.reading import choose_claims
from auditor.claims.spec import Claim
from auditor.errors import BadInput, StageMissing
from auditor.flows.claim_rows import claim_rows
from auditor.flows.measurer import Measurer
from auditor.flows.observe import draws
from auditor.flows.predictors import measure_claim
from auditor.flows.recording import Started
from auditor.flows.workers import map_jobs
from auditor.paths import replacing
from auditor.plan import canonical_json, digest, versions
from auditor.progress import Progress
from auditor.records import ClaimResult, Gate, plain
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, now, rows_table

PACKAGES = ("numpy", "scipy")


def lock_claims(
    tables: Tables, names: Sequence[str], output: str | None, progress: Progress
) -> list[dict[str, Any]]:
    """Lock claims on what the audit now holds; returns each prediction with its digest."""
    claims = choose_claims(names)
    measurer = _measurer(tables, claims)
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


@dataclass(frozen=True, slots=True)
class Job:
    """All that assessing one claim needs; it travels between processes.

    blocked: the gate that is closed because a stage the claim builds on is missing or stale.
    """

    claim: Claim
    measured: Measured
    rows: Sequence[Mapping[str, Any]]
    exploratory: bool
    lock: str | None
    corpora: Mapping[str, str]
    blocked: Gate | None = None


def test_claims(
    tables: Tables, names: Sequence[str], workers: int, progress: Progress
) -> list[ClaimResult]:
    """Test claims and write `verdicts`; unlocked claims are tested as exploratory.

    Each claim draws from random streams of its own, so that workers change no number. A claim whose
    corpora are missing or whose lock is stale is untestable; the only one asked for raises.
    """
    claims = choose_claims(names)
    rows = _observations(tables)
    measurer = cache(lambda: _measurer(tables, claims))
    make = _job if len(claims) == 1 else _job_or_gate
    jobs = [make(tables, claim, rows, measurer) for claim in claims]
    with progress.task("testing claims", len(claims), "claims") as task:
        assessed = map_jobs(_assess, jobs, workers, task)
    results = conclude(assessed)
    for job, result in zip(jobs, results, strict=True):
        _write_verdict(tables, job, result)
    return results


def _lock(tables: Tables, claim: Claim, measurer: Measurer | None) -> dict[str, Any]:
    started = Started("predict", PACKAGES)
    corpora = _corpora(tables, claim)
    measured = _measure(measurer, claim, list(corpora))
    prediction = predict(claim, measured, corpora, versions("auditor", *PACKAGES))
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


def _observations(tables: Tables) -> list[dict[str, Any]]:
    """Every observed row, with the kind of its behaviour where the library knows it."""
    return _with_kinds(tables, Catalogue(tables).rows("SELECT * FROM observations"))


def _with_kinds(tables: Tables, rows: Sequence[Row]) -> list[dict[str, Any]]:
    kinds = {name: behaviour.kind for name, behaviour in library_of(tables.paths).items()}
    return [{**row, "kind": kinds.get(row["behaviour"])} for row in rows]


def _measurer(tables: Tables, claims: Sequence[Claim]) -> Measurer | None:
    """None where no claim needs a text, or those that could use one have none to use."""
    indexed = bool(tables.current("index"))
    wanted = any(claim.of_text or (claim.reads_text and indexed) for claim in claims)
    return Measurer(tables) if wanted else None


def _measure(measurer: Measurer | None, claim: Claim, corpora: Sequence[str]) -> Measured:
    wanted = measurer is not None and claim.reads_text and bool(corpora)
    return measure_claim(measurer, claim, corpora) if measurer and wanted else Measured({})


def _job(
    tables: Tables,
    claim: Claim,
    rows: Sequence[Mapping[str, Any]],
    measurer: Callable[[], Measurer | None],
) -> Job:
    rows = [*rows, *claim_rows(tables, claim, rows)]
    corpora = _corpora(tables, claim)
    lock = _current_lock(tables, claim, corpora)
    measured = (
        Measured.read(open_lock(lock)["measured"])
        if lock
        else _measure(measurer() if corpora else None, claim, list(corpora))
    )
    selected = select_rows(claim, rows)
    read = [row["observed_at"] for row in selected]
    dropped = _outcomes_dropped(tables, claim, selected)
    exploratory = is_exploratory(lock["locked_at"] if lock else None, read, dropped)
    return Job(claim, measured, rows, exploratory, lock["sha256"] if lock else None, corpora)


def _job_or_gate(
    tables: Tables,
    claim: Claim,
    rows: Sequence[Mapping[str, Any]],
    measurer: Callable[[], Measurer | None],
) -> Job:
    """What assessing a claim needs, or the closed gate that says why it cannot be."""
    try:
        return _job(tables, claim, rows, measurer)
    except StageMissing as error:
        gate = Gate("U5", False, error.message, error.hint)
        return Job(claim, Measured({}), rows, True, None, {}, gate)


def _outcomes_dropped(tables: Tables, claim: Claim, selected: Sequence[Row]) -> bool:
    """Whether a claim once selected outcomes that it no longer does, whatever the reason.

    A row is the same in whatever study or file it now stands, while model, behaviour, condition,
    prompt, seed, counts and factors are. So correcting a study after it was read, adding to its
    transcripts or mapping its names anew makes the verdict exploratory; a further study does not.
    """
    held = Counter(map(_opened_draws, selected))
    replaced = set(tables.ever("observations")) - set(tables.outputs("observations"))
    for path in replaced:
        read = _with_kinds(tables, pq.read_table(path, partitioning=None).to_pylist())
        if Counter(map(_opened_draws, select_rows(claim, read))) - held:
            return True
    return False


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
    read = sorted(str(row["observed_at"]) for row in select_rows(claim, job.rows))
    path = tables.write("verdicts", claim.id, rows_table("verdicts", [verdict]))
    _record(tables, claim.id, claim, [job.corpora, read], path, started)


def _corpora(tables: Tables, claim: Claim) -> dict[str, str]:
    """The indexed corpora a claim names, each with a digest of what its frequencies rest on.

    The digest is of contents, passages and label files, so that it is the same on every machine.
    None enters a claim about observations alone.
    """
    if not claim.rests_on_text:
        return {}
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
    if not found and claim.of_text:
        raise StageMissing(
            f"no indexed corpus matches {', '.join(claim.corpora)}, which claim {claim.id} names",
            "auditor index SOURCE… --corpus NAME",
        )
    return found


def _current_lock(
    tables: Tables, claim: Claim, corpora: Mapping[str, str]
) -> dict[str, Any] | None:
    """The first lock that says what the newest one says of this claim on these corpora.

    Saying it again, with newer packages, does not make the prediction younger.

    None where the claim was never locked, or only in another wording; raises StageMissing where it
    was locked on other contents of its corpora.
    """
    locks = _locks(tables, claim)
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
