"""Compares two estimators by their errors in the same folds, with a standard error that fits these.

The differences of the folds are not independent: any two folds train on mostly the same rows, and
so the usual standard error, ``S / sqrt(J)``, is too small. Nadeau & Bengio (2003, "Inference for
the generalization error", section 4) correct it for J differences whose tests have a share of the
rows of their trainings,

    SE^2 = S^2 (1 / J + n_test / n_train),

and compare the mean over it with Student's t with J - 1 degrees of freedom. J is the number of
folds times that of repeats (Bouckaert & Frank 2004, "Evaluating the replicability of significance
tests for comparing learning algorithms").
"""

from dataclasses import dataclass

import numpy as np

from lasso_jobs.core.rows.moments import Floats

SURE = 0.05
"""The probability by chance below which a difference is believed."""


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean difference of two estimators' errors.

    Parameters
    ----------
    mean : float
    standard_error : float
        Corrected.
    n : int
        Differences: folds times repeats.
    """

    mean: float
    standard_error: float
    n: int

    @property
    def p_value(self) -> float:
        """Of no difference, two-sided: 1 where there is none, 0 where all folds differ alike."""
        from scipy.special import stdtr

        if self.standard_error == 0:
            return float(self.mean == 0)
        return 2 * float(stdtr(self.n - 1, -abs(self.mean) / self.standard_error))

    @property
    def smaller(self) -> bool:
        """Whether the error is smaller, by a one-sided test at `SURE`."""
        return self.mean < 0 and self.p_value / 2 < SURE


def paired_difference(
    differences: Floats, weights: Floats, test_to_train: float
) -> PairedDifference:
    """Compare by the differences of the folds.

    Parameters
    ----------
    differences : ndarray, shape (n,)
        Of every fold of every repeat; at least two.
    weights : ndarray, shape (n,)
        How much each counts. S^2 is ``n / (n - 1)`` times the weighted variance.
    test_to_train : float
        Rows of a test for each row of its training.

    Examples
    --------
    Five folds, where a test has a quarter of the rows of its training:

    >>> found = paired_difference(np.array([-3.0, -1.0, -2.0, -4.0, 0.0]), np.ones(5), 0.25)
    >>> found.mean, round(found.standard_error, 4), round(found.p_value, 3)
    (-2.0, 1.0607, 0.132)
    """
    n = len(differences)
    mean = float(np.average(differences, weights=weights))
    variance = float(np.average((differences - mean) ** 2, weights=weights)) * n / (n - 1)
    return PairedDifference(mean, float(np.sqrt(variance * (1 / n + test_to_train))), n)
