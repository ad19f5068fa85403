"""How verdicts are shown in a terminal."""

from collections.abc import Sequence

from auditor.cli import console
from auditor.records import ClaimResult, Verdict


def show(results: Sequence[ClaimResult]) -> None:
    """Write the verdict table, then what would change each verdict."""
    console.write_table(
        ("claim", "verdict", "power", "phi", "slope (95 %)", "closed gates", "lock"),
        [
            (
                result.claim,
                verdict_text(result),
                _share(result.power),
                _share(result.forbidden_fraction),
                _slope(result),
                " ".join(gate.code for gate in result.gates if not gate.passed) or "none",
                result.lock[:12] if result.lock else "none",
            )
            for result in results
        ],
    )
    for result in results:
        console.say(f"{result.claim}: next: {result.next_observation}")


def verdict_text(result: ClaimResult) -> str:
    """The verdict as it may be said: an exploratory one only suggests."""
    spoken = result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    return f"suggests {result.verdict}" if result.exploratory and spoken else str(result.verdict)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _slope(result: ClaimResult) -> str:
    slope = result.slope
    if slope.estimate is None or slope.low is None or slope.high is None:
        return "-"
    return f"{slope.estimate:.2f} ({slope.low:.2f} to {slope.high:.2f})"
