"""Rows of `cards` → the table of detectors and the table of facets that the page shows.

Of two stages the page shows the one that read more, the transformer; `auditor detect` prints both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]

FEW = 15
"""Positives below which a card is no good evidence for a detector (DESIGN §8)."""

READERS = {1: "static vectors and cues", 2: "the transformer"}


@dataclass(frozen=True, slots=True)
class Cards:
    """The cards of one stage, laid out for reading; `few` names those with too few positives."""

    stage: int
    reads: str
    detectors: Sequence[Row]
    facets: Sequence[Row]
    few: Sequence[str]


def lay_out(cards: Sequence[Row]) -> Cards | None:
    """Lay out the cards of the highest stage; None where no labelled sample made a card."""
    ranked = [card for card in cards if card["metric"] == "auc"]
    if not ranked:
        return None
    stage = max(card["stage"] for card in ranked)
    shown = [card for card in ranked if card["stage"] == stage]
    facets = [card for card in cards if card["metric"] == "macro_f1" and card["stage"] == stage]
    return Cards(
        stage,
        READERS[stage],
        [_detector(card, cards) for card in shown],
        [_facet(card) for card in facets],
        sorted(card["name"] for card in shown if card["positives"] < FEW),
    )


def _detector(auc: Row, cards: Sequence[Row]) -> Row:
    """One detector; the texts planted in a corpus were scored by stage 1, which chooses."""
    own = [card for card in cards if card["name"] == auc["name"] and card["facet"] is None]
    staged = [card for card in own if card["stage"] == auc["stage"]]
    average = next(card for card in staged if card["metric"] == "average_precision")
    precision = {card["at"]: card["estimate"] for card in staged if card["metric"] == "precision"}
    planted = [card for card in own if card["metric"] == "spike_in_recall"]
    return {
        "behaviour": auc["name"],
        "positives": auc["positives"],
        "labels": auc["labels"],
        "AUC (95 %)": _text(auc),
        "average precision (95 %)": _text(average),
        "precision at recall .5": f"{precision[0.5]:.2f}",
        "at recall .8": f"{precision[0.8]:.2f}",
        "planted texts retrieved": "; ".join(
            f"{card['positives']} of {card['labels']} ({card['corpus']})" for card in planted
        )
        or "–",
    }


def _facet(card: Row) -> Row:
    return {"facet": card["facet"], "mentions": card["labels"], "macro-F1 (95 %)": _text(card)}


def _text(card: Row) -> str:
    if card["low"] is None:
        return f"{card['estimate']:.2f}, no interval"
    return f"{card['estimate']:.2f} ({card['low']:.2f} to {card['high']:.2f})"
