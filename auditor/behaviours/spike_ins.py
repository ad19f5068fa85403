"""Spike-ins: coded texts that no detector learns from, to measure what share of them it finds.

Shipped ones are spike_ins/ID.jsonl, written for one behaviour each (half of them as near misses)
and coded for all shipped behaviours. A user's are the [[spike_ins]] tables of a behaviour's TOML.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.behaviours.spec import Behaviour

SPIKE_INS = Path(__file__).parent / "spike_ins"


@dataclass(frozen=True, slots=True)
class SpikeIn:
    """A text written for one behaviour, its own, with all it portrays: a label is {id, facets}.

    Without a label of its own behaviour it is a near miss of it.
    """

    text: str
    own: str
    labels: tuple[Mapping[str, str], ...]

    @property
    def portrays(self) -> frozenset[str]:
        """The ids of its labels."""
        return frozenset(label["id"] for label in self.labels)


def read_spike_ins(library: Mapping[str, Behaviour]) -> tuple[SpikeIn, ...]:
    """Read the spike-ins of a library's behaviours, shipped and the user's, in its order.

    Nobody coded a shipped spike-in for a user's behaviour: there, no label says nothing.
    """
    return tuple(
        spike_in
        for behaviour in library.values()
        for spike_in in (*_shipped(behaviour.id), *_own(behaviour))
    )


def _shipped(behaviour: str) -> Iterator[SpikeIn]:
    path = SPIKE_INS / f"{behaviour}.jsonl"
    lines: Iterable[str] = path.read_text("utf-8").splitlines() if path.exists() else ()
    for line in lines:
        row = json.loads(line)
        yield SpikeIn(row["text"], behaviour, tuple(row["labels"]))


def _own(behaviour: Behaviour) -> Iterator[SpikeIn]:
    """A spike-in of the TOML portrays the behaviour; its facets are those of that portrayal."""
    for example in behaviour.spike_ins:
        label = {"id": behaviour.id, **example.framing}
        yield SpikeIn(example.text, behaviour.id, (label, *example.also))
