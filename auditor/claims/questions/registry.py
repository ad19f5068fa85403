"""Every kind of test, by the name claims give it."""

from collections.abc import Callable

from auditor.claims.question import Material, Question
from auditor.claims.questions import (
    beneficiary,
    combination,
    conditional,
    context,
    contrast,
    control,
    distribution,
    elicitation,
    exception,
    existential,
    frequency,
    interventions,
    prefix,
    pressure,
    saturated,
    swap,
    tuning,
    verbatim,
)
from auditor.claims.spec import Claim

QUESTIONS: dict[str, Callable[[Claim, Material], Question]] = {
    "frequency": frequency.ask,
    "context": context.ask,
    "onset": context.ask,
    "exception": exception.ask,
    "contrast": contrast.ask,
    "prefix": prefix.ask,
    "swap": swap.ask,
    "beneficiary": beneficiary.ask,
    "verbatim": verbatim.ask,
    "tuning": tuning.ask,
    "elicitation": elicitation.ask,
    "conditional": conditional.ask,
    "distribution": distribution.ask,
    "control": control.ask,
    "pressure": pressure.ask,
    "combination": combination.ask,
    "interventions": interventions.ask,
    "existential": existential.ask,
    "saturated": saturated.ask,
}
