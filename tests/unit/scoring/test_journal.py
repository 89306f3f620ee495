"""Journal entries are read back as they were written, whatever is in them."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lasso_jobs.core.drift.current import Current
from lasso_jobs.core.rows.centring import of_rows
from lasso_jobs.data.dataset import FileIdentity, Piece, WorkUnit
from lasso_jobs.drift.observe import Observation
from lasso_jobs.scoring.journal import Journal, unfinished_nights
from lasso_jobs.scoring.scored_unit import RowFates, ScoredUnit
from lasso_jobs.sinks import delta
from lasso_jobs.sinks.protocol import WrittenFile

UNIT = WorkUnit(
    (
        Piece(
            FileIdentity(path="/a", name="a", size_bytes=1, stamp="1", constants=()), (0, 1), 0, 10
        ),
    )
)
AT = datetime(2024, 1, 9, 4, 5, 6, 7, UTC)

texts = st.text(max_size=8)
keys = st.lists(st.tuples(texts, st.none() | texts), max_size=2).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=True)
counts = st.lists(st.integers(0, 2**62), min_size=1, max_size=4)
current = st.builds(
    lambda n, means, mean, at: Current(
        counts=np.array(n, np.int64),
        means=np.array(means, float),
        predicted=np.array([mean, at]),
        spread=at,
        cross=mean,
        low=at,
        high=mean,
    ),
    counts,
    st.lists(numbers, max_size=3),
    numbers,
    numbers,
)
rows = st.lists(st.sampled_from([0.1, 2.0, np.nan]), min_size=1, max_size=5)
moments = st.none() | rows.map(lambda row: of_rows(np.array([row, row[::-1]])))
observation = st.builds(Observation, st.dictionaries(texts, current, max_size=2), moments)
units = st.builds(
    ScoredUnit,
    files=st.just(()),
    quarantined_files=st.just(()),
    fates=st.lists(st.builds(RowFates, *[st.integers(0, 2**40)] * 3), max_size=3).map(tuple),
    bytes_read=st.integers(0, 2**50),
    observations=st.dictionaries(st.tuples(keys, texts), observation, max_size=2),
    reasons=st.dictionaries(texts, st.integers(1, 10), max_size=2),
)


def scored_unit(*files: WrittenFile) -> ScoredUnit:
    return ScoredUnit(
        files=files,
        quarantined_files=(),
        fates=(RowFates(2),),
        bytes_read=7,
        observations={},
        reasons={},
    )


def plain(scored: ScoredUnit) -> object:
    """To compare: arrays have no plain equality, and not a number none at all."""
    with np.printoptions(threshold=10_000, floatmode="unique"):
        return repr(scored)


@given(units)
@settings(max_examples=30, deadline=None)
def test_an_entry_comes_back_as_it_was(scored: ScoredUnit) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(f"{folder}/t", f"{folder}/q", "run")
        journal.begin(AT, None)
        journal.accept(UNIT, scored, AT)
        (found,) = journal.accepted([UNIT]).values()
        assert plain(found) == plain(scored)


def test_files_come_back_as_they_were(tmp_path: Path) -> None:
    root = str(tmp_path / "t")
    files = delta.write_files(pa.table({"p": ["a", None], "x": [1, 2]}), root, ["p"], "run")
    scored = scored_unit(*files)
    journal = Journal(root, f"{root}-quarantine", "run")
    journal.begin(AT, "2024-01-09")
    journal.accept(UNIT, scored, AT)
    assert journal.accepted([UNIT]) == {0: scored}
    assert journal.named_files() == {file.path for file in files}
    other = WorkUnit((*UNIT.pieces, *UNIT.pieces))
    assert journal.accepted([other]) == {}


def test_a_journal_has_its_start_and_its_night_until_it_ends(tmp_path: Path) -> None:
    root = str(tmp_path / "t")
    journal, other = Journal(root, "q", "run"), Journal(root, "q", "another")
    assert journal.scored_at() is None
    assert unfinished_nights(root) == set()
    journal.begin(AT, "2024-01-09")
    other.begin(AT, "2024-01-10")
    assert journal.scored_at() == AT
    assert unfinished_nights(root) == {"2024-01-09", "2024-01-10"}
    Journal(root, "q", "third").begin(AT, "2024-01-09")
    journal.end("2024-01-09")
    assert unfinished_nights(root) == {"2024-01-10"}
    assert [path.name for path in Path(journal.folder).parent.iterdir()] == ["another"]


def test_an_entry_of_another_start_counts_for_nothing(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "t"), "q", "run")
    journal.begin(AT, None)
    journal.accept(UNIT, scored_unit(), AT.replace(year=2023))
    assert journal.accepted([UNIT]) == {}


def test_a_journal_of_another_format_is_not_continued_and_its_files_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(tmp_path / "t")
    files = delta.write_files(pa.table({"x": [1, 2]}), root, [], "run")
    journal = Journal(root, f"{root}-quarantine", "run")
    monkeypatch.setattr("lasso_jobs.scoring.journal.FORMAT", 1)
    journal.begin(AT, None)
    journal.accept(UNIT, scored_unit(*files), AT)
    monkeypatch.undo()
    assert journal.scored_at() is None
    assert journal.accepted([UNIT]) == {}
    assert journal.named_files() == {file.path for file in files}
