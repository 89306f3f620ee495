from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lasso_jobs.core.rows.columns import Category, Columns
from lasso_jobs.data import blocks
from lasso_jobs.data.dataset import WorkUnit
from lasso_jobs.data.discover import discover
from lasso_jobs.data.where import parse
from lasso_jobs.errors import DataError
from lasso_jobs.training.read.reading import ReadCounts, Reading
from lasso_jobs.training.read.rows import TrainingRows, read_training_rows

N = 3000  # as the rows of conftest
Write = Callable[..., WorkUnit]
READING = Reading(
    columns=Columns(("x",), (Category("s", ("a", "b"), True, "string"),)),
    target="y",
    weight=None,
    group=None,
    fold=None,
    folds=(),
    where=(),
    holdout=0.2,
    holdout_where=None,
    n_folds=5,
    n_buckets=60,
    seed=0,
    nulls_allowed=True,
)


def all_rows(unit: WorkUnit, reading: Reading) -> list[TrainingRows]:
    return list(read_training_rows(unit, reading))


def joined(unit: WorkUnit, reading: Reading, name: str) -> np.ndarray:
    return np.concatenate([getattr(rows, name) for rows in all_rows(unit, reading)])


def counted(unit: WorkUnit, reading: Reading) -> ReadCounts:
    return sum((rows.counts for rows in all_rows(unit, reading)), ReadCounts())


def refused(unit: WorkUnit, reading: Reading) -> str:
    with pytest.raises(DataError) as caught:
        for rows in read_training_rows(unit, reading):
            tuple(rows.block.numeric)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_rows_without_a_target_are_left_out_and_counted(write: Write, frame: pd.DataFrame) -> None:
    unit = write(frame)
    kept = frame.dropna(subset="y")
    np.testing.assert_array_equal(joined(unit, READING, "target"), kept["y"])
    counts = counted(unit, READING)
    assert (counts.rows, counts.without_target, counts.filtered) == (len(kept), N - len(kept), 0)


def test_features_are_those_of_the_rows_that_are_left(write: Write, frame: pd.DataFrame) -> None:
    found = all_rows(write(frame), READING)
    kept = frame.dropna(subset="y")
    x = np.concatenate([rows.block.numeric[0] for rows in found])
    codes = np.concatenate([rows.block.codes[0] for rows in found])
    np.testing.assert_array_equal(x, kept["x"])
    np.testing.assert_array_equal(codes, kept["s"].map({"a": 0, "b": 1, "c": 2, "d": 2}))


def test_filtered_rows_are_counted(write: Write, frame: pd.DataFrame) -> None:
    unit = write(frame)
    reading = replace(READING, where=parse("s == 'a' and w > 0", "data.where"))
    passed = frame.query("s == 'a' and w > 0")
    kept = passed.dropna(subset="y")
    counts = counted(unit, reading)
    assert (counts.rows, counts.filtered) == (len(kept), N - len(passed))
    assert counts.without_target == len(passed) - len(kept)
    np.testing.assert_array_equal(joined(unit, reading, "target"), kept["y"])


def test_bytes_are_those_of_the_columns_read(write: Write, frame: pd.DataFrame) -> None:
    unit = write(frame)
    footer = pq.read_metadata(unit.pieces[0].file.path)
    place = {name: j for j, name in enumerate(frame.columns)}
    groups = range(footer.num_row_groups)

    def size(*names: str) -> int:
        return sum(
            footer.row_group(i).column(place[n]).total_compressed_size
            for i in groups
            for n in names
        )

    assert counted(unit, READING).bytes_read == size("x", "s", "y")
    filtered = replace(READING, where=parse("w > 0", "data.where"), weight="w")
    assert counted(unit, filtered).bytes_read == size("x", "s", "y", "w")


