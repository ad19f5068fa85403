"""Items that two readers answered differently, to be read once more by someone blind to them.

Which reader stands as A is drawn anew for every item, so that the adjudicator cannot learn whose
answers tend to be whose. The adjudicator's reading is a session like any other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.labelling.agreement import disagreements
from auditor.labelling.codebook import Item, Judgement
from auditor.labelling.reading import Labels

ADJUDICATED = "adjudicated"
"""The reader named in an adjudicator's judgements."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """An item two readers answered differently; answers: A's and B's, in drawn order."""

    item: Item
    answers: tuple[Labels, Labels]


def find_disputes(
    items: Sequence[Item],
    first: Mapping[str, Judgement],
    second: Mapping[str, Judgement],
    facets: Sequence[str],
    rng: np.random.Generator,
) -> tuple[Dispute, ...]:
    """The items whose behaviours or facets differ between two readers, in the items' order."""
    differing = {difference.key for difference in disagreements(first, second, facets)}
    return tuple(
        Dispute(item, _shuffled(first[item.key], second[item.key], rng))
        for item in items
        if item.key in differing
    )


def proposals(disputes: Sequence[Dispute]) -> dict[str, tuple[Labels, Labels]]:
    """A's and B's answers by item key, as a reading shows them."""
    return {dispute.item.key: dispute.answers for dispute in disputes}


def _shuffled(
    first: Judgement, second: Judgement, rng: np.random.Generator
) -> tuple[Labels, Labels]:
    answers = first.labels or (), second.labels or ()
    return answers if rng.random() < 0.5 else (answers[1], answers[0])
