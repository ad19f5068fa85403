"""What stands on the session's screen, as styled text: no widget, no key and no file in here."""

from collections.abc import Sequence
from textwrap import shorten

from textual.content import Content

from auditor.labelling.codebook import Codebook
from auditor.labelling.reading import SKIP, Choice, Labels, Question, Reading
from auditor.labelling.wording import MEANINGS, QUESTIONS

BREAK_SECONDS = 120.0
"""A longer gap between two finished items is a break, and counts as this much reading."""

COLUMNS = 3
"""Columns of behaviours where there is no room for definitions: 15 take five rows, as many as
the longest facet, so that nothing moves between questions."""

KEY, MARK, QUIET = "bold ansi_magenta", "bold underline", "dim"
"""Colours and weights of the terminal's own, for light and dark; none is needed to tell a thing.
The mark of evidence and of a choice survives where there is no colour."""

_CONTROLS = {code: " " for code in (*range(32), *range(127, 160)) if code != 10}


class Pace:
    """Time spent reading and items finished, breaks left out."""

    def __init__(self, start: float) -> None:
        """Start the clock."""
        self.seconds, self.items, self._last = 0.0, 0, start

    def count(self, at: float, items: int) -> None:
        """Count an item finished, or taken back, at this time."""
        self.seconds += min(at - self._last, BREAK_SECONDS)
        self.items, self._last = self.items + items, at

    def text(self, left: int) -> str:
        """The rate, and the time the items left will take at it."""
        if self.items < 1 or self.seconds <= 0:
            return f"{left} left"
        minutes = left * self.seconds / self.items / 60
        rate = 60 * self.items / self.seconds
        return f"{left} left · {rate:.1f} a minute · about {max(1, round(minutes))} min"


def head(reading: Reading, pace: Pace, width: int) -> Content:
    """Where the reader is, what may be known of the passage, the pace, and a bar of it all."""
    done, total = reading.progress.done, reading.progress.total
    context = f" · {reading.item.context}" if reading.item and reading.item.context else ""
    left, right = f"{min(done + 1, total)} of {total}{context}", pace.text(total - done)
    left = shorten(left, max(8, width - len(right) - 2), placeholder="…")
    full = width * done // total if total else width
    return Content.assemble(
        (left, "bold"),
        right.rjust(width - len(left)),
        "\n",
        ("━" * full, KEY),
        ("─" * (width - full), QUIET),
    )


def marked(text: str, spans: Sequence[tuple[int, int]]) -> Content:
    """The text with its evidence marked; control characters, which could drive the terminal, out.

    Each becomes one space, so that the spans still fit.
    """
    content = Content(text.translate(_CONTROLS))
    for start, end in spans:
        content = content.stylize(MARK, start, end)
    return content


def in_columns(choices: Sequence[Choice], width: int) -> Content:
    """Keys and titles alone, read down the columns."""
    widest = max(len(choice.title) for choice in choices) + 5
    columns = max(1, min(COLUMNS, width // widest))
    rows, cell = -(-len(choices) // columns), width // columns
    lines = [
        Content("").join(_entry(choice, cell) for choice in choices[row::rows])
        for row in range(rows)
    ]
    return Content("\n").join(lines)


def listed(choices: Sequence[Choice], width: int) -> Content:
    """One answer a row, with as much of its definition as fits."""
    names = max(len(choice.title) for choice in choices) + 6
    return Content("\n").join(
        Content.assemble(
            _entry(choice, names),
            (shorten(choice.meaning, max(2, width - names), placeholder=" …"), QUIET),
        )
        for choice in choices
    )


def _entry(choice: Choice, width: int) -> Content:
    title = choice.title[: width - 5]
    return Content.assemble(
        ("✓" if choice.chosen else " ", KEY),
        (choice.key, KEY),
        " ",
        (title, "bold reverse" if choice.chosen else ""),
        " " * (width - 3 - len(title)),
    )


def note(reading: Reading, width: int, roomy: bool) -> Content:
    """What the answer says so far; the definition of the behaviour pressed last."""
    question, draft = reading.question, reading.draft
    if question is None or (question.facet is None and roomy):
        return Content("")
    meanings = {choice.value: choice.meaning for choice in question.choices}
    said = said_so_far(reading) if question.facet else meanings.get(draft.latest or "", "")
    return Content(shorten(said, 2 * width - 8, placeholder=" …"))


def said_so_far(reading: Reading) -> str:
    """The facets given for the behaviour in question, and the behaviours still to come."""
    draft, width = reading.draft, len(reading.keys.facets)
    place, given = divmod(len(draft.values), width)
    titles = reading.titles
    values = [_plain(value) for value in draft.values[place * width :]]
    later = ", ".join(titles[name] for name in draft.chosen[place + 1 :])
    now = f"so far {' · '.join(values)}" if given else ""
    return "; ".join(part for part in (now, f"then {later}" if later else "") if part)


def foot(question: Question) -> Content:
    """The keys that are there on every screen, and what space says here."""
    enter = (("space", question.enter),) if question.enter else ()
    return keys_line((*enter, ("u", "undo"), (SKIP, "skip"), ("?", "codebook"), ("q", "leave")))


def keys_line(keys: Sequence[tuple[str, str]]) -> Content:
    """Keys with what each does."""
    return Content("   ").join(Content.assemble((key, KEY), " ", what) for key, what in keys)


def proposal(name: str, key: str, said: Labels, other: Labels, reading: Reading) -> Content:
    """One of two answers, with what the other does not say marked."""
    lines = [Content.assemble((name, "bold"), "   ", (key, KEY), f" take {name}")]
    others = {label["id"]: label for label in other}
    for label in said:
        there = others.get(label["id"])
        title = reading.titles.get(str(label["id"]), str(label["id"]))
        values = (
            (
                _plain(label.get(facet)),
                "" if there and there.get(facet) == label.get(facet) else MARK,
            )
            for facet in reading.keys.facets
        )
        lines.append(
            Content.assemble(
                (title, "" if there else MARK), ": ", Content(" ").join(map(_styled, values))
            )
        )
    if not said:
        lines.append(Content("nothing portrayed"))
    return Content("\n").join(lines)


def codebook_text(codebook: Codebook, reading: Reading) -> Content:
    """The whole codebook with its keys."""
    parts = [Content.styled("Any key goes back; arrows and page keys scroll.", QUIET)]
    for behaviour in codebook.behaviours:
        key = reading.keys.behaviours[behaviour.id]
        parts.append(
            Content.assemble(
                (key, KEY),
                " ",
                (behaviour.title, "bold"),
                "\n",
                behaviour.definition,
                f"\nNot: {behaviour.excludes}" if behaviour.excludes else "",
            )
        )
    for facet, keys in reading.keys.facets.items():
        lines = [
            Content.styled(f"{_plain(facet)}: {QUESTIONS.get(facet, '')}".rstrip(": "), "bold")
        ]
        for value, key in keys.items():
            meaning = MEANINGS.get(facet, {}).get(value, "")
            lines.append(Content.assemble((key, KEY), f" {_plain(value)}", (f"  {meaning}", QUIET)))
        parts.append(Content("\n").join(lines))
    return Content("\n\n").join(parts)


def _styled(part: tuple[str, str]) -> Content:
    return Content.styled(*part)


def _plain(value: str | None) -> str:
    return value.replace("_", " ") if value else "none"
