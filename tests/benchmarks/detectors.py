"""Detectors and framing classifiers against the reference of DESIGN §8, in the same folds.

    python -m tests.benchmarks.detectors [SEED …]

Reads ../shared/gold. The reference is the encoder's passage vector with a balanced logistic
regression (C = 10), and for the mode also the most common mode of the document's genre.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from auditor.behaviours.cards import FEW
from auditor.behaviours.detectors import fit_detectors
from auditor.behaviours.spec import read_library
from auditor.behaviours.training import FOLDS, Text, TrainingSet, library_texts, training_set
from auditor.flows.learning import features_of
from auditor.framing.classifiers import find_mentions, fit_framing
from auditor.index.encoder import find_encoder
from auditor.progress import Quiet
from auditor.schema import FACETS

GOLD = Path(__file__).parents[3] / "shared" / "gold" / "labels.jsonl"
RESAMPLES = 200

Scores = npt.NDArray[Any]
Measure = Callable[[Scores, Scores], float]


def gold(seed: int) -> list[Text]:
    """The labelled spans; the seed decides which documents share a fold."""
    rows = [json.loads(line) for line in GOLD.read_text().splitlines()]
    codebook = sorted({label["id"] for row in rows for label in row["labels"]})
    texts = []
    for row in rows:
        name = f"{seed}:{row['document']}".encode()
        document = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) | 1
        shown = {label["id"]: {f: label[f] for f in FACETS} for label in row["labels"]}
        present = {behaviour: behaviour in shown for behaviour in codebook}
        texts.append(Text(row["text"], present, shown, document, row["genre"], row["pi"], "model"))
    return texts


def reference(training: TrainingSet, vectors: Scores) -> Scores:
    """Out-of-fold decision values of the reference, for the labelled texts."""
    own = training.labelled
    fold, present = training.fold[own], training.present[own]
    out = np.zeros(present.shape)
    for number in range(FOLDS):
        held = fold == number
        for column in range(present.shape[1]):
            known = ~held & ~np.isnan(present[:, column])
            if len(set(present[known, column].tolist())) < 2:
                continue
            model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=3000)
            model.fit(vectors[known], present[known, column])
            out[held, column] = model.decision_function(vectors[held])
    return out


def resample(documents: Scores, seed: int) -> list[Scores]:
    """Rows of documents drawn with replacement."""
    rng = np.random.default_rng(seed)
    _, number = np.unique(documents, return_inverse=True)
    members = [np.flatnonzero(number == d) for d in range(number.max() + 1)]
    return [
        np.concatenate([members[d] for d in rng.integers(0, len(members), len(members))])
        for _ in range(RESAMPLES)
    ]


def compare(name: str, training: TrainingSet, ours: Scores, theirs: Scores) -> None:
    """Print AUC and average precision beside the reference, with intervals of the difference."""
    own = training.labelled
    truth, documents = training.present[own], training.documents[own]
    draws = [np.arange(len(truth)), *resample(documents, 0)]
    shown = [c for c in np.argsort(-np.nansum(truth, axis=0)) if np.nansum(truth[:, c])]
    common = [c for c in shown if np.nansum(truth[:, c]) >= FEW]
    gaps = {}
    print(f"{name}: {int(own.sum())} spans, {len(set(documents.tolist()))} documents")
    for label, measure in (("AUC", roc_auc_score), ("AP", average_precision_score)):
        found = np.array([[_measured(measure, truth, ours, c, d) for c in shown] for d in draws])
        known = np.array([[_measured(measure, truth, theirs, c, d) for c in shown] for d in draws])
        gaps[label] = found, known
        gap = (found - known)[:, : len(common)].mean(axis=1)
        low, high = np.nanquantile(gap[1:], [0.025, 0.975])
        mean, other = found[0, : len(common)].mean(), known[0, : len(common)].mean()
        print(f"  mean {label} {mean:.3f}, reference {other:.3f}, "
              f"difference {gap[0]:+.3f} ({low:+.3f} to {high:+.3f})")  # fmt: skip
    for place, c in enumerate(shown):
        cells = []
        for label, (found, known) in gaps.items():
            low, high = np.nanquantile((found - known)[1:, place], [0.025, 0.975])
            cells.append(f"{label} {found[0, place]:.2f} vs {known[0, place]:.2f} "
                         f"({low:+.2f} to {high:+.2f})")  # fmt: skip
        few = "" if c in common else "  (few)"
        positives = int(np.nansum(truth[:, c]))
        print(f"    {training.behaviours[c]:20s} {positives:3d}  {'   '.join(cells)}{few}")


def _measured(measure: Measure, truth: Scores, scores: Scores, column: int, rows: Scores) -> float:
    shown = truth[rows, column]
    return measure(shown, scores[rows, column]) if shown.any() and not shown.all() else np.nan


def framing(name: str, training: TrainingSet, features: Scores) -> None:
    """Print macro-F1 of every facet, and of the most common value of a genre for the mode."""
    mentions = find_mentions(training)
    own = np.flatnonzero(training.labelled[mentions.row])
    row = mentions.row[own]
    fitted = fit_framing(training, features, mentions)
    behaviours = [mentions.behaviour[i] for i in own]
    genres = [mentions.genre[i] for i in own]
    fold = training.fold[row]
    found = fitted.probabilities(fitted.inputs(features[row], behaviours, genres), fold)
    draws = resample(training.documents[row], 1)
    for facet, values in FACETS.items():
        truth = np.array([mentions.facets[i][facet] for i in own])
        predicted = np.array(values)[found[facet].argmax(axis=1)]
        common = [value for value in values if (truth == value).sum() >= FEW]
        line = f"  {name} {facet}: {_macro(truth, predicted, common, draws)}"
        if facet == "mode":
            ruled = _genre_rule(truth, genres, fold)
            line += f"; genre alone {_macro(truth, ruled, common, draws)}"
        print(line)


def _macro(truth: Scores, found: Scores, common: Sequence[str], draws: Sequence[Scores]) -> str:
    def macro(rows: Scores) -> float:
        return float(
            f1_score(truth[rows], found[rows], labels=common, average="macro", zero_division=0)
        )

    low, high = np.quantile([macro(rows) for rows in draws], [0.025, 0.975])
    each = f1_score(truth, found, labels=common, average=None, zero_division=0)
    parts = ", ".join(f"{v} {f:.2f}" for v, f in zip(common, each, strict=True))
    return f"{macro(np.arange(len(truth))):.3f} ({low:.3f} to {high:.3f}) [{parts}]"


def _genre_rule(truth: Scores, genres: Sequence[str | None], fold: Scores) -> Scores:
    out = np.empty(len(truth), object)
    for i in range(len(truth)):
        seen = [t for t, g, f in zip(truth, genres, fold, strict=True)
                if f != fold[i] and g == genres[i]]  # fmt: skip
        out[i] = Counter(seen or truth[fold != fold[i]].tolist()).most_common(1)[0][0]
    return out.astype(str)


def main(seeds: Sequence[int]) -> None:
    """Measure both stages, for each way of folding."""
    library, encoder = read_library(), find_encoder()
    learned = [behaviour for behaviour in library.values() if not behaviour.rule]
    for seed in seeds:
        texts = [*library_texts(library.values()), *gold(seed)]
        training = training_set(texts, [behaviour.id for behaviour in learned])
        own = training.labelled
        words = [text.text for text in texts]
        vectors = encoder.encode([w for w, mine in zip(words, own, strict=True) if mine])
        theirs = reference(training, vectors)
        print(f"folds {seed}")
        for stage in (1, 2):
            blocks = [
                features_of([words[i] for i in np.flatnonzero(rows)], stage, learned, encoder,
                            Quiet())
                for rows in (~own, own)
            ]  # fmt: skip
            features = np.concatenate(blocks)
            fitted = fit_detectors(training, features, stage)
            compare(f"stage {stage}", training, fitted.sums, theirs)
            framing(f"stage {stage}", training, features)


if __name__ == "__main__":
    main([int(seed) for seed in sys.argv[1:]] or [0])
