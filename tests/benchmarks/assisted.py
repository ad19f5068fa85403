"""Intervals with and without the detectors' scores, on an audit that has labels and scores.

    python -m tests.benchmarks.assisted AUDIT

Prints, for each behaviour, both intervals and the ratio of their widths.
"""

import sys
from dataclasses import replace
from pathlib import Path

from auditor.flows.measurer import Measurer
from auditor.prevalence.estimators import estimate
from auditor.prevalence.targets import Target
from auditor.store.tables import Tables


def main(root: str) -> None:
    """Measure every labelled behaviour twice."""
    for one in Measurer(Tables.open(Path(root))).sets:
        for behaviour, sample in one.samples.items():
            target, frame = Target(behaviour), one.frame(behaviour)
            rows = [estimate(s, frame, target) for s in (sample, replace(sample, score=None))]
            widths = []
            for row in rows:
                interval = row.per_million_passages
                widths.append((interval.high or 0.0) - (interval.low or 0.0))
                print(f"{behaviour:20s} {row.method:10s} {interval.estimate:10,.0f} "
                      f"({interval.low:,.0f} to {interval.high:,.0f})")  # fmt: skip
            print(f"{'':20s} width with scores / without: {widths[0] / widths[1]:.2f}")


if __name__ == "__main__":
    main(sys.argv[1])
