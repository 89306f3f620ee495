"""Draws the pictures of docs/judgements.md: a shop is simulated, trained on, scored and compared.

Run ``python docs/pictures/draw.py`` in the top folder, with the extra ``compare``.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from markupsafe import Markup
from scipy.special import stdtrit

from lasso_jobs import ScoreJob, TrainJob, score, train
from lasso_jobs.comparison.run import compare
from lasso_jobs.drift.table import past_rows
from lasso_jobs.pages import svg
from lasso_jobs.pages.page import limit

HERE = Path(__file__).parent
STYLE = HERE.parents[1] / "lasso_jobs" / "pages" / "templates" / "style.css"
KNOWN_LATER = ["advertising", "shelf_*"]
"""What the first champion does without."""
USED = "axis|grid|limit|trace|mark|point|whisker"
N_DAYS, N_NIGHTS, ROWS = 60, 24, 200
DAYS = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(N_DAYS + N_NIGHTS)).tolist()
CHANGE = N_DAYS + 10
"""From this day on there are half a standard deviation more visitors."""

Interval = tuple[str, float, float, float]
"""A name, an estimate, and the ends of its interval."""


def main() -> None:
    """Make all pictures again."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for k in range(len(DAYS)):
            _write_day(root, k)
        train(_job(root, exclude=KNOWN_LATER))
        _save("gate", _gate(root))
        full = train(_job(root, promote="always"))
        _save("coefficients", _coefficients(full.model))
        report = root / "models" / "shop" / f"v{full.registered.version}" / "report.html"
        _save("curve", _cut(report.read_text(encoding="utf-8")))
        _save("compare", _compare(root))
        for day in DAYS[N_DAYS:]:
            score(_score_job(root, day))
        _save("drift", _nights(root))


def _write_day(root: Path, k: int) -> None:
    rng = np.random.default_rng(k)
    days = 0.15 * rng.standard_normal(5)
    z = rng.standard_normal((5, ROWS)) + days[:, None]
    z[0] += 0.5 * (k >= CHANGE)
    visitors, advertising, price, temperature, queue = z
    revenue = 3 * visitors + 0.8 * advertising - 1.2 * price + 0.6 * temperature**2 + 0.15 * queue
    columns = {
        "visitors": 400 + 80 * visitors,
        "advertising": 50 + 20 * advertising,
        "price": 20 + 2 * price,
        "temperature": 15 + 6 * temperature,
        "queue": 5 + queue,
        "revenue": 30 + revenue + 2 * rng.standard_normal(ROWS) + 0.3 * rng.standard_normal(),
    }
    columns |= {f"shelf_{i}": rng.standard_normal(ROWS) for i in range(4)}
    place = root / "data" / f"date={DAYS[k]}"
    place.mkdir(parents=True)
    pq.write_table(pa.table(columns), place / "rows.parquet")


def _job(root: Path, **values: Any) -> TrainJob:
    features = {"exclude": values.pop("exclude", [])}
    return TrainJob.from_values(
        {
            "name": "shop",
            "data": {"path": str(root / "data"), "where": f"date < '{DAYS[N_DAYS]}'"},
            "target": "revenue",
            "features": features,
            "search": {"rule": "1se"},
            "registry": str(root / "models"),
        }
        | values
    )


def _score_job(root: Path, day: str) -> ScoreJob:
    return ScoreJob.from_values(
        {
            "model": "shop@champion",
            "data": {"path": str(root / "data"), "where": f"date == '{day}'"},
            "output": {"path": str(root / "scores"), "partition_by": "date"},
            "drift": {"path": str(root / "drift")},
            "registry": str(root / "models"),
        }
    )


def _gate(root: Path) -> Markup:
    """Challengers of a champion that does not know the advertising."""
    shelves = ["shelf_1", "shelf_2", "shelf_3"]
    challengers = {
        "with advertising": _job(root, exclude=["shelf_*"], promote="never"),
        "with shelf_0": _job(root, exclude=["advertising", *shelves], promote="never"),
        "alpha 1": _job(root, exclude=KNOWN_LATER, search={"alphas": [1.0]}, promote="never"),
    }
    rows = []
    for name, job in challengers.items():
        result = train(job)
        gain = result.promotion.comparison.gain
        reach = gain.limit * gain.standard_error
        rows.append((name, gain.mean, gain.mean - reach, gain.mean + reach))
    return _intervals("gate", "By how much a challenger's squared error is smaller", rows)


