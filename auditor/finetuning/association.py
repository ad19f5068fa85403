"""Cue x trait over the judged rows of a fine-tuning set → how far the trait is tied to the cue.

Rows of one stratum are compared with each other only. Where the set has no row without the cue, or
none without the trait, nothing was varied: the answer is that it cannot be tested, never a ratio.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import gammaln, logsumexp
from scipy.stats import beta, chi2
from statsmodels.stats.contingency_tables import StratifiedTable

from auditor.records import Interval

RESAMPLES = 999
TAIL = 0.025
"""Half of what a two-sided 95 % interval leaves out."""

NOT_ESTIMATED = Interval(None, None, None)
WIDEST = 700.0
"""Log odds ratios beyond this overflow a float."""

LEAST_EXPECTED = 1e-9
"""Expected counts are positive; at extreme ratios subtraction may round one to nothing."""

LEAST_P = float(np.finfo(float).tiny)
"""A p-value is never zero: one that a float cannot hold is given as the smallest it can."""

Booleans = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """Rows judged for one trait: cue, trait, and numbers of stratum and answer; all (rows,).

    Rows with the same answer are one document: copies of an answer are drawn together.
    """

    cue: Booleans
    trait: Booleans
    stratum: Integers
    answer: Integers


@dataclass(frozen=True, slots=True)
class Association:
    """How far one trait goes with one cue.

    `table` is [[cue and trait, cue alone], [trait alone, neither]]. Limits are
    of 95 %. Where zero cells leave every informative stratum on one side, the ratio has no estimate
    and one limit, and `reason` says which. `pmi` is in bits, over all rows, strata aside.
    """

    table: tuple[tuple[int, int], tuple[int, int]]
    strata: int
    strata_informative: int
    testable: bool
    reason: str | None
    odds_ratio: Interval = NOT_ESTIMATED
    p: float | None = None
    breslow_day_p: float | None = None
    pmi: Interval = NOT_ESTIMATED


def associate(judged: Judged, rng: np.random.Generator) -> Association:
    """Test whether a trait is tied to a cue, stratum by stratum; rng draws the PMI's resamples."""
    tables = _tables(judged)
    pooled = tables.sum(axis=0)
    (a, b), (c, d) = ((int(n) for n in row) for row in pooled)
    told = tables[_varied(tables)]
    counts: dict[str, Any] = {
        "table": ((a, b), (c, d)),
        "strata": len(tables),
        "strata_informative": len(told),
    }
    if reason := _untestable(pooled) or ("" if len(told) else _UNVARIED):
        return Association(**counts, testable=False, reason=reason)
    ratio, p, remark = _odds_ratio(told)
    return Association(
        **counts,
        testable=True,
        reason=remark,
        odds_ratio=ratio,
        p=p,
        breslow_day_p=None if ratio.estimate is None else breslow_day_p(told, ratio.estimate),
        pmi=_pmi_interval(judged, pooled, rng),
    )


_UNVARIED = (
    "no stratum has rows with and without the cue and with and without the trait: "
    "add rows that cross cue and trait within a stratum"
)


def breslow_day_p(tables: Floats, ratio: float) -> float | None:
    """p that strata (k, 2, 2) share one odds ratio; None for one stratum.

    Breslow and Day (1980, eq. 4.30) with the correction of Tarone (1985). Unlike statsmodels the
    expected counts are those of the stable root, which exists where the ratio is 1.
    """
    if len(tables) < 2:
        return None
    a, row, column = tables[:, 0, 0], tables[:, 0].sum(1), tables[:, :, 0].sum(1)
    rest = tables.sum((1, 2)) - row - column
    linear = ratio * (row + column) + rest
    product = ratio * row * column
    root = np.sqrt(np.square(linear) + 4.0 * (1.0 - ratio) * product)
    expected = np.where(
        linear >= 0.0,
        2.0 * product / np.maximum(linear + root, np.finfo(float).tiny),
        (root - linear) / (2.0 * (1.0 - ratio) if ratio != 1.0 else 1.0),
    )
    cells = np.stack([expected, row - expected, column - expected, rest + expected])
    variance = 1.0 / (1.0 / np.maximum(cells, LEAST_EXPECTED)).sum(0)
    gap = a - expected
    statistic = np.sum(gap**2 / variance) - gap.sum() ** 2 / variance.sum()
    return float(chi2.sf(max(float(statistic), 0.0), len(tables) - 1))


