"""One reader's judgements on disk, one line each, written and synced as each item is finished.

The newest line of an item wins, so an undo is one more line. A process that is killed leaves at
most a torn last line, which is no answer; any other line that cannot be read is damage.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from auditor.errors import BadInput
from auditor.labelling.codebook import Codebook, Judgement, label_problem

FIELDS: Mapping[str, tuple[type, ...]] = {
    "key": (str,),
    "labels": (list, type(None)),
    "reader": (str,),
    "reader_kind": (str,),
    "method": (str,),
    "at": (str,),
    "prompt": (str, type(None)),
    "reason": (str, type(None)),
}
"""What a line holds, and of which type."""


class Journal:
    """A journal open for writing; a torn last line is cut off first."""

    def __init__(self, path: Path) -> None:
        """Open the journal, creating it and its folder where there is none."""
        path.parent.mkdir(parents=True, exist_ok=True)
        _mend(path)
        self._file = path.open("a", encoding="utf-8")

    def append(self, judgement: Judgement) -> None:
        """Write one judgement; it is on disk when this returns."""
        line = {**asdict(judgement), "at": judgement.at.isoformat()}
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Journal":
        """Give the journal itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()


def read_journal(path: Path) -> dict[str, Judgement]:
    """The newest judgement of each item by key, oldest first; empty where there is no journal.

    Raises BadInput naming the file and line of a line that is damaged.
    """
    if not path.exists():
        return {}
    whole, torn = _lines(path)
    judgements: dict[str, Judgement] = {}
    for number, line in enumerate(whole, 1):
        judgement = _parse(line, f"{path}, line {number}")
        judgements.pop(judgement.key, None)
        judgements[judgement.key] = judgement
    if _is_complete(torn):
        last = _parse(torn, f"{path}, line {len(whole) + 1}")
        judgements.pop(last.key, None)
        judgements[last.key] = last
    return judgements


def read_earlier(
    path: Path, reader: str, codebook: Codebook, reader_kind: str = "human"
) -> dict[str, Judgement]:
    """What this reader answered before, to be taken up again.

    Raises BadInput where an answer is another reader's, was given by a model in a person's name or
    the other way round, or under another codebook.
    """
    judgements = read_journal(path)
    for judgement in judgements.values():
        if judgement.reader_kind != reader_kind:
            raise BadInput(
                f"{path}: item {judgement.key} was read by a {judgement.reader_kind} reader",
                "people and models answer under different names",
            )
        if judgement.reader != reader:
            raise BadInput(
                f"{path}: item {judgement.key} was read by {judgement.reader!r}, not {reader!r}",
                "one journal holds one reader's answers",
            )
        labels = () if judgement.labels is None else judgement.labels
        if problem := label_problem(labels, codebook.ids, codebook.facets, complete=False):
            raise BadInput(
                f"{path}: item {judgement.key}: {problem}", "it was read under another codebook"
            )
    return judgements


def _mend(path: Path) -> None:
    """Leave the file empty or ending with a newline."""
    if not path.exists():
        return
    _, torn = _lines(path)
    if not torn:
        return
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        if _is_complete(torn):
            file.write(b"\n")
        else:
            file.truncate(file.tell() - len(torn))


def _lines(path: Path) -> tuple[list[bytes], bytes]:
    """The lines that end with a newline, and what follows the last newline."""
    *whole, torn = path.read_bytes().split(b"\n")
    return whole, torn


def _is_complete(line: bytes) -> bool:
    """Whether a last line lacks only its newline: no part of a JSON object is a JSON object."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _parse(line: bytes, where: str) -> Judgement:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{where}: not JSON: {error}", "restore or remove that line") from error
    if problem := _line_problem(content):
        raise BadInput(f"{where}: {problem}", "restore or remove that line")
    labels = content["labels"]
    return Judgement(
        **{
            **{field: content[field] for field in FIELDS},
            "labels": None if labels is None else tuple(labels),
            "at": datetime.fromisoformat(content["at"]),
        }
    )


def _line_problem(content: Any) -> str | None:  # noqa: ANN401
    if not isinstance(content, dict):
        return "not a JSON object"
    for field, types in FIELDS.items():
        if not isinstance(content.get(field), types):
            expected = " or ".join(
                "null" if kind is type(None) else kind.__name__ for kind in types
            )
            return f"{field} is {content.get(field)!r}, expected {expected}"
    if not all(isinstance(label, dict) for label in content["labels"] or ()):
        return "labels holds something other than objects"
    try:
        datetime.fromisoformat(content["at"])
    except ValueError:
        return f"at is {content['at']!r}, expected a date and time"
    return None
