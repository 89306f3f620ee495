"""Names that attack whoever looks at them, and whether a medium still obeys them."""

import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markdown_it import MarkdownIt

# Colours, the window's title, a C1 sequence, text from right to left, line ends, a backspace, and
# what Markdown, HTML and templates would act on.
NAME = (
    "\x1b[31mred\x1b]0;owned\x07 \x9b2J \u202egnp\u2066 \r\n\n# heading\n- item\n\b"
    "![x](http://evil.example/x.png) <script>alert(1)</script> <img src=y> | a | {{ 7*7 }} "
    "{% x %} `code` ```\n\n~~~ *bold* http://evil.example www.evil.example"
)
# Folders are named by a column and its values, in at most 255 bytes of escapes.
VALUE = "\x1b[31mred \u202e\r\n# h\n![x](//e.eu)<script>|{{`"
FOLDER = "\x9b2J \u202e![x](~~e.eu)<script>|{{`"
FEATURE, LEVELS, PARTITION, TARGET = f"n {NAME}", f"c {NAME}", f"p {FOLDER}", f"t {NAME}"

SECRET = "Hunter2-secret"
URI = f"s3://KEY:{SECRET}@bucket/place"
# Each under the name that the environment has it by; the @ of the password is not encoded.
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "LASSO_JOBS_POSTGRESQL_URI": f"postgresql://lasso:tail@{SECRET}@127.0.0.1:1/db",
    "PREFECT_API_AUTH_STRING": f"user:{SECRET}",
}
SIGN = r"\\x1b\[31mred"
"""How Markdown spells the start of the name."""

Values = dict[str, Any]


def jobs(folder: Path, n: int = 400) -> dict[str, Values]:
    """Data whose every name and level is hostile, which drifts, and the three jobs on it."""
    rng = np.random.default_rng(0)
    x, level = rng.normal(size=n), rng.choice([f"a {NAME}", f"b {NAME}", "c"], n)
    frame = pd.DataFrame({"id": range(n), FEATURE: x, LEVELS: level})
    frame[PARTITION] = np.repeat([f"1 {VALUE}", f"2 {VALUE}"], n // 2)
    frame[TARGET] = 2 * x + 3 * (level == "c") + rng.normal(size=n)
    frame.to_parquet(folder / "then.parquet")
    frame[FEATURE], frame[LEVELS] = x + 5, f"new {NAME}"
    frame.to_parquet(folder / "now.parquet")
    registry = str(folder / "models")
    train = {
        "name": "m",
        "data": {"path": str(folder / "then.parquet"), "where": f"\"{PARTITION}\" <> '{NAME}'"},
        "target": TARGET,
        "stability": None,
        "features": {"exclude": ["id", PARTITION]},
        "search": {"alphas": 10},
        "registry": registry,
    }
    score = {
        "model": "m",
        "data": {"path": str(folder / "now.parquet")},
        "keys": ["id"],
        "output": {"path": str(folder / "scores"), "partition_by": PARTITION},
        "drift": {"features": "all", "segment": LEVELS, "path": str(folder / "drift")},
        "registry": registry,
    }
    monitor = {
        "model": "m",
        "scores": {"path": str(folder / "scores")},
        "actuals": {"path": str(folder / "now.parquet")},
        "keys": ["id"],
        "target": TARGET,
        "period": PARTITION,
        "segments": [],
        "registry": registry,
    }
    return {"train": train, "score": score, "monitor": monitor}


def obeyed(text: str) -> set[str]:
    """The characters of a text that its terminal obeys, or that hide or reverse others."""
    return {c for c in text if not c.isprintable() and c != "\n"}


def acted_on(text: str) -> list[str]:
    """What a reader of GitHub Flavored Markdown makes of a text, beside words, tables and lists."""
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = [inner for token in reader.parse(text) for inner in (token, *(token.children or ()))]
    odd = {"image", "link_open", "html_block", "html_inline", "s_open", "em_open"}
    kinds = [token.type for token in tokens if token.type in odd]
    rendered = html.unescape(reader.render(text))
    # Any text that stands in the source as it does here is made a link, unless it is code.
    linked = re.findall(r"(?i)(?<![`\w])(?:https?://|www\.)\w", text)
    return [*kinds, *linked, *obeyed(rendered)]
