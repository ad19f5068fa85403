"""Rows of an audit → inline SVG; altair draws, vl_convert renders, nothing is fetched.

Colours are CSS variables of the page and text is `currentColor`, so that one drawing serves light,
dark and paper. A chart without anything to draw is None; what it leaves out stands in its table.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.records import ClaimResult, Interval, Prevalence
from auditor.schema import FACETS

Mark = dict[str, Any]
Box = tuple[float, float, float, float]

SAMPLED, COUNTED, NONE_FOUND = "estimate", "counted in full", "none found: upper limit"
SHAPES = {SAMPLED: "circle", COUNTED: "diamond", NONE_FOUND: "triangle-left"}
STANCES = FACETS["stance"]

RATES_WIDTH = 360
ROW_HEIGHT = 24
CLAIM_WIDTH, CLAIM_HEIGHT = 440, 330
TWO_SIDED_95 = 1.96
LETTER, LINE = 6.7, 14.0
"""Mean width of a label's letter and height of its line at 12 px, for keeping labels apart."""

TEXT_SHARE = 0.12
"""Narrower segments of a bar do not hold their own percentage."""


def prevalence_chart(rows: Iterable[Prevalence]) -> str | None:
    """Draw rates per million passages with 95 % intervals on a log axis, one line a row."""
    chosen = [row for row in rows if row.facet is None and row.calibrated]
    corpora = {row.corpus for row in chosen}
    marks = [mark for row in chosen if (mark := _rate_mark(row, len(corpora) > 1))]
    if not marks:
        return None
    import altair as alt

    floor = 10.0 ** math.floor(math.log10(min(_smallest(mark) for mark in marks)))
    ceiling = max(10.0 * floor, max(mark["high"] for mark in marks))
    for mark in marks:
        mark["low"] = max(mark["low"], floor)
    order = [mark["label"] for mark in sorted(marks, key=lambda m: (-m["rate"], m["label"]))]
    base = alt.Chart(alt.InlineData(values=marks)).encode(y=_rows_axis(alt, order))
    axis = alt.Axis(tickCount=_decades(floor, ceiling), format="~s", grid=True)
    x = alt.X("low:Q", title="per million passages (log axis)", axis=axis)
    x = x.scale(type="log", domain=[floor, ceiling], nice=True)
    bars = base.mark_rule(color="var(--mark)", strokeWidth=2).encode(x=x, x2="high:Q")
    bars = bars.encode(strokeDash=_dashes(alt))
    points = base.mark_point(color="var(--mark)", filled=True, size=70, opacity=1).encode(
        x="rate:Q", shape=_shape_legend(alt, {mark["kind"] for mark in marks})
    )
    return _svg((bars + points).properties(width=RATES_WIDTH, height={"step": ROW_HEIGHT}))


def stance_chart(rows: Iterable[Prevalence]) -> str | None:
    """Draw each behaviour's shares of stance as one bar, from rows split by stance."""
    marks = _stance_marks([row for row in rows if row.facet == "stance" and row.calibrated])
    if not marks:
        return None
    import altair as alt

    colours = [f"var(--{stance})" for stance in STANCES]
    scale = alt.Scale(domain=list(STANCES), range=colours)
    fill = alt.Color("stance:N", scale=scale, legend=alt.Legend(title=None, orient="top"))
    order = list(dict.fromkeys(mark["label"] for mark in marks))
    axis = alt.Axis(format="%", tickCount=5)
    x = alt.X("start:Q", title="share of the passages that portray it", axis=axis)
    x = x.scale(domain=[0, 1])
    base = alt.Chart(alt.InlineData(values=marks)).encode(y=_rows_axis(alt, order))
    bars = base.mark_bar(height=16).encode(x=x, x2="end:Q", color=fill)
    wide = base.transform_filter(f"datum.end - datum.start >= {TEXT_SHARE}")
    text = wide.mark_text(color="currentColor", fontSize=12).encode(x="middle:Q", text="text:N")
    return _svg((bars + text).properties(width=RATES_WIDTH, height={"step": ROW_HEIGHT + 2}))


