"""Whoever judged the transcripts, and what the errors made of the rates."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judge:
    """Sensitivity and specificity of a judge; None where unknown."""

    sensitivity: float | None
    specificity: float | None

    @property
    def known(self) -> bool:
        """Whether both rates are stated."""
        return self.sensitivity is not None and self.specificity is not None

    @property
    def false_positives(self) -> float:
        """Share of what does not show it that is reported to; all of it where unknown."""
        return 1.0 - (self.specificity or 0.0)

    def reports(self, p: Floats) -> Floats:
        """The rate that is reported for a true rate; an unknown judge is taken to be right."""
        se, sp = self._rates()
        reported: Floats = se * p + (1.0 - sp) * (1.0 - p)
        return reported

    def truth(self, reported: Floats) -> Floats:
        """The true rate behind a reported one (Rogan and Gladen 1978); may leave [0, 1]."""
        se, sp = self._rates()
        true: Floats = (reported + sp - 1.0) / (se + sp - 1.0)
        return true

    def _rates(self) -> tuple[float, float]:
        return (
            1.0 if self.sensitivity is None else self.sensitivity,
            1.0 if self.specificity is None else self.specificity,
        )


PERFECT = Judge(1.0, 1.0)
