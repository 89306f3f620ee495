"""Finds the working set of a search over very many columns, and the alphas that it is proved for.

The first scan looks at each column by itself. Then, round after round: the columns that may have a
coefficient next join the working set, and its moments are read; every path is solved on them, for
the folds and for all rows; one scan proves at how many of these alphas every other column is zero.
What is left is the reading of the working set alone, as if the job had named its columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np
from numpy.typing import NDArray

from lasso_jobs.core.fit.choice import CurveErrors, SearchErrors, combinations, has_turned
from lasso_jobs.core.fit.cross_validation import EPS, PathSearch
from lasso_jobs.core.fit.screening import (
    TOLERANCE,
    Check,
    Gradients,
    Penalties,
    ScreeningRecord,
    entering,
)
from lasso_jobs.core.rows import moments as m
from lasso_jobs.core.rows.moments import Floats
from lasso_jobs.core.threads import Steps, in_threads
from lasso_jobs.progress import of_stage
from lasso_jobs.training.memory import MOST_CHECK_BYTES
from lasso_jobs.training.read.reading import Reading
from lasso_jobs.training.read.row_summary import RowSummary
from lasso_jobs.training.recipe import path_search
from lasso_jobs.training.screening.ground import Ground
from lasso_jobs.training.screening.set_paths import Designs, SetPath, Solved, last_ones, solve_set

ALPHAS_AT_ONCE = 12
"""How many alphas are tried on the first candidates; twice as many as before where all are proved.
"""
ENTERING, MOST_ENTERING = 800, 1_600
"""How many candidates there are at once, or as many as active columns if those are more, but for
the second number; whoever must enter comes on top. Fewer cost more scans, and more cost larger
moments: so there are twice as many after a scan that proved less than a quarter of its alphas."""
SOLVED_AT_ONCE = 4
"""Alphas that all sets are solved at before their errors are looked at: below the one at which the
errors have turned, more and more columns have coefficients, and a fit takes longest."""
RIVALS = 200
"""How many columns that have no coefficient stay in the final set, those closest to one first:
refits to parts of the rows may choose them."""
SATURATED = 0.999
"""The share of the target's variance that a fit explains beyond which no smaller alpha is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screened:
    """What screening leaves.

    Parameters
    ----------
    reading : Reading
        Of the working set.
    summary : RowSummary
        Of the rows, with the columns of the working set.
    alphas : mapping of float to ndarray
        Of each l1_ratio, the alphas at which every other column is zero in every fit.
    levels : bool
        Whether the levels of categories were screened, too.
    record : ScreeningRecord
    """

    reading: Reading
    summary: RowSummary
    alphas: Mapping[float, Floats]
    levels: bool
    record: ScreeningRecord


def screen(ground: Ground) -> Screened:
    """Screen all columns."""
    inside, walks = ground.always, list[_Walk]()
    for ratio in path_search(ground.job).l1_ratios or (1.0,):
        walk = _Walk(ground=ground, ratio=ratio, active=inside)
        walk.run()
        inside = walk.with_rivals()
        walks.append(walk)
    chosen = _errors(walks)
    for walk in walks:
        if walk.ratio == chosen.l1_ratio and walk.ends_at(chosen.alpha):
            walk.go_on(inside)
            inside = walk.with_rivals()
            break
    n_fixed = int(ground.job.offset is not None)  # which is in every set
    return Screened(
        reading=ground.reading_of(inside),
        summary=ground.summary_of(inside),
        alphas={walk.ratio: walk.alphas[: walk.done] for walk in walks},
        levels=ground.scanner.reading.levels_are_screened,
        record=ScreeningRecord(
            n_columns=len(inside) - n_fixed,
            n_working_set=int(inside.sum()) - n_fixed,
            n_scans=ground.scanner.n_scans,
            worst_violation=max(walk.worst for walk in walks),
            n_left_out=sum(len(walk.alphas) - walk.done for walk in walks),
            stopped=", ".join(dict.fromkeys(walk.stopped for walk in walks)),
        ),
    )


