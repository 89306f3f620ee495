"""Where models live: ``<registry>/<name>/v1, v2, ...`` and the log of their aliases.

Every file is created once and never changes; of several writers of one name, one succeeds. The
arrays of a version take its number, and its ``model.json``, which comes last, makes it a version:
it is whole or absent, and a training that is killed in between leaves a number unused. The log is a
folder of numbered files: an alias move is the creation of the next one.
"""

import getpass
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from lasso_jobs.artifacts import model_file
from lasso_jobs.artifacts.model import Model
from lasso_jobs.data import remote, storage
from lasso_jobs.errors import ModelError

CHAMPION = "champion"
_VERSION = re.compile(r"v([1-9][0-9]*)(?![^/])")
_DOCUMENT = re.compile(r"(?P<name>[^/]+)/v(?P<number>[1-9][0-9]*)/model\.json")
_ENTRY = re.compile(r"[0-9]+\.json").fullmatch
_REFERENCE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(@(?P<selector>[A-Za-z0-9_-]+))?")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Move:
    """One entry of the alias log.

    Parameters
    ----------
    alias : str
    action : {"promote", "rollback"}
    old, new : int or None
        Versions before and after.
    at : str
        UTC time, ISO 8601.
    by, why : str
        The user, or the flow run.
    """

    alias: str
    action: Literal["promote", "rollback"]
    old: int | None
    new: int
    at: str
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A model and its place in the registry."""

    model: Model
    version: int
    digest: str
    provenance: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """Such as ``flights@v3``."""
        return f"{self.model.name}@v{self.version}"


class Registry:
    """A folder of models.

    Parameters
    ----------
    path : str or Path
        A folder, or the URI of one; created by the first `register`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = remote.checked(str(path))

    def names(self) -> list[str]:
        """Names of the models, sorted."""
        found = (_DOCUMENT.fullmatch(name) for name in self._listed())
        return sorted({match["name"] for match in found if match})

    def versions(self, name: str) -> list[int]:
        """Versions of a model, ascending."""
        found = (_DOCUMENT.fullmatch(f"{name}/{f}") for f in self._listed(name))
        return sorted(int(match["number"]) for match in found if match)

    def _place(self, *names: str) -> str:
        return storage.join(self.path, *names)

    def _listed(self, *names: str) -> list[str]:
        try:
            return storage.names(self._place(*names))
        except OSError as error:
            raise ModelError(
                self._place(*names),
                f"cannot be listed ({error})",
                "a folder that may be read",
                "Check its path, and the credentials in the environment",
            ) from error

    def register(self, model: Model, provenance: Mapping[str, Any]) -> Registered:
        """Store a model as a new version, unless one is bitwise the same: then it is that one.

        Parameters
        ----------
        model : Model
        provenance : mapping
            When and how it was trained.
        """
        digest = model_file.digest(model)
        same = self._with_digest(model.name, digest)
        if same is not None:
            return self.load(f"{model.name}@v{same}")
        return Registered(model, self._publish(model, provenance), digest, dict(provenance))

    def _with_digest(self, name: str, start: str) -> int | None:
        """The oldest version whose digest starts like this."""
        for version in self.versions(name):
            try:
                stated = model_file.stated_digest(self._place(name, f"v{version}"))
            except ModelError:  # damaged: it is not the one
                continue
            if stated.startswith(start):
                return version
        return None

    def _publish(self, model: Model, provenance: Mapping[str, Any]) -> int:
        files = model_file.pack(model, provenance)
        while True:
            found = (_VERSION.match(f) for f in self._listed(model.name))
            version = max((int(match[1]) for match in found if match), default=0) + 1
            try:
                for name, content in files.items():
                    storage.create(self._place(model.name, f"v{version}", name), content)
            except FileExistsError:  # another training took this number
                continue
            return version

    def attach(self, reference: str, name: str, content: bytes) -> None:
        """Keep a file with a version, unless it has one of that name.

        Raises
        ------
        ModelError
            If it cannot be written.
        """
        place = self.place_of(reference, name)
        try:
            storage.create(place, content)
        except FileExistsError:
            return
        except OSError as error:
            raise ModelError(
                place,
                f"cannot be written ({error})",
                "room and the right to write there",
                "Mend that, and train again with the same job: the version stays, and is completed",
            ) from error

    def attached(self, reference: str, name: str) -> bytes:
        """A file that is kept with a version.

        Raises
        ------
        ModelError
            If there is none.
        """
        place = self.place_of(reference, name)
        try:
            return storage.read(place)
        except OSError as error:
            remedy = "Train it again, with the same job: the version stays"
            raise ModelError(
                place, f"cannot be read ({error})", "a file kept with the model", remedy
            ) from error

    def place_of(self, reference: str, name: str) -> str:
        """Where a file is that is kept with a version."""
        model, version = self.resolve(reference)
        return self._place(model, f"v{version}", name)

    def load(self, reference: str) -> Registered:
        """Load a model by reference.

        Parameters
        ----------
        reference : str
            ``name`` (its champion), ``name@v3``, ``name@alias``, or ``name@`` and at least eight
            digits of a digest.

        Raises
        ------
        ModelError
            If there is none, or it is damaged.
        """
        name, version = self.resolve(reference)
        model, digest, provenance = model_file.read(self._place(name, f"v{version}"))
        return Registered(model, version, digest, provenance)

    def resolve(self, reference: str) -> tuple[str, int]:
        """The name and version that a reference means now.

        Raises
        ------
        ModelError
        """
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            raise ModelError(
                reference, "is no model reference", "name@champion or name@v3", "Correct it"
            )
        name, selector = match["name"], match["selector"] or CHAMPION
        versions = self.versions(name)
        if not versions:
            known = self.names()
            close = get_close_matches(name, known, 1)
            raise ModelError(
                self.path,
                f"there is no model {name!r}",
                f"one of: {', '.join(known)}" if known else "a trained model; it holds none",
                f"Did you mean {close[0]!r}?" if close else "Train it, or correct the name",
            )
        number = _VERSION.fullmatch(selector)
        if number and int(number[1]) in versions:
            return name, int(number[1])
        aliases = self.aliases(name)
        if selector in aliases:
            return name, aliases[selector]
        if re.fullmatch("[0-9a-f]{8,64}", selector):
            same = self._with_digest(name, selector)
            if same is not None:
                return name, same
        raise ModelError(
            self._place(name),
            f"there is no {selector!r}",
            f"one of: {', '.join([*aliases, *(f'v{v}' for v in versions)])}",
            "Correct the reference, or promote a version",
        )

    def moves(self, name: str) -> list[Move]:
        """The alias log, oldest first."""
        folder = self._place(name, "aliases")
        return [_move(storage.join(folder, f)) for f in self._listed(name, "aliases") if _ENTRY(f)]

    def aliases(self, name: str) -> dict[str, int]:
        """Current aliases and their versions."""
        return {move.alias: move.new for move in self.moves(name)}

    def promote(
        self, reference: str, why: str, alias: str = CHAMPION, by: str | None = None
    ) -> Move:
        """Point an alias at a version, in one atomic step.

        Parameters
        ----------
        reference, why, alias : str
        by : str, optional
            Who does it; by default the user.

        Raises
        ------
        ModelError
            If the version does not exist, or someone else moved an alias at the same time.
        """
        if not _ALIAS.fullmatch(alias) or _VERSION.fullmatch(alias) or _DIGEST.fullmatch(alias):
            raise ModelError(
                reference, f"{alias!r} is no alias", "letters, digits, - and _", "Name it otherwise"
            )
        name, version = self.resolve(reference)
        moves = self.moves(name)
        old = {move.alias: move.new for move in moves}.get(alias)
        return self._append(name, len(moves), alias, "promote", old, version, why, by)

    def rollback(self, name: str, why: str, alias: str = CHAMPION) -> Move:
        """Point an alias back at the version it had before its last promotion.

        Raises
        ------
        ModelError
            If there is no earlier version.
        """
        self.resolve(f"{name}@{alias}")
        moves = self.moves(name)
        history: list[int] = []
        for move in moves:
            if move.alias == alias:
                if move.action == "promote":
                    if history[-1:] != [move.new]:
                        history.append(move.new)
                else:
                    history.pop()
        if len(history) < 2:
            raise ModelError(
                self._place(name),
                f"{alias} has had no version before v{history[-1]}",
                "an earlier promotion to go back to",
                "Promote a version by name instead",
            )
        return self._append(name, len(moves), alias, "rollback", history[-1], history[-2], why)

    def _append(
        self,
        name: str,
        number: int,
        alias: str,
        action: Literal["promote", "rollback"],
        old: int | None,
        new: int,
        why: str,
        by: str | None = None,
    ) -> Move:
        move = Move(alias, action, old, new, datetime.now(UTC).isoformat(), by or _user(), why)
        content = json.dumps(asdict(move), indent=2) + "\n"
        try:
            storage.create(self._place(name, "aliases", f"{number + 1:08d}.json"), content.encode())
        except FileExistsError as error:
            raise ModelError(
                self._place(name),
                "an alias was moved by someone else at the same time",
                "to be alone",
                "Look at it with 'lasso-jobs models show', and try again",
            ) from error
        return move


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"


def load_model(registry: str | Path, reference: str) -> Model:
    """Load a model.

    Parameters
    ----------
    registry : str or Path
    reference : str
        As in `Registry.load`.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
    """
    return Registry(registry).load(reference).model


def _move(path: str) -> Move:
    try:
        return Move(**json.loads(storage.read(path)))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            path, f"cannot be read ({error})", "an entry of the alias log", "Restore it"
        ) from error
