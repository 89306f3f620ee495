"""Every number of a report, computed again from its rows by others.

A text agrees with a number if it is that number, rounded to the digits that are shown.
"""

import html
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.testing import assert_allclose
from scipy.stats import chi2, norm
from sklearn.linear_model import Lasso
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from statsmodels.api import OLS, add_constant
from statsmodels.stats.outliers_influence import OLSInfluence, variance_inflation_factor
from statsmodels.stats.stattools import durbin_watson
from statsmodels.tsa.stattools import acf

from lasso_jobs import TrainJob, train
from lasso_jobs.models.model import Model
from lasso_jobs.training.report import store

N, N_HELD, N_DAYS, FOLDS = 3000, 500, 60, 5


def rows() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    day = np.sort(rng.integers(0, N_DAYS, N))
    frame = pd.DataFrame({"day": pd.Timestamp("2024-01-01") + pd.to_timedelta(day, "D")})
    frame["day"] = frame["day"].dt.date
    frame["a"] = rng.normal(50, 3, N)
    frame["b"] = 0.8 * frame["a"] + rng.normal(size=N)
    frame["c"] = rng.gamma(1.5, 2.0, N)
    frame["twin"] = frame["c"] + rng.normal(size=N) * 0.3
    frame["noise"] = rng.normal(size=N)
    frame["city"] = rng.choice(["u", "v", "w", "x", "z"], N, p=[0.4, 0.3, 0.2, 0.06, 0.04])
    held = np.zeros(N, bool)
    held[rng.choice(N, N_HELD, replace=False)] = True
    frame["part"] = np.where(held, "test", "train")
    frame["fold"] = 0
    frame.loc[~held, "fold"] = rng.permutation(np.arange(N - N_HELD) % FOLDS)
    effect = np.zeros(N_DAYS)
    for t in range(1, N_DAYS):
        effect[t] = 0.7 * effect[t - 1] + rng.normal()
    noise = rng.standard_t(4, N) * (1 + frame["c"] / 10)
    y = 2 * frame["a"] - frame["b"] + 3 * np.log1p(frame["c"]) + 2 * (frame["city"] == "u")
    frame["y"] = y + effect[day] + noise
    frame.loc[rng.random(N) < 0.1, "c"] = np.nan
    return frame


@dataclass(frozen=True)
class Oracle:
    """The training as scikit-learn and pandas have it."""

    frame: pd.DataFrame
    model: Model

    @cached_property
    def held(self) -> Any:
        return (self.frame["part"] == "test").to_numpy()

    @cached_property
    def folds(self) -> Any:
        """Of each row; -1 for the held-out ones."""
        return self.frame["fold"].where(~self.held, -1).to_numpy()

    @cached_property
    def y(self) -> Any:
        return self.frame["y"].to_numpy()

    def columns(self, training: Any) -> pd.DataFrame:
        """Imputed by the training rows' means; the first level has no column."""
        X = self.frame[["a", "b", "c", "twin", "noise"]].copy()
        X["c"] = X["c"].fillna(X.loc[training, "c"].mean())
        for city in ("v", "w"):
            X[f"city={city}"] = (self.frame["city"] == city).astype(float)
        X["city=(other)"] = self.frame["city"].isin(["x", "z"]).astype(float)
        return X

    def lasso(self, training: Any, alpha: float) -> tuple[Any, Any]:
        """Coefficients per standard deviation, and predictions of all rows."""
        X = self.columns(training)
        mean, sd = X[training].mean(), X[training].std(ddof=0)
        Z = ((X - mean) / sd).to_numpy()
        fitted = Lasso(alpha, tol=1e-12, max_iter=100_000).fit(Z[training], self.y[training])
        return pd.Series(fitted.coef_, X.columns), fitted.predict(Z)

    @cached_property
    def final(self) -> tuple[Any, Any]:
        return self.lasso(np.ones(N, bool), self.model.alpha)

    @cached_property
    def evaluated(self) -> tuple[Any, Any]:
        """Predictions and outcomes of the held-out rows."""
        return self.lasso(~self.held, self.model.alpha)[1][self.held], self.y[self.held]

    @cached_property
    def days(self) -> Any:
        """Of the held-out rows."""
        return self.frame["day"][self.held].to_numpy()

    @cached_property
    def residuals(self) -> Any:
        predicted, actual = self.evaluated
        return actual - predicted

    @cached_property
    def fold_mse(self) -> Any:
        found = []
        for fold in range(FOLDS):
            test = self.folds == fold
            training = ~test & ~self.held
            predictions = [self.lasso(training, a)[1][test] for a in self.model.curve.alphas]
            found.append([mean_squared_error(self.y[test], p) for p in predictions])
        return np.array(found)

    @cached_property
    def by_day(self) -> pd.DataFrame:
        residuals = pd.Series(self.y - self.final[1])
        return residuals.groupby(self.frame["day"]).agg(["mean", "size"])

    @cached_property
    def scaled(self) -> Any:
        return (self.by_day["mean"] * np.sqrt(self.by_day["size"])).to_numpy()


