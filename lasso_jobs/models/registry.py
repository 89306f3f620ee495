"""Keeps the versions of models in ``<registry>/<name>/v1, v2, ...``, and finds them by reference.

Every file is created once and never changes; of several writers of one name, one succeeds. The
arrays of a version take its number, and its ``model.json``, which comes last, makes it a version:
it is whole or absent, and a training that is killed in between leaves a number unused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lasso_jobs.errors import ModelError
from lasso_jobs.models import model_file
from lasso_jobs.models.alias_log import AliasLog, Move, current, listed, promoted, unwritable
from lasso_jobs.models.model import Model
from lasso_jobs.storage import files as storage
from lasso_jobs.storage import remote
from lasso_jobs.storage.failures import waiting_helps

CHAMPION = "champion"
SHOWN = 12  # versions in a message
_VERSION = re.compile(r"v([1-9][0-9]*)(?![^/])")
_DOCUMENT = re.compile(r"(?P<name>[^/]+)/v(?P<number>[1-9][0-9]*)/model\.json")
_REFERENCE = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(@(?P<selector>[A-Za-z0-9_-]+))?")
_ALIAS = re.compile(r"[A-Za-z0-9_-]+")
_DIGEST = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class Registered:
    """A model and its place in the registry."""

    model: Model
    version: int
    digest: str
    provenance: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """The exact reference, such as ``flights@v3``."""
        return f"{self.model.name}@v{self.version}"


class Registry:
    """A folder of models.

    Parameters
    ----------
    path : str or Path
        A folder, or the URI of one; created by the first `register`.

    Examples
    --------
    >>> registry = Registry("models")
    >>> registry.names(), registry.versions("sales"), registry.aliases("sales")
    (['sales'], [1], {'champion': 1})
    >>> registry.promote("sales@v1", "looks good", alias="stable").new
    1
    >>> registry.load("sales@stable").reference
    'sales@v1'
    """

    def __init__(self, path: str | Path) -> None:
        self.path = remote.checked(str(path))

    def names(self) -> list[str]:
        """Names of the models, sorted."""
        matches = (_DOCUMENT.fullmatch(name) for name in listed(self.path))
        return sorted({match["name"] for match in matches if match})

    def versions(self, name: str) -> list[int]:
        """Versions of a model, ascending."""
        matches = (_DOCUMENT.fullmatch(f"{name}/{f}") for f in listed(self._place(name)))
        return sorted(int(match["number"]) for match in matches if match)

    def _place(self, *names: str) -> str:
        return storage.join(self.path, *names)

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
            matches = (_VERSION.match(f) for f in listed(self._place(model.name)))
            version = max((int(match[1]) for match in matches if match), default=0) + 1
            try:
                for name, content in files.items():
                    storage.create(self._place(model.name, f"v{version}", name), content)
            except FileExistsError:  # another training took this number
                continue
            except OSError as error:
                raise unwritable(self.path, error, "train again with the same job") from error
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
            raise unwritable(place, error, "train again with the same job") from error

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
                place,
                f"cannot be read ({error})",
                "a file kept with the model",
                remedy,
                transient=waiting_helps(error),
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
            expected = "a reference such as sales, sales@champion or sales@v3"
            raise ModelError(f"{reference!r}", "is no model reference", expected, "Write it so")
        name, selector = match["name"], match["selector"] or CHAMPION
        versions = self.versions(name)
        if not versions:
            names = self.names()
            close = get_close_matches(name, names, 1)
            raise ModelError(
                self.path,
                f"there is no model {name!r}",
                f"one of: {', '.join(names)}" if names else "a trained model; it holds none",
                f"Did you mean {close[0]!r}?"
                if close
                else f"Train it, or correct {'the name' if names else 'the path of the registry'}",
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
            f"one of: {', '.join([*aliases, *(f'v{v}' for v in versions[-SHOWN:])])}",
            "Correct the reference, or promote a version",
        )

    def alias_log(self, name: str) -> AliasLog:
        """The log of a model's aliases."""
        return AliasLog(self._place(name, "aliases"), self._place(name, "moved"))

    def moves(self, name: str) -> list[Move]:
        """The alias log, oldest first."""
        return self.alias_log(name).moves()

    def aliases(self, name: str) -> dict[str, int]:
        """Current aliases and their versions."""
        return current(self.moves(name))

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
                reference,
                f"{alias!r} is no alias",
                "letters, digits, - and _, and neither a version such as v3 nor a digest",
                "Name it otherwise",
            )
        name, version = self.resolve(reference)
        self.load(f"{name}@v{version}")  # lest no scoring can
        if (reference.partition("@")[2] or CHAMPION) == alias:
            raise ModelError(
                self._place(name),
                f"{reference} is the version that {alias} has already",
                f"one of: {', '.join(f'{name}@v{v}' for v in self.versions(name)[-SHOWN:])}",
                "Name the version to promote",
            )
        log = self.alias_log(name)
        # Of a log whose newest entries are missing, too: a person decides anew what follows.
        return log.append(log.entries(), alias=alias, action="promote", new=version, why=why, by=by)

    def rollback(self, name: str, why: str, alias: str = CHAMPION) -> Move:
        """Point an alias back at the version it had before its last promotion.

        Raises
        ------
        ModelError
            If there is no earlier version.
        """
        if "@" in name:
            remedy = f"Give {name.partition('@')[0]!r}, or promote a version"
            found, expected = "names a version or an alias", "the name of a model"
            raise ModelError(name, found, expected, remedy)
        self.resolve(f"{name}@{alias}")
        log = self.alias_log(name)
        moves = log.moves()
        versions = promoted(moves, alias)
        if len(versions) < 2:
            raise ModelError(
                self._place(name),
                f"{alias} has had no version before v{versions[-1]}",
                "an earlier promotion to go back to",
                "Promote a version by name instead",
            )
        self.load(f"{name}@v{versions[-2]}")  # lest no scoring can
        return log.append(moves, alias=alias, action="rollback", new=versions[-2], why=why)

    def as_values(self) -> list[dict[str, Any]]:
        """Every model and its versions, as ``models list --json`` prints them.

        Raises
        ------
        ModelError
            If there is no registry.
        """
        names = self.names()
        if not names and (storage.is_uri(self.path) or not Path(self.path).is_dir()):
            raise ModelError(
                self.path,
                "there is no registry",
                "the folder that a training job names as its registry",
                "Name it with --registry, or train a model",
            )
        return [
            {
                "name": name,
                "versions": [f"v{version}" for version in self.versions(name)],
                "aliases": {alias: f"v{v}" for alias, v in self.aliases(name).items()},
            }
            for name in names
        ]


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

    Examples
    --------
    >>> from lasso_jobs import load_model
    >>> model = load_model("models", "sales@champion")
    >>> round(model.intercept, 2)
    50.56
    """
    return Registry(registry).load(reference).model
