"""What a reader sees and presses: real keys on a real screen, without a terminal."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from io import StringIO
from itertools import count
from pathlib import Path

import pytest
from textual.pilot import Pilot

from auditor.behaviours.spec import choose, read_library
from auditor.cli.session import Session, SessionSummary, run_session
from auditor.cli.session_layout import Pace
from auditor.errors import UsageError
from auditor.labelling.codebook import Item, passage_codebook
from auditor.labelling.journal import Journal, read_earlier, read_journal
from auditor.labelling.reading import Labels, Reading

IDS = "deception oversight_evasion sandbagging power_seeking illicit_gain self_preservation"
IDS += " self_modification training_gaming metric_gaming goal_fixation flattery coercion"
IDS += " loyal_wrongdoing whistleblowing cyberattack"
BOOK = passage_codebook(choose(read_library(), IDS.split()))
ITEMS = [
    Item("p1", "He told the widow that he had lied to nobody.", "fiction"),
    Item("p2", "Rub the butter into the flour.", "cookery"),
    Item("p3", "The clerk \x1b[31mlied\x1b[0m\tagain.", "report"),
]
LIE: Labels = (
    {
        "id": "deception",
        "stance": "condemn",
        "mode": "fiction",
        "actor": "human",
        "beneficiary": "self",
        "outcome": "open",
    },
)

Play = Callable[[Pilot[None], Session], Awaitable[None]]


def lies(item: Item) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer("lied", item.text)]


def play(
    journal_path: Path,
    script: Play,
    size: tuple[int, int] = (80, 24),
    proposals: dict[str, tuple[Labels, Labels]] | None = None,
    step: float = 1.0,
) -> SessionSummary:
    """Run a script against a session; the clock goes on by `step` seconds at every look."""

    async def run() -> SessionSummary:
        ticks = count()
        earlier = read_earlier(journal_path, "ann", BOOK)
        reading = Reading(ITEMS, BOOK, "ann", lambda: datetime.now(UTC), earlier, proposals)
        with Journal(journal_path) as journal:
            app = Session(reading, BOOK, journal, lies, lambda: step * next(ticks))
            async with app.run_test(size=size) as pilot:
                await script(pilot, app)
            return app.summary

    return asyncio.run(run())


def keys(*pressed: str) -> Play:
    async def script(pilot: Pilot[None], app: Session) -> None:
        await pilot.press(*pressed)

    return script


def rows(app: Session) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


def shown(app: Session) -> str:
    return "\n".join(rows(app))


def underlined(app: Session) -> str:
    strips = app.screen._compositor.render_strips()
    return " ".join(s.text for strip in strips for s in strip if s.style and s.style.underline)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ann.jsonl"


def test_keys_become_judgements_on_disk(path: Path) -> None:
    summary = play(path, keys("d", "space", "c", "f", "h", "s", "o", "space"))
    assert {key: j.labels for key, j in read_journal(path).items()} == {"p1": LIE, "p2": ()}
    assert (summary.answered, summary.left) == (2, 1)


def test_a_passage_a_question_and_every_key_fit_80_by_24(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        screen = shown(app)
        assert ITEMS[0].text in screen
        assert "1 of 3 · fiction" in screen
        assert "space nothing portrayed" in screen
        for behaviour in BOOK.behaviours:
            key = app.reading.keys.behaviours[behaviour.id]
            assert f" {key} {behaviour.title}" in screen
        assert len(rows(app)) == 24

    play(path, script)


def test_a_session_survives_being_made_small(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        assert "Someone sets out to plant a false belief" in shown(app)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "Someone sets out to plant a false belief" not in shown(app)
        assert "q leave" in rows(app)[-1]
        await pilot.press("d")
        assert "Someone sets out to plant a false belief" in shown(app)

    play(path, script, size=(120, 50))


def test_the_evidence_is_marked_and_nothing_else_is(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        assert underlined(app) == "lied"
        await pilot.press("space")
        assert underlined(app) == ""

    play(path, script)


def test_the_marks_are_there_without_colour(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(pilot: Pilot[None], app: Session) -> None:
        assert underlined(app) == "lied"
        await pilot.press("d")
        assert "✓d Deception" in shown(app)

    play(path, script)


def test_a_passage_cannot_drive_the_terminal_and_its_evidence_stays_in_place(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        await pilot.press("space", "space")
        assert "\x1b" not in shown(app)
        assert underlined(app) == "lied"

    play(path, script)


def test_undo_brings_back_the_item_before_and_the_journal_says_so(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        await pilot.press("space", "u")
        assert ITEMS[0].text in shown(app)
        assert read_journal(path)["p1"].reason == "undone"
        await pilot.press("-")

    play(path, script)
    assert read_journal(path)["p1"].reason == "skipped"


def test_a_session_is_taken_up_where_it_was_left(path: Path) -> None:
    play(path, keys("space", "q"))

    async def script(pilot: Pilot[None], app: Session) -> None:
        assert "2 of 3 · cookery" in shown(app)
        await pilot.press("space", "space")
        assert "All read." in shown(app)

    assert play(path, script).left == 0


def test_leaving_keeps_everything_answered(path: Path) -> None:
    for way in ("q", "ctrl+c"):
        play(path, keys("space", "d", way))
    assert list(read_journal(path)) == ["p1", "p2"]


def test_help_shows_the_codebook_and_answers_nothing(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        await pilot.press("?")
        assert BOOK.behaviours[0].excludes.split(";")[0] in shown(app)
        await pilot.press("d")
        assert ITEMS[0].text in shown(app)
        assert not app.reading.draft.chosen

    play(path, script)


def test_a_held_key_does_not_answer_passages_nobody_saw(path: Path) -> None:
    summary = play(path, keys("space", "space", "space"), step=0.01)
    assert summary.answered == 1


def test_an_adjudicator_sees_both_answers_and_takes_one(path: Path) -> None:
    async def script(pilot: Pilot[None], app: Session) -> None:
        assert "1 take A" in shown(app) and "2 take B" in shown(app)
        assert "nothing portrayed" in shown(app)
        await pilot.press("2")

    play(path, script, proposals={"p1": ((), LIE)})
    assert read_journal(path)["p1"].labels == LIE


def test_a_journal_that_cannot_be_written_ends_the_session(path: Path) -> None:
    class Full(Journal):
        def append(self, judgement: object) -> None:
            raise OSError(28, "No space left on device")

    async def run() -> Iterable[object]:
        reading = Reading(ITEMS, BOOK, "ann", lambda: datetime.now(UTC))
        with Full(path) as journal:
            app = Session(reading, BOOK, journal, lies, lambda: 0.0)
            async with app.run_test() as pilot:
                await pilot.press("space")
            return app.failure, app.is_running

    failure, running = asyncio.run(run())
    assert isinstance(failure, OSError) and not running


def test_a_break_is_not_reading() -> None:
    pace = Pace(0)
    pace.count(30, 1)
    pace.count(3630, 1)
    assert pace.seconds == 150
    assert pace.text(8) == "8 left · 0.8 a minute · about 10 min"


def test_without_a_terminal_the_other_ways_are_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(UsageError, match="needs a terminal") as refused:
        run_session(ITEMS, BOOK, path, "ann", lies)
    assert "--judge" in refused.value.hint and "--import" in refused.value.hint
    assert not path.exists()
