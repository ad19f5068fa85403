"""Claim files → claims: one TOML each, a user's read by the same function as a shipped one."""

from collections.abc import Iterable
from pathlib import Path

from auditor.claims.fields import Fields, read_fields
from auditor.claims.spec import (
    ALIKE,
    CONTRASTS,
    EVIDENCE,
    KINDS,
    MAX_ALPHA,
    RIVALS,
    SETTINGS,
    SHARED,
    STRENGTHS,
    TESTS,
    TIERS,
    Claim,
    Contrast,
    Design,
    Part,
    Predictor,
    RivalSpec,
    Scatter,
)
from auditor.errors import UsageError
from auditor.plan import digest
from auditor.statistics.claimed import AtLeast, Claimed, Within
from auditor.statistics.judge import Judge

LIBRARY = Path(__file__).parent / "library"


def read_claims(extra: Iterable[Path] = ()) -> dict[str, Claim]:
    """Read the bundled claims and the user's own, by id."""
    claims = [read_claim(path) for path in (*sorted(LIBRARY.glob("*.toml")), *extra)]
    return {claim.id: claim for claim in claims}


def choose_claims(names: Iterable[str]) -> list[Claim]:
    """Pick claims by id or by the path of a TOML; all bundled ones for none. Raises UsageError."""
    bundled = read_claims()
    chosen = []
    for name in names:
        if name.endswith(".toml"):
            chosen.append(read_claim(Path(name)))
        elif name in bundled:
            chosen.append(bundled[name])
        else:
            raise UsageError(f"no claim {name!r}", "there are: " + ", ".join(bundled))
    by_id: dict[str, Claim] = {}
    for claim in chosen:
        if by_id.setdefault(claim.id, claim).digest != claim.digest:
            raise UsageError(f"two different claims are called {claim.id!r}", "give one its own id")
    return list(by_id.values()) or list(bundled.values())


def read_claim(path: Path) -> Claim:
    """Read one claim; raises BadInput naming file, line, field and what it needs."""
    fields = read_fields(path)
    corpora, observations = fields.table("corpora"), fields.table("observations")
    controls = fields.table("controls")
    claim = Claim(
        id=fields.text("id"),
        statement=fields.text("statement"),
        strength=fields.one_of("strength", STRENGTHS),
        test=fields.one_of("test", TESTS, "frequency"),
        claimed=_claimed(fields),
        rival_effect=fields.number("rival_effect", 0.0),
        alpha=fields.between("alpha", 0.0, MAX_ALPHA, MAX_ALPHA),
        seed=fields.count("seed", 0),
        behaviours=fields.names("behaviours"),
        predictor=_predictor(fields.table("predictor")),
        corpora=corpora.names("names", ("*",)),
        placebo=corpora.names("placebo", ("placebo*",)),
        tier=corpora.one_of("tier", TIERS, "C"),
        evidence=observations.one_of("evidence", EVIDENCE, "obs"),
        studies=observations.names("studies", ("*",)),
        models=observations.names("models", ("*",)),
        conditions=observations.names("conditions", ("*",)),
        where=observations.texts("where"),
        scatter=_scatter(fields.table("scatter", needed=True)),
        judge=_judge(fields.table("judge")),
        design=_design(fields.table("design", needed=True)),
        rivals=tuple(_rival(rival) for rival in fields.tables("rivals")),
        control_beta_min=controls.between("beta_min", 0.0, 100.0, 0.30),
        contrast=_contrast(fields.table("contrast")) if fields.has("contrast") else None,
        settings={name: fields.texts(name) for name in SETTINGS},
        family=fields.names("family"),
        after=fields.text("after", ""),
        digest=digest(fields.content),
        content=fields.content,
    )
    _check_rival_effect(fields, claim)
    if claim.test in CONTRASTS and claim.contrast is None:
        raise fields.wrong("test", f"the test {claim.test} needs a table [contrast]")
    for read in (fields, corpora, observations, controls):
        read.done()
    return claim


