import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from lasso_jobs.sinks import written_file
from lasso_jobs.sinks.protocol import WrittenFile

CONTENT = b"some bytes"


def written(folder: Path) -> Path:
    return folder / written_file.write(str(folder), "run", pa.py_buffer(CONTENT))


def damage(path: Path) -> str | None:
    file = WrittenFile(
        path=path.name, partition=(), rows=1, size_bytes=len(CONTENT), stats="", columns=()
    )
    return written_file.damage(str(path), file)


def test_a_name_is_of_its_attempt_and_has_the_digest(tmp_path: Path) -> None:
    first, second = written(tmp_path / "new" / "folder"), written(tmp_path / "new" / "folder")
    assert first != second
    assert first.read_bytes() == second.read_bytes() == CONTENT
    digest = hashlib.sha256(CONTENT).hexdigest()[:32]
    assert first.name.startswith("lasso-run-")
    assert first.name.endswith(f"-{digest}.parquet")
    assert damage(first) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"some", "has 4 bytes, not 10"),
        (b"", "has 0 bytes, not 10"),
        (b"same bytes", "does not match the digest in its name"),
        (None, "is missing"),
    ],
)
def test_damage_is_told(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = written(tmp_path)
    path.unlink() if content is None else path.write_bytes(content)
    assert damage(path) == said


def test_a_file_of_another_name_is_not_as_it_was_written(tmp_path: Path) -> None:
    path = written(tmp_path).rename(tmp_path / "other.parquet")
    assert damage(path) == "does not match the digest in its name"


def test_a_file_that_cannot_be_written_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path)
    assert not list(tmp_path.iterdir())
