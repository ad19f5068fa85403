"""`auditor detect`: score texts that are in no corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.options import Json

EXAMPLE = 'auditor detect --text "He forged the bill of lading and swore it was genuine."'


def command(
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE|-]", help="JSONL of {id?, text}.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Score this text instead.")] = None,
    json: Json = False,
) -> None:
    """Score texts for every behaviour and framing; JSONL out. Scores are uncalibrated."""
    from auditor import Audit
    from auditor.cli import console

    results = Audit.detect([{"id": "text", "text": text}] if text else _items(file))
    if json:
        console.write_json(list(results))
        return
    import json as json_module

    for result in results:
        console.write_line(json_module.dumps(result, ensure_ascii=False))


def _items(file: str | None) -> Iterator[dict[str, str]]:
    import json
    import sys

    from auditor.errors import BadInput, UsageError

    if file is None:
        raise UsageError("nothing to score", EXAMPLE)
    try:
        lines = sys.stdin if file == "-" else Path(file).open(encoding="utf-8")  # noqa: SIM115
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}", EXAMPLE) from error
    with lines:
        for number, line in enumerate(lines, 1):
            try:
                item = json.loads(line)
                if not isinstance(item["text"], str):
                    raise TypeError("text is not a string")
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{file} line {number}: {error}", "each line is {id?, text}"
                ) from error
            yield item
