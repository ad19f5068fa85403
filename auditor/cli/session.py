"""The keyboard session in the terminal: one passage, one question, one key.

The reader sees the text, its genre and nothing else that could lean on the answer. Every finished
item is on disk before the next is shown, so leaving, or being cut off, loses one item at most.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.events import Key, Resize
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from auditor.cli.session_layout import (
    Pace,
    codebook_text,
    foot,
    head,
    in_columns,
    keys_line,
    listed,
    marked,
    note,
    proposal,
)
from auditor.errors import AuditorError, UsageError
from auditor.labelling.codebook import Codebook, Item
from auditor.labelling.journal import Journal, read_earlier
from auditor.labelling.reading import (
    ENTER,
    SKIP,
    TAKE,
    UNDO,
    Labels,
    Reading,
)

Evidence = Callable[[Item], Sequence[tuple[int, int]]]

KEYS = {"space": ENTER, "enter": ENTER, "backspace": UNDO}
"""Keys of the keyboard that stand for another; every other key stands for its character."""

HELD_SECONDS = 0.1
"""Terminals repeat a held key about every 0.03 s and nobody reads a passage in 0.1 s, so the same
finishing key this soon is the key being held, and would answer passages nobody saw."""

ROOM_FOR_PASSAGE = 15
"""Rows left to the passage before the list of behaviours may take a row for each definition:
160 words, the longest passage, at 76 columns."""

ALL_READ = "All read."
SCROLLS = ("up", "down", "pageup", "pagedown", "home", "end")


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """Items answered by now, in this session or before, items left, and seconds spent reading."""

    answered: int
    left: int
    seconds: float


def run_session(
    items: Sequence[Item],
    codebook: Codebook,
    journal_path: Path,
    reader: str,
    evidence: Evidence,
    proposals: Mapping[str, tuple[Labels, Labels]] | None = None,
) -> SessionSummary:
    """Ask about every item the journal has no answer for, until all are done or the reader leaves.

    evidence: characters to mark in an item's text; proposals: two answers to show side by side, for
    an adjudicator. Raises UsageError where there is no terminal, AuditorError where the journal
    cannot be written.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "a reading session needs a terminal",
            "--judge URL asks a model instead, --import FILE takes labels made elsewhere",
        )
    earlier = read_earlier(journal_path, reader, codebook)
    reading = Reading(items, codebook, reader, _now, earlier, proposals)
    with Journal(journal_path) as journal:
        session = Session(reading, codebook, journal, evidence, time.monotonic)
        session.run()
    if session.failure:
        raise AuditorError(
            f"{journal_path}: {session.failure.strerror}", "all answers but the last are kept"
        )
    return session.summary


