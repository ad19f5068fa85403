"""Rows of `measure` → one drawing in a file of its own, for a paper, a README or a browser.

Behaviours are rows, values of a facet or field are coloured, and the axis is logarithmic. Unlike
the page's charts nothing is left out: a count of zero is drawn as its upper limit, a rate that was
refused or that nobody checked is marked as such.
"""

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from auditor.errors import UsageError
from auditor.paths import replacing
from auditor.records import Prevalence

Mark = dict[str, Any]

SAMPLED = "estimate with 95 % interval"
NONE_FOUND = "none found: upper 95 % limit"
COUNTED = "counted in full by a rule"
UNCALIBRATED = "uncalibrated: scores nobody checked"
WORDS = "no place on the axis"
SHAPES = {
    SAMPLED: "circle",
    NONE_FOUND: "triangle-left",
    COUNTED: "diamond",
    UNCALIBRATED: "cross",
}

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5b5b5b")
"""Okabe and Ito (2008), told apart by colour-blind readers; their yellow is too pale for points."""

WIDTH = 430
ROW, OFFSET = 22, 13
"""Pixels a row of one mark takes, and each mark of a row that has several."""

INK, QUIET, RULE = "#1d2126", "#59616b", "#e2dfd8"
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
MOST_LETTERS = 75


def write_chart(rows: Iterable[Prevalence], path: Path) -> Path:
    """Draw rows of prevalence into a .html, .svg, .png or .pdf file; returns its path.

    An HTML file holds everything it needs. Raises UsageError for another ending, or for no rows.
    """
    render = RENDERERS.get(path.suffix.lower())
    if render is None:
        raise UsageError(f"cannot draw into {path.name!r}", "end it with " + ", ".join(RENDERERS))
    drawing = chart(list(rows)).to_dict()
    with replacing(path) as temporary:
        temporary.write_bytes(render(drawing))
    return path


def chart(rows: Sequence[Prevalence]) -> Any:  # noqa: ANN401
    """The drawing, a panel for each facet or field the rows are split by."""
    if not rows:
        raise UsageError("nothing to draw", "no row was measured")
    import altair as alt

    floor, ceiling = _range(rows)
    facets = groupby(sorted(rows, key=lambda row: row.facet or ""), lambda row: row.facet)
    shape = _shapes(alt, {_kind(row) for row in rows})
    panels = [_panel(alt, facet, list(some), shape, (floor, ceiling)) for facet, some in facets]
    drawing = alt.vconcat(*panels, spacing=26).resolve_scale(
        color="independent", yOffset="independent", shape="shared"
    )
    title = alt.TitleParams(
        "How often behaviours appear in " + ", ".join(_corpora(rows)),
        subtitle=_basis(rows), anchor="start", font=FONT, fontSize=17, fontWeight=600,
        subtitleFont=FONT, subtitleFontSize=12, subtitleColor=QUIET, offset=14, color=INK,
        subtitlePadding=5, subtitleLineHeight=16,
    )  # fmt: skip
    return _themed(drawing.properties(title=title))