@dataclass(frozen=True)
class Page:
    """What a page shows."""

    text: str

    def section(self, title: str) -> str:
        return self.text.split(f"<h2>{title}</h2>")[1].split("<h2>")[0]

    def facts(self, title: str) -> dict[str, str]:
        found = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", self.section(title), re.DOTALL)
        return {html.unescape(name): html.unescape(value) for name, value in found}

    def table(self, title: str) -> list[list[str]]:
        body = self.section(title).split("<tbody>")[1].split("</tbody>")[0]
        return [
            [
                html.unescape(re.sub("<.*?>", "", cell)).strip()
                for cell in re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL)
            ]
            for row in body.split("</tr>")[:-1]
        ]

    def figure(self, key: str) -> ElementTree.Element:
        found = re.search(rf'<svg [^>]*labelledby="{key}-t .*?</svg>', self.text, re.DOTALL)
        assert found is not None, key
        return ElementTree.fromstring(found[0])

    def said(self, key: str) -> str:
        return self.figure(key).findtext("desc") or ""

    def numbers(self, key: str) -> list[str]:
        return re.findall(r"[−+]?\d[\d,.]*\d(?:e−?\d+)?|[−+]?\d", self.said(key))

    def of_class(self, key: str, kind: str) -> list[dict[str, str]]:
        return [e.attrib for e in self.figure(key) if e.get("class") == kind]

    def line(self, key: str, kind: str = "trace") -> Any:
        """Points of a path, in the picture's units."""
        (found,) = self.of_class(key, kind)
        return np.array([p.split() for p in found["d"][1:].rstrip("Z").split("L")], float)


def shows(text: str, value: float) -> bool:
    """Whether a text is a number, rounded."""
    plain = text.replace("−", "-").replace(",", "").replace("+", "")
    scale = 0.01 if plain.endswith("%") else 1.0
    mantissa, _, exponent = plain.rstrip("%").partition("e")
    unit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])) * scale
    return abs(float(mantissa) * 10.0 ** int(exponent or 0) * scale - value) <= 0.5001 * unit


def assert_drawn(pixels: Any, values: Any) -> None:
    """Places in a picture are the values, but for an origin and a scale."""
    slope, origin = np.polyfit(values, pixels, 1)
    assert slope != 0
    assert_allclose(pixels, slope * np.asarray(values) + origin, atol=0.02)


Trained = tuple[Oracle, Page, dict[str, Any], str, TrainJob]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("numbers")
    frame = rows()
    frame.to_parquet(folder / "a.parquet", row_group_size=700)
    job = TrainJob.from_values(
        {
            "name": "numbers",
            "data": {"path": str(folder / "a.parquet")},
            "target": "y",
            "preprocess": {"max_levels": 3, "drop_first": True},
            "search": {"alphas": 12, "eps": 0.01, "rule": "1se", "split": {"fold": "fold"}},
            "features": {"exclude": ["day", "part"]},
            "holdout": {"where": "part == 'test'"},
            "period": "day",
            "stability": {"pairs": 5},
            "registry": str(folder / "models"),
        }
    )
    result = train(job, workers=1)
    found = store.stored_report(job.registry, "numbers")
    card = store.stored_card(job.registry, "numbers").decode()
    return Oracle(frame, result.model), Page(found.page.decode()), found.as_values(), card, job


