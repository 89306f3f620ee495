"""States how often a judgement said yes in a simulated world, and what was asked of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often a judgement said yes.

    Parameters
    ----------
    judgement : str
        What is judged, such as "gate" or "linearity".
    world : str
        What the data are like, in a few words.
    asked : str
        Such as "size <= 6 %" or "power".
    before : float or None
        As simulated on the same seeds before the judgement was as it is now; None where it did not
        exist.
    after : float
        As simulated now.
    n : int
        Of how many simulations.
    """

    judgement: str
    world: str
    asked: str
    before: float | None
    after: float
    n: int

    def row(self) -> list[object]:
        """A row of the table; shares in percent."""
        before = "" if self.before is None else f"{self.before:.1%}"
        return [self.judgement, self.world, self.asked, before, f"{self.after:.1%}", self.n]
