"""`auditor demo`: the whole flow on the bundled fixture corpus."""

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = "auditor demo"


def command(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where the audit goes.")] = Path(
        "auditor-demo"
    ),
    json: Json = False,
) -> None:
    """Index, label, lock, observe, measure, trace and test the fixture; write the report."""
    from auditor import Audit
    from auditor.cli import console
    from auditor.cli.verdicts import show
    from auditor.paths import shipped

    fixture = shipped("corpora") / "fixture"
    observed, claims = fixture / "observed", sorted(map(str, (fixture / "claims").glob("*.toml")))
    audit = Audit.create(folder, console.Bars())
    audit.index("fixture")
    audit.label(str(fixture / "labels.jsonl"))
    audit.measure()
    audit.predict(*claims)
    audit.observe(str(observed / "transcripts.jsonl"))
    audit.observe(*map(str, sorted(observed.glob("rates-*.csv"))))
    audit.trace()
    results = audit.test(*claims)
    page = audit.report()
    if json:
        console.write_json({"verdicts": results, "report": str(page)})
        return
    show(results)
    console.write_line(f"report: {page}")
