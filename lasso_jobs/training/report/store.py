"""Stores the training report, its checks and the model card with a version, and reads them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lasso_jobs.core.inference import checks as c
from lasso_jobs.errors import ModelError
from lasso_jobs.models.registry import Registry
from lasso_jobs.storage import files as storage
from lasso_jobs.storage.failures import as_output_error
from lasso_jobs.storage.json_text import json_text, json_values
from lasso_jobs.storage.packing import unpack
from lasso_jobs.storage.remote import is_uri

if TYPE_CHECKING:
    from lasso_jobs.training.report.facts import ReportFacts

PAGE, CHECKS, CARD = "report.html", "checks.json", "card.md"
_OF_FORMAT_6: dict[str, c.CheckVerdict] = {
    "ok": "fine",
    "watch": "needs a look",
    "alarm": "violated",
    "unknown": "not checked",
}
"""What checks were called when they had the words of drift."""


def store_report(registry: str, facts: "ReportFacts") -> None:
    """Write a version's checks, card and page, as far as it does not have them yet.

    Raises
    ------
    ModelError
        If they cannot be written.
    """
    from lasso_jobs.training.report.card import card
    from lasso_jobs.training.report.page import report_page

    models, reference = Registry(registry), facts.registered.reference
    checks = json_text(c.as_values(facts.examined.checks), indent=2) + "\n"
    for name, text in ((CHECKS, checks), (CARD, card(facts)), (PAGE, report_page(facts))):
        models.attach(reference, name, text.encode())


def place_of_report(registry: str, reference: str) -> str:
    """Where a version's report is."""
    return Registry(registry).place_of(reference, PAGE)


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report that is stored with a version.

    Parameters
    ----------
    reference, place : str
    page : bytes
    checks : tuple of Check
    """

    reference: str
    place: str
    page: bytes
    checks: tuple[c.Check, ...]

    def as_values(self) -> dict[str, dict[str, Any]]:
        """The checks by name, as ``train --json`` prints them."""
        return c.as_values(self.checks)

    def in_words(self) -> dict[str, str]:
        """A line for each check."""
        return {check.name: f"{check.verdict}. {check.finding}" for check in self.checks}


def stored_report(registry: str, reference: str) -> StoredReport:
    """Read the report of a version.

    Raises
    ------
    ModelError
        If there is no such version, or no report with it, or that is damaged.
    """
    models = Registry(registry)
    name, version = models.resolve(reference)
    exact = f"{name}@v{version}"
    try:
        # A statistic is a float, though a count is written without a fraction.
        content = json_values(models.attached(exact, CHECKS), parse_int=float, parse_constant=float)
        named = [
            {
                "name": key,
                **values,
                "verdict": _OF_FORMAT_6.get(values["verdict"], values["verdict"]),
                "statistics": _undefined_as_nan(values["statistics"]),
            }
            for key, values in content.items()
        ]
        checks = unpack(tuple[c.Check, ...], named, {})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            models.place_of(exact, CHECKS),
            f"is damaged ({error})",
            "the checks of a training, as JSON",
            "Remove it, and train again with the same job: the version stays",
        ) from error
    page = models.attached(exact, PAGE)
    return StoredReport(exact, models.place_of(exact, PAGE), page, checks)


def _undefined_as_nan(statistics: dict[str, Any]) -> dict[str, Any]:
    return {name: "nan" if value is None else value for name, value in statistics.items()}


def stored_card(registry: str, reference: str) -> bytes:
    """Read the card of a version, in Markdown.

    Raises
    ------
    ModelError
        If there is no such version, or no card with it.
    """
    return Registry(registry).attached(reference, CARD)


def save(content: bytes, place: str) -> None:
    """Write a page or a card to a file or URI; into what a link, a pipe or a device leads to.

    Raises
    ------
    OutputError
    """
    with as_output_error(
        place, "a place that can be written to", "Make room or give access, or name another"
    ):
        target = Path(place)
        if not is_uri(place) and (target.is_symlink() or target.is_fifo() or _is_device(target)):
            # A file renamed to its place would take the place of /dev/stdout itself.
            target.write_bytes(content)
        else:
            storage.replace(place, content)


def _is_device(target: Path) -> bool:
    return target.is_char_device() or target.is_block_device()
