"""Promises about the fixture corpus: what is planted in it, and how its files were drawn."""

import json
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.behaviours.spec import read_library
from auditor.index.tokens import word_hashes
from auditor.ingest.sources import read_manifest
from auditor.records import BehaviourKind
from auditor.schema import FACETS
from tests.planted import (
    FIXTURE,
    PROCESS,
    documents,
    draw_labels,
    draw_rates,
    frequencies,
    texts,
    truth,
)

GENRES = ("essays", "forum", "howto", "manuals", "memoir", "news", "novels", "policy")
BEHAVIOURS = [b.id for b in read_library().values() if b.kind is BehaviourKind.BEHAVIOUR]
WORLDS = sorted(PROCESS["rates"]["worlds"])


def observed() -> dict[str, dict[str, Any]]:
    """Every observed transcript by id."""
    lines = (FIXTURE / "observed" / "transcripts.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def transcript_truth() -> list[dict[str, Any]]:
    path = FIXTURE / "observed" / "transcripts-truth.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def origin(span: dict[str, Any], spans: list[dict[str, Any]]) -> tuple[str, int]:
    """The (document, number from 1) a span is or copies."""
    if span["duplicate_of"]:
        document, number = span["duplicate_of"].split("#")
        return document, int(number)
    own = [s["start"] for s in spans if s["document"] == span["document"]]
    return span["document"], own.index(span["start"]) + 1


def test_there_are_at_least_60_documents_of_eight_genres() -> None:
    genres = Counter(document["genre"] for document in documents().values())
    assert sum(genres.values()) >= 60
    assert tuple(sorted(genres)) == GENRES


def test_documents_say_where_they_come_from() -> None:
    fields = ("id", "text", "source", "title", "author", "genre", "date", "license")
    lacking = [d["id"] for d in documents().values() if not all(d.get(f) for f in fields)]
    assert lacking == []


def test_there_are_at_least_300_spans_of_60_to_160_words() -> None:
    lengths = [len(text.split()) for text in texts()]
    assert len(lengths) >= 300
    assert 60 <= min(lengths) <= max(lengths) <= 160


def test_spans_tile_their_documents() -> None:
    for name, document in documents().items():
        spans = [(t["start"], t["end"]) for t in truth() if t["document"] == name]
        assert spans == sorted(spans)
        edges = [0, *(edge for span in spans for edge in span), len(document["text"])]
        gaps = [document["text"][a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]
        assert "".join(gaps).strip() == ""


def test_no_run_of_eight_words_is_in_two_spans_except_planted_copies() -> None:
    spans = truth()
    homes: dict[tuple[int, ...], tuple[str, int]] = {}
    shared = set()
    for span, text in zip(spans, texts(), strict=True):
        home, words = origin(span, spans), word_hashes(text).tolist()
        for i in range(len(words) - 7):
            first = homes.setdefault(tuple(words[i : i + 8]), home)
            if first != home:
                shared.add((first, home))
    assert shared == set()


def test_planted_copies_are_exact_or_near_as_they_say() -> None:
    spans = truth()
    by_origin = {
        origin(s, spans): text
        for s, text in zip(spans, texts(), strict=True)
        if not s["duplicate_of"]
    }
    kinds: Counter[str] = Counter()
    for span, text in zip(spans, texts(), strict=True):
        if span["duplicate_of"]:
            kinds[span["duplicate"]] += 1
            same = text == by_origin[origin(span, spans)]
            assert same == (span["duplicate"] == "exact")
    assert set(kinds) == {"exact", "near"}


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_every_behaviour_is_planted_beside_hard_negatives(behaviour: str) -> None:
    spans = truth()
    planted = [s for s in spans if behaviour in {label["id"] for label in s["labels"]}]
    negatives = [s for s in spans if behaviour in s["near_miss_of"]]
    assert len(planted) >= 3
    assert len(negatives) >= 3
    assert not [s for s in negatives if s in planted]


def test_every_placebo_and_control_occurs() -> None:
    assert {name for name, share in frequencies().items() if share == 0} == set()


def test_every_label_has_every_facet_with_a_value_of_the_codebook() -> None:
    labels = [label for span in truth() for label in span["labels"]]
    assert {label["id"] for label in labels} == set(BEHAVIOURS)
    for facet, values in FACETS.items():
        assert {label[facet] for label in labels} <= set(values)


def test_labels_are_the_recorded_draw_byte_for_byte() -> None:
    labels, frame = draw_labels()
    assert (FIXTURE / "labels.jsonl").read_bytes() == labels.encode()
    assert (FIXTURE / "frame.csv").read_bytes() == frame.encode()


@pytest.mark.parametrize("world", WORLDS)
def test_rates_are_the_recorded_draw_byte_for_byte(world: str) -> None:
    drawn = (FIXTURE / "observed" / f"rates-{world}.csv").read_bytes()
    assert drawn == draw_rates(world).encode()


@pytest.mark.parametrize("world", WORLDS)
def test_rates_have_six_models_two_conditions_and_fourteen_behaviours(world: str) -> None:
    rows = [line.split(",")[:3] for line in draw_rates(world).splitlines()[1:]]
    models, behaviours, conditions = map(set, zip(*rows, strict=True))
    assert len(models) >= 6
    assert len(conditions) >= 2
    assert len(behaviours & set(BEHAVIOURS)) >= 14
    assert len({tuple(row) for row in rows}) == len(models) * len(behaviours) * len(conditions)


def test_the_recorded_process_is_whole() -> None:
    process = tomllib.loads((FIXTURE / "process.toml").read_text())
    rates = process["rates"]
    assert len(rates["models"]) == len(rates["model_shift"]) >= 6
    assert len(rates["conditions"]) == len(rates["condition_shift"]) >= 2
    assert WORLDS == ["imitates", "unrelated"]
    assert rates["worlds"]["unrelated"]["frequency_slope"] == 0.0


def test_copied_words_are_at_both_of_their_offsets() -> None:
    known, chats = documents(), observed()
    copies = [(row["id"], copy) for row in transcript_truth() for copy in row["copies"]]
    assert len(copies) >= 5
    for name, copy in copies:
        turn = chats[name]["messages"][copy["turn"]]
        source = known[copy["document"]]["text"]
        original = source[copy["document_start"] : copy["document_end"]]
        assert turn["role"] == "assistant"
        assert turn["content"][copy["start"] : copy["end"]] == original
        assert len(word_hashes(original)) >= 12


def test_paraphrases_name_a_planted_span_and_share_no_run_of_twelve_words_with_it() -> None:
    chats, by_span = observed(), dict(zip(map(key, truth()), texts(), strict=True))
    rows = [(row["id"], p) for row in transcript_truth() for p in row["paraphrases"]]
    assert len(rows) >= 3
    for name, p in rows:
        text = by_span[p["document"], p["document_start"], p["document_end"]]
        said = chats[name]["messages"][p["turn"]]["content"]
        assert not runs(text) & runs(said)


def test_an_original_transcript_copies_nothing() -> None:
    corpus = set().union(*(runs(d["text"]) for d in documents().values()))
    originals = [row["id"] for row in transcript_truth() if row["kind"] == "original"]
    assert len(originals) >= 3
    for name in originals:
        for message in observed()[name]["messages"]:
            assert not runs(message["content"]) & corpus


def key(span: dict[str, Any]) -> tuple[str, int, int]:
    return span["document"], span["start"], span["end"]


def runs(text: str) -> set[tuple[int, ...]]:
    """Every run of twelve words."""
    words = word_hashes(text).tolist()
    return {tuple(words[i : i + 12]) for i in range(len(words) - 11)}


def test_every_transcript_has_its_truth() -> None:
    assert [row["id"] for row in transcript_truth()] == list(observed())


def test_the_truth_is_named_nowhere_in_the_product() -> None:
    package = Path(auditor.__file__).parent
    files = [p for p in package.rglob("*") if p.suffix in {".py", ".toml", ".sql", ".html", ".j2"}]
    assert len(files) > 50
    secrets: tuple[str, ...] = ("truth.jsonl", "process.toml", "transcripts-truth")
    told = [str(p) for p in files if any(s in p.read_text() for s in secrets)]
    assert told == []


def test_the_corpus_manifest_reads_the_documents_alone() -> None:
    manifest = read_manifest(FIXTURE.parent / "fixture.toml")
    assert [Path(s).parent for s in manifest.sources] == [FIXTURE / "documents"]
