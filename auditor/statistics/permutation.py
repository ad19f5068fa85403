"""Permutation tests over the units of a claim: behaviours, never draws.

p = (1 + number at least as extreme) / (1 + permutations), so it is never zero.
"""

import numpy as np
import numpy.typing as npt
from scipy.stats import permutation_test

PERMUTATIONS = 9999

Floats = npt.NDArray[np.float64]


def slope(x: Floats, y: Floats) -> Floats:
    """Ordinary least-squares slope of y on x; x (n,) or (permutations, n), y (n,)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    slopes: Floats = centred @ y / np.square(centred).sum(axis=-1)
    return slopes


def slope_p(x: Floats, y: Floats, rng: np.random.Generator) -> float:
    """One-sided p that y rises with x, permuting x over units."""
    return _p(slope(x, y), slope(_shuffled(x, rng), y))


def partial_slope_p(x: Floats, y: Floats, z: Floats, rng: np.random.Generator) -> float:
    """One-sided p that y rises with x given z: Freedman and Lane's (1983) residual permutation.

    z: (n,) or (n, others).
    """
    hat = _hat(z)
    rest_x, rest_y = x - hat @ x, y - hat @ y
    shuffled = _shuffled(rest_y, rng)
    return _p(slope(rest_x, rest_y), (shuffled - shuffled @ hat) @ rest_x / (rest_x @ rest_x))


def sign_flip_p(excess: Floats, rng: np.random.Generator) -> float:
    """One-sided p that units lie above zero, flipping the sign of each; excess (n,)."""
    signs = rng.choice([-1.0, 1.0], size=(PERMUTATIONS, len(excess)))
    return _p(excess.sum(), signs @ excess)


def exact_sign_flip_p(excess: Floats) -> float:
    """Two-sided p that units differ from zero; all 2^n signs where they are few enough to list."""
    if len(excess) < 2:
        return 1.0
    result = permutation_test(
        (excess, np.zeros_like(excess)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(0),
        vectorized=True,
    )
    return float(result.pvalue)


def _p(observed: Floats, permuted: Floats) -> float:
    tolerance = 1e-9 * max(1.0, float(abs(observed)))
    return float((1 + np.sum(permuted >= observed - tolerance)) / (1 + len(permuted)))


def _shuffled(values: Floats, rng: np.random.Generator) -> Floats:
    return rng.permuted(np.tile(values, (PERMUTATIONS, 1)), axis=1)


def _hat(z: Floats) -> Floats:
    """The projection onto a constant and z."""
    design = np.column_stack([np.ones_like(z), z])
    hat: Floats = design @ np.linalg.pinv(design)
    return hat
