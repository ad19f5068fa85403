"""What the corpora hold, as far as a claim needs it: frequencies, predictors, contexts, mixes.

All of it is the corpus side of a claim: nothing here looks at an observation.
"""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from auditor.behaviours.spec import Behaviour
from auditor.claims.evidence import Frequency, Measured
from auditor.claims.spec import PLACEBO, Claim
from auditor.errors import UsageError
from auditor.flows.measurer import Measurer
from auditor.prevalence.targets import Target, parse_target
from auditor.records import BehaviourKind, Prevalence
from auditor.schema import FACETS
from auditor.statistics.concordance import kendall_w

MIN_CORPORA = 3
"""Proxy corpora from which the spread between corpora can be judged (METHOD §1.1)."""

HALF_LABEL = float(np.sqrt(2.0))
"""Standard error of the log of half a label: 1 / sqrt(0.5)."""

MIN_SHARED = 5
"""Behaviours every corpus must measure before their ranks are compared."""

Rows = Mapping[str, Prevalence]


def measure_claim(measurer: Measurer, claim: Claim, corpora: Sequence[str]) -> Measured:
    """Everything a claim locks; all in the corpus with most labels.

    Placebos and positive controls are always measured: they are the claim's controls. For proxy
    corpora (tier B) the spread between corpora is part of each frequency's error (METHOD §1.1).
    """
    _known(measurer, claim)
    predictor = claim.predictor
    target = "" if predictor.against else predictor.target
    placebos = [c for c in corpora if any(fnmatchcase(c, p) for p in claim.placebo)]
    corpora = [c for c in corpora if c not in placebos] or list(corpora)
    measured = {corpus: _rows(measurer, claim, corpus, target) for corpus in corpora}
    primary = max(corpora, key=lambda corpus: sum(row.labels for row in measured[corpus].values()))
    spreads = {
        kind: 0.0 if claim.tier == "A" else _spread(measurer, measured, kind)
        for kind in BehaviourKind
    }
    frequencies = {
        name: _frequency(row, measurer.library[name].kind, spreads[measurer.library[name].kind])
        for name, row in measured[primary].items()
    }
    placebo = {corpus: _logs(measurer, claim, corpus, predictor.target) for corpus in placebos}
    given = {
        text: _mean(placebo) if text == PLACEBO else _logs(measurer, claim, primary, text)
        for text in predictor.given
    }
    values = _predictor(measurer, claim, primary, frequencies)
    held = {name: x for name, x in values.items() if all(name in one for one in given.values())}
    return Measured(
        frequencies=frequencies,
        predictor=held,
        given=given,
        contexts=_contexts(measurer, claim, primary),
        mixes=_mixes(measurer, claim, primary),
        placebo=placebo,
        concordance=_concordance(measurer, measured),
    )


def _known(measurer: Measurer, claim: Claim) -> None:
    """Raises UsageError where a behaviour's pattern fits nothing in the library."""
    for pattern in claim.behaviours:
        if not any(fnmatchcase(name, pattern) for name in measurer.library):
            hint = "there are: " + ", ".join(measurer.library)
            raise UsageError(f"no behaviour {pattern!r}, which claim {claim.id} names", hint)


def _behaviours(measurer: Measurer, claim: Claim) -> Iterable[Behaviour]:
    """The behaviours a claim is about, and its controls."""
    for behaviour in measurer.library.values():
        chosen = not claim.behaviours or any(fnmatchcase(behaviour.id, p) for p in claim.behaviours)
        if chosen or behaviour.kind is not BehaviourKind.BEHAVIOUR:
            yield behaviour


def _rows(measurer: Measurer, claim: Claim, corpus: str, target: str) -> dict[str, Prevalence]:
    framing = parse_target(target).framing
    found = {}
    for behaviour in _behaviours(measurer, claim):
        row = measurer.target(Target(behaviour.id, {} if behaviour.rule else framing), corpus)
        if row is not None:
            found[behaviour.id] = row
    return found