class Session(App[None]):
    """The session on screen; run it with `run_session`."""

    CSS = """
    #passage { height: 1fr; padding: 1 2 0 2; scrollbar-size-vertical: 1; }
    #passage Static { max-width: 92; }
    #beside { height: auto; padding: 0 2; }
    #beside Static { width: 1fr; padding: 0 1 0 0; }
    #head, #question, #choices, #foot { height: auto; padding: 0 2; }
    #choices { min-height: 5; }
    #note { height: 2; padding: 0 2; text-style: dim; }
    Screen { background: ansi_default; color: ansi_default; }
    VerticalScroll {
        scrollbar-color: ansi_blue; scrollbar-background: ansi_default;
        scrollbar-color-hover: ansi_blue; scrollbar-background-hover: ansi_default;
        scrollbar-color-active: ansi_blue; scrollbar-background-active: ansi_default;
    }
    Help VerticalScroll { padding: 1 2; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "quit", show=False, priority=True)
    ]

    def __init__(
        self,
        reading: Reading,
        codebook: Codebook,
        journal: Journal,
        evidence: Evidence,
        clock: Callable[[], float],
    ) -> None:
        """Show a reading and write what it settles to the journal; clock: seconds."""
        super().__init__(ansi_color=True)
        self.reading, self.codebook, self.evidence, self.clock = reading, codebook, evidence, clock
        self.failure: OSError | None = None
        self._journal, self._pace, self._last = journal, Pace(clock()), ("", -HELD_SECONDS)

    @property
    def pace(self) -> Pace:
        """How fast the reader is."""
        return self._pace

    @property
    def summary(self) -> SessionSummary:
        """What the session has come to."""
        labels = [judgement.labels for judgement in self.reading.judgements.values()]
        answered = sum(label is not None for label in labels)
        return SessionSummary(answered, self.reading.progress.total - answered, self._pace.seconds)

    def get_default_screen(self) -> Screen[None]:
        """The screen with the passage."""
        return ReadingScreen()

    def answer(self, key: str) -> None:
        """Take one key, write down what it settles, and leave if that cannot be written."""
        if self._is_held(key):
            return
        judgement = self.reading.press(key)
        if judgement is None:
            return
        self._pace.count(self.clock(), -1 if key == UNDO else 1)
        try:
            self._journal.append(judgement)
        except OSError as error:
            self.failure = error
            self.exit()

    def _is_held(self, key: str) -> bool:
        """Whether a key that may finish an item is only being repeated by the terminal."""
        before, at = self._last
        self._last = (key, self.clock())
        return key in (ENTER, SKIP) and key == before and self._last[1] - at < HELD_SECONDS


class ReadingScreen(Screen[None]):
    """The passage above, the question and its keys below."""

    app: Session

    def compose(self) -> ComposeResult:
        """The parts of the screen, from the top."""
        yield Static(id="head")
        with VerticalScroll(id="passage"):
            yield Static(id="text")
        with Horizontal(id="beside"):
            yield Static(id="first")
            yield Static(id="second")
        for part in ("question", "choices", "note", "foot"):
            yield Static(id=part)

    def on_mount(self) -> None:
        """Show the first item."""
        self._show()

    def on_resize(self, event: Resize) -> None:
        """Lay the question out anew."""
        self._show()

    def on_key(self, event: Key) -> None:
        """Give the key to whatever it is for."""
        pressed = KEYS.get(event.key) or (event.character or "").lower()
        if event.key in SCROLLS:
            return
        event.stop()
        event.prevent_default()
        if pressed == "q" or (pressed == ENTER and self.app.reading.item is None):
            self.app.exit()
        elif pressed == "?":
            self.app.push_screen(Help(self.app.codebook, self.app.reading))
        else:
            shown = self.app.reading.item
            self.app.answer(pressed)
            self._show()
            if self.app.reading.item is not shown:
                self.query_one("#passage").scroll_home(animate=False)

    def _show(self) -> None:
        reading, width = self.app.reading, self.size.width - 4
        item, question = reading.item, reading.question
        self._put("head", head(reading, self.app.pace, width))
        self.query_one("#beside").display = reading.proposed is not None
        if reading.proposed:
            a, b = reading.proposed
            self._put("first", proposal("A", TAKE[0], a, b, reading))
            self._put("second", proposal("B", TAKE[1], b, a, reading))
        if item is None or question is None:
            skipped = self.app.summary.left
            self._put("text", Content(ALL_READ + (f" {skipped} skipped." if skipped else "")))
            for part in ("question", "choices", "note"):
                self._put(part, Content(""))
            self._put("foot", keys_line((("enter", "leave"), ("u", "step back"))))
            return
        roomy = self.size.height - len(question.choices) - 6 >= ROOM_FOR_PASSAGE
        shown = listed if question.facet or roomy else in_columns
        self._put("text", marked(item.text, self.app.evidence(item)))
        self._put("question", Content.styled(question.text, "bold"))
        self._put("choices", shown(question.choices, width))
        self._put("note", note(reading, width, roomy))
        self._put("foot", foot(question))

    def _put(self, part: str, content: Content) -> None:
        self.query_one(f"#{part}", Static).update(content)


class Help(ModalScreen[None]):
    """The whole codebook; any key but the scrolling ones goes back."""

    def __init__(self, codebook: Codebook, reading: Reading) -> None:
        """Show the behaviours and facets with the keys this reading gives them."""
        super().__init__()
        self._text = codebook_text(codebook, reading)

    def compose(self) -> ComposeResult:
        """The text, to be scrolled."""
        with VerticalScroll():
            yield Static(self._text)

    def on_key(self, event: Key) -> None:
        """Go back to the passage."""
        if event.key not in SCROLLS:
            event.stop()
            self.dismiss()


def _now() -> datetime:
    return datetime.now(UTC)
