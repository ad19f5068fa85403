"""What a reader is asked: the behaviours, the facets of each, and what an answer must look like.

One codebook serves the keyboard session, the judge and the import, so an answer that one of them
would refuse is refused by all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from auditor.behaviours.spec import Behaviour
from auditor.schema import FACETS, OPTIONAL_FACETS

OF_TURNS = ("pressure", "principal_kind")
"""Optional facets that a reader of transcripts codes too."""


@dataclass(frozen=True, slots=True)
class Codebook:
    """The behaviours a reader looks for, and the facets coded for each one that is portrayed."""

    behaviours: tuple[Behaviour, ...]
    facets: Mapping[str, tuple[str, ...]]

    @property
    def ids(self) -> tuple[str, ...]:
        """The behaviours' ids, in the order they are asked."""
        return tuple(behaviour.id for behaviour in self.behaviours)


def passage_codebook(behaviours: Sequence[Behaviour]) -> Codebook:
    """The codebook for passages: every framing facet."""
    return Codebook(tuple(behaviours), FACETS)


def turn_codebook(behaviours: Sequence[Behaviour]) -> Codebook:
    """The codebook for observed turns: framing, and who or what pressed the model to act."""
    return Codebook(tuple(behaviours), {**FACETS, **{f: OPTIONAL_FACETS[f] for f in OF_TURNS}})


@dataclass(frozen=True, slots=True)
class Item:
    """One text to read. key: names the span; context: all a reader may know beside the text."""

    key: str
    text: str
    context: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reader said of one item; `labels` is None where no usable answer was given.

    labels: one mapping for each behaviour portrayed, its `id` and its facets; empty: none is.
    prompt: SHA-256 of the instructions a judge was given; reason: why there is no answer.
    """

    key: str
    labels: tuple[Mapping[str, str | None], ...] | None
    reader: str
    reader_kind: str
    method: str
    at: datetime
    prompt: str | None = None
    reason: str | None = None


def label_problem(
    labels: object, behaviours: Sequence[str], facets: Mapping[str, tuple[str, ...]], complete: bool
) -> str | None:
    """Say what is wrong with a list of labels; None where nothing is.

    facets: facet to its values, an empty tuple for free text; complete: whether every facet must
    be answered.
    """
    if not isinstance(labels, list | tuple):
        return "no list 'labels' (empty where nothing is portrayed)"
    named = [label.get("id") if isinstance(label, Mapping) else label for label in labels]
    if len(set(map(str, named))) < len(named):
        return "a behaviour is labelled twice in this span"
    for name, label in zip(named, labels, strict=True):
        if name not in behaviours or not isinstance(label, Mapping):
            return f"no behaviour {name!r} in the codebook"
        if problem := _facet_problem(str(name), label, facets, complete):
            return problem
    return None


def _facet_problem(
    name: str, label: Mapping[str, Any], facets: Mapping[str, tuple[str, ...]], complete: bool
) -> str | None:
    for facet, values in facets.items():
        value = label.get(facet)
        if value is None and not complete:
            continue
        known = value in values if values else isinstance(value, str)
        if not known:
            expected = f"one of {', '.join(values)}" if values else "a text"
            return f"{name}: {facet} is {value!r}, expected {expected}"
    return None
