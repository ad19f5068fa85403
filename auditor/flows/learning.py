"""Library and labels → `heads` and `cards`: what detectors and framing classifiers learned.

Stage 1 is fitted whenever a corpus is indexed; stage 2, which reads with the transformer, when
`auditor detect` asks for it. Both are fitted anew only when library, labels or encoder changed.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from auditor.behaviours import detectors
from auditor.behaviours.cards import framing_card
from auditor.behaviours.features import cue_counts, stage1_features, stage2_features
from auditor.behaviours.heads import Heads
from auditor.behaviours.spec import Behaviour, library_of, read_library
from auditor.behaviours.training import (
    FOLDS,
    LIBRARY,
    Text,
    TrainingSet,
    library_texts,
    training_set,
)
from auditor.flows.recording import Started, is_done
from auditor.flows.spans import labelled_texts
from auditor.framing.classifiers import FramingHeads, Mentions, find_mentions, fit_framing
from auditor.index.encoder import DEFAULT_ENCODER, Encoder, piece_table
from auditor.index.vectors import WordVectors
from auditor.paths import cache_folder, replacing
from auditor.plan import digest
from auditor.progress import Progress
from auditor.schema import FACETS
from auditor.store.catalogue import Catalogue
from auditor.store.tables import Tables, rows_table

SEED = 20_261_121
"""Of the resampled documents behind a card's intervals."""

CHUNK = 256
"""Texts read by the transformer between two moves of the progress bar, and kept in one file."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Learned:
    """One stage's detectors and framing classifiers, ready to score."""

    stage: int
    library: dict[str, Behaviour]
    heads: Heads
    framing: FramingHeads
    digest: str

    @property
    def learned(self) -> list[Behaviour]:
        """The behaviours whose cues the heads see, in their order."""
        return [self.library[name] for name in self.heads.names]


def learn(tables: Tables, stage: int, encoder: Encoder, progress: Progress) -> Learned:
    """Fit a stage's heads from library and labels, unless that is already done; returns them."""
    library = library_of(tables.paths)
    settings = _settings(library, stage, encoder)
    inputs = digest(
        sorted(run["input_digest"] + run["settings_digest"] for run in _teaching(tables))
    )
    group = f"stage{stage}"
    if not is_done(tables, "learn", group, settings, inputs):
        started = Started("learn", ("numpy", "scikit-learn"))
        texts = [*library_texts(library.values()), *labelled_texts(tables)]
        heads, cards, summary = _fit(texts, library, stage, encoder, progress)
        paths = (
            tables.write("heads", group, rows_table("heads", heads)),
            tables.write("cards", group, rows_table("cards", cards)),
        )
        started.finish(tables, group, settings, inputs, paths, len(cards), summary, seed=SEED)
    return read_learned(tables, stage)


def learn_library(stage: int, encoder: Encoder, progress: Progress) -> Learned:
    """Heads from the shipped library alone, where there is no audit."""
    library = read_library()
    texts = library_texts(library.values())
    heads, _, summary = _fit(texts, library, stage, encoder, progress)
    return _learned(rows_table("heads", heads), stage, library, summary, "")


def has_learned(tables: Tables, stage: int) -> bool:
    """Whether an audit has heads of a stage."""
    return bool(tables.current("learn", f"stage{stage}"))


def read_learned(tables: Tables, stage: int) -> Learned:
    """Read a stage's heads from the audit."""
    [run] = tables.current("learn", f"stage{stage}")
    rows = Catalogue(tables).query("SELECT * FROM heads WHERE stage = $stage", {"stage": stage})
    version = digest([run["settings_digest"], run["input_digest"]])
    return _learned(rows, stage, library_of(tables.paths), json.loads(run["summary"]), version)


def layers_of(encoder: Encoder, texts: Sequence[str], progress: Progress) -> Floats:
    """The transformer's layers of texts; (texts, d). Kept, by content, in the user's cache."""
    parts = []
    with progress.task("reading with the transformer", len(texts), "texts") as task:
        for start in range(0, len(texts), CHUNK):
            parts.append(_layers_of_chunk(encoder, texts[start : start + CHUNK]))
            task.advance(len(parts[-1]))
    return np.concatenate(parts).astype(np.float32)


def _layers_of_chunk(encoder: Encoder, texts: Sequence[str]) -> npt.NDArray[np.float16]:
    """A chunk's layers at the precision of the cache, so that a cold one gives the same heads."""
    name = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:24]
    path = cache_folder("layers") / encoder.digest[:16] / f"{name}.npy"
    if not path.is_file():
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, encoder.layers(texts).astype(np.float16))
    return np.asarray(np.load(path), np.float16)


def indexed_with(tables: Tables, corpus: str | None = None) -> str:
    """The encoder whose word pieces made a corpus's static vectors; stage 1 must use the same."""
    runs = tables.current("index", corpus)
    summary = json.loads(runs[-1]["summary"]) if runs else {}
    return str(summary.get("encoder") or DEFAULT_ENCODER)


def read_with(tables: Tables) -> str:
    """The encoder that stage 2 was fitted with, or the index's where it was not."""
    runs = tables.current("learn", "stage2")
    return str(json.loads(runs[0]["summary"])["encoder"]) if runs else indexed_with(tables)


def features_of(
    texts: Sequence[str], stage: int, learned: Sequence[Behaviour], encoder: Encoder,
    progress: Progress,
) -> Floats:  # fmt: skip
    """A stage's features of texts; (texts, d)."""
    cues = cue_counts(pa.array(texts, pa.string()), learned)
    if stage == 1:
        return stage1_features(WordVectors(piece_table(encoder)).of_texts(list(texts)), cues)
    return stage2_features(layers_of(encoder, texts, progress), texts, cues)