def row_error(values: Any) -> float:
    """N times the error of a mean of independent rows, below which that of days is not taken."""
    return float(values.std(ddof=1) * np.sqrt(N_HELD))


def test_errors_on_held_out_rows(trained: Trained) -> None:
    oracle, page, *_ = trained
    predicted, actual = oracle.evaluated
    residuals = oracle.residuals
    sizes = np.sort(np.abs(residuals))
    # Days whose shares of covered rows differ say as much as fewer rows, by the 90 % bound.
    covered = np.abs(residuals) <= sizes[int(np.ceil((N_HELD + 1) * 0.9)) - 1]
    of_day = pd.Series(covered).groupby(oracle.days).agg(["sum", "size"])
    n_days = len(of_day)
    away = of_day["sum"] - covered.mean() * of_day["size"]
    bound = (away**2).sum() / N_HELD**2 * n_days / chi2.ppf(0.1, n_days - 1)
    n_alike = N_HELD**2 / (of_day["size"] ** 2).sum()
    n = min(N_HELD, max(0.09 / bound, n_alike))
    width = sizes[int(np.ceil(N_HELD * (1 + 1 / n) * 0.9)) - 1]
    facts = page.facts("Errors on held-out rows")
    assert shows(facts["Rows"], N_HELD)
    assert shows(facts["R²"], r2_score(actual, predicted))
    assert shows(facts["RMSE"], np.sqrt(mean_squared_error(actual, predicted)))
    assert shows(facts["Within the 90% interval"], np.mean(sizes <= width) * n / (n + 1))
    interval = re.fullmatch(
        r"±(\S+), for 90% of the rows of new values of 'day'", facts["Interval"]
    )
    assert interval is not None
    assert shows(interval[1], width)
    for name, values in (
        ("Mean squared error", residuals**2),
        ("MAE", np.abs(residuals)),
        ("Bias (prediction less outcome)", -residuals),
    ):
        mean, error = facts[name].split(" ± ")
        assert shows(mean, values.mean())
        # CR2 (Bell & McCaffrey 2002) of a mean over days, which are the periods.
        sums = pd.Series(values - values.mean()).groupby(oracle.days).agg(["sum", "size"])
        cr2 = (sums["sum"] ** 2 / (1 - sums["size"] / N_HELD)).sum()
        assert shows(error, max(np.sqrt(cr2), row_error(values)) / N_HELD)
    lead = re.findall(r'class="lead">(.*?)</p>', page.text, re.DOTALL)[0]
    words = re.search(
        r"On (\S+) held.*RMSE (\S+), MAE (\S+); 90%.*±(\S+) .*\. (\d+) of (\d+) ", lead
    )
    assert words is not None
    mae = mean_absolute_error(actual, predicted)
    selected = int((oracle.final[0] != 0).sum())
    expected = (N_HELD, np.sqrt(np.mean(residuals**2)), mae, width, selected, 9)
    assert all(shows(text, value) for text, value in zip(words.groups(), expected, strict=True))