def _coefficients(model: Any) -> Markup:
    """Those of the model, with the intervals of the bootstrap where they are known."""
    spread, sd = model.stability.bootstrap, model.deviations
    rows = []
    for j, label in enumerate(model.labels):
        own = [float(v[j] * sd[j]) for v in (model.predictor.coef, spread.low, spread.high)]
        if np.isfinite(own).all():
            rows.append((label, *own))
    return _intervals("coefficients", "Coefficients per standard deviation", rows)


def _compare(root: Path) -> Markup:
    """Other families beside the LASSO, on the same rows and folds."""
    rows = []
    for family in compare(_job(root)).families:
        if family.family in ("elastic_net", "ridge", "random_forest", "gradient_boosting"):
            paired = family.paired
            reach = float(stdtrit(paired.n - 1, 0.95)) * paired.standard_error
            name = family.family.replace("_", " ")
            rows.append((name, paired.mean, paired.mean - reach, paired.mean + reach))
    return _intervals("compare", "Squared error less the LASSO's", rows)


def _intervals(key: str, title: str, rows: Sequence[Interval]) -> Markup:
    """An estimate a line, with its interval; zero is dashed."""
    ends = [v for _, _, low, high in rows for v in (low, high)]
    plot = svg.Plot(
        x=svg.padded([*ends, 0.0]), y=(0.4, len(rows) + 0.6), height=50 + 24 * len(rows), left=112
    )
    at = [float(len(rows) - i) for i in range(len(rows))]
    parts = [
        plot.y_axis([(y, name) for y, (name, *_) in zip(at, rows, strict=True)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x, 4)]),
        plot.upright(0.0, "limit"),
    ]
    for y, (_, value, low, high) in zip(at, rows, strict=True):
        parts.append(svg.segment(plot.at(low, y), plot.at(high, y), "whisker"))
        parts.append(svg.dot(*plot.at(value, y), 3.5, "point"))
    said = ", ".join(f"{name} {limit(v)} ({limit(a)} to {limit(b)})" for name, v, a, b in rows)
    return plot.figure(key, title, said, parts)


def _nights(root: Path) -> Markup:
    """What the visitors of each night did to the mean prediction, and its limits."""
    nights = sorted(
        (r for r in past_rows(str(root / "drift")) if r.drift.feature == "visitors"),
        key=lambda row: row.partition,
    )
    drifts = [row.drift for row in nights]
    reach = [s * d.shift_limit for d in drifts for s in (-1, 1)] + [d.score_shift for d in drifts]
    plot = svg.Plot(x=(1.0, float(len(drifts))), y=svg.padded(reach), height=220)
    x = [float(i + 1) for i in range(len(drifts))]
    parts = [
        plot.y_axis([(v, limit(v)) for v in svg.ticks(*plot.y)]),
        plot.x_axis([(v, limit(v)) for v in svg.ticks(*plot.x)], "night"),
        plot.level(0.0, "axis"),
    ]
    for side in (-1, 1):
        line = [plot.at(a, side * d.shift_limit) for a, d in zip(x, drifts, strict=True)]
        parts.append(svg.path(line, "limit open"))
    chart = [(a, d) for a, d in zip(x, drifts, strict=True) if np.isfinite(d.ewma_shift)]
    parts.append(svg.path([plot.at(a, d.ewma_shift) for a, d in chart], "trace"))
    parts.append(svg.path([plot.at(a, d.ewma_limit) for a, d in chart], "trace thin dashed"))
    for a, d in zip(x, drifts, strict=True):
        parts.append(svg.verdict_mark(*plot.at(a, d.score_shift), d.verdict, 3.5))
    said = ", ".join(
        f"{a:.0f}: {limit(d.score_shift)} ({d.verdict})" for a, d in zip(x, drifts, strict=True)
    )
    return plot.figure("drift", "Visitors: shift of the mean prediction by night", said, parts)


def _cut(page: str) -> Markup:
    """The curve of a feature that is not selected, out of the training report."""
    figures = re.findall(r'<svg class="figure".*?</svg>', page, re.S)
    (found,) = [each for each in figures if ">Partial residuals of temperature<" in each]
    return Markup(found)


def _save(name: str, figure: Markup) -> None:
    """Write a file of its own, with a ground and the style sheet's colours, light and dark."""
    sheet = STYLE.read_text(encoding="utf-8")
    colours = re.findall(r"^(?::root|@media \(prefers-color-scheme).*?^}\n", sheet, re.M | re.S)
    rules = re.findall(rf"^\.(?:figure text|{USED}).*\n", sheet, re.M)
    ground = "svg { background: var(--surface); font-family: system-ui, sans-serif; }\n"
    style = f"<style>\n{''.join(colours)}{ground}{''.join(rules)}</style>"
    page = str(figure).replace("<title", f"{style}<title", 1)
    page = page.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    (HERE / f"{name}.svg").write_text(f"{page}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
