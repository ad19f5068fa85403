"""Model cards as tables: what detectors and framing classifiers are worth."""

from collections.abc import Mapping, Sequence
from typing import Any

Card = Mapping[str, Any]


FEW = 15
"""Positives below which a card is no good evidence for a detector (DESIGN §8)."""


def write(cards: Sequence[Card]) -> None:
    """Write one line for each detector and one for each facet of every stage."""
    from auditor.cli import console

    ranked = [card for card in cards if card["metric"] == "auc"]
    if not ranked:
        console.say("no card: nobody labelled a sample yet; auditor label --plan")
        return
    console.write_table(
        ("stage", "behaviour", "positive", "labels", "AUC (95 %)", "average precision (95 %)",
         "precision at recall .5", "at .8", "spike-ins retrieved"),
        [_row(card, _others(cards, card)) for card in ranked],
    )  # fmt: skip
    if few := sorted({card["name"] for card in ranked if card["positives"] < FEW}):
        console.say(f"under {FEW} positives, too few to trust a detector by: {', '.join(few)}")
    facets = [card for card in cards if card["metric"] == "macro_f1"]
    if not facets:
        return
    console.write_table(
        ("stage", "facet", "mentions", "macro-F1 (95 %)"),
        [(card["stage"], card["facet"], card["labels"], _text(card)) for card in facets],
    )


def write_calibration(cards: Sequence[Card]) -> None:
    """Write how often spans of a probability did portray the behaviour, in fifths of the spans."""
    from auditor.cli import console

    bins = [card for card in cards if card["metric"] == "calibration"]
    if bins:
        console.write_table(
            ("stage", "mean probability", "share that portray it", "labels", "positive"),
            [(c["stage"], c["at"], c["estimate"], c["labels"], c["positives"]) for c in bins],
        )


def _others(cards: Sequence[Card], first: Card) -> list[Card]:
    """Every card of the same detector."""
    same = ("stage", "facet", "name")
    return [card for card in cards if all(card[key] == first[key] for key in same)]


def _row(auc: Card, cards: Sequence[Card]) -> tuple[object, ...]:
    [average] = [card for card in cards if card["metric"] == "average_precision"]
    precision = {card["at"]: card["estimate"] for card in cards if card["metric"] == "precision"}
    spike_ins = [card for card in cards if card["metric"] == "spike_in_recall"]
    return (
        auc["stage"], auc["name"], auc["positives"], auc["labels"], _text(auc), _text(average),
        f"{precision[0.5]:.2f}", f"{precision[0.8]:.2f}", _recall(spike_ins),
    )  # fmt: skip


def _text(card: Card) -> str:
    from auditor.cli import console
    from auditor.records import Interval

    return console.share_text(Interval(card["estimate"], card["low"], card["high"]))


def _recall(cards: Sequence[Card]) -> str:
    """One share a corpus."""
    shares = [f"{card['positives']} of {card['labels']} ({card['corpus']})" for card in cards]
    return ", ".join(shares) or "-"
