"""A site that loads something from elsewhere is an error."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.util.typing import ExtensionMetadata

_LOADED = (
    r"<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^\"' >]+",
    r"<link\b(?![^>]*\brel=[\"']?(?:canonical|license))[^>]*\bhref=[\"']?(?:https?:)?//[^\"' >]+",
    r"@import\s+(?:url\()?[\"']?(?:https?:)?//[^\"')]+",
    r"url\(\s*[\"']?(?:https?:)?//[^\"')]+",
)


def loaded_from_elsewhere(text: str) -> list[str]:
    """Find what a page or a style sheet would load from another place."""
    return [found for pattern in _LOADED for found in re.findall(pattern, text)]


def check(app: "Sphinx", exception: Exception | None) -> None:
    """Refuse the site if a page or a style sheet loads from another place."""
    from sphinx.errors import ExtensionError

    if exception is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in loaded_from_elsewhere(path.read_text(encoding="utf-8")):
                raise ExtensionError(f"{path.relative_to(app.outdir)} would load {found!r}")


def setup(app: "Sphinx") -> "ExtensionMetadata":
    """Check when all is written."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
