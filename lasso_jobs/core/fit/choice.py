"""Holds the errors of cross-validation, and chooses alpha, l1_ratio and gamma by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.rows.moments import Floats

Rule = Literal["min", "1se"]
FoldMeans = Literal["size", "equal"]
TURNED, SOON_TURNED = 10, 3
"""After how many larger errors in a row no smaller one is expected, and after how many if the last
is clearly larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchErrors:
    """The CV errors of every combination of l1_ratio, gamma and alpha that was tried.

    The combinations are ordered by l1_ratio and gamma as given, then by alpha, descending.

    Parameters
    ----------
    l1_ratios, gammas, alphas : ndarray, shape (n,)
        Of each combination.
    fold_mse : ndarray, shape (repeats * n_folds, n)
        The folds of the first repeat, then those of the next.
    fold_weight : ndarray, shape (repeats * n_folds,)
        Weight of each fold's rows.
    rule : {"min", "1se"}
        Which of the two combinations is chosen.
    fold_means : {"size", "equal"}
        Whether folds count by the weight of their rows, or all alike.
    repeats : int
        How many times over the folds are all rows.
    """

    l1_ratios: Floats
    gammas: Floats
    alphas: Floats
    fold_mse: Floats
    fold_weight: Floats
    rule: Rule
    fold_means: FoldMeans
    repeats: int = 1

    @property
    def mse(self) -> Floats:
        """Mean of the folds' errors, shape (n,)."""
        return self._mean_and_error()[0]

    @property
    def mse_se(self) -> Floats:
        """Standard error of ``mse``, shape (n,)."""
        return self._mean_and_error()[1]

    def _mean_and_error(self) -> tuple[Floats, Floats]:
        return mean_and_error(self.fold_mse, self.fold_weight, self.fold_means, self.repeats)

    @property
    def min_index(self) -> int:
        """Index of the combination with the smallest error; of the first such."""
        return int(np.argmin(self.mse))

    @property
    def one_se_index(self) -> int:
        """Index of the largest alpha, of the best l1_ratio, within one error of the smallest.

        Where several gammas have that alpha within one standard error of the smallest mean, of
        the gamma with the smallest.
        """
        mse, best = self.mse, self.min_index
        near = (self.l1_ratios == self.l1_ratios[best]) & (mse <= mse[best] + self.mse_se[best])
        near &= self.alphas == self.alphas[near].max()
        return int(np.argmin(np.where(near, mse, np.inf)))

    @property
    def index(self) -> int:
        """Index of the chosen combination."""
        return self.min_index if self.rule == "min" else self.one_se_index

    @property
    def alpha(self) -> float:
        """The chosen alpha."""
        return float(self.alphas[self.index])

    @property
    def l1_ratio(self) -> float:
        """The chosen l1_ratio."""
        return float(self.l1_ratios[self.index])

    @property
    def gamma(self) -> float:
        """The chosen gamma; 1 without relaxed fits."""
        return float(self.gammas[self.index])

    @property
    def path_alphas(self) -> Floats:
        """The alphas that were tried with the chosen l1_ratio and gamma, descending."""
        same = (self.l1_ratios == self.l1_ratio) & (self.gammas == self.gamma)
        return np.asarray(self.alphas[same])

    @property
    def alphas_to_chosen(self) -> Floats:
        """The alphas that were tried, down to the chosen one."""
        alphas = self.path_alphas
        return np.asarray(alphas[alphas >= self.alpha])


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossValidation(SearchErrors):
    """The errors of a finished search, and how well its fits converged.

    Parameters
    ----------
    n_nonzero : ndarray of int, shape (n,)
        Non-zero coefficients of the fits to all folds together.
    n_left_out : int
        Combinations that an early stop left out.
    worst_dual_gap, worst_kkt : float
        Over all folds and combinations, relaxed fits too.
    converged : bool
        Whether every fit did that could be chosen: those down to the alpha of the smallest error.
    worst_sse_bound : float
        Largest relative rounding error of a fold's squared error.
    """

    n_nonzero: NDArray[np.int64]
    n_left_out: int
    worst_dual_gap: float
    worst_kkt: float
    converged: bool
    worst_sse_bound: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveErrors:
    """The errors of one l1_ratio.

    Parameters
    ----------
    l1_ratio : float
    alphas : ndarray, shape (n_alphas,)
        Descending.
    fold_mse : ndarray, shape (n_folds, n_gammas, n_alphas)
    """

    l1_ratio: float
    alphas: Floats
    fold_mse: Floats


