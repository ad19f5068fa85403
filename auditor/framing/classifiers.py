"""Framing classifiers: one head for each value of each facet, per behaviour mention.

A mention is a text with one behaviour that it portrays. Beside the text's features a classifier
sees which behaviour is meant and the document's genre, where the corpus names one: the same words
are a story in a novel and an argument in an essay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.behaviours.heads import Heads, fit_heads
from auditor.behaviours.training import TrainingSet
from auditor.schema import FACETS

BEHAVIOUR_SIZE = 0.5
"""Size of the indicator of a behaviour beside unit vectors."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """How a facet's heads weigh: C of the logistic regression, size of the genre's indicator."""

    regularisation: float = 1.0
    genre: float = 1.0


WEIGHING = {"mode": Weighing(0.3, 4.0)}
"""A genre says most of the mode; on ../shared/gold a genre's size of 1 lost .03 of macro-F1 there,
and more than 1 lost as much of the actor's."""

USUAL = Weighing()

FEW_OF_A_GENRE = 3
"""Genres with fewer labelled mentions have no indicator of their own."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Mentions:
    """Behaviours that texts portray: the text's row, the behaviour, the genre, the facets coded."""

    row: npt.NDArray[np.int64]
    behaviour: tuple[str, ...]
    genre: tuple[str | None, ...]
    facets: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class FramingHeads:
    """A set of heads for each facet, and the behaviours and genres that have an indicator."""

    heads: Mapping[str, Heads]
    behaviours: tuple[str, ...]
    genres: tuple[str, ...]

    def inputs(
        self, features: Floats, behaviour: Sequence[str], genre: Sequence[str | None]
    ) -> Floats:
        """Features of mentions, (n, d + genres): a text's own, its behaviour and its genre."""
        return mention_features(features, behaviour, genre, self.behaviours, self.genres)

    def probabilities(
        self, inputs: Floats, fold: npt.NDArray[np.int64] | None = None
    ) -> dict[str, Floats]:
        """Facet to probability of its values, in the schema's order; each (n, values)."""
        out = {}
        for facet, heads in self.heads.items():
            odds = heads.probabilities(self._sized(inputs, facet), fold)
            out[facet] = odds / odds.sum(axis=1, keepdims=True)
        return out

    def _sized(self, inputs: Floats, facet: str) -> Floats:
        return sized(inputs, len(self.genres), facet)


def find_mentions(training: TrainingSet) -> Mentions:
    """Every behaviour some text is coded to portray, where the text's framing was coded too."""
    found = [
        (row, behaviour, text.genre, facets)
        for row, text in enumerate(training.texts)
        for behaviour, facets in text.framings.items()
        if behaviour in training.behaviours
    ]
    rows, behaviours, genres, facets = zip(*found, strict=True) if found else ((), (), (), ())
    return Mentions(np.array(rows, np.int64), tuple(behaviours), tuple(genres), tuple(facets))


def fit_framing(training: TrainingSet, features: Floats, mentions: Mentions) -> FramingHeads:
    """Fit every facet's heads; features: (texts, d) of the training texts."""
    labelled = training.labelled[mentions.row]
    named = [genre for genre, own in zip(mentions.genre, labelled, strict=True) if genre and own]
    genres = tuple(sorted({genre for genre in named if named.count(genre) >= FEW_OF_A_GENRE}))
    inputs = mention_features(
        features[mentions.row], mentions.behaviour, mentions.genre, training.behaviours, genres
    )
    weight, fold = training.weight[mentions.row], training.fold[mentions.row]
    heads = {
        facet: fit_heads(
            values,
            sized(inputs, len(genres), facet),
            wanted_values(mentions, facet),
            weight,
            fold,
            WEIGHING.get(facet, USUAL).regularisation,
        )
        for facet, values in FACETS.items()
    }
    return FramingHeads(heads, training.behaviours, genres)


def wanted_values(mentions: Mentions, facet: str) -> Floats:
    """1 and 0 for each value of a facet, nan where it was not coded; (mentions, values)."""
    coded = [facets.get(facet) for facets in mentions.facets]
    rows = [
        [np.nan if value is None else float(value == one) for one in FACETS[facet]]
        for value in coded
    ]
    return np.array(rows, np.float32).reshape(len(coded), len(FACETS[facet]))


def mention_features(
    features: Floats,
    behaviour: Sequence[str],
    genre: Sequence[str | None],
    behaviours: Sequence[str],
    genres: Sequence[str],
) -> Floats:
    """A text's features with indicators of the behaviour and the genre; (n, d + both)."""
    which = np.array([[one == name for name in behaviours] for one in behaviour], np.float32)
    where = np.array([[one == name for name in genres] for one in genre], np.float32)
    return np.hstack(
        [
            features,
            BEHAVIOUR_SIZE * which.reshape(len(features), len(behaviours)),
            where.reshape(len(features), len(genres)),
        ]
    ).astype(np.float32)


def sized(inputs: Floats, genres: int, facet: str) -> Floats:
    """Inputs with the genre's indicator, their last columns, as large as a facet wants it."""
    size = WEIGHING.get(facet, USUAL).genre
    if size == 1.0 or not genres:
        return inputs
    return np.hstack([inputs[:, :-genres], size * inputs[:, -genres:]]).astype(np.float32)
