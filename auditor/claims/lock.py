"""The lock: what a claim predicts, fixed as canonical JSON before its outcomes are read.

A local lock binds oneself; it proves nothing to others, and the report says so.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from auditor.claims.evidence import Measured, planned_cells
from auditor.claims.question import stream
from auditor.claims.slope import SlopeStudy
from auditor.claims.spec import Claim, Scatter
from auditor.errors import DamagedAudit
from auditor.plan import canonical_json
from auditor.records import BehaviourKind
from auditor.statistics.claimed import Trial

PLAN_WORLDS = 499
"""Worlds a grid point for a planned power: its Monte-Carlo error stays under 0.02."""


def predict(
    claim: Claim,
    measured: Measured,
    corpora: Mapping[str, str],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write down what a claim commits to on these corpora: the content of its lock.

    corpora: name → digest of what was indexed. Power is that of the claim's own design.
    """
    return {
        "claim": claim.id,
        "claim_digest": claim.digest,
        "content": claim.content,
        "statement": claim.statement,
        "strength": claim.strength,
        "test": claim.test,
        "claimed": str(claim.claimed) if claim.claimed else None,
        "alpha": claim.alpha,
        "family": list(claim.family),
        "after": claim.after or None,
        "rivals": {rival.id: dict(rival.values) or rival.covariate for rival in claim.rivals},
        "tier": claim.tier,
        "corpora": dict(corpora),
        "measured": measured.plain(),
        "units": measured.of_kind(BehaviourKind(claim.predictor.kind)),
        "power": planned_power(claim, measured),
        "seed": claim.seed,
        "versions": dict(versions),
    }


def planned_power(claim: Claim, measured: Measured, worlds: int = PLAN_WORLDS) -> float | None:
    """Power to refute the claim in its nearest rival world, before outcomes are read.

    For slopes over behaviours, at the claim's own design and scatter; None for other tests, whose
    units are known only with the observations, and for claims that state no effect.
    """
    cells = planned_cells(claim, measured)
    if cells is None or claim.claimed is None or claim.directional or claim.test != "frequency":
        return None
    rates = np.full(cells.arms, claim.design.mean_rate)
    scatter = Scatter(0.0, claim.scatter.model, claim.scatter.prompt)
    study = SlopeStudy(cells, claim.judge, scatter, rates)
    trial = Trial(study, claim.claimed, claim.alpha, lambda step: stream(claim, step), worlds)
    return trial.power(claim.rival_effect, claim.scatter.behaviour)


def lock_digest(prediction: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of a prediction."""
    return hashlib.sha256(canonical_json(prediction).encode()).hexdigest()


def open_lock(row: Mapping[str, Any]) -> dict[str, Any]:
    """Read a row of `locks`; raises DamagedAudit where the prediction was edited."""
    prediction: dict[str, Any] = json.loads(row["prediction"])
    if lock_digest(prediction) != row["sha256"]:
        raise DamagedAudit(
            f"the lock of claim {row['claim_id']} does not match its SHA-256",
            "the prediction was edited; lock again with auditor predict",
        )
    return prediction


def is_exploratory(
    locked_at: datetime | None, observed_at: Sequence[datetime], dropped: bool = False
) -> bool:
    """Whether any outcome was read before the lock or dropped since, or there was no lock.

    dropped: outcomes that the claim once selected are no longer among those it is tested on.
    """
    return locked_at is None or dropped or any(at <= locked_at for at in observed_at)