def _panel(
    alt: Any,  # noqa: ANN401
    facet: str | None,
    rows: Sequence[Prevalence],
    shape: Any,  # noqa: ANN401
    limits: tuple[float, float],
) -> Any:  # noqa: ANN401
    """One split: its intervals, points, counts, and words where there is no point."""
    floor, ceiling = limits
    values = list(dict.fromkeys(row.value for row in rows if row.value is not None))
    coloured = 1 < len(values) <= len(COLOURS)
    marks = [_mark(row, _label(row, rows, coloured), floor) for row in rows]
    order = _order(marks)
    axis = alt.Axis(title=None, labelLimit=260, ticks=False, domain=False, labelPadding=8)
    y: dict[str, Any] = {"y": alt.Y("row:N", sort=order, axis=axis)}
    colour: dict[str, Any] = {"color": alt.value(COLOURS[0])}
    step: dict[str, Any] = {"step": ROW}
    if coloured:
        y["yOffset"] = alt.YOffset("value:N", sort=values)
        scale = alt.Scale(domain=values, range=list(COLOURS[: len(values)]))
        legend = alt.Legend(title=facet, titleOrient="left", orient="top", columnPadding=14)
        colour["color"] = alt.Color("value:N", scale=scale, legend=legend)
        step = {"step": OFFSET * len(values) + 8, "for": "position"}
    ticks = alt.Axis(format="~s", grid=True, tickCount=max(1, round(math.log10(ceiling / floor))))
    x = alt.X("low:Q", title="per million passages (log axis)", axis=ticks)
    x = x.scale(type="log", domain=[floor, ceiling], nice=False)
    base = alt.Chart(alt.InlineData(values=marks)).encode(**y)
    seen = base.transform_filter("isValid(datum.rate)").encode(**colour)
    dashes = alt.condition(f"datum.kind === '{NONE_FOUND}'", alt.value([2, 3]), alt.value([1, 0]))
    intervals = seen.transform_filter("isValid(datum.high)").mark_rule(strokeWidth=2)
    intervals = intervals.encode(x=x, x2="high:Q", strokeDash=dashes).properties(name="intervals")
    points = seen.mark_point(filled=True, size=62, opacity=1)
    points = points.encode(x=alt.X("rate:Q"), shape=shape, tooltip=_tips(alt))
    counts = base.mark_text(align="left", fontSize=10.5, color=QUIET, font=FONT)
    counts = counts.encode(x=alt.value(WIDTH + 10), text="counted:N")
    words = base.transform_filter("!isValid(datum.rate)")
    words = words.mark_text(align="left", fontSize=10.5, color=QUIET, font=FONT, fontStyle="italic")
    layers = intervals + points + counts + words.encode(x=alt.value(6), text="words:N")
    return layers.properties(width=WIDTH, height=step)


def _mark(row: Prevalence, label: str, floor: float) -> Mark:
    rate = row.per_million_passages
    kind = _kind(row)
    return {
        "row": label,
        "value": row.value,
        "kind": kind,
        "rate": None if kind == WORDS else rate.high if kind == NONE_FOUND else rate.estimate,
        "low": max(rate.low or 0.0, floor),
        "high": rate.high if kind in (SAMPLED, NONE_FOUND) else None,
        "counted": _counted(row),
        "words": _words(row),
        "estimate": rate.estimate,
    }


def _kind(row: Prevalence) -> str:
    """How a row is drawn; a count of none by a rule has no place on a log axis but in words."""
    rate = row.per_million_passages
    if rate.estimate is None or (row.method == "exact" and not row.positives):
        return WORDS
    if not row.calibrated or rate.high is None:
        return UNCALIBRATED
    if row.method == "exact":
        return COUNTED
    return SAMPLED if rate.estimate > 0 else NONE_FOUND


def _counted(row: Prevalence) -> str:
    """The counts a rate stands on, printed at the end of its row."""
    if row.method == "exact":
        return f"{row.positives:,} of {row.frame_size:,} passages"
    return f"{row.positives:,} of {row.labels:,} read" if row.labels else "none read"


def _words(row: Prevalence) -> str:
    """What stands in a row that has no point; the table has the whole reason."""
    if row.method == "exact":
        return "none, counted in full"
    return textwrap.shorten(
        f"no estimate: {row.reason or 'nothing read'}", MOST_LETTERS, placeholder=" …"
    )


def _label(row: Prevalence, rows: Sequence[Prevalence], coloured: bool) -> str:
    """Name a row: its behaviour, and whatever else tells it from the others."""
    parts = [row.behaviour]
    if not coloured and row.value is not None:
        parts.append(row.value)
    if len({other.corpus for other in rows}) > 1:
        parts.append(row.corpus)
    sets = {r.label_set for r in rows if (r.behaviour, r.corpus) == (row.behaviour, row.corpus)}
    if len(sets) > 1:
        parts.append(row.label_set or "rule")
    return " · ".join(parts)


