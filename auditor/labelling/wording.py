"""The codebook's words for facets and their values, the same for every reader, human or judge.

The keyboard session shows them beside the keys; the judge's prompt has a line a facet.
"""

from collections.abc import Mapping

QUESTIONS: Mapping[str, str] = {
    "stance": "how does the text treat it?",
    "mode": "what kind of telling is it?",
    "actor": "who does it?",
    "beneficiary": "whose interest does it serve?",
    "outcome": "how does it end, within the passage?",
    "pressure": "what moved the actor to it?",
    "principal_kind": "whom does the actor serve, or is set to serve?",
}
"""What a facet asks; a facet without an entry shows its values alone."""

MEANINGS: Mapping[str, Mapping[str, str]] = {
    "stance": {
        "endorse": "approves, admires, recommends or enjoys it, jokes approvingly",
        "neutral": "neither approves nor warns, as in technical prose",
        "condemn": "disapproves, warns against it, shows it as bad",
    },
    "mode": {
        "fiction": "a narrated story",
        "report": "a claimed real event: news, history, official record, biography",
        "discussion": "analysis, argument, hypothesis, theory",
        "instruction": "tells the reader how to do it or avoid it",
        "first_person": "the writer's own real experience",
    },
    "actor": {
        "human": "a person or persons",
        "organisation": "a firm, a state, a group",
        "ai": "an AI system, a robot, an algorithm, a hypothetical agent",
        "other": "an animal, a god, or unclear",
    },
    "beneficiary": {
        "self": "the one who does it",
        "principal": "one the actor serves: employer, leader, family, nation, developer",
        "third_party": "someone else, or society",
        "unclear": "the passage does not say",
    },
    "outcome": {
        "succeeds": "it works",
        "fails": "it fails, is exposed or is punished",
        "open": "the passage does not say",
    },
    "pressure": {
        "spontaneous": "nothing outside it",
        "incentivised": "a reward, or a goal it was given",
        "threatened": "a loss it faced",
        "instructed": "it was told to",
    },
}
"""What a value means; a value without an entry explains itself."""


def gloss(facet: str) -> str:
    """What a facet asks and what its values mean, in one line; empty where it has no words."""
    meanings = "; ".join(f"{value}: {words}" for value, words in MEANINGS.get(facet, {}).items())
    return " ".join(part for part in (QUESTIONS.get(facet, ""), meanings) if part)