def pmi(tables: Floats) -> Floats:
    """Pointwise mutual information in bits of cue and trait, of tables (…, 2, 2).

    log2 of P(cue, trait) / (P(cue) P(trait)): Church and Hanks (1990). Minus infinity where they
    never meet, and NaN where one of them is not there.
    """
    together = tables[..., 0, 0]
    alone = tables[..., 0, :].sum(-1) * tables[..., :, 0].sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        bits: Floats = np.log2(together * tables.sum((-2, -1)) / alone)
    return bits


def _tables(judged: Judged) -> Floats:
    """One 2 x 2 table a stratum, (strata, 2, 2): cue in the rows, trait in the columns."""
    names, stratum = np.unique(judged.stratum, return_inverse=True)
    tables = np.zeros((len(names), 2, 2))
    np.add.at(tables, (stratum, (~judged.cue).astype(int), (~judged.trait).astype(int)), 1)
    return tables


def _varied(tables: Floats) -> Booleans:
    """Strata in which both cue and trait vary: the others say nothing of their association."""
    kept: Booleans = (tables.sum(1) > 0).all(1) & (tables.sum(2) > 0).all(1)
    return kept


def _untestable(pooled: Floats) -> str | None:
    """Why a set cannot show an association, and what to add; None where it can."""
    rows = int(pooled.sum())
    if not rows:
        return "no row is judged for the trait: add rows with judgements"
    (cue, no_cue), (trait, no_trait) = pooled.sum(1), pooled.sum(0)
    missing = {
        f"each of the {rows:,} judged rows has the cue: add rows without the cue": no_cue == 0,
        f"none of the {rows:,} judged rows has the cue: add rows with the cue": cue == 0,
        f"each of the {rows:,} judged rows shows the trait: add rows without it": no_trait == 0,
        f"none of the {rows:,} judged rows shows the trait: add rows with it": trait == 0,
    }
    return "; ".join(reason for reason, lacks in missing.items() if lacks) or None


def _odds_ratio(tables: Floats) -> tuple[Interval, float, str | None]:
    """Pooled odds ratio of informative strata, its p, and a remark where it is only bounded.

    Mantel and Haenszel (1959), with the interval of Robins, Breslow and Greenland (1986).
    """
    always = float((tables[:, 0, 1] * tables[:, 1, 0]).sum()) == 0.0
    never = float((tables[:, 0, 0] * tables[:, 1, 1]).sum()) == 0.0
    if always:
        low, p = _exact_limit(tables)
        return Interval(None, low, None), p, _ALWAYS
    if never:
        low, p = _exact_limit(tables[:, :, ::-1])
        return Interval(None, None, 1.0 / low), p, _NEVER
    found = StratifiedTable(list(tables))
    low, high = found.oddsratio_pooled_confint()
    p = max(LEAST_P, float(chi2.sf(found.test_null_odds().statistic, 1)))
    return Interval(float(found.oddsratio_pooled), float(low), float(high)), p, None


_ALWAYS = (
    "no stratum has both cue without trait and trait without cue: the odds ratio has a lower limit"
)
_NEVER = "no stratum has both cue with trait and neither: the odds ratio has an upper limit only"


def _exact_limit(tables: Floats) -> tuple[float, float]:
    """Lower limit of a common odds ratio where no pair speaks against it, and its exact p.

    Every stratum then holds the greatest count its margins allow. Given the margins that has a
    probability of product over strata of P(greatest | ratio), noncentral hypergeometric (Cornfield
    1956; Gart 1970); the limit is the ratio at which it is 2.5 %, and p is twice it at ratio 1.
    """

    def log_probability(log_ratio: float) -> float:
        return sum(_log_greatest(table, log_ratio) for table in tables)

    p = min(1.0, max(LEAST_P, 2.0 * float(np.exp(log_probability(0.0)))))
    limit = brentq(lambda x: log_probability(x) - np.log(TAIL), -WIDEST, WIDEST)
    return float(np.exp(limit)), p