def _order(marks: Sequence[Mark]) -> list[str]:
    """Labels, the commonest first."""
    total: dict[str, float] = {}
    for mark in marks:
        total[mark["row"]] = total.get(mark["row"], 0.0) + (mark["estimate"] or 0.0)
    return sorted(total, key=lambda label: (-total[label], label))


def _range(rows: Iterable[Prevalence]) -> tuple[float, float]:
    """Whole decades that hold every estimate and limit; lower limits may run off the left."""
    seen = [row.per_million_passages for row in rows]
    rates = [i.estimate for i in seen if i.estimate] + [i.low for i in seen if i.low]
    highs = [i.high for i in seen if i.high]
    if not rates and not highs:
        return 1.0, 1e6
    least = min(rates) if rates else min(highs) / 100.0
    low = math.floor(math.log10(least))
    high = max(low + 1, math.ceil(math.log10(max(rates + highs))))
    return 10.0**low, 10.0**high


def _corpora(rows: Iterable[Prevalence]) -> list[str]:
    return list(dict.fromkeys(row.corpus for row in rows))


def _basis(rows: Sequence[Prevalence]) -> list[str]:
    """What the rates of each corpus stand on: frame, labels, and who read."""
    lines = []
    for corpus in _corpora(rows):
        inside = [row for row in rows if row.corpus == corpus]
        read = [row for row in inside if row.labels]
        frame = _span([row.frame_size for row in read or inside])
        line = f"{corpus}: frame of {frame} passages"
        if read:
            kinds = "+".join(sorted({row.reader_kind or "unknown" for row in read}))
            line += f", {_span([row.labels for row in read])} labels, reader: {kinds}"
        else:
            line += ", no labels"
        lines.append(line)
    return lines


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _shapes(alt: Any, present: set[str]) -> Any:  # noqa: ANN401
    kinds = [kind for kind in SHAPES if kind in present]
    scale = alt.Scale(domain=kinds, range=[SHAPES[kind] for kind in kinds])
    legend = alt.Legend(
        title=None, orient="bottom", columns=2, labelLimit=260, columnPadding=18,
        symbolFillColor=QUIET, symbolStrokeColor=QUIET,
    )  # fmt: skip
    return alt.Shape("kind:N", scale=scale, legend=legend)


def _tips(alt: Any) -> list[Any]:  # noqa: ANN401
    numbers = [alt.Tooltip(f"{name}:Q", format=",.3s") for name in ("estimate", "low", "high")]
    return [alt.Tooltip("row:N"), alt.Tooltip("value:N"), *numbers, alt.Tooltip("counted:N")]


def _themed(drawing: Any) -> Any:  # noqa: ANN401
    ink = {"labelColor": INK, "titleColor": INK, "labelFont": FONT, "titleFont": FONT}
    sizes = {"labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal"}
    themed = drawing.configure(background="white", padding=14, font=FONT)
    themed = themed.configure_axis(**ink, **sizes, gridColor=RULE, domainColor=QUIET)
    return themed.configure_legend(**ink, **sizes).configure_view(stroke=None)


def _svg(drawing: Mark) -> bytes:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(drawing)).encode()


def _png(drawing: Mark) -> bytes:
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(drawing, scale=2))


def _pdf(drawing: Mark) -> bytes:
    import vl_convert

    return bytes(vl_convert.vegalite_to_pdf(drawing))


def _html(drawing: Mark) -> bytes:
    import vl_convert

    return str(vl_convert.vegalite_to_html(drawing, bundle=True)).encode()


RENDERERS: dict[str, Callable[[Mark], bytes]] = {
    ".html": _html,
    ".svg": _svg,
    ".png": _png,
    ".pdf": _pdf,
}
