"""The recorded process behind the fixture's labels and rates; `python -m tests.planted` redraws.

The truth is known here and nowhere in auditor/: planted labels, frequencies, slopes, judge errors.
"""

import csv
import io
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from auditor.behaviours.spec import Behaviour, read_library
from auditor.records import BehaviourKind

FIXTURE = Path(__file__).parent.parent / "corpora" / "fixture"
PROCESS: dict[str, Any] = tomllib.loads((FIXTURE / "process.toml").read_text())
RATE_FIELDS = ("model", "behaviour", "condition", "prompt", "k", "n", "unit", "difficulty")


def truth() -> list[dict[str, Any]]:
    """Every planted span with its labels, near misses and duplicates."""
    return [json.loads(line) for line in (FIXTURE / "truth.jsonl").read_text().splitlines()]


def documents() -> dict[str, dict[str, Any]]:
    """Every fixture document by id."""
    paths = sorted((FIXTURE / "documents").glob("*.jsonl"))
    rows = (json.loads(line) for path in paths for line in path.read_text().splitlines())
    return {row["id"]: row for row in rows}


def texts() -> list[str]:
    """The text of every planted span, in the order of the truth."""
    known = documents()
    return [known[t["document"]]["text"][t["start"] : t["end"]] for t in truth()]


def frequencies() -> dict[str, float]:
    """The true share of spans that portray each behaviour, or match its exact rule."""
    spans, library = truth(), read_library()
    planted = Counter(label["id"] for span in spans for label in span["labels"])
    return {
        name: planted[name] / len(spans) if not behaviour.rule else _share(behaviour)
        for name, behaviour in library.items()
    }


def draw_labels() -> tuple[str, str]:
    """Draw the probability sample: (labels.jsonl, frame.csv)."""
    settings = PROCESS["labels"]
    rng = np.random.default_rng(settings["seed"])
    cues = [re.compile(b.pattern or "$^") for b in read_library().values() if not b.rule]
    labels: list[str] = []
    frame = io.StringIO()
    writer = csv.writer(frame, lineterminator="\n")
    writer.writerow(("document", "start", "end", "genre", "pi"))
    for span, text in zip(truth(), texts(), strict=True):
        cued = any(cue.search(text) for cue in cues)
        pi = settings["cue_probability" if cued else "other_probability"]
        writer.writerow((span["document"], span["start"], span["end"], span["genre"], pi))
        if rng.random() < pi:
            keys = ("document", "start", "end", "genre", "labels")
            row = {
                "id": f"f{len(labels):04d}",
                **{k: span[k] for k in keys},
                "text": text,
                "pi": pi,
            }
            labels.append(json.dumps({**row, "reader_kind": "human"}, ensure_ascii=False))
    return "\n".join(labels) + "\n", frame.getvalue()


def draw_rates(world: str) -> str:
    """Draw one world's k-of-n rates as CSV."""
    settings = PROCESS["rates"]
    slopes = settings["worlds"][world]
    rng = np.random.default_rng([settings["seed"], *world.encode()])
    difficulty_rng = np.random.default_rng(settings["seed"])
    library, share = read_library(), frequencies()
    out = io.StringIO()
    writer = csv.DictWriter(out, RATE_FIELDS, lineterminator="\n")
    writer.writeheader()
    for kind in BehaviourKind:
        members = [b for b in library.values() if b.kind is kind]
        x = np.log([share[b.id] for b in members])
        z = difficulty_rng.standard_normal(len(members))
        slope = {
            BehaviourKind.BEHAVIOUR: slopes["frequency_slope"] * (x - x.mean())
            + slopes["difficulty_slope"] * (z - z.mean()),
            BehaviourKind.PLACEBO: np.full(len(members), -np.inf),
            BehaviourKind.POSITIVE_CONTROL: settings["control_slope"] * (x - x.mean()),
        }[kind]
        judged = kind is not BehaviourKind.POSITIVE_CONTROL
        rows = _cells(rng, settings, [b.id for b in members], slope, z, judged)
        writer.writerows(rows)
    return out.getvalue()


def _cells(
    rng: np.random.Generator,
    settings: dict[str, Any],
    names: list[str],
    slope: Any,  # noqa: ANN401
    z: Any,  # noqa: ANN401
    judged: bool,
) -> list[dict[str, Any]]:
    se = settings["judge_sensitivity"] if judged else 1.0
    sp = settings["judge_specificity"] if judged else 1.0
    rows = []
    models, conditions = settings["models"], settings["conditions"]
    for b, name in enumerate(names):
        u = settings["scatter_behaviour"] * rng.standard_normal()
        v = settings["scatter_model"] * rng.standard_normal(len(models))
        w = settings["scatter_prompt"] * rng.standard_normal(settings["prompts"])
        for m, model in enumerate(models):
            for c, condition in enumerate(conditions):
                for j in range(settings["prompts"]):
                    shift = settings["model_shift"][m] + settings["condition_shift"][c]
                    eta = settings["intercept"] + shift + slope[b] + u + v[m] + w[j]
                    p = 1 / (1 + np.exp(-eta))
                    k = rng.binomial(settings["draws"], se * p + (1 - sp) * (1 - p))
                    values = (model, name, condition, f"{name}-{j + 1}", k, settings["draws"])
                    rows.append(dict(zip(RATE_FIELDS, values, strict=False)))
                    rows[-1] |= {"unit": "draw", "difficulty": f"{z[b]:.3f}"}
    return rows


def _share(behaviour: Behaviour) -> float:
    rule = re.compile(behaviour.rule or "")
    spans = texts()
    return sum(bool(rule.search(text)) for text in spans) / len(spans)


def main() -> None:
    """Write the drawn files into the fixture."""
    labels, frame = draw_labels()
    (FIXTURE / "labels.jsonl").write_text(labels)
    (FIXTURE / "frame.csv").write_text(frame)
    for world in PROCESS["rates"]["worlds"]:
        (FIXTURE / "observed" / f"rates-{world}.csv").write_text(draw_rates(world))


if __name__ == "__main__":
    main()