def combinations(curves: Sequence[CurveErrors], gammas: Sequence[float]) -> dict[str, Floats]:
    """The fields of `SearchErrors` that name the combinations, and their errors."""
    each, n_alphas = np.asarray(gammas, float), [len(curve.alphas) for curve in curves]
    ratios = np.array([curve.l1_ratio for curve in curves], float)
    errors = [curve.fold_mse.reshape(len(curve.fold_mse), -1) for curve in curves]
    return {
        "l1_ratios": np.repeat(ratios, [len(each) * n for n in n_alphas]),
        "gammas": np.concatenate([np.repeat(each, n) for n in n_alphas]),
        "alphas": np.concatenate([np.tile(curve.alphas, len(each)) for curve in curves]),
        "fold_mse": np.hstack(errors),
    }


def mean_and_error(
    mse: Floats, weight: Floats, means: FoldMeans, repeats: int = 1
) -> tuple[Floats, Floats]:
    """Mean over the folds (the first axis), and its standard error.

    With ``size`` they are glmnet's ``cvm`` and ``cvsd``; with ``equal`` those of scikit-learn's
    ``GridSearchCV``, the error being the folds' standard deviation (ddof 1) over ``sqrt(n_folds)``.
    Of R repeats the error is the root of the mean of their squared standard errors: regrouping the
    same rows adds no information about other rows, so it is not divided by R.
    """
    weight = weight if means == "size" else np.ones(len(mse))
    variances = []
    for some, weights in zip(np.split(mse, repeats), np.split(weight, repeats), strict=True):
        mean = np.average(some, axis=0, weights=weights)
        spread = np.average((some - mean) ** 2, axis=0, weights=weights)
        variances.append(spread / (len(some) - 1))
    error = np.sqrt(np.mean(variances, axis=0))
    return np.asarray(np.average(mse, axis=0, weights=weight)), np.asarray(error)


def has_turned(mse: Floats, weight: Floats, means: FoldMeans = "size", repeats: int = 1) -> bool:
    """Whether the errors along descending alphas are past their smallest for good.

    They are if the `TURNED` last ones are all above the smallest; or the `SOON_TURNED` last ones
    are, and the very last by twice the standard error of its difference, fold by fold.

    Parameters
    ----------
    mse : ndarray, shape (n_folds, ..., n_alphas)
        What lies between are gammas, each of which must have turned.
    weight, means, repeats
        As for `mean_and_error`.

    Examples
    --------
    >>> folds = np.array([[5.0, 1.0, 1.1, 1.2, 2.0], [6.0, 3.0, 3.1, 3.2, 3.9]])
    >>> has_turned(folds, np.ones(2)), has_turned(folds[:, :4], np.ones(2))
    (True, False)
    """
    mse = mse.reshape(len(mse), -1, mse.shape[-1])
    mean, _ = mean_and_error(mse, weight, means, repeats)
    best = np.unravel_index(int(np.argmin(mean)), mean.shape)
    after = mean.shape[1] - 1 - int(best[1])
    if after >= TURNED:
        return bool(np.all(mean[:, -TURNED:] > mean[best]))
    if after < SOON_TURNED:
        return False
    rise = mse[:, :, -1] - mse[:, best[0], best[1]][:, None]
    larger, error = mean_and_error(rise, weight, means, repeats)
    return bool(np.all(larger > 2 * error) and np.all(mean[:, -SOON_TURNED:] > mean[best]))
