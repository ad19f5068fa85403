"""How verdicts are shown in a terminal: one page a claim, a table of several, the matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from auditor.cli import console
from auditor.errors import BadInput
from auditor.paths import replacing
from auditor.records import ClaimResult, Verdict

PAGE_WIDTH = 80
"""Columns of a page, however wide the terminal is: longer lines are read less well."""

NARROW = 110
"""Columns below which the table's cells are broken and shortened, so that no name has to be."""

LOCK_CHARACTERS = {True: 6, False: 12}
CODES_SHOWN = {True: 2, False: 5}

MATRIX_NOTE = (
    "+ it happens, − it does not, 0 neither, ± either; * holds only under a condition. "
    "Measured: every gate open and power 0.8 or more."
)


def show(results: Sequence[ClaimResult]) -> None:
    """Write the verdict table, then what would change each verdict."""
    narrow = console.out.width < NARROW
    gap = "\n" if narrow else " "
    console.write_table(
        ("claim", "verdict", "power", "phi", "slope (95 %)", f"closed{gap}gates", "lock"),
        [
            (
                result.claim,
                verdict_text(result),
                _share(result.power),
                _share(result.forbidden_fraction),
                _slope(result, gap),
                _codes(result, CODES_SHOWN[narrow], gap),
                result.lock[: LOCK_CHARACTERS[narrow]] if result.lock else "none",
            )
            for result in results
        ],
    )
    for result in results:
        console.say(f"{result.claim}: next: {result.next_observation}")


def show_pages(results: Sequence[ClaimResult]) -> None:
    """Write one page a claim."""
    from auditor import Audit

    width = min(PAGE_WIDTH, console.out.width)
    pages = [Audit.verdict_text(result, width) for result in results]
    console.write_line("\n".join(pages).rstrip("\n"))


def write_markdown(results: Sequence[ClaimResult], file: Path) -> None:
    """Write the pages of claims to one Markdown file; raises BadInput where it is a folder."""
    from auditor import Audit

    if file.is_dir():
        raise BadInput(f"{file} is a folder", "name the page: --markdown verdicts.md")
    with replacing(file) as temporary:
        temporary.write_text(Audit.verdict_markdown(*results))
    console.say(f"wrote {file}")


def show_matrix(found: Mapping[str, Any]) -> None:
    """Write the matrix: signs and what was measured, then each observation in words."""
    rows = found["rows"]
    console.write_table(
        ("observation", *rows[0]["signs"], "measured"),
        [
            (row["row"], *_signs(row), "yes" if row["measured"] else "no")
            for row in rows
        ],
    )  # fmt: skip
    for row in rows:
        text = f"{row['row']}: {row['observation']}; {_tried(row)}"
        console.write_line(fill(text, console.out.width, subsequent_indent="  "))
    for apart in found["told_apart"]:
        only = " (exploratory: suggests only)" if apart["exploratory"] else ""
        pair = " and ".join(apart["pair"])
        console.write_line(f"told apart: {pair}, by {', '.join(apart['rows'])}{only}")
    if not found["told_apart"]:
        console.write_line("told apart: no two hypotheses")
    console.say(MATRIX_NOTE)


def verdict_text(result: ClaimResult) -> str:
    """The verdict as it may be said: an exploratory one only suggests."""
    spoken = result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    return f"suggests {result.verdict}" if result.exploratory and spoken else str(result.verdict)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _slope(result: ClaimResult, gap: str) -> str:
    slope = result.slope
    if slope.estimate is None or slope.low is None or slope.high is None:
        return "-"
    return f"{slope.estimate:.2f} ({slope.low:.2f}{gap}to {slope.high:.2f})"


def _codes(result: ClaimResult, most: int, gap: str) -> str:
    """The gates that are closed; the first ones, and how many more."""
    codes = [gate.code for gate in result.gates if not gate.passed]
    more = f"{gap}+{len(codes) - most}" if len(codes) > most else ""
    return " ".join(codes[:most]) + more or "none"


def _signs(row: Mapping[str, Any]) -> list[str]:
    return [sign + "*" * (name in row["conditions"]) for name, sign in row["signs"].items()]


def _tried(row: Mapping[str, Any]) -> str:
    """What became of the claims about an observation, or what it would take to see it."""
    conditions = "".join(f"; {name} {when}" for name, when in row["conditions"].items())
    claims = [f"{one['claim']} {_outcome(one)}" for one in row["claims"]]
    return (
        "; ".join(claims) or f"no claim tested measures it: at least {row['least']}"
    ) + conditions


def _outcome(one: Mapping[str, Any]) -> str:
    power = "no power" if one["power"] is None else f"power {one['power']:.2f}"
    closed = f", closed {' '.join(one['closed'])}" if one["closed"] else ""
    only = " (exploratory)" if one["exploratory"] else ""
    return f"{one['verdict']}{only}, {power}{closed}"
