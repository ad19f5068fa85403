"""Promises about reading: a record is a document, or a reject with its file, line and reason."""

import bz2
import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from auditor.errors import BadInput
from auditor.flows.index import plan_sources
from auditor.ingest.documents import Document, Fields, read_documents
from auditor.ingest.sources import find_files, find_sources
from auditor.records import Reject


def zstd(content: bytes) -> bytes:
    compressed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return compressed


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "zst": zstd,
    "bz2": bz2.compress,
}
ANN = {"id": "ann", "text": "one"}
BEN = {"id": "ben", "text": "two"}


def lines(*rows: object) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(*paths: Path, fields: Fields = Fields()) -> list[Document | Reject]:  # noqa: B008
    sources = find_files([str(path) for path in paths])
    return [item for source in sources for item in read_documents(source, "corpus", fields)]


def told(items: list[Document | Reject]) -> list[tuple[str | int | None, ...]]:
    """(id, line) of a document; (file, line, reason) of a reject."""
    return [
        (i.id, i.line) if isinstance(i, Document) else (i.file, i.line, i.reason) for i in items
    ]


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def parquet(path: Path, **columns: Any) -> Path:  # noqa: ANN401
    pq.write_table(pa.table(columns), path)
    return path


FORMATS = {
    "a.jsonl": lines(ANN, BEN),
    "a.ndjson": lines(ANN, BEN),
    "a.json": json.dumps([ANN, BEN]).encode(),
    "a.csv": b"id,text\nann,one\nben,two\n",
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".bz2"])
def test_every_format_reads_the_same_plain_or_compressed(
    tmp_path: Path, name: str, ending: str
) -> None:
    pack = COMPRESS.get(ending.lstrip("."), bytes)
    items = read(write(tmp_path / (name + ending), pack(FORMATS[name])))
    texts = [(i.id, i.text) for i in items if isinstance(i, Document)]
    assert texts == [("ann", "one"), ("ben", "two")]


def test_parquet_rows_are_documents(tmp_path: Path) -> None:
    items = read(parquet(tmp_path / "a.parquet", id=["ann", "ben"], text=["one", "two"]))
    assert told(items) == [("ann", 1), ("ben", 2)]


@pytest.mark.parametrize("ending", ["", ".gz", ".zst", ".bz2"])
def test_a_text_file_is_one_document_named_by_its_path(tmp_path: Path, ending: str) -> None:
    pack = COMPRESS.get(ending.lstrip("."), bytes)
    write(tmp_path / "sub" / f"note.txt{ending}", pack("É\r\nend".encode()))
    [item] = read(tmp_path)
    assert isinstance(item, Document)
    assert (item.id, item.text) == (f"sub/note.txt{ending}", "É\r\nend")


@pytest.mark.parametrize("ending", COMPRESS)
def test_every_member_of_a_compressed_file_is_read(tmp_path: Path, ending: str) -> None:
    pack = COMPRESS[ending]
    path = write(tmp_path / f"a.jsonl.{ending}", pack(lines(ANN)) + pack(lines(BEN)))
    assert told(read(path)) == [("ann", 1), ("ben", 2)]


@pytest.mark.parametrize("name", FORMATS)
def test_a_byte_order_mark_is_not_part_of_the_first_field(tmp_path: Path, name: str) -> None:
    items = read(write(tmp_path / name, b"\xef\xbb\xbf" + FORMATS[name]))
    assert [row[0] for row in told(items)] == ["ann", "ben"]


def test_folders_are_read_to_the_bottom_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/deep/y.txt", ".hidden.txt"):
        write(tmp_path / name, b"words")
    assert [row[0] for row in told(read(tmp_path))] == ["a/deep/y.txt", "a/z.txt", "b.txt"]


def test_a_glob_names_files_from_its_fixed_part(tmp_path: Path) -> None:
    for name in ("x/1.txt", "y/2.txt", "y/3.jsonl"):
        write(tmp_path / name, b"words")
    assert [row[0] for row in told(read(tmp_path / "*" / "*.txt"))] == ["x/1.txt", "y/2.txt"]


def test_a_file_whose_name_holds_brackets_is_a_file_and_not_a_glob(tmp_path: Path) -> None:
    assert told(read(write(tmp_path / "a[1].jsonl", lines(ANN)))) == [("ann", 1)]


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines(ANN))
    assert told(read(path, tmp_path)) == [("ann", 1)]


