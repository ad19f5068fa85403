"""One file → raw records: a dictionary and its line, or a reject with file, line and reason.

Readers share one shape, so a format is one function; a damaged end of a file keeps what was read
before it and adds one reject.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from auditor.plan import Source
from auditor.records import Reject

PARQUET_ROWS = 1024

_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""


@dataclass(frozen=True, slots=True)
class Record:
    """One raw record of a file: its line or row, from 1, and its fields."""

    line: int
    fields: Mapping[str, Any]


Records = Iterator[Record | Reject]


def read_records(source: Source, stage: str = "index") -> Records:
    """Read every record of one file; whatever cannot be read comes out as a Reject."""
    reader = READERS[source.format]
    last = 0
    try:
        with fsspec.open(source.url, "rb") as raw:
            for item in reader(_decompressed(raw, source), source.name, stage):
                last = item.line or last
                yield item
    except OSError as error:
        yield Reject(stage, source.name, last + 1, f"file ends or breaks here: {error}")
    except pa.ArrowException as error:
        yield Reject(stage, source.name, last + 1, f"not readable as Parquet: {_first(error)}")


def read_clean_records(source: Source, stage: str) -> Records:
    """Read records as JSON values whose every text a table can hold: a lone surrogate is '?'."""
    for item in read_records(source, stage):
        yield Record(item.line, _clean(item.fields)) if isinstance(item, Record) else item


def _clean(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        return {_clean(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value).encode(errors="replace").decode()


def _decompressed(raw: IO[bytes], source: Source) -> IO[bytes]:
    """Decompress every member of a stream; Arrow's reader names a truncated end."""
    if source.compression is None:
        return raw
    return io.BufferedReader(pa.CompressedInputStream(raw, source.compression))


def _read_jsonl(stream: IO[bytes], name: str, stage: str) -> Records:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield _parse_json(line, name, stage, number)


def _parse_json(line: bytes, name: str, stage: str, number: int) -> Record | Reject:
    try:
        value = json.loads(line)
    except UnicodeDecodeError as error:
        return Reject(stage, name, number, f"invalid UTF-8 at byte {error.start} of the line")
    except (ValueError, RecursionError) as error:  # ValueError: also a number of > 4300 digits
        return Reject(stage, name, number, f"not JSON: {error}")
    if not isinstance(value, dict):
        return Reject(stage, name, number, f"expected a JSON object, got {type(value).__name__}")
    return Record(number, value)


def _read_json(stream: IO[bytes], name: str, stage: str) -> Records:
    content = stream.read()
    try:
        value = json.loads(content)
    except UnicodeDecodeError as error:
        yield Reject(stage, name, None, f"invalid UTF-8 at byte {error.start}")
        return
    except (ValueError, RecursionError) as error:
        yield Reject(stage, name, None, f"not JSON: {error}")
        return
    items = value if isinstance(value, list) else [value]
    for number, item in enumerate(items, 1):
        if isinstance(item, dict):
            yield Record(number, item)
        else:
            yield Reject(stage, name, number, f"expected an object, got {type(item).__name__}")


def _read_csv(stream: IO[bytes], name: str, stage: str) -> Records:
    csv.field_size_limit(2**31 - 1)
    with io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="") as text:
        yield from _csv_rows(csv.DictReader(text, strict=True), name, stage)


def _csv_rows(rows: "csv.DictReader[str]", name: str, stage: str) -> Records:
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            yield Reject(stage, name, rows.reader.line_num, f"not CSV: {error}")
            continue
        if row is None:
            return
        if None in row or None in row.values():
            found = len(row) - (None in row) + len(row.get(None) or ())
            reason = f"row does not match the {len(rows.fieldnames or ())} columns of the header"
            yield Reject(stage, name, rows.line_num, f"{reason} (fields: {found})")
            continue
        if any(_ESCAPED_BYTE.search(value) for value in row.values()):
            yield Reject(stage, name, rows.line_num, "invalid UTF-8 in the row")
            continue
        yield Record(rows.line_num, row)


def _read_text(stream: IO[bytes], name: str, stage: str) -> Records:
    content = stream.read()
    try:
        yield Record(1, {"id": name, "text": content.decode("utf-8-sig")})
    except UnicodeDecodeError as error:
        yield Reject(stage, name, None, f"invalid UTF-8 at byte {error.start}")


def _read_parquet(stream: IO[bytes], name: str, stage: str) -> Records:
    number = 0
    for batch in pq.ParquetFile(stream).iter_batches(batch_size=PARQUET_ROWS):
        for row in range(batch.num_rows):
            number += 1
            try:
                yield Record(number, batch.slice(row, 1).to_pylist()[0])
            except UnicodeDecodeError as error:
                yield Reject(stage, name, number, f"invalid UTF-8: {error.reason}")


def _refuse(_: IO[bytes], name: str, stage: str) -> Records:
    yield Reject(stage, name, None, "unknown ending")


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]


READERS: dict[str, Callable[[IO[bytes], str, str], Records]] = {
    "jsonl": _read_jsonl,
    "json": _read_json,
    "csv": _read_csv,
    "text": _read_text,
    "parquet": _read_parquet,
    "unknown": _refuse,
}