def _errors(walks: "Sequence[_Walk]") -> SearchErrors:
    """The errors of all walks, as the search will find them again."""
    ground = walks[0].ground
    how = ground.job.search
    return SearchErrors(
        **combinations([walk.errors for walk in walks], how.gammas),
        fold_weight=ground.fold_weight,
        rule=how.rule,
        fold_means=how.fold_means,
        repeats=how.repeats,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """The way down the alphas for one l1_ratio.

    Parameters
    ----------
    ground : Ground
    ratio : float
    active : ndarray of bool, shape (q,)
        The columns that have a coefficient in some fit at a proved alpha, and those that are in
        the set in any case.
    inside : ndarray of bool, shape (q,)
        The working set of this round: those, and the candidates.
    least_likely : ndarray of intp
        The candidates that come last, if there are columns outside the set.
    alphas : ndarray
        The whole grid.
    done : int
        How many of them are proved.
    ahead : int
        How many are tried next.
    entering : int
        How many columns are candidates next.
    worst : float
        The largest violation at those.
    mse : list of ndarray, shape (n_folds, n_gammas, n)
    last : list of dict of str to float
        By coefficient, the solution of each set at the last proved alpha.
    explained : float
        Share of the target's variance at that alpha.
    proved : bool
        Whether the last round has proved an alpha.
    beyond : bool
        Whether the grid goes on, for as long as its fits converge.
    stopped : str
        Why the walk has ended.
    """

    ground: Ground
    ratio: float
    active: NDArray[np.bool_]
    inside: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    least_likely: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    alphas: Floats = field(default_factory=lambda: np.empty(0))
    done: int = 0
    ahead: int = ALPHAS_AT_ONCE
    entering: int = ENTERING
    worst: float = 0.0
    mse: list[Floats] = field(default_factory=list)
    last: list[dict[str, float]] = field(default_factory=list)
    explained: float = 0.0
    proved: bool = True
    beyond: bool = False
    stopped: str = ""
    _next: tuple[Floats, float] = field(default_factory=lambda: (np.empty(0), 0.0))

    def run(self) -> None:
        """Go down until the errors have turned, the fit is saturated, or the grid ends."""
        ground, search = self.ground, self._search()
        penalties = self._penalties()
        entry = np.max(
            [Gradients.at_zero(rows, penalties).entry[:, 0] for rows in ground.marginals], axis=0
        )
        start = float(entry[np.isfinite(entry)].max(initial=0.0))
        self._admit(entry, last=start, target=start * self._step(search) ** ALPHAS_AT_ONCE)
        self._rounds(search, penalties)

    def ends_at(self, alpha: float) -> bool:
        """Whether the grid has ended, at this alpha."""
        return self.stopped == "end" and alpha == self.alphas[-1]

    def go_on(self, inside: NDArray[np.bool_]) -> None:
        """Go on beyond the end of the grid, where the job leaves it open.

        The set keeps the columns that other walks have let in.
        """
        search = self._search()
        more = path_search(self.ground.job).beyond(self.alphas)
        if len(more):
            self.active = self.active | inside
            self.alphas = np.concatenate([self.alphas, more])
            self.beyond, self.stopped = True, ""
            self._judge()
            self._rounds(search, self._penalties())

    def _rounds(self, search: PathSearch, penalties: Penalties) -> None:
        while not self.stopped:
            solved = self._solve(search)
            self._accept(solved, solved.check(self.ground, penalties, ~self.inside))
            self._judge()

    @property
    def errors(self) -> CurveErrors:
        """Those at the proved alphas."""
        return CurveErrors(
            l1_ratio=self.ratio,
            alphas=self.alphas[: self.done],
            fold_mse=np.concatenate(self.mse, axis=2),
        )

    def _search(self) -> PathSearch:
        search = path_search(self.ground.job)
        n_rows = int(self.ground.marginals[0].n[0])
        n_columns = self.ground.scanner.reading.columns.n_columns
        return replace(search, eps=search.smallest_share(n_rows, n_columns))

    @staticmethod
    def _step(search: PathSearch) -> float:
        n = search.alphas if isinstance(search.alphas, int) else len(search.alphas)
        return float((search.eps or EPS) ** (1 / max(n - 1, 1)))

    def _penalties(self) -> Penalties:
        job, reading = self.ground.job, self.ground.scanner.reading
        recipe = self.ground.recipe_of(reading.columns, m.empty(1))
        return Penalties.of(
            replace(recipe, l1_ratio=self.ratio),
            indicators=job.preprocess.missing == "indicator",
            levels=reading.levels_are_screened,
        )

    def _admit(self, entry: Floats, *, last: float, target: float) -> None:
        """Choose the next working set; a candidate that got no coefficient may leave it again."""
        most = min(max(self.entering, int(self.active.sum())), MOST_ENTERING)
        inside = self.active
        if not self.proved and len(self.inside):
            # The set only grows now, so that it is the right one in the end; it lacks little.
            inside, most = self.inside, most // 4
        new = entering(entry, inside, last=last, target=target, most=most)
        self.inside = inside.copy()
        self.inside[new] = True
        self.least_likely = new[:0] if self.inside.all() else last_ones(entry, new)

    def with_rivals(self) -> NDArray[np.bool_]:
        """The final set: the active columns, and some that came closest to a coefficient."""
        entry = np.where(self.active, -np.inf, self._next[0])
        inside = self.active.copy()
        inside[np.argsort(-entry, kind="stable")[:RIVALS]] = True
        return inside

    def _solve(self, search: PathSearch) -> Solved:
        ground = self.ground
        moments, columns = ground.moments_of(self.inside), ground.columns_of(self.inside)
        sets = ground.training_sets(moments)
        recipe = replace(ground.recipe_of(columns, moments), l1_ratio=self.ratio)
        if not self.done:
            self.alphas = search.grid(recipe, sets[0].rows())
        low = max(self.done - 1, 0)
        block = self.alphas[low : self.done + self._at_once()]
        steps = Steps(of_stage(ground.scanner.reads.progress, "fits"))
        steps.expect(len(sets) * len(block))
        solved: Solved | None = None
        designs = Designs(recipe, sets)

        def solve(k: int, alphas: Floats, starts: Sequence[Mapping[str, float]]) -> SetPath:
            return solve_set(designs, k, alphas, starts[k], gammas=search.gammas, steps=steps)

        for start in range(0, len(block), SOLVED_AT_ONCE):
            alphas = block[start : start + SOLVED_AT_ONCE]
            starts = (self.last or [{} for _ in sets]) if solved is None else solved.last
            some = partial(solve, alphas=alphas, starts=starts)
            paths = tuple(in_threads(some, range(len(sets)), steps))
            more = Solved(recipe=recipe, paths=paths, alphas=alphas)
            solved = more.at(slice(self.done - low, None)) if solved is None else solved.then(more)
            last = np.searchsorted(np.flatnonzero(self.inside), self.least_likely)
            if ends := [*self._end(solved), *solved.worth_without(last)]:
                return solved.at(slice(0, min(ends)))
        return cast(Solved, solved)

    def _end(self, solved: Solved) -> list[int]:
        """How many of these alphas are enough, if that is known, and all of them are proved."""
        if self.ground.job.search.early_stop is False:
            return []
        n_folds, so_far = self.ground.n_folds, self.mse
        for n in range(1, len(solved.alphas) + 1):
            errors = np.concatenate([*so_far, solved.mse(n_folds, n)], axis=2)
            if self._has_turned(errors) or solved.paths[0].explained[n - 1] > SATURATED:
                return [n]
        return []

    def _at_once(self) -> int:
        # Nine bytes: of a column's entry, and of whether it violates.
        return max(2, min(self.ahead, MOST_CHECK_BYTES // (9 * max(len(self.inside), 1))))

    def _accept(self, solved: Solved, check: Check) -> None:
        """Accept the alphas down to the first at which a column outside should have entered."""
        alphas = solved.alphas
        failed = np.flatnonzero(check.worst > TOLERANCE)
        good = int(failed[0]) if len(failed) else len(alphas)
        if self.beyond and (end := solved.n_converged(self.ground.n_folds)) < good:
            good, self.alphas = end, self.alphas[: self.done + end]
        last = float(alphas[max(good - 1, 0)])
        if good:
            self.worst = max(self.worst, float(check.worst[:good].max()))
            self.mse.append(solved.mse(self.ground.n_folds, good))
            self.last = [path.by_label(good - 1) for path in solved.paths]
            self.explained = float(solved.paths[0].explained[good - 1])
            self.done += good
            self.active = self.active.copy()
            places = np.flatnonzero(self.inside)
            self.active[places] |= solved.used()[:good, : len(places)].any(axis=0)
        entry = check.entry[:, max(good - 1, 0)].copy()
        if good < len(alphas):
            entry[check.violating[:, good]] = np.inf
        self.ahead = 2 * len(alphas) if good == len(alphas) else max(ALPHAS_AT_ONCE, good)
        if 4 * good < len(alphas):
            self.entering = min(2 * self.entering, MOST_ENTERING)
        self.proved = good > 0
        self._next = entry, last

    def _judge(self) -> None:
        """Stop, or let the next columns in."""
        if self.done == len(self.alphas):
            self.stopped = "end"
        elif self.done and self.ground.job.search.early_stop is not False:
            if self._has_turned(self.errors.fold_mse):
                self.stopped = "turned"
            elif self.explained > SATURATED:
                self.stopped = "saturated"
        if not self.stopped:
            entry, last = self._next
            target = self.alphas[min(self.done + self.ahead, len(self.alphas)) - 1]
            self._admit(entry, last=last, target=float(target))

    def _has_turned(self, mse: Floats) -> bool:
        how = self.ground.job.search
        return has_turned(mse, self.ground.fold_weight, how.fold_means, how.repeats)
