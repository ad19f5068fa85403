"""What detectors learn from: the library's texts and the labelled spans, with their documents.

A document belongs to one fold, by its hash; what a head scores it never saw (DESIGN §8). Library
texts belong to no document and help in every fold.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.behaviours.spec import Behaviour, Example

FOLDS = 5

LIBRARY = -1
"""The fold of texts that belong to no document."""

LIBRARY_TRUST = 0.2
"""Weight of a library text beside a labelled span, which is the corpus's own language: on
../shared/gold .2 to .3 ranked best, and 1 was worse than leaving the library out."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Text:
    """One text with what is known of it.

    present: behaviour to whether it is portrayed, only where somebody looked; framings: behaviour
    to facet to value; document: 0 for a library text; pi: inclusion probability,
    1 for the library, nan where a label states none.
    """

    text: str
    present: Mapping[str, bool]
    framings: Mapping[str, Mapping[str, str]]
    document: int = 0
    genre: str | None = None
    pi: float = 1.0
    reader_kind: str | None = None


@dataclass(frozen=True)
class TrainingSet:
    """Texts, and for every behaviour (column) 1, 0 or nan where nobody looked.

    present: (texts, behaviours); weight, fold, pi: (texts,).
    """

    texts: tuple[Text, ...]
    behaviours: tuple[str, ...]
    present: Floats
    weight: Floats
    fold: npt.NDArray[np.int64]
    pi: npt.NDArray[np.float64]

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Which texts are labelled spans of a corpus; (texts,)."""
        return np.asarray(self.fold != LIBRARY)

    @property
    def documents(self) -> npt.NDArray[np.uint64]:
        """The document of each text, 0 for the library; (texts,)."""
        return np.array([text.document for text in self.texts], np.uint64)


def library_texts(behaviours: Iterable[Behaviour]) -> list[Text]:
    """Every example and near miss of the learned behaviours, coded for all of them."""
    learned = [behaviour for behaviour in behaviours if not behaviour.rule]
    absent = dict.fromkeys((behaviour.id for behaviour in learned), False)
    return [
        _library_text(example, behaviour.id if shown else None, absent)
        for behaviour in learned
        for shown, examples in ((True, behaviour.examples), (False, behaviour.near_misses))
        for example in examples
    ]


def _library_text(example: Example, own: str | None, absent: Mapping[str, bool]) -> Text:
    shown = [{"id": own, **example.framing}] if own else []
    framings = {
        str(code["id"]): {facet: value for facet, value in code.items() if facet != "id"}
        for code in (*shown, *example.also)
        if code["id"] in absent
    }
    return Text(example.text, {**absent, **dict.fromkeys(framings, True)}, framings)


def training_set(texts: Sequence[Text], behaviours: Sequence[str]) -> TrainingSet:
    """Lay the texts out as arrays, a column a behaviour."""
    present = np.array(
        [[t.present.get(b, np.nan) for b in behaviours] for t in texts],
        np.float32,
    ).reshape(len(texts), len(behaviours))
    fold = np.array([fold_of(t.document) for t in texts], np.int64)
    trust = LIBRARY_TRUST if (fold != LIBRARY).any() else 1.0
    weight = np.where(fold == LIBRARY, trust, 1.0).astype(np.float32)
    pi = np.array([t.pi for t in texts], np.float64)
    return TrainingSet(tuple(texts), tuple(behaviours), present, weight, fold, pi)


def fold_of(document: int) -> int:
    """The fold of a document, by its 64-bit hash; LIBRARY for none."""
    return document % FOLDS if document else LIBRARY