def test_cross_validation(trained: Trained) -> None:
    oracle, page, *_ = trained
    curve = oracle.model.curve
    mse = oracle.fold_mse.mean(axis=0)
    error = oracle.fold_mse.std(axis=0, ddof=1) / np.sqrt(FOLDS)
    best = int(mse.argmin())
    chosen = int(np.flatnonzero(mse <= mse[best] + error[best])[0])
    inside = oracle.columns(~oracle.held)[~oracle.held]
    target = oracle.y[~oracle.held]
    Z = (inside - inside.mean()) / inside.std(ddof=0)
    alpha_max = float(np.abs(Z.T @ (target - target.mean())).max()) / len(target)
    assert_allclose(curve.alphas, alpha_max * np.geomspace(1, 0.01, 12), rtol=1e-9)
    facts = page.facts("Errors of cross-validation")
    assert shows(facts["Alpha of min"], curve.alphas[best])
    assert shows(facts["Alpha of 1se"], curve.alphas[chosen])
    assert shows(facts["Chosen alpha"], curve.alphas[chosen])
    mean, spread = facts["Mean squared error"].split(" ± ")
    assert shows(mean, mse[chosen])
    assert shows(spread, error[chosen])
    assert shows(facts["RMSE"], np.sqrt(mse[chosen]))
    low, high = facts["RMSE of the folds"].split(" to ")
    of_folds = np.sqrt(oracle.fold_mse[:, chosen])
    assert shows(low, of_folds.min())
    assert shows(high, of_folds.max())
    assert facts["Folds"] == "5, by fold fold"
    line, band = page.line("cv"), page.line("cv", "band")
    shown = mse <= 2 * mse[best]
    assert_drawn(line[:, 0], np.log10(curve.alphas[shown]))
    edges = np.concatenate([(mse - error)[shown], (mse + error)[shown][::-1]])
    assert_drawn(np.append(line[:, 1], band[:, 1]), np.append(mse[shown], edges))
    limits = [float(each["x1"]) for each in page.of_class("cv", "limit")]
    at = [best - int(np.argmax(shown)), chosen - int(np.argmax(shown))]
    assert_allclose(limits, line[at, 0], atol=0.011)
    said = r"error (\S+) at alpha (\S+); alpha of the rule min (\S+), of 1se (\S+); chosen (\S+)\."
    texts = re.findall(said, page.said("cv"))[0]
    chosen_alpha, alpha_min = curve.alphas[chosen], curve.alphas[best]
    values = (mse[best], alpha_min, alpha_min, chosen_alpha, chosen_alpha)
    assert all(shows(text, value) for text, value in zip(texts, values, strict=True))


def test_paths(trained: Trained) -> None:
    oracle, page, *_ = trained
    every = np.ones(N, bool)
    found = pd.DataFrame([oracle.lasso(every, a)[0] for a in oracle.model.curve.alphas])
    order = found.abs().max().sort_values(ascending=False).index
    section = page.section("Paths of the coefficients")
    assert re.findall(r"<bdi>(.*?)</bdi>", section.split("</ul>")[0]) == [*order]
    lines = [page_line for page_line in page.figure("paths") if page_line.tag.endswith("path")]
    looks = [line.attrib["class"].removeprefix("trace ") for line in lines]
    assert len({*looks}) == len(order)
    assert re.findall(r'"key line (.*?)"', section) == looks
    pixels = [[p.split()[1] for p in line.attrib["d"][1:].split("L")] for line in lines]
    assert_drawn(np.array(pixels, float).ravel(), found[order].to_numpy().T.ravel())
    ends = re.findall(r" ([−\d.e]+)(?:,|\.$)", page.said("paths"))
    assert all(shows(t, v) for t, v in zip(ends, found[order].iloc[-1], strict=True))


def test_coefficients(trained: Trained) -> None:
    oracle, page, *_ = trained
    every = np.ones(N, bool)
    X = oracle.columns(every)
    per_sd = oracle.final[0]
    order = per_sd[per_sd != 0].abs().sort_values(ascending=False).index
    table = page.table("Coefficients")
    assert [row[0] for row in table] == [*order]
    assert [row[1] for row in table] == [str(rank) for rank in range(1, len(order) + 1)]
    of_all = variances(X)
    selected = variances(X[[*order]])
    frequency = dict(zip(oracle.model.labels, oracle.model.stability.frequency, strict=True))
    for label, _, _, sd, unit, *spread, share, vif, vif_of_all in table:
        assert shows(sd, per_sd[label])
        assert sd[0] == ("+" if per_sd[label] > 0 else "−")
        assert shows(unit, per_sd[label] / X[label].std(ddof=0))
        assert spread == ["–", "–", "–"]  # of so few folds no resamples are drawn
        assert shows(share, frequency[label])  # recomputed in test_stability.py
        assert shows(vif, selected[label])
        assert shows(vif_of_all, of_all[label])