def _check_rival_effect(fields: Fields, claim: Claim) -> None:
    """The nearest rival world is one in which the claim fails; any other would buy power."""
    effect, claimed = claim.rival_effect, claim.claimed
    if isinstance(claimed, AtLeast) and not claim.directional and not 0 <= effect < claimed.least:
        message = f"rival_effect is {effect:g}, expected 0 or more and less than beta_min"
        raise fields.wrong("rival_effect", message)
    if isinstance(claimed, Within) and abs(effect) <= claimed.margin:
        message = f"rival_effect is {effect:g}, expected to lie outside the margin"
        raise fields.wrong("rival_effect", message)


def _claimed(fields: Fields) -> Claimed | None:
    """`beta_min`, or `margin` with `reach`; neither where the claim commits to no number."""
    if fields.has("margin"):
        margin = fields.at_least("margin", 0.0)
        reach = fields.between("reach", 0.0, 100.0, margin or None)
        if fields.has("beta_min"):
            raise fields.wrong("beta_min", "a claim states beta_min or margin, not both")
        if reach < margin:
            raise fields.wrong("reach", f"reach is {reach:g}, expected the margin or more")
        if not fields.has("rival_effect"):
            message = "a claim of no effect needs rival_effect, that of the nearest rival world"
            raise fields.wrong("margin", message)
        return Within(margin, reach)
    return AtLeast(fields.number("beta_min")) if fields.has("beta_min") else None


def _scatter(table: Fields) -> Scatter:
    scatter = Scatter(*(table.at_least(name, 0.0) for name in ("behaviour", "model", "prompt")))
    table.done()
    return scatter


def _judge(table: Fields) -> Judge:
    rates = [
        table.between(name, 0.0, 1.0) if table.has(name) else None
        for name in ("sensitivity", "specificity")
    ]
    table.done()
    return Judge(*rates)


def _design(table: Fields) -> Design:
    models, conditions = table.count("models", 1), table.count("conditions", 1)
    prompts, draws = table.count("prompts", 1), table.count("draws", 1)
    rate = table.between("mean_rate", 0.0, 1.0)
    if rate == 1.0:
        raise table.wrong("mean_rate", "mean_rate is 1, expected a share below it")
    table.done()
    return Design(models, conditions, prompts, draws, rate)


def _rival(table: Fields) -> RivalSpec:
    rival = RivalSpec(
        table.one_of("id", RIVALS),
        table.text("covariate", ""),
        table.numbers("values"),
        table.text("held", ""),
    )
    if not rival.covariate and not rival.values and not rival.held:
        raise table.wrong("id", "a rival needs a covariate, its values, or held")
    table.done()
    return rival


def _predictor(table: Fields) -> Predictor:
    components = table.table("components")
    predictor = Predictor(
        target=table.text("target", ""),
        against=table.text("against", ""),
        components={name: components.names(name) for name in components.content},
        given=table.names("given"),
        kind=table.one_of("kind", KINDS, "behaviour"),
    )
    table.done()
    return predictor


def _contrast(table: Fields) -> Contrast:
    contrast = Contrast(
        unit=table.names("unit", ("prompt",)),
        levels=_parts(table, "levels"),
        groups=_parts(table, "groups"),
        alike=table.names("alike", ALIKE),
        shared=table.names("shared", SHARED),
    )
    table.done()
    if max(len(contrast.levels), len(contrast.groups)) < 2:
        raise table.wrong("levels", "a contrast needs two levels or two groups")
    return contrast


def _parts(table: Fields, name: str) -> tuple[Part, ...]:
    """The levels or groups; one of weight 1 that takes everything where there are none."""
    parts = []
    for one in table.tables(name):
        parts.append(Part(one.number("weight"), one.texts("where")))
        one.done()
    if len(parts) > 1 and abs(sum(part.weight for part in parts)) > 1e-9:
        total = sum(part.weight for part in parts)
        raise table.wrong(name, f"the weights of {name} add up to {total:g}, expected 0")
    return tuple(parts) or (Part(1.0, {}),)