def _teaching(tables: Tables) -> list[dict[str, Any]]:
    """The runs whose labels heads learn from: of passages, and not empty."""
    runs = tables.current("label")
    of_turns = "transcripts"
    return [r for r in runs if r["rows"] and json.loads(r["summary"]).get("of") != of_turns]


def _settings(library: dict[str, Behaviour], stage: int, encoder: Encoder) -> str:
    return digest([{b.id: b.digest for b in library.values()}, stage, encoder.digest])


def _fit(
    texts: Sequence[Text],
    library: dict[str, Behaviour],
    stage: int,
    encoder: Encoder,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Rows of `heads` and of `cards`, and the run's summary."""
    learned = [behaviour for behaviour in library.values() if not behaviour.rule]
    training = training_set(texts, [behaviour.id for behaviour in learned])
    own = training.labelled
    parts = [
        features_of(
            [text.text for text, taken in zip(texts, rows, strict=True) if taken],
            stage, learned, encoder, progress,
        )
        for rows in (~own, own)
        if rows.any()
    ]  # fmt: skip
    features = np.concatenate(parts)
    rng = np.random.default_rng(SEED)
    with progress.task(f"fitting stage {stage}", 2, "steps") as task:
        fitted = detectors.fit_detectors(training, features, stage)
        cards = list(detectors.cards(training, fitted, rng))
        task.advance(1)
        mentions = find_mentions(training)
        framing = fit_framing(training, features, mentions)
        cards += _framing_cards(training, features, mentions, framing, stage, rng)
        task.advance(1)
    rows = [*_head_rows(stage, None, fitted.heads)]
    for facet, heads in framing.heads.items():
        rows += _head_rows(stage, facet, heads)
    summary = {
        "stage": stage,
        "behaviours": list(training.behaviours),
        "genres": list(framing.genres),
        "encoder": encoder.name,
        "library_texts": int((~own).sum()),
        "labelled_texts": int(own.sum()),
        "positives": {
            name: int(np.nansum(training.present[own][:, column]))
            for column, name in enumerate(training.behaviours)
        },
    }
    return rows, cards, summary


def _framing_cards(
    training: TrainingSet,
    features: Floats,
    mentions: Mentions,
    framing: FramingHeads,
    stage: int,
    rng: np.random.Generator,
) -> Iterable[dict[str, Any]]:
    """Rows of `cards` for each facet, on mentions in labelled spans, out of fold."""
    own = np.flatnonzero(training.labelled[mentions.row])
    if not len(own):
        return
    row = mentions.row[own]
    inputs = framing.inputs(
        features[row], [mentions.behaviour[i] for i in own], [mentions.genre[i] for i in own]
    )
    found = framing.probabilities(inputs, training.fold[row])
    for facet, values in FACETS.items():
        truth = [mentions.facets[i].get(facet) for i in own]
        coded = [number for number, value in enumerate(truth) if value is not None]
        if not coded:
            continue
        likeliest = found[facet][coded].argmax(axis=1)
        for card in framing_card(
            [str(truth[number]) for number in coded],
            [values[number] for number in likeliest],
            training.documents[row][coded],
            rng,
        ):
            yield {"stage": stage, "facet": facet, **card}


def _head_rows(stage: int, facet: str | None, heads: Heads) -> list[dict[str, Any]]:
    return [
        {
            "stage": stage, "facet": facet, "name": name, "fold": fold,
            "weights": heads.weights[fold, :, column], "bias": heads.bias[fold, column],
            "slope": heads.slope[fold, column], "intercept": heads.intercept[fold, column],
        }
        for column, name in enumerate(heads.names)
        for fold in (*range(FOLDS), LIBRARY)
    ]  # fmt: skip


def _learned(
    rows: pa.Table, stage: int, library: dict[str, Behaviour], summary: dict[str, Any], version: str
) -> Learned:
    groups: dict[str | None, list[int]] = {}
    for number, facet in enumerate(rows["facet"].to_pylist()):
        groups.setdefault(facet, []).append(number)
    framing = FramingHeads(
        {facet: _heads(rows.take(groups[facet]), FACETS[facet]) for facet in FACETS},
        tuple(summary["behaviours"]),
        tuple(summary["genres"]),
    )
    heads = _heads(rows.take(groups[None]), summary["behaviours"])
    return Learned(stage, library, heads, framing, version)


def _heads(rows: pa.Table, names: Sequence[str]) -> Heads:
    """Put heads together from their rows; the last fold, LIBRARY, is the average of all."""
    column = {name: number for number, name in enumerate(names)}
    width = len(rows["weights"][0])
    weights = np.zeros((FOLDS + 1, width, len(names)), np.float32)
    bias = np.zeros((FOLDS + 1, len(names)), np.float32)
    slope, intercept = np.ones_like(bias), np.zeros_like(bias)
    stacked = rows["weights"].combine_chunks().flatten().to_numpy().reshape(-1, width)
    for number, row in enumerate(rows.drop_columns(["weights"]).to_pylist()):
        where = column[row["name"]]
        weights[row["fold"], :, where], bias[row["fold"], where] = stacked[number], row["bias"]
        slope[row["fold"], where] = row["slope"]
        intercept[row["fold"], where] = row["intercept"]
    return Heads(tuple(names), weights, bias, slope, intercept)