def variances(X: pd.DataFrame) -> dict[str, float]:
    """By statsmodels; of the levels of a category together by Fox and Monette's determinants."""
    levels = [name for name in X.columns if name.startswith("city=")]
    # Without one level, if they are all there.
    own = levels[1:] if np.ptp(X[levels].sum(axis=1)) == 0 else levels
    others = [name for name in X.columns if name not in levels]
    values = add_constant(X[[*others, *own]]).to_numpy()
    found = {name: variance_inflation_factor(values, j) for j, name in enumerate(others, 1)}
    whole, first, second = (np.linalg.det(X[c].corr()) for c in ([*others, *own], others, own))
    return found | dict.fromkeys(levels, (first * second / whole) ** (1 / len(own)))


def test_learning_curve(trained: Trained) -> None:
    oracle, page, *_ = trained
    folds = oracle.folds
    expected: list[float] = []
    for size in range(1, FOLDS + 1):
        training = (folds >= 0) & (folds < size)
        # Recomputed in test_learning_curve.py.
        alpha = oracle.model.diagnostics.learning.alphas[size - 1]
        predicted = oracle.lasso(training, alpha)[1]
        for each in (training, oracle.held):
            expected.append(mean_squared_error(oracle.y[each], predicted[each]))
    texts = re.findall(r"([\d,]+) rows: (\S+) in training, (\S+) in", page.said("learning"))
    assert [int(n.replace(",", "")) for n, _, _ in texts] == [500, 1000, 1500, 2000, 2500]
    shown = [text for _, *both in texts for text in both]
    assert all(shows(text, value) for text, value in zip(shown, expected, strict=True))
    lines = np.stack([page.line("learning", "quiet"), page.line("learning")], axis=1)
    assert_drawn(lines[..., 1].ravel(), expected)


def test_residuals_over_time(trained: Trained) -> None:
    oracle, page, checks, *_ = trained
    days = oracle.by_day
    n = len(days)
    assert f"the {n} periods by <bdi>day</bdi>" in page.section("Residuals over time")
    line = page.line("means", "trace thin")
    assert_drawn(line[:, 1], days["mean"])
    texts = page.numbers("means")
    assert shows(texts[0], days["mean"].min())
    assert shows(texts[1].rstrip("."), days["mean"].max())
    lags = n // 4
    expected = acf(oracle.scaled, nlags=lags, adjusted=False, fft=False)[1:]
    texts = re.findall(r"lag \d+: (\S+?)(?:,|$)", page.said("acf"))
    assert all(shows(text, value) for text, value in zip(texts, expected, strict=True))
    band = norm.ppf(0.975) / np.sqrt(n)
    outside = int((np.abs(expected) > band).sum())
    words = re.search(r"(\d+) of (\d+) lags lie outside ±(\S+) ", page.text)
    assert words is not None
    assert (int(words[1]), int(words[2])) == (outside, lags)
    assert shows(words[3], band)
    bars = page.of_class("acf", "current")
    assert_drawn([float(bar["height"]) for bar in bars], np.abs(expected))
    known = checks["independence"]["statistics"]
    watson = durbin_watson(oracle.scaled)
    mse = mean_squared_error(oracle.y, oracle.final[1])
    effect = days["size"] * (days["mean"] - np.average(days["mean"], weights=days["size"])) ** 2
    effect = effect.sum() / (n - 1) / mse
    assert_allclose(known["durbin_watson"], watson, rtol=1e-6)
    assert_allclose(known["autocorrelation"], expected[0], rtol=1e-6)
    assert_allclose(known["design_effect by day"], effect, rtol=1e-6)
    finding = checks["independence"]["finding"]
    texts = re.findall(r"vary (\S+) times|is (\d\.\d+)", finding)
    assert shows(texts[0][0], effect)
    assert "design_effect by fold" in known
    assert html.escape(finding, quote=False).replace("'", "&#39;") in page.text
    assert checks["independence"]["verdict"] == "violated"
    assert shows(texts[2][1], watson)
    assert shows(texts[3][1], expected[0])