def _predictor(
    measurer: Measurer, claim: Claim, corpus: str, frequencies: Mapping[str, Frequency]
) -> dict[str, tuple[float, float]]:
    """The claim's predictor of every behaviour it can be formed for, with its standard error."""
    predictor = claim.predictor
    own = {n: (float(np.log(f.estimate)), f.se_log) for n, f in frequencies.items() if f.usable}
    if predictor.against:
        index = _framing_index(measurer, claim, corpus, frequencies)
        framed = BehaviourKind.BEHAVIOUR
        controls = {n: x for n, x in own.items() if measurer.library[n].kind is not framed}
        return {**controls, **index}
    if predictor.components:
        return {
            name: min(parts)
            for name in own
            if (parts := [own[c] for c in predictor.components.get(name, (name,)) if c in own])
            and len(parts) == len(predictor.components.get(name, (name,)))
        }
    return own


def _framing_index(
    measurer: Measurer, claim: Claim, corpus: str, frequencies: Mapping[str, Frequency]
) -> dict[str, tuple[float, float]]:
    """ln (target + half a label) / (against + half a label): g of METHOD §1.1."""
    pro = _rows(measurer, claim, corpus, claim.predictor.target)
    con = _rows(measurer, claim, corpus, claim.predictor.against)
    found = {}
    for name in sorted(set(pro) & set(con)):
        half = _half_label(frequencies[name])
        if measurer.library[name].kind is BehaviourKind.BEHAVIOUR and half > 0:
            a, c = (row[name].per_million_passages.estimate or 0.0 for row in (pro, con))
            shares = [max(rate, half) / half / 2.0 for rate in (a, c)]
            error = float(np.sqrt(sum(1.0 / labels for labels in shares)))
            found[name] = (float(np.log((a + half) / (c + half))), error)
    return found


def _half_label(frequency: Frequency) -> float:
    """Half of what one positive label adds to a rate; 0 where none was seen."""
    return 0.5 * frequency.estimate / frequency.positives if frequency.positives else 0.0


def _logs(measurer: Measurer, claim: Claim, corpus: str, target: str) -> dict[str, float]:
    """Log rate of a target for every behaviour, half a label added."""
    return {name: x for name, (x, _) in _log_rates(measurer, claim, corpus, target).items()}


def _log_rates(
    measurer: Measurer, claim: Claim, corpus: str, target: str
) -> dict[str, tuple[float, float]]:
    """Log rate of a target for every behaviour, half a label added, and its standard error.

    Where nothing was seen, the error is that of half a label.
    """
    whole, rows = _rows(measurer, claim, corpus, ""), _rows(measurer, claim, corpus, target)
    found = {}
    for name in sorted(set(rows) & set(whole)):
        row, own = rows[name], whole[name]
        rate = row.per_million_passages.estimate or 0.0
        read = own.frame_size if measurer.library[name].rule else own.labels
        half = 0.5 * (own.per_million_passages.estimate or 0.0) / max(own.positives, 1)
        seen = row.positives > 0 and row.se_log is not None
        error = row.se_log if seen else 0.0 if measurer.library[name].rule else HALF_LABEL
        found[name] = (float(np.log(rate + (half or 0.5e6 / max(read, 1)))), float(error or 0.0))
    return found