def test_a_manifest_gives_the_files_the_corpus_and_the_fields(tmp_path: Path) -> None:
    write(tmp_path / "docs" / "a.jsonl", lines({"key": "k", "prose": "words"}))
    manifest = b'corpus = "essays"\nsources = ["docs/*.jsonl"]\n'
    path = write(tmp_path / "m.toml", manifest + b'[fields]\ntext = "prose"\nid = "key"\n')
    sources, corpus, fields = plan_sources([str(path)], None, Fields())
    assert ([s.name for s in sources], corpus) == (["a.jsonl"], "essays")
    [item] = read_documents(sources[0], corpus, fields)
    assert isinstance(item, Document)
    assert (item.id, item.text) == ("k", "words")


@pytest.mark.parametrize("content", [b'corpus = "x"\n', b"sources = []\n", b"= broken", b"\xff"])
def test_a_manifest_that_is_not_one_is_named_in_the_error(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "m.toml", content)
    with pytest.raises(BadInput, match=r"m\.toml"):
        plan_sources([str(path)], None, Fields())


def test_metadata_goes_to_its_column_and_the_rest_to_extra(tmp_path: Path) -> None:
    row = {"source": "S", "title": "T", "author": "A", "genre": "G", "date": "1904", "url": "U"}
    rest = {"license": "CC0", "pages": 0, "tags": ["x"], "timestamp": "noon", "doc_id": "d"}
    [item] = read(write(tmp_path / "a.jsonl", lines({**ANN, **row, **rest})))
    assert isinstance(item, Document)
    assert item.metadata == {**row, "licence": "CC0"}
    kept = {"pages": 0, "tags": ["x"], "timestamp": "noon", "doc_id": "d"}
    assert json.loads(item.extra or "") == kept