def test_pictures_of_held_out_rows(trained: Trained) -> None:
    oracle, page, *_ = trained
    predicted, actual = oracle.evaluated
    residuals = oracle.residuals
    middle = np.quantile(residuals, [0.001, 0.999])
    reach = np.ptp(middle) * 0.03
    edges = np.linspace(middle[0] - reach, middle[1] + reach, 41)
    shares = np.histogram(residuals, edges)[0] / N_HELD
    heights = [float(bar["height"]) for bar in page.of_class("dist", "current")]
    assert_drawn(heights, shares)
    normal = np.diff(norm.cdf(edges, residuals.mean(), residuals.std()))
    assert_drawn(-page.line("dist", "limit open")[:, 1], normal)
    texts = page.numbers("dist")
    assert shows(texts[0], residuals.mean())
    assert shows(texts[1].rstrip("."), residuals.std())
    points = np.array([[p["cx"], p["cy"]] for p in page.of_class("qq", "point")], float)
    places = np.sort((residuals - residuals.mean()) / residuals.std())
    quantiles = norm.ppf((np.arange(N_HELD) + 0.5) / N_HELD)
    left, right = points[0, 0], points[-1, 0]
    at = quantiles[0] + (points[:, 0] - left) / (right - left) * np.ptp(quantiles)
    own = np.array([int(np.abs(quantiles - value).argmin()) for value in at])
    assert_drawn(-points[:, 1], places[own])
    X = oracle.columns(~oracle.held)
    used = oracle.lasso(~oracle.held, oracle.model.alpha)[0]
    X = add_constant(X[used.index[used != 0]]).to_numpy()
    fitted = OLS(oracle.y[~oracle.held], X[~oracle.held]).fit()
    hat = np.einsum("ij,jk,ik->i", X[oracle.held], fitted.normalized_cov_params, X[oracle.held])
    far = hat / OLSInfluence(fitted).hat_matrix_diag.mean()
    pairs = {"fit": (predicted, actual), "res": (predicted, residuals), "lev": (far, residuals)}
    for key, (x, y) in pairs.items():
        assert f"{N_HELD} rows; correlation " in page.said(key)
        text = page.said(key).split()[-1].rstrip(".")
        assert shows(text, float(np.corrcoef(x, y)[0, 1]))
    wide = (middle[0] - reach, middle[1] + reach)
    spans = {
        "fit": [span(np.append(predicted, actual))] * 2,
        "res": [span(predicted), (min(wide[0], 0), max(wide[1], 0))],
        "lev": [(0, span(far)[1]), (min(wide[0], 0), max(wide[1], 0))],
    }
    for key, (x, y) in pairs.items():
        counts = np.histogram2d(x, y, 32, spans[key])[0]
        shade = np.minimum(1 + np.floor(8 * np.sqrt(counts[counts > 0] / counts.max())), 8)
        cells = [e for e in page.figure(key) if "cell" in e.get("class", "")]
        # One path for each shade, with a rectangle for each cell.
        n_cells = {int(e.attrib["class"][-1]): e.attrib["d"].count("M") for e in cells}
        assert n_cells == dict(zip(*np.unique_counts(shade), strict=True))


def span(values: Any) -> tuple[float, float]:
    low, high = np.quantile(values, [0.001, 0.999])
    return low - (high - low) * 0.03, high + (high - low) * 0.03


