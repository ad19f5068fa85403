"""One reader's way through a list of items: keys in, judgements out; no screen and no file.

An answer that is not finished is the keys pressed for it so far. Undo drops the last key, whatever
it was, and an earlier item is reopened from the keys that gave its answer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from string import ascii_lowercase

from auditor.errors import UsageError
from auditor.labelling.codebook import Codebook, Item, Judgement
from auditor.labelling.wording import MEANINGS, QUESTIONS
from auditor.schema import OPTIONAL_FACETS

ENTER, SKIP, UNDO = "enter", "-", "u"
TAKE = ("1", "2")
"""Keys that take the whole of a proposed answer, where an adjudicator is shown two."""

FREE_KEYS = "".join(letter for letter in ascii_lowercase if letter not in "uq") + "34567890"
"""Keys an answer may have: u and q undo and leave, 1 and 2 take a proposal."""

SKIPPED, UNDONE = "skipped", "undone"

Labels = tuple[Mapping[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer to the question on screen and the key that gives it."""

    key: str
    value: str
    title: str
    meaning: str
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked now; enter: what that key would say, None where it says nothing."""

    text: str
    choices: tuple[Choice, ...]
    enter: str | None
    behaviour: str | None = None
    facet: str | None = None


@dataclass(frozen=True, slots=True)
class ReadingProgress:
    """Items answered or skipped, of all there are."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of every behaviour, and of every value of every facet."""

    behaviours: Mapping[str, str]
    facets: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the keys pressed so far say of an item.

    latest: the behaviour chosen or taken back last; values: of each facet of each chosen in turn.
    """

    chosen: tuple[str, ...]
    latest: str | None
    settled: bool
    values: tuple[str | None, ...]
    skipped: bool


def assign_keys(names: Sequence[str]) -> dict[str, str]:
    """Give every name a key of its own: an initial where it is free, else a letter, else any."""
    if len(names) > len(FREE_KEYS):
        raise UsageError(f"{len(names)} answers on one screen", f"at most {len(FREE_KEYS)} fit")
    keys: dict[str, str] = {}
    for wishes in (_first_initial, _initials, str, lambda _: FREE_KEYS):
        for name in names:
            free = [
                key for key in wishes(name.lower()) if key in FREE_KEYS and key not in keys.values()
            ]
            if free and name not in keys:
                keys[name] = free[0]
    return {name: keys[name] for name in names}


class Reading:
    """A session's state: the item on screen, the question it stands at, the judgements so far."""

    def __init__(
        self,
        items: Sequence[Item],
        codebook: Codebook,
        reader: str,
        now: Callable[[], datetime],
        earlier: Mapping[str, Judgement] | None = None,
        proposals: Mapping[str, tuple[Labels, Labels]] | None = None,
    ) -> None:
        """Take up after earlier judgements; items they leave without an answer are asked again.

        earlier: as `read_earlier` gives them; proposals: two answers by item key, of which an
        adjudicator may take one whole.
        """
        self._codebook, self._reader, self._now = codebook, reader, now
        self._facets = {facet: values for facet, values in codebook.facets.items() if values}
        self.titles = {behaviour.id: behaviour.title for behaviour in codebook.behaviours}
        self._proposals = proposals or {}
        self.keys = Keys(
            assign_keys(codebook.ids),
            {facet: assign_keys(values) for facet, values in self._facets.items()},
        )
        by_key = {item.key: item for item in items}
        answered = {key: j for key, j in (earlier or {}).items() if j.labels is not None}
        self.judgements = {key: answered[key] for key in answered if key in by_key}
        self._closed = [
            (by_key[key], self._presses_for(judgement.labels or ()))
            for key, judgement in self.judgements.items()
        ]
        self._queue = [item for key, item in by_key.items() if key not in self.judgements]
        self._presses: tuple[str, ...] = ()

    @property
    def item(self) -> Item | None:
        """The item on screen; None when all are done."""
        return self._queue[0] if self._queue else None

    @property
    def progress(self) -> ReadingProgress:
        """How far the reader is."""
        return ReadingProgress(len(self._closed), len(self._closed) + len(self._queue))

    @property
    def draft(self) -> Draft:
        """The answer to the item on screen, as far as it goes."""
        return self._read(self._presses)

    @property
    def proposed(self) -> tuple[Labels, Labels] | None:
        """The two answers an adjudicator is shown; None where nobody has answered before."""
        return self._proposals.get(self.item.key) if self.item else None

    @property
    def question(self) -> Question | None:
        """What is asked now; None when all items are done."""
        if not self._queue:
            return None
        draft = self.draft
        return self._facet_question(draft) if draft.settled else self._behaviour_question(draft)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The answers to the question asked now."""
        return self.question.choices if self.question else ()

    def press(self, key: str) -> Judgement | None:
        """Take one key; return the judgement it settles or withdraws, to be written down.

        A key that answers nothing here changes nothing.
        """
        if key == UNDO:
            return self._undo()
        question = self.question
        if question is None:
            return None
        if key == SKIP:
            return self._close((*self._presses, key), None, SKIPPED)
        if key in TAKE and self.proposed and not self.draft.settled:
            presses = self._presses_for(self.proposed[TAKE.index(key)])
        elif (key == ENTER and question.enter) or key in {c.key for c in question.choices}:
            presses = (*self._presses, key)
        else:
            return None
        draft = self._read(presses)
        if draft.settled and len(draft.values) == len(draft.chosen) * len(self._facets):
            return self._close(presses, self._labels(draft), None)
        self._presses = presses
        return None

    def _close(
        self, presses: tuple[str, ...], labels: Labels | None, reason: str | None
    ) -> Judgement:
        item = self._queue.pop(0)
        self._closed.append((item, presses))
        self._presses = ()
        self.judgements[item.key] = self._judgement(item, labels, reason)
        return self.judgements[item.key]

    def _undo(self) -> Judgement | None:
        if self._presses:
            self._presses = self._presses[:-1]
            return None
        if not self._closed:
            return None
        item, presses = self._closed.pop()
        self._queue.insert(0, item)
        self._presses = presses[:-1]
        del self.judgements[item.key]
        return self._judgement(item, None, UNDONE)

    def _judgement(self, item: Item, labels: Labels | None, reason: str | None) -> Judgement:
        return Judgement(
            item.key, labels, self._reader, "human", "session", self._now(), reason=reason
        )

    def _read(self, presses: tuple[str, ...]) -> Draft:
        skipped = presses[-1:] == (SKIP,)
        presses = presses[:-1] if skipped else presses
        picks = tuple(takewhile(lambda key: key != ENTER, presses))
        names = {key: name for name, key in self.keys.behaviours.items()}
        chosen = tuple(name for key, name in names.items() if picks.count(key) % 2)
        latest = names[picks[-1]] if picks else None
        given = presses[len(picks) + 1 :]
        values = tuple(
            {key: value for value, key in self.keys.facets[facet].items()}.get(press)
            for facet, press in zip(self._cycle(len(given)), given, strict=True)
        )
        return Draft(chosen, latest, len(picks) < len(presses), values, skipped)

    def _cycle(self, count: int) -> list[str]:
        names = list(self._facets)
        return [names[number % len(names)] for number in range(count)]

    def _labels(self, draft: Draft) -> Labels:
        width = len(self._facets)
        return tuple(
            {
                "id": name,
                **dict(zip(self._facets, draft.values[n * width : (n + 1) * width], strict=True)),
            }
            for n, name in enumerate(draft.chosen)
        )

    def _presses_for(self, labels: Labels) -> tuple[str, ...]:
        """The keys that would give these labels, up to the first facet they leave open."""
        said = {label["id"]: label for label in labels}
        order = [name for name in self.keys.behaviours if name in said]
        picks = tuple(self.keys.behaviours[name] for name in order)
        return (*picks, ENTER, *self._facet_presses([said[name] for name in order]))

    def _facet_presses(self, labels: Sequence[Mapping[str, str | None]]) -> Iterator[str]:
        for label in labels:
            for facet, keys in self.keys.facets.items():
                value = label.get(facet)
                key = ENTER if value is None and facet in OPTIONAL_FACETS else keys.get(str(value))
                if key is None:
                    return
                yield key

    def _behaviour_question(self, draft: Draft) -> Question:
        choices = tuple(
            Choice(
                self.keys.behaviours[behaviour.id],
                behaviour.id,
                behaviour.title,
                behaviour.definition,
                behaviour.id in draft.chosen,
            )
            for behaviour in self._codebook.behaviours
        )
        enter = "that is all" if draft.chosen else "nothing portrayed"
        return Question("Which behaviours does the passage portray?", choices, enter)

    def _facet_question(self, draft: Draft) -> Question:
        place, number = divmod(len(draft.values), len(self._facets))
        name, facet = draft.chosen[place], list(self._facets)[number]
        meanings = MEANINGS.get(facet, {})
        choices = tuple(
            Choice(key, value, value.replace("_", " "), meanings.get(value, ""))
            for value, key in self.keys.facets[facet].items()
        )
        text = f"{self.titles[name]}: {QUESTIONS.get(facet, facet + '?')}"
        enter = "none of these" if facet in OPTIONAL_FACETS else None
        return Question(text, choices, enter, name, facet)


def _first_initial(name: str) -> str:
    return name[:1]


def _initials(name: str) -> str:
    return "".join(word[:1] for word in name.split("_"))
