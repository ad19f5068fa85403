"""Tests whether a model's behaviour is just imitation of its training data.

`Audit` is the door: `Audit.open(folder).index(...)`, `.measure(...)`, `.trace(...)`, `.test(...)`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.audit import Audit as Audit

__all__ = ["Audit", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import `Audit` when it is first asked for, so that `--help` stays fast."""
    if name == "Audit":
        from auditor.audit import Audit

        return Audit
    raise AttributeError(f"module 'auditor' has no attribute {name!r}")
