"""Up to which level an acknowledged drift is none."""

import numpy as np
import pytest

from lasso_jobs.core.drift.acknowledged import Level, acknowledge, together
from lasso_jobs.core.drift.drift import NAN, Drift


def drift(shift: float, psi: float = 0.4, lost: float = 0.02, verdict: str = "alarm") -> Drift:
    return Drift(
        feature="x",
        kind="numeric",
        n=1_000,
        score_shift=shift,
        net_shift=shift,
        shift_limit=0.5,
        psi=psi,
        psi_limit=0.1,
        missing_share=lost,
        reference_missing_share=0.01,
        missing_limit=0.06,
        raised="alarm",
        verdict=verdict,  # type: ignore[arg-type]
        reason="it moved",
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("shift", "psi", "lost", "known"),
    [
        (3.0, 0.4, 0.02, True),
        (3.49, 0.4, 0.02, True),
        (3.51, 0.4, 0.02, False),
        (1.0, 0.1, 0.0, True),
        (-0.49, 0.1, 0.0, True),
        (-0.51, 0.1, 0.0, False),
        (3.0, 0.49, 0.02, True),
        (3.0, 0.51, 0.02, False),
        (3.0, 0.4, 0.069, True),
        (3.0, 0.4, 0.071, False),
        (NAN, 0.4, 0.02, False),
        (np.inf, 0.4, 0.02, False),
        (3.0, NAN, 0.02, False),
    ],
)
def test_a_drift_is_known_up_to_its_level_and_a_limit_beyond(
    sign: int, shift: float, psi: float, lost: float, known: bool
) -> None:
    level = Level.of(drift(sign * 3.0))
    found = acknowledge(drift(sign * shift, psi, lost), level, "by me on a day: why")
    assert (found.verdict, found.raised) == ("ok" if known else "alarm", "alarm")
    assert found.acknowledged == ("by me on a day: why" if known else "")
    assert found.reason.startswith("acknowledged by me" if known else "further than a shift of")
    assert found.reason.endswith("it moved")


@pytest.mark.parametrize("verdict", ["ok", "unknown"])
def test_what_is_no_drift_stays_as_it_is(verdict: str) -> None:
    quiet = drift(0.1, verdict=verdict)
    assert acknowledge(quiet, Level.of(drift(3.0)), "by me") is quiet


def test_the_predictions_move_by_the_sum_of_the_features() -> None:
    levels = [Level(1.0, 0.3, 0.0), Level(-3.0, 0.2, 0.1)]
    assert together(levels) == Level(-2.0, 0.3, 0.1)