def test_a_document_without_an_id_is_named_by_its_path_and_row(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.jsonl", lines(ANN) + b"\n" + lines({"text": "no id"}))
    assert told(read(tmp_path)) == [("ann", 1), ("sub/a.jsonl#3", 3)]


def test_the_id_zero_is_an_id(tmp_path: Path) -> None:
    assert told(read(write(tmp_path / "a.jsonl", lines({"id": 0, "text": "x"})))) == [("0", 1)]


def test_the_text_and_id_fields_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", lines({"id": "no", "key": "yes", "text": "", "prose": "p"}))
    [item] = read(path, fields=Fields("prose", "key"))
    assert isinstance(item, Document)
    assert (item.id, item.text) == ("yes", "p")


BROKEN_LINES = [
    (b"nope", "not JSON: Expecting value: line 1 column 1 (char 0)"),
    (b'{"id": "x", "text": "caf\xe9"}', "invalid UTF-8 at byte 24 of the line"),
    (b'{"id": "x", "text": "a \\ud800"}', "text holds a lone surrogate at character 2"),
    (b'{"id": "x", "text": " \\n"}', "text is empty"),
    (b'{"id": "x", "text": 5}', "text is int, expected a string"),
    (b'{"id": "x", "text": null}', "text is NoneType, expected a string"),
    (b"[1]", "expected a JSON object, got list"),
    (b'{"id": "x"}', "no field 'text' (fields: id); name it with --text"),
    (b'{"id": "x", "text": "cut o', "not JSON: Invalid control character at: line 1 column 27"),
    (b"[" * 100_000, "not JSON: maximum recursion depth exceeded"),
    (b'{"id": ' + b"1" * 5000 + b', "text": "x"}', "not JSON: Exceeds the limit (4300 digits)"),
]


@pytest.mark.parametrize(("line", "reason"), BROKEN_LINES, ids=[r for _, r in BROKEN_LINES])
def test_a_broken_line_is_a_reject_and_its_neighbours_are_read(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = write(tmp_path / "a.jsonl", lines(ANN) + line + b"\n" + lines(BEN))
    first, (file, number, why), last = told(read(path))
    assert (first, last) == (("ann", 1), ("ben", 3))
    assert (file, number) == ("a.jsonl", 2)
    assert str(why).startswith(reason)


def test_lone_surrogates_outside_the_text_are_escaped_and_stay_apart(tmp_path: Path) -> None:
    rows = [{"id": f"x{c}", "text": "t", "title": c} for c in ("\ud800", "\udfff")]
    items = read(write(tmp_path / "a.jsonl", lines(*rows)))
    titles = [(i.id, i.metadata["title"]) for i in items if isinstance(i, Document)]
    assert titles == [("x\\ud800", "\\ud800"), ("x\\udfff", "\\udfff")]


def test_a_csv_row_that_does_not_fit_is_a_reject_and_its_neighbours_are_read(
    tmp_path: Path,
) -> None:
    rows = b"id,text\nann,one\nshort\nlong,a,b\nbad,caf\xe9\nben,two\n"
    assert told(read(write(tmp_path / "a.csv", rows))) == [
        ("ann", 2),
        ("a.csv", 3, "row does not match the 2 columns of the header (fields: 2)"),
        ("a.csv", 4, "row does not match the 2 columns of the header (fields: 3)"),
        ("a.csv", 5, "invalid UTF-8 in the row"),
        ("ben", 6),
    ]


def test_a_quote_that_never_closes_is_a_reject(tmp_path: Path) -> None:
    rows = b'id,text\nann,one\nben,"two\n'
    assert told(read(write(tmp_path / "a.csv", rows))) == [
        ("ann", 2),
        ("a.csv", 3, "not CSV: unexpected end of data"),
    ]


def test_files_without_the_text_column_reject_every_row(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", b"id,prose\na,x\nb,y\n")
    parquet(tmp_path / "b.parquet", id=["a", "b"], prose=["x", "y"])
    reason = "no field 'text' (fields: id, prose); name it with --text"
    places = [("a.csv", 2), ("a.csv", 3), ("b.parquet", 1), ("b.parquet", 2)]
    assert told(read(tmp_path)) == [(*place, reason) for place in places]


def test_invalid_utf8_in_parquet_rejects_its_row_alone(tmp_path: Path) -> None:
    raw = pa.array([b"one", b"caf\xe9", b"two"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    items = read(parquet(tmp_path / "a.parquet", id=["ann", "x", "ben"], text=text))
    assert told(items) == [
        ("ann", 1),
        ("a.parquet", 2, "invalid UTF-8: unexpected end of data"),
        ("ben", 3),
    ]


@pytest.mark.parametrize("content", [b"", b"junk", b"PAR1" + b"\0" * 40])
def test_a_file_that_is_not_parquet_is_one_reject(tmp_path: Path, content: bytes) -> None:
    [(file, _, reason)] = told(read(write(tmp_path / "a.parquet", content)))
    assert file == "a.parquet"
    assert str(reason).startswith("not readable as Parquet: ")


@pytest.mark.parametrize(("name", "line"), [("a.txt", None), ("a.json", None), ("a.jsonl", 1)])
def test_invalid_utf8_is_a_reject_with_its_byte(tmp_path: Path, name: str, line: int) -> None:
    [(file, number, reason)] = told(read(write(tmp_path / name, b'"caf\xe9')))
    assert (file, number) == (name, line)
    assert str(reason).startswith("invalid UTF-8 at byte 4")


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_truncated_file_gives_what_was_before_the_break_and_one_reject(
    tmp_path: Path, ending: str
) -> None:
    rng = random.Random(1)
    rows = [{"id": f"d{i}", "text": rng.randbytes(3000).hex()} for i in range(300)]
    whole = COMPRESS[ending](lines(*rows))
    *before, last = told(read(write(tmp_path / f"a.jsonl.{ending}", whole[: len(whole) * 2 // 3])))
    assert before == [(f"d{i}", i + 1) for i in range(len(before))]
    assert last[:2] == (f"a.jsonl.{ending}", len(before) + 1)
    assert str(last[2]).startswith("file ends or breaks here: ")


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_file_that_is_not_compressed_as_its_name_says_is_a_reject(
    tmp_path: Path, ending: str
) -> None:
    [(_, line, reason)] = told(read(write(tmp_path / f"a.jsonl.{ending}", lines(ANN))))
    assert line == 1
    assert str(reason).startswith("file ends or breaks here: ")


def test_a_file_of_unknown_ending_in_a_folder_is_a_reject(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", lines(ANN))
    write(tmp_path / "scan.docx", b"words")
    assert told(read(tmp_path)) == [("ann", 1), ("scan.docx", None, "unknown ending")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "no such file or folder: "),
        ("empty", "nothing to read in "),
        ("*.jsonl", "nothing matches "),
        ("a.docx", r"cannot read .*a\.docx: unknown ending"),
    ],
)
def test_a_source_that_gives_nothing_is_one_clear_error(
    tmp_path: Path, name: str, message: str
) -> None:
    write(tmp_path / "a.docx", b"words")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=message):
        find_sources([str(tmp_path / name)])