def test_partial_residuals(trained: Trained) -> None:
    oracle, page, *_ = trained
    X = oracle.columns(~oracle.held)
    per_sd = oracle.lasso(~oracle.held, oracle.model.alpha)[0]
    numeric = per_sd[["a", "b", "c", "twin", "noise"]]
    order = numeric[numeric != 0].abs().sort_values(ascending=False).index
    for i, name in enumerate(order):
        x = X[name].to_numpy()[oracle.held]
        slope = per_sd[name] / X[name][~oracle.held].std(ddof=0)
        partial = oracle.residuals + slope * (x - x.mean())
        edges = np.unique(np.sort(x)[[k * N_HELD // 10 for k in range(1, 10)]])
        bins = pd.DataFrame({"x": x, "y": partial}).groupby(np.digitize(x, edges)).mean()
        texts = re.findall(r"at (\S+): (\S+?)(?:,|$)", page.said(f"p{i}"))
        for (at, mean), (_, each) in zip(texts, bins.iterrows(), strict=True):
            assert shows(at, each["x"])
            assert shows(mean, each["y"])
        points = np.array([[p["cx"], p["cy"]] for p in page.of_class(f"p{i}", "point")], float)
        assert_drawn(points[:, 0], bins["x"])
        assert_drawn(points[:, 1], bins["y"])


def test_correlations(trained: Trained) -> None:
    oracle, page, *_ = trained
    expected = oracle.columns(np.ones(N, bool)).corr()
    table = page.table("Correlations")
    names = [row[0].split(" ", 1)[1].removesuffix(" (not selected)") for row in table]
    selected = oracle.final[0]
    strength = selected.abs().sort_values(ascending=False)
    chosen = [*strength[strength > 0].index]
    like = expected.drop(index=chosen)[chosen].abs().max(axis=1)
    assert names == [*chosen, *like.sort_values(ascending=False).index]
    for row, name in zip(table, names, strict=True):
        assert row[0].endswith("(not selected)") == (selected[name] == 0)
        for text, other in zip(row[1:], names, strict=True):
            whole = text if text == "1.00" else text.replace(".", "0.")
            assert shows(whole, expected.loc[name, other])


def test_the_data(trained: Trained) -> None:
    oracle, page, *_ = trained
    frame = oracle.frame
    facts = page.facts("Data")
    assert (facts["Files"], facts["Rows trained on"]) == ("1", f"{N:,}")
    assert facts["Features"] == "5 numeric, 1 categorical with 3 levels; 9 coefficients"
    table = {row[0]: row[1:] for row in page.table("Features")}
    assert next(iter(table)) == "c"
    for name in ("a", "b", "c", "twin", "noise"):
        values = frame[name]
        expected = values.mean(), values.std(ddof=0), values.min(), values.max()
        nulls, *texts, levels, other = table[name]
        assert shows(nulls, values.isna().mean())
        assert all(shows(text, value) for text, value in zip(texts, expected, strict=True))
        assert (levels, other) == ("–", "–")
    assert table["city"][:6] == ["0.0%", "–", "–", "–", "–", "3"]
    assert shows(table["city"][6], frame["city"].isin(["x", "z"]).mean())


def test_the_certificate(trained: Trained) -> None:
    oracle, page, *_ = trained
    X = oracle.columns(np.ones(N, bool))
    facts = page.facts("Numerical certificate")
    assert shows(facts["Condition number"], np.linalg.cond(X.corr()))
    assert facts["Converged"] == "yes"
    known = oracle.model.certificate  # recomputed in tests/unit/core/test_lasso.py
    assert shows(facts["Duality gap"], known.dual_gap)
    assert shows(facts["KKT violation"], known.kkt)
    assert shows(facts["Worst gap of any fit"], known.worst_dual_gap)
    assert shows(facts["Worst violation of any fit"], known.worst_kkt)
    assert shows(facts["Rounding of squared errors"], known.sse_bound)


def test_the_card_says_the_same_as_the_page(trained: Trained) -> None:
    _, page, checks, card, _ = trained
    for title, of_page in (
        ("## Data", "Data"),
        ("### Held-out rows", "Errors on held-out rows"),
        ("### Cross-validation", "Errors of cross-validation"),
    ):
        assert table_of(card, title) == [[*each] for each in page.facts(of_page).items()]
    assert table_of(card, "### Features") == page.table("Features")
    rows_of_page = [row[1:2] + row[:1] + row[3:10] for row in page.table("Coefficients")]
    assert table_of(card, "## Coefficients") == rows_of_page
    for name, check in checks.items():
        assert f"\n### {name.capitalize()}: " in card
        assert check["finding"] in card


def table_of(card: str, title: str) -> list[list[str]]:
    section = card.split(f"\n{title}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[re.sub(r"\\(.)", r"\1", c) for c in line[2:-2].split(" | ")] for line in lines]


def test_the_cards_job_makes_the_same_model(trained: Trained, tmp_path: Path) -> None:
    *_, card, job = trained
    text = card.split("```yaml\n")[1].split("```")[0]
    again = train(TrainJob.from_values(yaml.safe_load(text)), workers=1)
    assert again.registered.reference == "numbers@v1"
    assert not again.promotion.promoted
    assert again.registered.digest in card
    assert json.loads(json.dumps(again.registered.provenance))["files"] == 1
    assert store.stored_card(job.registry, "numbers").decode() == card