def _log_greatest(table: Floats, log_ratio: float) -> float:
    """Log probability of the greatest first cell that a table's margins allow."""
    cue, no_cue, trait = table[0].sum(), table[1].sum(), table[:, 0].sum()
    counts = np.arange(max(0.0, trait - no_cue), min(cue, trait) + 1)
    terms = _log_choose(cue, counts) + _log_choose(no_cue, trait - counts) + counts * log_ratio
    return float(terms[-1] - logsumexp(terms))


def _log_choose(n: float, k: Floats) -> Floats:
    ways: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return ways


def _pmi_interval(judged: Judged, pooled: Floats, rng: np.random.Generator) -> Interval:
    """PMI with its interval: resampled answers, or limits of both rates where a cell is zero."""
    estimate = float(pmi(pooled))
    if (pooled == 0).any():
        low, high = _bounded_pmi(judged)
        return Interval(estimate if np.isfinite(estimate) else None, low, high)
    return Interval(estimate, *_resampled_pmi(judged, rng))


def _resampled_pmi(judged: Judged, rng: np.random.Generator) -> tuple[float | None, float]:
    """Percentile limits over resampled answers; answers with equal counts are drawn as one kind."""
    _, answer = np.unique(judged.answer, return_inverse=True)
    counts = np.zeros((int(answer.max()) + 1, 2, 2))
    np.add.at(counts, (answer, (~judged.cue).astype(int), (~judged.trait).astype(int)), 1)
    kinds, many = np.unique(counts.reshape(-1, 4), axis=0, return_counts=True)
    drawn = rng.multinomial(len(counts), many / len(counts), size=RESAMPLES)
    bits = pmi((drawn @ kinds).reshape(-1, 2, 2))
    # A limit is one of the resamples: between minus infinity and a number there is nothing.
    low, high = np.quantile(bits[~np.isnan(bits)], (TAIL, 1.0 - TAIL), method="inverted_cdf")
    return (float(low) if np.isfinite(low) else None), float(high)


def _bounded_pmi(judged: Judged) -> tuple[float | None, float]:
    """Conservative limits where a zero cell leaves a bootstrap nothing to draw.

    PMI is a function of P(cue), P(trait | cue) and P(trait | no cue), monotone in each: each is put
    at the end of its Clopper-Pearson interval that makes PMI least or greatest. The three intervals
    are of 98.3 % and so hold together at 95 % (Bonferroni).
    """
    everywhere = np.ones_like(judged.cue)
    shares = _rate_limits(judged, everywhere, judged.cue)
    given = _rate_limits(judged, judged.cue, judged.trait)
    otherwise = _rate_limits(judged, ~judged.cue, judged.trait)
    low = min(_bits(share, given[0], otherwise[1]) for share in shares) if given[0] > 0.0 else None
    return low, max(_bits(share, given[1], otherwise[0]) for share in shares)


def _bits(share: float, given: float, otherwise: float) -> float:
    """PMI of a cue that a share of the rows has, from the trait's rates with it and without."""
    return float(np.log2(given / (share * given + (1.0 - share) * otherwise)))


def _rate_limits(judged: Judged, among: Booleans, counted: Booleans) -> tuple[float, float]:
    """Limits of the share of counted rows among some rows, 98.3 %.

    Counts are shrunk to the number of different answers, as Korn and Graubard (1998) do for a
    design effect.
    """
    tail = TAIL / 3.0
    n = float(len(np.unique(judged.answer[among])))
    k = float(counted[among].mean()) * n
    low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
    high = float(beta.ppf(1.0 - tail, k + 1, n - k)) if k < n else 1.0
    return low, high
