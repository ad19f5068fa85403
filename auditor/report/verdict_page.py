"""One claim's result → one page, always the same seven blocks (METHOD §7): text and Markdown.

A page is blocks of labelled lines; how wide a line is, or what a heading looks like, is decided
only when it is written. No verdict without its power and forbidden fraction, no rate without its
counts and interval; what could not be computed is said to be so, with the reason.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import TextWrapper
from typing import Any

from auditor.records import ClaimResult, Gate, Interval, TestResult, Verdict
from auditor.report.formats import probability

WIDTH = 80
INDENT = 2
LABEL = 32
"""Columns a label may take before its text moves below it."""

MOST_RATES = 16
"""Rates a block lists, so that a page stays one; the rest are counted, and in the JSON."""

BOLD_FRACTION = 0.5
"""Only a claim that half of all other outcomes would refute is called bold (METHOD §4.2)."""

TIERS = {
    "A": "the model's own training corpus",
    "B": "a proxy for the training corpus",
    "C": "the training corpus is unknown",
}

SLOPES = ("frequency", "context", "onset")
"""Tests whose effect is a slope on the log rate in text."""

UNWEIGHTED = "as sampled, prefixes not weighted"
WEIGHTED = "rates weighted, counts as sampled"

Known = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """What something is called, and what is known of it."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A headed group of lines."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Everything there is to say of one claim."""

    title: str
    blocks: tuple[Block, ...]


def verdict_page(result: ClaimResult) -> Page:
    """Lay a result out in its seven blocks."""
    blocks = {
        "Claim": _claim(result),
        "Verdict": _verdict(result),
        "In the corpus": _corpus(result),
        "In the models": _models(result),
        "Tests": _tests(result),
        "Still standing, and next": _standing(result),
        "Would reverse it, and limits": _reversal(result),
    }
    return Page(result.claim, tuple(Block(t, tuple(lines)) for t, lines in blocks.items()))


def page_text(page: Page, width: int = WIDTH) -> str:
    """Write a page as plain text, no line longer than `width` unless one word is."""
    parts = [page.title]
    for block in page.blocks:
        parts += ["", block.title.upper(), *_written(block.lines, width)]
    return "\n".join(parts) + "\n"


def page_markdown(page: Page) -> str:
    """Write a page as Markdown: a heading a block, a list item a line."""
    parts = [f"# {_escaped(page.title)}"]
    for block in page.blocks:
        lines = [f"- **{_escaped(line.label)}:** {_escaped(line.text)}" for line in block.lines]
        parts += ["", f"## {block.title}", "", *lines]
    return "\n".join(parts) + "\n"


def spoken_verdict(result: ClaimResult) -> str:
    """The verdict as a page may print it: one reached after the outcomes only suggests."""
    word = result.verdict.upper()
    if result.verdict is Verdict.UNTESTABLE:
        return f"{word} with this data"
    decided = result.verdict in (Verdict.SUPPORTED, Verdict.CONTRADICTED)
    suggests = "SUGGESTS " if result.exploratory and decided else ""
    return f"{suggests}{word}{' (exploratory)' if result.exploratory else ''}"


def could_have_failed(result: ClaimResult) -> str:
    """Whether the data could have refuted the claim, with power and phi, or why they are not there.

    No where gate U2 or U3 is closed.
    """
    numbers = "power and phi not computable"
    if result.power is not None and result.forbidden_fraction is not None:
        numbers = f"power {result.power:.2f}, phi {result.forbidden_fraction:.2f}"
    closed = [gate for gate in result.gates if not gate.passed]
    deciding = [gate for gate in closed if gate.code in ("U2", "U3")]
    if result.power is None:
        why = [gate for gate in closed if gate.code != "U3"] or closed
        return f"no: {numbers}: {_gates(why) or 'nothing was tested'}"
    if deciding:
        return f"no: {numbers}; closed: {_gates(deciding)}"
    bold = ", bold" if (result.forbidden_fraction or 0.0) >= BOLD_FRACTION else ""
    return f"yes: {numbers}{bold}"


def _claim(result: ClaimResult) -> Iterable[Line]:
    yield Line("says", result.statement)
    unit = "logits a unit of log rate" if result.test in SLOPES else "in logits"
    effect = f"an effect, {unit}, {result.claimed}" if result.claimed else "no effect"
    yield Line("commits to", ", ".join(filter(None, (result.strength, effect))))
    yield Line("tested by", f"{result.test}; {_counted(result.units)}")
    yield Line("lock", _lock(result))
    tier = f"tier {result.tier}, {TIERS.get(result.tier, 'unknown')}"
    yield Line(
        "evidence", f"{tier}; {'observational' if result.evidence == 'obs' else result.evidence}"
    )


def _verdict(result: ClaimResult) -> Iterable[Line]:
    yield Line("verdict", spoken_verdict(result))
    yield Line("could it have failed?", could_have_failed(result))
    yield Line("effect", _effect(result.slope))
    yield Line("gates open", " ".join(g.code for g in result.gates if g.passed) or "none")
    for gate in result.gates:
        if not gate.passed:
            yield Line(f"gate {gate.code} closed", gate.value)
    if result.reading:
        yield Line("reading", result.reading)


def _corpus(result: ClaimResult) -> Iterable[Line]:
    if not result.corpus:
        of_text = any(gate.code in ("U5", "U10") for gate in result.gates)
        yield Line("rates", "none was measured" if of_text else "none enters this test")
        return
    framing = "".join(sorted({row["framing"] for row in result.corpus}))
    within = f" {framing}" if framing else ""
    yield Line("rates", f"per million passages{within} (95 %), as locked; positive of labels read")
    for row in result.corpus[:MOST_RATES]:
        yield Line(row["behaviour"], _frequency(row))
    yield from _more(result.corpus)


def _models(result: ClaimResult) -> Iterable[Line]:
    if not result.models:
        yield Line("rates", "no trial with k and n was observed")
        return
    weighting = WEIGHTED if result.points else UNWEIGHTED
    sampled = f"; {weighting}" if result.test == "prefix" else ""
    several = len({row["study"] for row in result.models}) > 1
    yield Line("rates", f"share of draws (95 %, clusters respected); k of n{sampled}")
    for row in result.models[:MOST_RATES]:
        names = (row["study"] if several else "", row["model"], row["condition"], row["part"])
        yield Line(", ".join(filter(None, names)), _rate(row))
    yield from _more(result.models)


def _tests(result: ClaimResult) -> Iterable[Line]:
    if result.verdict is Verdict.UNTESTABLE:
        yield Line("gates closed", "nothing below decides anything")
    for test in result.tests:
        yield Line(test.name, _test(test))
    for rival in result.rivals:
        if rival.measured and rival.rival != "R-JUDGE":
            p = "" if rival.p is None else f"{_p(rival.p)}; "
            yield Line(f"given {rival.rival}", p + rival.detail)
    if not result.tests and not result.rivals:
        yield Line("none", "nothing was tested")


def _standing(result: ClaimResult) -> Iterable[Line]:
    for one in result.standing:
        yield Line(one["rival"], f"{one['state']}: {one['why']}")
    if not result.standing:
        yield Line("rivals", "none that the claim names")
    for apart in result.told_apart:
        only = "suggests only (exploratory), " if apart["exploratory"] else ""
        yield Line("told apart", f"{' and '.join(apart['pair'])}: {only}{', '.join(apart['rows'])}")
    if not result.told_apart:
        yield Line("told apart", "no two hypotheses")
    yield Line("cheapest next", result.next_observation)


def _reversal(result: ClaimResult) -> Iterable[Line]:
    untestable = result.verdict is Verdict.UNTESTABLE
    for text in result.reversal:
        yield Line("needs" if untestable else "reversed by", text)
    if not result.reversal:
        yield Line("reversed by", "not computed")
    for text in result.limits:
        yield Line("limit", text)


def _lock(result: ClaimResult) -> str:
    if result.lock is None:
        return "none: exploratory"
    order = "after some outcomes were read" if result.exploratory else "before the outcomes"
    return f"{result.lock[:12]}, made {order}"


def _counted(units: Mapping[str, int]) -> str:
    return ", ".join(f"{what} {count:,}" for what, count in units.items()) or "nothing"


def _effect(effect: Interval) -> str:
    if effect.estimate is None:
        return "not computable"
    if effect.low is None or effect.high is None:
        return f"{effect.estimate:.2f}, limits beyond what was simulated"
    return f"{effect.estimate:.2f} ({effect.low:.2f} to {effect.high:.2f})"


def _frequency(row: Known) -> str:
    rate = row["per_million"]
    limits = f"{_number(rate['low'])} to {_number(rate['high'])}"
    counted = rate["low"] == rate["high"]
    read = "" if counted else f"; {row['positives']:,} of {row['labels']:,}"
    left = "" if row["used"] else "; too wide, left out"
    shown = f"{_number(rate['estimate'])} ({'counted' if counted else limits})"
    return f"{shown}{read}; {row['method']}, {row['corpus']}{left}"


def _rate(row: Known) -> str:
    rate = _share(row["rate"])
    clusters = "units" if row["part"] and not row["condition"] else "prompts"
    prompts = f"{clusters} {row['prompts']:,}" if row["prompts"] else "prompts not named"
    return f"{rate} ({_limits(row)}); {row['k']:,} of {row['n']:,}; {prompts}"


def _test(test: TestResult) -> str:
    estimate = "" if test.statistic is None else f"{test.statistic:.2f}, "
    return f"{estimate}{_p(test.p)}; {test.method}"


def _p(value: float | None) -> str:
    shown = probability(value)
    return shown if value is None else f"p {shown}"


def _gates(gates: Iterable[Gate]) -> str:
    return "; ".join(f"{gate.code} ({gate.value})" for gate in gates)


def _more(rows: Sequence[Known]) -> Iterable[Line]:
    if len(rows) > MOST_RATES:
        yield Line("and more", f"{len(rows) - MOST_RATES} rows that --json shows")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == 0 else f"{value:.2g}"


def _limits(row: Known) -> str:
    if row["low"] is None or row["high"] is None:
        return "no interval"
    return f"{_share(row['low'])} to {_share(row['high'])}"


def _share(value: float) -> str:
    """Two decimals, three where two would leave one digit."""
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def _written(lines: Sequence[Line], width: int) -> Iterable[str]:
    """Lines of a block, their texts in one column; a label that was just said is not repeated."""
    column = min(LABEL, max(len(line.label) for line in lines)) + INDENT
    said = ""
    for line in lines:
        label = "" if line.label == said else line.label
        said = line.label
        start = " " * INDENT + label.ljust(column)
        if len(label) > LABEL:
            yield start.rstrip()
            start = ""
        rest = " " * (INDENT + column)
        lay_out = TextWrapper(
            width=width,
            initial_indent=start or rest,
            subsequent_indent=rest,
            break_on_hyphens=False,
            break_long_words=False,
        )
        yield from lay_out.wrap(line.text or "–")


def _escaped(text: str) -> str:
    r"""Text as Markdown shows it unchanged: `*` becomes `\*`."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
