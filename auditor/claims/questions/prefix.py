"""T1: given the same words, does a base model go on to show it as often as the text itself did?

The unit is a prefix: what models made of it against what its author did. Prefixes count by how rare
they are among labels: a sample richer in passages that show it would make authors show it more than
models can. Prefixes of one document are a cluster: its passages, and one passage asked about for
several behaviours, are no independent units. Both sides are taken to be read alike, by the judge of
the claim (METHOD §1.2 H=, §2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from auditor.claims.evidence import AUTHOR, Row
from auditor.claims.layout import compare
from auditor.claims.question import Material, Question, missing
from auditor.claims.questions.contrast import ask_contrast
from auditor.claims.spec import Claim, Contrast, Part
from auditor.records import Gate, TestResult
from auditor.statistics.contrast import ContrastStudy
from auditor.statistics.permutation import exact_sign_flip_p
from auditor.statistics.sparse import SparseStudy

BASE = "base"
PAIRED = Contrast(
    unit=("prompt",),
    levels=(Part(1.0, {"model": f"!{AUTHOR}"}), Part(-1.0, {"model": AUTHOR})),
    groups=(Part(1.0, {}),),
    alike=("behaviour",),
)

MIN_PREFIXES = 20
"""Documents with a prefix: fewer are no sample; power asks for more prefixes, about 95 where one in
ten shows it (METHOD §2, T1)."""

MOST_UNCODED = 0.1
"""Share of the passages without the behaviour that may lack a coded opportunity: as many as may
lack an answer where a rate is measured. Those that nobody coded may belong in the denominator."""


def ask(claim: Claim, material: Material) -> Question:
    """Compare base models with the authors of the same prefixes."""
    rows = [_of_prefix(row) for row in material.rows]
    authors = {row["prompt"]: row for row in rows if row["model"] == AUTHOR}
    models = [row for row in rows if row["model"] != AUTHOR]
    bases = [row for row in models if row["base_or_tuned"] == BASE]
    gates = (
        _denominator_gate(list(authors.values())),
        corpus_gate(claim),
        _base_gate(len(bases), len(models)),
    )
    paired = Material(material.measured, [*bases, *authors.values()])
    compared = compare(claim, PAIRED, paired.rows)
    if compared is None:
        return missing(_units_gate(0, 0, len(authors)), *gates)
    asked = ask_contrast(claim, PAIRED, paired)
    sides = [authors[name] for name in compared.units]
    study = _weighted(compared.study, sides)
    documents = len(study.differences())
    return replace(
        asked,
        study=study,
        gates=(_units_gate(len(sides), documents, len(authors)), *gates),
        units={"prefixes": len(sides), "documents": documents}
        | {"models": len({row["model"] for row in bases})}
        | {"trials": int(study.n[:, 0].sum())},
        none=_no_difference(study),
        points=tuple(_points(asked.points, study)),
        reading=_reading(study),
        details={
            "behaviours": _by_behaviour(study, sides),
            "verbatim_left_out": sum(int(row["factors"].get("verbatim", 0)) for row in bases),
            "effective_prefixes": float(study.weight.sum() ** 2 / np.square(study.weight).sum()),
        },
    )


def corpus_gate(claim: Claim) -> Gate:
    """U5 where passages themselves are asked, not their ranks: some tie of corpus to model."""
    needs = "name a corpus the model was trained on, or one like it: tier A or B"
    return Gate("U5", claim.tier != "C", f"tier {claim.tier}", needs)


def _of_prefix(row: Row) -> Row:
    """A row whose prompt is its prefix, whatever else its file calls a prompt."""
    return {**row, "factors": {k: v for k, v in row["factors"].items() if k != "prompt"}}


def _units_gate(found: int, documents: int, known: int) -> Gate:
    seen = (
        f"{found} prefixes of {documents} documents continued by base models, of {known} whose own "
        "outcome is known"
    )
    needs = (
        f"let base models continue exported prefixes of at least {MIN_PREFIXES} documents, 95 for "
        "power"
    )
    return Gate("U1", documents >= MIN_PREFIXES, seen, needs)


def _denominator_gate(authors: Sequence[Row]) -> Gate:
    """U4: texts that could have shown it and did not, drawn with a known probability."""
    absent = dict.fromkeys(sorted({row["behaviour"] for row in authors}), 0)
    uncoded = {row["behaviour"]: float(row["factors"].get("uncoded", 0.0)) for row in authors}
    for row in authors:
        absent[row["behaviour"]] += row["k"] == 0
    unknown = sum(row["factors"].get("pi") is None for row in authors)
    bare = [name for name, count in absent.items() if not count]
    problems = [
        *(f"every prefix of {name} is one where the text went on to show it" for name in bare),
        *(
            f"opportunity not coded in {uncoded[name]:.0%} of the passages without {name}"
            for name in absent
            if uncoded[name] > MOST_UNCODED
        ),
        *([f"{unknown} labels without an inclusion probability"] if unknown else []),
    ]
    found = f"{sum(absent.values())} of {len(authors)} prefixes are ones where the text did not"
    needs = (
        "code `opportunity` in the passages of a probability sample that do not show it, and "
        "export prefixes again"
    )
    return Gate("U4", bool(authors) and not problems, "; ".join([found, *problems]), needs)


def _base_gate(bases: int, models: int) -> Gate:
    found = f"{bases} rows of base models; {models - bases} rows of others left out"
    return Gate("U6", bases > 0, found, 'say "base_or_tuned": "base" in the records of base models')


def _weighted(study: ContrastStudy, sides: Sequence[Row]) -> SparseStudy:
    """The study with each prefix counting for all the passages it stands for; all alike if unknown.

    sides: the author's row of each unit.
    """
    known = all(row["factors"].get("pi") for row in sides)
    weight = [1.0 / float(row["factors"]["pi"]) if known else 1.0 for row in sides]
    documents = np.unique([_document(row) for row in sides], return_inverse=True)[1]
    return SparseStudy.of(study, np.array(weight), documents)


def _document(side: Row) -> str:
    """The document a prefix is of: what its name begins with."""
    return str(side["prompt"]).split("-", 1)[0]


def _no_difference(study: SparseStudy) -> TestResult:
    p = exact_sign_flip_p(study.differences())
    return TestResult("no difference", float(study.fit().estimate), p, "sign flips over documents")


def _points(points: Sequence[Mapping[str, Any]], study: SparseStudy) -> list[Mapping[str, Any]]:
    """Rates and limits as weighted, documents respected; counts as sampled."""
    found = [study.limits(level) for level in range(len(points))]
    return [
        {**p, "rate": i.estimate, "low": i.low, "high": i.high, "design_effect": effect}
        for p, (effect, i) in zip(points, found, strict=True)
    ]


def _by_behaviour(study: SparseStudy, sides: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Rate of models and of authors, and their odds ratio, for each behaviour."""
    names = np.array([row["behaviour"] for row in sides])
    found = {}
    for name in sorted(set(names.tolist())):
        part = study.part(names == name)
        model, human = part.rates[0].tolist()
        found[name] = {
            "prefixes": int((names == name).sum()),
            "model": model,
            "human": human,
            "odds_ratio": float(np.exp(part.fit().estimate)),
        }
    return found


def _reading(study: SparseStudy) -> str:
    model, human = study.rates[0].tolist()
    ratio = float(np.exp(study.fit().estimate))
    return (
        f"Over the same {len(study.k)} prefixes base models went on to show it in {model:.1%} of "
        f"their continuations and the texts themselves in {human:.1%}, an odds ratio of {ratio:.2f}"
    )