def _mean(logs: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean log rate over corpora, for behaviours measured in all of them."""
    shared = set.intersection(*map(set, logs.values())) if logs else set()
    return {n: float(np.mean([one[n] for one in logs.values()])) for n in sorted(shared)}


def _contexts(
    measurer: Measurer, claim: Claim, corpus: str
) -> dict[str, dict[str, tuple[float, float]]]:
    """Log rates in each framing of [contexts], and before each date of [cutoffs]."""
    framings = sorted(set(claim.settings["contexts"].values()))
    found = {text: _log_rates(measurer, claim, corpus, f"[{text}]") for text in framings}
    for date in sorted(set(claim.settings["cutoffs"].values())):
        before = {b.id: _before(measurer, b, corpus, date) for b in _behaviours(measurer, claim)}
        found[date] = {name: value for name, value in before.items() if value is not None}
    return found


def _before(
    measurer: Measurer, behaviour: Behaviour, corpus: str, date: str
) -> tuple[float, float] | None:
    """ln (1 + rate per million passages of the years before a date), with its standard error.

    None where no document is that old: that there was no text is not that it held nothing
    (METHOD §2, T13).
    """
    rows = [
        row
        for row in measurer.rows([behaviour], [corpus], "year")
        if row.calibrated and (row.value or "").isdigit() and str(row.value) < date[:4]
    ]
    size = sum(row.frame_size for row in rows)
    seen = sum(row.exposure.estimate or 0.0 for row in rows)
    if not size:
        return None
    errors = [(row.exposure.estimate or 0.0) * (row.se_log or 0.0) for row in rows]
    rate, error = 1e6 * seen / size, 1e6 * float(np.hypot.reduce(errors)) / size
    return float(np.log1p(rate)), error / (1.0 + rate)


def _mixes(measurer: Measurer, claim: Claim, corpus: str) -> dict[str, dict[str, float]]:
    """For each role of [roles]: the rate of each beneficiary, all the claim's behaviours."""
    found: dict[str, dict[str, float]] = {}
    for role, framing in claim.settings["roles"].items():
        for beneficiary in FACETS["beneficiary"]:
            narrowed = ",".join(filter(None, (framing, f"beneficiary={beneficiary}")))
            rows = _rows(measurer, claim, corpus, f"[{narrowed}]")
            own = [r for n, r in rows.items() if not measurer.library[n].rule]
            if own:
                rate = sum(row.per_million_passages.estimate or 0.0 for row in own)
                found.setdefault(role, {})[beneficiary] = rate
    return found


def _spread(measurer: Measurer, measured: Mapping[str, Rows], kind: BehaviourKind) -> float:
    """Standard deviation of log frequency between corpora, sampling error taken out.

    Each behaviour is centred on its mean, each corpus on its own: a common factor shifts no slope.
    """
    shared = _shared(measurer, measured, kind)
    if len(measured) < 2 or len(shared) < 2:
        return 0.0
    rows = [[one[name] for name in shared] for one in measured.values()]
    logs = np.log([[row.per_million_passages.estimate or 0.0 for row in c] for c in rows])
    left = logs - logs.mean(axis=0) - logs.mean(axis=1, keepdims=True) + logs.mean()
    freedom = (len(rows) - 1) * (len(shared) - 1)
    error = np.mean([[(row.se_log or 0.0) ** 2 for row in corpus] for corpus in rows])
    return float(np.sqrt(max(0.0, np.square(left).sum() / freedom - error)))


def _shared(measurer: Measurer, measured: Mapping[str, Rows], kind: BehaviourKind) -> list[str]:
    """Behaviours of a kind that were seen in every corpus."""
    seen = [
        {n for n, row in corpus.items() if row.per_million_passages.estimate}
        for corpus in measured.values()
    ]
    return sorted(n for n in set.intersection(*seen) if measurer.library[n].kind is kind)


def _frequency(row: Prevalence, kind: BehaviourKind, spread: float) -> Frequency:
    passages = row.per_million_passages
    return Frequency(
        behaviour=row.behaviour,
        kind=kind,
        estimate=passages.estimate or 0.0,
        low=passages.low or 0.0,
        high=passages.high or 0.0,
        se_log=float(np.hypot(row.se_log or 0.0, spread)),
        method=row.method,
        labels=row.labels,
        positives=row.positives,
        corpus=row.corpus,
    )


def _concordance(measurer: Measurer, measured: Mapping[str, Rows]) -> float | None:
    """Kendall's W of the behaviours' frequencies; None for fewer than three corpora."""
    shared = _shared(measurer, measured, BehaviourKind.BEHAVIOUR)
    if len(measured) < MIN_CORPORA or len(shared) < MIN_SHARED:
        return None
    rows = [[one[name] for name in shared] for one in measured.values()]
    return kendall_w(
        np.array([[row.per_million_passages.estimate or 0.0 for row in corpus] for corpus in rows])
    )
