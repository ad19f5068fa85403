"""`auditor detect`: score texts that are in no corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.options import Json

if TYPE_CHECKING:
    from auditor import Audit

EXAMPLE = 'auditor detect --text "He forged the bill of lading and swore it was genuine."'


def command(
    context: typer.Context,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="JSONL of {id?, text, genre?}.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Score this text instead.")] = None,
    stage: Annotated[
        int | None, typer.Option(help="1: static vectors, 2: transformer; the best there is.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(help="Passages the transformer may read of each corpus.")
    ] = None,
    corpus: Annotated[str | None, typer.Option(help="One corpus of the audit; all.")] = None,
    encoder: Annotated[
        str | None, typer.Option(help="A sentence-transformers name or path, for stage 2.")
    ] = None,
    json: Json = False,
) -> None:
    """Score texts; with none, learn from the audit's labels and score and read its corpora.

    Probabilities are calibrated where the audit holds labels, and only rank where it does not.
    """
    from auditor import Audit
    from auditor.cli import console

    audited = (context.obj.folder / "audit.toml").is_file()
    if file is None and text is None:
        audit = Audit.open(context.obj.folder, console.Bars())
        _write_summaries(audit.detect(corpus=corpus, budget=budget, encoder=encoder), audit, json)
        return
    items = [{"id": "text", "text": text}] if text is not None else _items(str(file))
    if audited:
        audit = Audit.open(context.obj.folder, console.Bars())
        results = audit.detect_texts(items, stage, encoder)
    else:
        results = Audit.score_texts(items, stage, encoder, console.Bars())
    if json:
        console.write_json(list(results))
        return
    import json as json_module

    for result in results:
        console.write_line(json_module.dumps(result, ensure_ascii=False))


def _write_summaries(found: list[dict[str, Any]], audit: "Audit", json: bool) -> None:
    from auditor.cli import cards, console

    if json:
        console.write_json(found)
        return
    for summary in found:
        shown = {k: v for k, v in summary.items() if k not in ("thresholds", "heads")}
        console.write_pairs(shown)
    cards.write(audit.cards())


def _items(file: str) -> Iterator[dict[str, str]]:
    import json
    import sys

    from auditor.errors import BadInput

    try:
        lines = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}", EXAMPLE) from error
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                item = json.loads(line.decode())
                if not isinstance(item["text"], str):
                    raise TypeError("text is not a string")
                item["text"].encode()
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{file} line {number}: {error}", "each line is {id?, text}"
                ) from error
            yield item