def claim_chart(result: ClaimResult) -> str | None:
    """Draw a claim's behaviours: log frequency with ±1.96 se against effect in logits."""
    if not result.points or "log_frequency" not in result.points[0]:
        return None
    import altair as alt

    marks = _placed([_claim_mark(point) for point in result.points])
    x_title, y_title = "log frequency in the corpus (natural log)", "effect in the models (logits)"
    axis = alt.Axis(tickCount=6)
    x = alt.X("low:Q", title=x_title, axis=axis)
    x = x.scale(domain=_extent(marks, ("low", "high")), nice=False)
    y = alt.Y("effect:Q", title=y_title, axis=axis)
    y = y.scale(domain=_extent(marks, ("effect",)), nice=False)
    base = alt.Chart(alt.InlineData(values=marks)).encode(y=y)
    bars = base.mark_rule(color="var(--mark)", strokeWidth=1.5, opacity=0.6).encode(
        x=x, x2="high:Q"
    )
    points = base.mark_circle(color="var(--mark)", size=60, opacity=1).encode(x="log_frequency:Q")
    labels = alt.Chart(alt.InlineData(values=marks)).mark_text(
        color="currentColor", fontSize=12, align="left", baseline="middle"
    )
    labels = labels.encode(x="label_x:Q", y="label_y:Q", text="behaviour:N")
    return _svg((bars + points + labels).properties(width=CLAIM_WIDTH, height=CLAIM_HEIGHT))


def _rate_mark(row: Prevalence, several: bool) -> Mark | None:
    """Give the mark of a row; None where a log axis has no place for it."""
    interval = row.per_million_passages
    estimate, low, high = interval.estimate, interval.low, interval.high
    if estimate is None or low is None or high is None or high <= 0:
        return None
    label = f"{row.target} · {row.corpus}" if several else row.target
    if estimate <= 0:
        return {"label": label, "kind": NONE_FOUND, "rate": high, "low": 0.0, "high": high}
    kind = COUNTED if row.method == "exact" else SAMPLED
    return {"label": label, "kind": kind, "rate": estimate, "low": low, "high": high}


def _smallest(mark: Mark) -> float:
    return float(mark["low"] if mark["low"] > 0 else mark["rate"] / 10.0)


def _decades(floor: float, ceiling: float) -> int:
    return max(1, math.ceil(math.log10(ceiling / floor)))


def _rows_axis(alt: Any, order: Sequence[str]) -> Any:  # noqa: ANN401
    axis = alt.Axis(title=None, labelLimit=220, ticks=False, domain=False, labelPadding=8)
    return alt.Y("label:N", sort=list(order), axis=axis)


def _shape_legend(alt: Any, present: set[str]) -> Any:  # noqa: ANN401
    kinds = [kind for kind in SHAPES if kind in present]
    scale = alt.Scale(domain=kinds, range=[SHAPES[kind] for kind in kinds])
    legend = alt.Legend(title=None, orient="top", symbolFillColor="var(--mark)", columnPadding=18)
    return alt.Shape("kind:N", scale=scale, legend=legend)


def _dashes(alt: Any) -> Any:  # noqa: ANN401
    """Dash the way from nothing to an upper limit: no estimate stands at its end."""
    return alt.condition(f"datum.kind === '{NONE_FOUND}'", alt.value([2, 3]), alt.value([1, 0]))


def _stance_marks(rows: Sequence[Prevalence]) -> list[Mark]:
    """Lay the stances of each behaviour end to end; a behaviour nobody found has no bar."""
    several = len({row.corpus for row in rows}) > 1
    bars: dict[str, dict[str, Prevalence]] = {}
    for row in rows:
        label = f"{row.target} · {row.corpus}" if several else row.target
        bars.setdefault(label, {})[row.value or ""] = row
    marks: list[Mark] = []
    for label, by_stance in sorted(bars.items()):
        positives = sum(row.positives for row in by_stance.values())
        rates = {s: _estimate(by_stance[s].per_million_passages) for s in STANCES if s in by_stance}
        marks += _stacked(f"{label} (n = {positives})", rates)
    return marks


