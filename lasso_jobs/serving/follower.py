"""Keeps the model that answers, and follows its alias: the next version is loaded beside it."""

from collections.abc import Callable

from lasso_jobs import escape
from lasso_jobs.errors import LassoJobsError, ModelError
from lasso_jobs.models.model_file import DOCUMENT
from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.serving.answer import ServedModel
from lasso_jobs.storage import files as storage

State = tuple[int, bytes, storage.State]


class Follower:
    """The version that a reference means, as far as the registry can be read.

    Parameters
    ----------
    registry : Registry
    reference : str
    prepare : callable
        Makes a version ready to answer, or refuses it by a `LassoJobsError`.

    Raises
    ------
    LassoJobsError
        If there is nothing to begin with.
    """

    def __init__(
        self,
        registry: Registry,
        reference: str,
        prepare: Callable[[Registered], ServedModel],
    ) -> None:
        self._registry, self._reference = registry, reference
        self._prepare = prepare
        self.served = prepare(registry.load(reference))
        # Of before the load it is not known; so the first look loads again, and misses no move.
        self._state: State | None = None
        self.trouble: str | None = None

    def refresh(self) -> bool:
        """Look whether the reference means another version now, and if so, swap to it.

        A request takes `served` once, so that its answer is of one version. If the registry or the
        new version cannot be read, the last version stays, and `trouble` says why.

        Returns
        -------
        bool
            Whether another version answers now.
        """
        before = self.served.registered
        try:
            state = self._seen(before)
            if state == self._state:
                self.trouble = None
                return False
            registered = self._registry.load(self._reference)
            changed = (registered.version, registered.digest) != (before.version, before.digest)
            if changed:
                self.served = self._prepare(registered)
            self._state, self.trouble = None if changed else state, None
            return changed
        except Exception as error:  # noqa: BLE001 - the last version goes on, whatever it is
            known = isinstance(error, LassoJobsError)
            said = str(error) if known else escape.line(f"{type(error).__name__}: {error}")
            self._state, self.trouble = None, said
            return False

    def _seen(self, registered: Registered) -> State:
        """What changes whenever an alias moves, or the version becomes another or is gone.

        It is a listing of the aliases, a read of the newest entry of their log, which covers all
        before by its digest, and a look at the version's file.
        """
        name, version = registered.model.name, f"v{registered.version}"
        place = storage.join(self._registry.path, name, version, DOCUMENT)
        log = self._registry.alias_log(name)
        try:
            return *log.newest(), storage.state(place)
        except OSError as error:
            raise ModelError(
                self._registry.path,
                f"{version} of {name} or its aliases cannot be read ({error})",
                "the registry, as when the service was started",
                "Restore it, or give access to it",
            ) from error
