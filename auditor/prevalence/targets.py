"""What is counted: a behaviour, and the framings it must have, as claims and rows name it.

`goal_fixation[actor=ai]`, `deception[mode=fiction|report|first_person]`; facets join with commas.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.errors import UsageError
from auditor.schema import FACETS, OPTIONAL_FACETS

_TARGET = re.compile(r"^(?P<behaviour>\w*)(?:\[(?P<framing>[^\]]*)\])?$")


@dataclass(frozen=True, slots=True)
class Target:
    """A behaviour with the facet values that count; no facets means every framing."""

    behaviour: str
    framing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Write the target as claims name it."""
        if not self.framing:
            return self.behaviour
        parts = ",".join(f"{facet}={'|'.join(values)}" for facet, values in self.framing.items())
        return f"{self.behaviour}[{parts}]"


def parse_target(text: str) -> Target:
    """Read a target; raises UsageError naming the facet or value that does not exist."""
    match = _TARGET.match(text)
    if not match:
        raise UsageError(f"not a target: {text!r}", "write goal_fixation[actor=ai]")
    framing: dict[str, tuple[str, ...]] = {}
    for part in filter(None, (match["framing"] or "").split(",")):
        facet, _, values = part.partition("=")
        framing[facet.strip()] = _values(facet.strip(), values)
    return Target(match["behaviour"], framing)


def _values(facet: str, text: str) -> tuple[str, ...]:
    known = {**FACETS, **OPTIONAL_FACETS}
    if facet not in known:
        raise UsageError(f"no facet {facet!r}", "there are: " + ", ".join(known))
    values = tuple(value.strip() for value in text.split("|"))
    wrong = [value for value in values if known[facet] and value not in known[facet]]
    if wrong or not text:
        expected = ", ".join(known[facet])
        raise UsageError(f"{facet} has no value {text!r}", f"there are: {expected}")
    return values