def _stacked(label: str, rates: Mapping[str, float]) -> list[Mark]:
    total, start, marks = sum(rates.values()), 0.0, []
    for stance, rate in rates.items() if total > 0 else ():
        end = start + rate / total
        mark = {"label": label, "stance": stance, "start": start, "end": end}
        marks.append({**mark, "middle": (start + end) / 2, "text": f"{rate / total:.0%}"})
        start = end
    return marks


def _estimate(interval: Interval) -> float:
    return interval.estimate or 0.0


def _claim_mark(point: Mapping[str, Any]) -> Mark:
    x, half = float(point["log_frequency"]), TWO_SIDED_95 * float(point["se"] or 0.0)
    return {
        "behaviour": str(point["behaviour"]),
        "log_frequency": x,
        "low": x - half,
        "high": x + half,
        "effect": float(point["effect"]),
    }


def _extent(marks: Sequence[Mark], fields: Sequence[str]) -> list[float]:
    values = [mark[field] for mark in marks for field in fields]
    margin = 0.08 * (max(values) - min(values)) or 1.0
    return [min(values) - margin, max(values) + margin]


def _placed(marks: Sequence[Mark]) -> list[Mark]:
    """Give every label the place near its point where it covers the least of the rest."""
    left, right = _extent(marks, ("low", "high"))
    bottom, top = _extent(marks, ("effect",))
    per_x, per_y = CLAIM_WIDTH / (right - left), CLAIM_HEIGHT / (top - bottom)
    at = [((m["log_frequency"] - left) * per_x, (m["effect"] - bottom) * per_y) for m in marks]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    for mark, (_, y) in zip(marks, at, strict=True):
        taken.append(((mark["low"] - left) * per_x, y - 1, (mark["high"] - left) * per_x, y + 1))
    placed = []
    for mark, (x, y) in zip(marks, at, strict=True):
        box = _free_box(x, y, LETTER * len(mark["behaviour"]), taken)
        taken.append(box)
        corner = {"label_x": left + box[0] / per_x, "label_y": bottom + (box[1] + LINE / 2) / per_y}
        placed.append({**mark, **corner})
    return placed


def _free_box(x: float, y: float, width: float, taken: Sequence[Box]) -> Box:
    """The place around a point that overlaps the least; of equals the first, which is nearest."""
    places = [
        (min(max(x + dx, 0.0), CLAIM_WIDTH - width), y + dy - LINE / 2)
        for dy in (12, -12, 24, -24, 36, -36)
        for dx in (6.0, -width - 6.0, -width / 2)
    ]
    boxes = [(left, low, left + width, low + LINE) for left, low in places]
    inside = [box for box in boxes if box[1] >= 0 and box[3] <= CLAIM_HEIGHT]
    return min(inside, key=lambda box: _overlap(box, taken))


def _overlap(box: Box, taken: Iterable[Box]) -> float:
    """Area a box shares with others: a thin bar behind a word matters less than another word."""
    return sum(
        max(0.0, min(box[2], b[2]) - max(box[0], b[0]))
        * max(0.0, min(box[3], b[3]) - max(box[1], b[1]))
        for b in taken
    )


def _svg(chart: Any) -> str:  # noqa: ANN401
    """Render a chart; vl_convert escapes its texts. Inline SVG needs no namespace addresses."""
    import vl_convert

    rendered: str = vl_convert.vegalite_to_svg(_themed(chart).to_dict())
    for name in (
        ' xmlns="http://www.w3.org/2000/svg"',
        ' xmlns:xlink="http://www.w3.org/1999/xlink"',
    ):
        rendered = rendered.replace(name, "", 1)
    return rendered


def _themed(chart: Any) -> Any:  # noqa: ANN401
    ink = {"labelColor": "currentColor", "titleColor": "currentColor"}
    sizes = {"labelFontSize": 13, "titleFontSize": 13, "titleFontWeight": "normal"}
    lines = {"gridColor": "var(--rule)", "domainColor": "var(--axis)", "tickColor": "var(--axis)"}
    themed = chart.configure(background="transparent", padding=4, aria=False)
    themed = themed.configure_axis(**ink, **sizes, **lines, titlePadding=8)
    return themed.configure_legend(**ink, labelFontSize=13).configure_view(stroke=None)
