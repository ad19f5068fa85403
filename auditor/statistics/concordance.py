"""Agreement of rankings."""

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata


def kendall_w(values: npt.NDArray[np.float64]) -> float:
    """Kendall's coefficient of concordance, without tie correction; values (judges, items)."""
    judges, items = values.shape
    totals = np.sum([rankdata(row) for row in values], axis=0)
    spread = float(np.square(totals - totals.mean()).sum())
    return 12.0 * spread / float(judges**2 * (items**3 - items))