def test_a_rows_hash_and_bucket_do_not_depend_on_other_rows_or_files(
    write: Write, frame: pd.DataFrame
) -> None:
    found = all_rows(write(frame), READING)
    identities = {
        target: (number, bucket)
        for rows in found
        for target, number, bucket in zip(rows.target, rows.hashes, rows.buckets, strict=True)
    }
    unit = write(frame, frame.assign(y=frame["y"] + 100), folder="more")
    fewer = replace(READING, where=parse("w == 1", "data.where"))
    for rows in all_rows(unit, fewer):
        for target, number, bucket in zip(rows.target, rows.hashes, rows.buckets, strict=True):
            assert target > 50 or identities[target] == (number, bucket)


def test_row_groups_and_blocks_do_not_change_a_rows_bucket(
    write: Write, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = joined(write(frame, rows=500), READING, "buckets")
    np.testing.assert_array_equal(joined(write(frame, rows=177), READING, "buckets"), expected)
    monkeypatch.setattr("lasso_jobs.training.read.reading.MIN_BLOCK_ROWS", 64)
    monkeypatch.setattr("lasso_jobs.training.read.reading.BLOCK_BYTES", 0)
    assert len(all_rows(write(frame, rows=700), READING)) == 4 * 11 + 4
    np.testing.assert_array_equal(joined(write(frame, rows=700), READING, "buckets"), expected)


@pytest.mark.parametrize("where", [None, "x > 0", "s == 'b' and w != 1"])
def test_a_feature_read_by_itself_has_the_values_it_has_among_others(
    write: Write, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, where: str | None
) -> None:
    unit = write(frame)
    held = parse("w == 2 or x > 9", "holdout.where")
    for other in (READING, replace(READING, holdout_where=held)):
        chosen = replace(other, where=parse(where, "data.where") if where else ())
        together = all_rows(unit, chosen)
        with monkeypatch.context() as context:
            context.setattr(blocks, "ROWS_BY_COLUMN", 1)
            alone = all_rows(unit, chosen)
        for a, b in zip(alone, together, strict=True):
            assert a.counts == b.counts
            np.testing.assert_array_equal(a.block.numeric[0], b.block.numeric[0])
            np.testing.assert_array_equal(a.target, b.target)
            np.testing.assert_array_equal(a.buckets, b.buckets)


def test_equal_rows_of_two_files_have_hashes_of_their_own(
    write: Write, frame: pd.DataFrame
) -> None:
    hashes = joined(write(frame, frame), READING, "hashes")
    assert len(np.unique(hashes)) == len(hashes)


def test_another_seed_gives_other_buckets(write: Write, frame: pd.DataFrame) -> None:
    unit = write(frame)
    ours = joined(unit, READING, "buckets")
    others = joined(unit, replace(READING, seed=1), "buckets")
    assert np.mean(ours == others) < 0.2


def test_about_the_asked_share_is_held_out_and_the_rest_is_spread(
    write: Write, frame: pd.DataFrame
) -> None:
    buckets = joined(write(frame), replace(READING, n_buckets=5), "buckets")
    shares = np.bincount(buckets, minlength=6) / len(buckets)
    deviation = np.sqrt(0.2 * 0.8 / len(buckets))
    assert abs(shares[5] - 0.2) < 5 * deviation
    assert np.all(np.abs(shares[:5] - 0.16) < 5 * deviation)


def test_no_holdout_holds_nothing_out(write: Write, frame: pd.DataFrame) -> None:
    assert joined(write(frame), replace(READING, holdout=0.0), "buckets").max() < 60


@pytest.mark.parametrize("encoded", [False, True])
def test_a_group_is_in_one_bucket_whole_also_across_files(
    write: Write, frame: pd.DataFrame, encoded: bool
) -> None:
    frame = frame.astype({"g": "category"}) if encoded else frame
    reading = replace(READING, group="g")
    found = all_rows(write(frame, frame[::-1]), reading)
    known = frame[frame["y"].notna()]
    groups = np.concatenate([known["g"], known["g"][::-1]])
    buckets = np.concatenate([rows.buckets for rows in found])
    per_group = pd.Series(buckets).groupby(groups).nunique()
    assert (per_group == 1).all()
    assert len(np.unique(buckets)) > 30


def test_a_groups_bucket_does_not_depend_on_how_its_text_is_held(
    write: Write, frame: pd.DataFrame
) -> None:
    reading = replace(READING, group="g")
    plain = joined(write(frame), reading, "buckets")
    encoded = joined(write(frame.astype({"g": "category"})), reading, "buckets")
    np.testing.assert_array_equal(plain, encoded)


def test_supplied_folds_are_buckets(write: Write, frame: pd.DataFrame) -> None:
    reading = replace(
        READING, fold="f", folds=("0", "1", "2", "3"), n_buckets=4, n_folds=4, holdout=0.0
    )
    expected = frame.dropna(subset="y")["f"]
    np.testing.assert_array_equal(joined(write(frame), reading, "buckets"), expected)


@pytest.mark.parametrize("role", ["group", "fold"])
def test_a_group_or_fold_without_a_value_is_refused(
    write: Write, frame: pd.DataFrame, role: str
) -> None:
    frame.loc[5, "g"] = None
    folds = tuple(f"group {i}" for i in range(200)) if role == "fold" else ()
    line = refused(write(frame), replace(READING, **{role: "g", "folds": folds}))
    assert "'g': has nulls" in line


def test_rows_without_a_target_need_no_group(write: Write, frame: pd.DataFrame) -> None:
    frame.loc[frame["y"].isna(), "g"] = None
    assert len(joined(write(frame), replace(READING, group="g"), "target")) == frame["y"].count()


@pytest.mark.parametrize("where", ["w == 2", "x > 0.5 or s == 'c'", "w == 2 and x is None"])
def test_a_filter_can_choose_the_held_out_rows(
    write: Write, frame: pd.DataFrame, where: str
) -> None:
    reading = replace(READING, holdout=0.0, holdout_where=parse(where, "holdout.where"))
    query = where.replace("x is None", "x.isna()")
    kept = frame.dropna(subset="y")
    held = kept.index.isin(kept.query(query).index)
    np.testing.assert_array_equal(joined(write(frame), reading, "buckets") == 60, held)


def test_weights_are_read(write: Write, frame: pd.DataFrame) -> None:
    kept = frame.dropna(subset="y")
    weights = joined(write(frame), replace(READING, weight="w"), "weights")
    np.testing.assert_array_equal(weights, kept["w"])
    assert all(rows.weights is None for rows in all_rows(write(frame), READING))


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_a_weight_that_is_none_is_refused(write: Write, frame: pd.DataFrame, weight: float) -> None:
    frame["w"] = frame["w"].astype(float)
    frame.loc[1, "w"] = weight
    assert "weight 'w': has a null, negative or infinite" in refused(
        write(frame), replace(READING, weight="w")
    )


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_value_is_refused_by_its_column(
    write: Write, frame: pd.DataFrame, name: str, value: float
) -> None:
    frame.loc[2999, name] = value
    unit = write(frame)
    line = refused(unit, READING)
    assert line.startswith(f"{unit.pieces[0].file.path}, column '{name}': has an infinite")


def test_an_infinite_value_in_a_row_that_is_not_used_is_no_matter(
    write: Write, frame: pd.DataFrame
) -> None:
    frame.loc[0, "x"] = np.inf  # its target is null
    frame.loc[1, ["x", "w"]] = [np.inf, 1]
    reading = replace(READING, where=parse("w != 1", "data.where"))
    assert np.isfinite(joined(write(frame), reading, "target")).all()


def test_nulls_are_refused_where_the_job_wants_none(write: Write, frame: pd.DataFrame) -> None:
    reading = replace(READING, nulls_allowed=False)
    assert "column 'x': has nulls" in refused(write(frame), reading)
    full = frame.assign(x=1.0)
    assert len(joined(write(full), reading, "target")) == frame["y"].count()


def test_rows_with_a_null_in_a_number_are_left_out_and_counted(
    write: Write, frame: pd.DataFrame
) -> None:
    frame.loc[::9, "w"] = None
    frame.loc[::13, "s"] = None  # of a category it is a level
    reading = replace(READING, complete=("x", "w"))
    kept = frame.dropna(subset=["x", "w", "y"])
    unit = write(frame)
    np.testing.assert_array_equal(joined(unit, reading, "target"), kept["y"])
    counts = counted(unit, reading)
    assert counts.without_target == frame["y"].isna().sum()
    assert counts.with_nulls == frame["y"].count() - len(kept) > 0
    assert counts.rows == len(kept)


def test_a_row_that_stays_keeps_its_bucket_where_others_are_left_out(
    write: Write, frame: pd.DataFrame
) -> None:
    unit = write(frame)
    stays = frame.dropna(subset="y")["x"].notna().to_numpy()
    found = joined(unit, replace(READING, complete=("x",)), "buckets")
    np.testing.assert_array_equal(found, joined(unit, READING, "buckets")[stays])


def test_a_file_without_any_target_gives_no_rows(write: Write, frame: pd.DataFrame) -> None:
    for reading in (READING, replace(READING, group="g"), replace(READING, weight="w")):
        assert len(joined(write(frame.assign(y=np.nan)), reading, "target")) == 0


@pytest.mark.parametrize("type_", [pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize("where", [None, "w > 0"])
def test_text_of_any_type_can_be_filtered_and_left_out(
    tmp_path: Path, frame: pd.DataFrame, type_: pa.DataType, where: str | None
) -> None:
    table = pa.Table.from_pandas(frame)
    table = table.set_column(1, "s", table.column("s").cast(type_))
    pq.write_table(table, tmp_path / "a.parquet")
    (unit,) = discover(str(tmp_path)).work_units(["x", "s", "y"])
    reading = replace(READING, where=parse(where, "data.where") if where else ())
    kept = (frame.query(where) if where else frame).dropna(subset="y")
    np.testing.assert_array_equal(joined(unit, reading, "target"), kept["y"])


# Times


def test_rows_are_in_the_bucket_of_their_time_and_late_ones_are_held_out(
    write: Write, frame: pd.DataFrame
) -> None:
    day = np.random.default_rng(2).integers(0, 30, N)
    frame["t"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(day, "D")
    edges = tuple(pd.Timestamp(f"2024-01-{d}").timestamp() * 1e6 for d in (5, 9, 20))
    held_from = pd.Timestamp("2024-01-26").timestamp() * 1e6
    reading = replace(READING, time="t", edges=edges, n_buckets=4, holdout=0.0, held_from=held_from)
    by_hand = np.select([day < 4, day < 8, day < 19, day < 25], [0, 1, 2, 3], 4)
    found = joined(write(frame), reading, "buckets")
    np.testing.assert_array_equal(found, by_hand[frame["y"].notna()])


def test_without_edges_only_the_hold_out_depends_on_the_time(
    write: Write, frame: pd.DataFrame
) -> None:
    unit = write(frame.assign(t=np.arange(N)))
    before = joined(unit, replace(READING, holdout=0.0), "buckets")
    found = joined(unit, replace(READING, holdout=0.0, time="t", held_from=2000), "buckets")
    late = np.arange(N)[frame["y"].notna()] >= 2000
    np.testing.assert_array_equal(found, np.where(late, 60, before))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "time 't': has a null or infinite value"),
        ("October", "time 't': cannot be read (Failed to parse string: 'October'"),
    ],
)
def test_a_row_without_a_time_is_refused(
    write: Write, frame: pd.DataFrame, value: object, words: str
) -> None:
    times = pd.Series(["2024-01-01"] * N, dtype=object)
    times[N - 2] = value
    line = refused(write(frame.assign(y=1.0, t=times)), replace(READING, time="t"))
    assert words in line
    assert "0.parquet" in line


def test_an_infinite_time_is_refused(write: Write, frame: pd.DataFrame) -> None:
    times = np.arange(N, dtype=float)
    times[N - 2] = np.inf
    line = refused(write(frame.assign(y=1.0, t=times)), replace(READING, time="t"))
    assert "time 't': has a null or infinite value" in line


def test_counts_add_up() -> None:
    assert ReadCounts(rows=1, filtered=2, with_nulls=4) + ReadCounts(
        rows=10, without_target=30, bytes_read=50, cached=60
    ) == ReadCounts(rows=11, filtered=2, without_target=30, with_nulls=4, bytes_read=50, cached=60)
