"""Journal entries are read back as they were written, whatever is in them."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.current import Current
from lasso_jobs.core.moments import of_rows
from lasso_jobs.data import sinks
from lasso_jobs.data.dataset import FileIdentity, Partition, Piece
from lasso_jobs.jobs.journal import Journal, unfinished
from lasso_jobs.jobs.scored import Counts, Observed, Scored

UNIT = Partition((Piece(FileIdentity("/a", "a", 1, "1", ()), (0, 1), 0, 10),))
AT = datetime(2024, 1, 9, 4, 5, 6, 7, UTC)

texts = st.text(max_size=8)
keys = st.lists(st.tuples(texts, st.none() | texts), max_size=2).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=True)
counts = st.lists(st.integers(0, 2**62), min_size=1, max_size=4)
current = st.builds(
    lambda n, means, mean, at: Current(
        np.array(n, np.int64), np.array(means, float), np.array([mean, at]), at, mean, at, mean
    ),
    counts,
    st.lists(numbers, max_size=3),
    numbers,
    numbers,
)
rows = st.lists(st.sampled_from([0.1, 2.0, np.nan]), min_size=1, max_size=5)
moments = st.none() | rows.map(lambda row: of_rows(np.array([row, row[::-1]])))
observed = st.builds(Observed, st.dictionaries(texts, current, max_size=2), moments)
units = st.builds(
    lambda pieces, n_bytes, watched, reasons: Scored((), (), pieces, n_bytes, watched, reasons),
    st.lists(st.builds(Counts, *[st.integers(0, 2**40)] * 3), max_size=3).map(tuple),
    st.integers(0, 2**50),
    st.dictionaries(st.tuples(keys, texts), observed, max_size=2),
    st.dictionaries(texts, st.integers(1, 10), max_size=2),
)


def plain(scored: Scored) -> object:
    """To compare: arrays have no plain equality, and not a number none at all."""
    with np.printoptions(threshold=10_000, floatmode="unique"):
        return repr(scored)


@given(units)
@settings(max_examples=30, deadline=None)
def test_an_entry_comes_back_as_it_was(scored: Scored) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(f"{folder}/t", f"{folder}/q", "run")
        journal.begin(AT, None)
        journal.accept(UNIT, scored, AT)
        (found,) = journal.accepted([UNIT]).values()
        assert plain(found) == plain(scored)


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    import pyarrow as pa

    root = str(tmp_path / "t")
    files = sinks.write_files(pa.table({"p": ["a", None], "x": [1, 2]}), root, ["p"], "run")
    scored = Scored(files, (), (Counts(2),), 7, {}, {})
    journal = Journal(root, f"{root}-quarantine", "run")
    journal.begin(AT, "2024-01-09")
    journal.accept(UNIT, scored, AT)
    assert journal.accepted([UNIT]) == {0: scored}
    assert journal.named_files() == {file.path for file in files}
    other = Partition((*UNIT.pieces, *UNIT.pieces))
    assert journal.accepted([other]) == {}


def test_a_journal_has_its_start_and_its_night_until_it_ends(tmp_path: Path) -> None:
    root = str(tmp_path / "t")
    journal, other = Journal(root, "q", "run"), Journal(root, "q", "another")
    assert journal.scored_at() is None
    assert unfinished(root) == set()
    journal.begin(AT, "2024-01-09")
    other.begin(AT, "2024-01-10")
    assert journal.scored_at() == AT
    assert unfinished(root) == {"2024-01-09", "2024-01-10"}
    Journal(root, "q", "third").begin(AT, "2024-01-09")
    journal.end("2024-01-09")
    assert unfinished(root) == {"2024-01-10"}
    assert [path.name for path in Path(journal.folder).parent.iterdir()] == ["another"]


def test_an_entry_of_another_start_counts_for_nothing(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "t"), "q", "run")
    journal.begin(AT, None)
    journal.accept(UNIT, Scored((), (), (Counts(2),), 7, {}, {}), AT.replace(year=2023))
    assert journal.accepted([UNIT]) == {}
