"""The lock: what a claim predicts, fixed as canonical JSON before its outcomes are read.

A local lock binds oneself; it proves nothing to others, and the report says so.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from auditor.claims.evidence import Frequency, planned_cells
from auditor.claims.slope import planned_power
from auditor.claims.spec import Claim
from auditor.errors import DamagedAudit
from auditor.plan import canonical_json
from auditor.records import BehaviourKind


def predict(
    claim: Claim,
    frequencies: Mapping[str, Frequency],
    corpora: Mapping[str, str],
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Write down what a claim commits to on these corpora: the content of its lock.

    corpora: name → digest of what was indexed. Power is that of the claim's own design.
    """
    cells = planned_cells(claim, frequencies)
    return {
        "claim": claim.id,
        "claim_digest": claim.digest,
        "statement": claim.statement,
        "beta_min": claim.beta_min,
        "alpha": claim.alpha,
        "tier": claim.tier,
        "corpora": dict(corpora),
        "frequencies": {name: asdict(f) for name, f in sorted(frequencies.items())},
        "units": sorted(_units(frequencies)),
        "power": planned_power(claim, cells) if cells is not None and claim.beta_min > 0 else None,
        "seed": claim.seed,
        "versions": dict(versions),
    }


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


def locked_frequencies(prediction: Mapping[str, Any]) -> dict[str, Frequency]:
    """The frequencies a lock holds, by behaviour."""
    return {
        name: Frequency(**{**values, "kind": BehaviourKind(values["kind"])})
        for name, values in prediction["frequencies"].items()
    }


def is_exploratory(locked_at: datetime | None, observed_at: Sequence[datetime]) -> bool:
    """Whether any outcome was read before the lock, or there was no lock."""
    return locked_at is None or any(at <= locked_at for at in observed_at)


def _units(frequencies: Mapping[str, Frequency]) -> list[str]:
    return [
        name for name, f in frequencies.items() if f.kind is BehaviourKind.BEHAVIOUR and f.usable
    ]
