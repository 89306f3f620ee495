"""What users build on: its names, signatures and keys. A change here is one of the interface."""

import inspect
from importlib.metadata import version

import pytest

import lasso_jobs
from lasso_jobs import LassoCV, LassoJobsError, Model, MonitorJob, ScoreJob, TrainJob
from lasso_jobs.jobs.base import Job

SIGNATURES = {
    "acknowledge_drift": "(source: str, feature: str, why: str, *, date: str | None = None, "
    "run: str | None = None, until: str | None = None, by: str | None = None) -> "
    "lasso_jobs.drift.acknowledge.Acknowledgement",
    "export_model": "(model: lasso_jobs.models.model.Model, format: str, "
    "path: str | pathlib.Path | None = None, *, dialect: str | None = None, "
    "table: str | None = None) -> str",
    "LassoJobsError": "(where: str, found: str, expected: str, remedy: str, *, "
    "transient: bool = False) -> None",
    "load_model": "(registry: str | pathlib.Path, reference: str) -> lasso_jobs.models.model.Model",
    "monitor": "(job: lasso_jobs.jobs.monitor.MonitorJob, first: str | None = None, "
    "last: str | None = None, *, cluster: str | None = None, workers: int | None = None, "
    "progress: collections.abc.Callable[[str, int, int], None] | None = None) -> "
    "lasso_jobs.monitoring.history.MonitorResult",
    "score": "(job: lasso_jobs.jobs.score.ScoreJob, cluster: str | None = None, "
    "workers: int | None = None, "
    "progress: collections.abc.Callable[[str, int, int], None] | None = None) -> "
    "lasso_jobs.scoring.run.ScoreResult",
    "train": "(job: lasso_jobs.jobs.train.TrainJob, cluster: str | None = None, "
    "workers: int | None = None, "
    "progress: collections.abc.Callable[[str, int, int], None] | None = None) -> "
    "lasso_jobs.training.result.TrainResult",
}
JOBS = {
    TrainJob: "name data target features weight offset intercept preprocess search holdout "
    "intervals stability period penalty_factors bounds seed registry promote margin cache compare",
    ScoreJob: "model data keys output drift rename missing_columns bad_rows late registry",
    MonitorJob: "model scores actuals keys target period segments duplicates min_rows tolerance "
    "history registry",
}
OF_A_MODEL = {
    "contributions": "(self, frame: Any) -> 'pd.DataFrame'",
    "predict": "(self, frame: Any) -> Any",
    "to_dask": "(self) -> Any",
    "to_sklearn": "(self) -> 'Pipeline'",
}
OF_AN_ESTIMATOR = {
    "fit": "(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self",
    "predict": "(self, X: Any) -> Any",
    "score": "(self, X: Any, y: Any, sample_weight: Any = None) -> float",
    "to_model": "(self, registry: 'str | Path', name: str, target: str | None = None) -> "
    "'Registered'",
}
PROPERTIES_OF_A_MODEL = (
    *("base_value", "coef", "columns", "correlation", "intercept", "kept_together", "labels"),
    *("importance", "mean_terms"),
)


def test_exactly_these_names_are_exported() -> None:
    jobs = {job.__name__ for job in JOBS}
    assert lasso_jobs.__all__ == sorted({*SIGNATURES, *jobs, "LassoCV", "Model", "__version__"})
    assert dir(lasso_jobs) == lasso_jobs.__all__
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        lasso_jobs.fit  # noqa: B018


def test_the_version_is_that_of_the_installed_package() -> None:
    assert lasso_jobs.__version__ == version("lasso_jobs")


@pytest.mark.parametrize("name", SIGNATURES)
def test_functions_have_these_signatures(name: str) -> None:
    assert str(inspect.signature(getattr(lasso_jobs, name))) == SIGNATURES[name]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_job_files_have_these_keys(job: type[Job]) -> None:
    keys = [field.alias or name for name, field in job.model_fields.items()]
    assert keys == JOBS[job].split()
    reading = "(path: str | pathlib.Path, settings: collections.abc.Sequence[str] = ()) -> Self"
    assert str(inspect.signature(job.from_yaml)) == reading
    assert str(inspect.signature(job.from_values)) == "(values: object, where: str = 'job') -> Self"
    assert str(inspect.signature(job.on)) == f"(self, date: str) -> '{job.__name__}'"


def test_a_model_has_these_methods_and_properties() -> None:
    public = {name for name in vars(Model) if not name.startswith("_")}
    assert public == {*OF_A_MODEL, *PROPERTIES_OF_A_MODEL}
    for name, signature in OF_A_MODEL.items():
        assert str(inspect.signature(getattr(Model, name))).replace("typing.", "") == signature


def test_an_estimator_has_these_parameters_and_methods() -> None:
    parameters = inspect.signature(LassoCV).parameters.values()
    assert {p.name: p.default for p in parameters} == {
        "eps": 1e-3,
        "alphas": 100,
        "fit_intercept": True,
        "cv": None,
        "positive": False,
        "rule": "min",
        "scaling": "none",
        "missing": "error",
        "n_jobs": None,
    }
    assert all(p.kind is p.KEYWORD_ONLY for p in parameters)
    for name, signature in OF_AN_ESTIMATOR.items():
        assert str(inspect.signature(getattr(LassoCV, name))).replace("typing.", "") == signature
    assert str(inspect.signature(LassoCV.from_model)) == "(model: 'Model') -> 'LassoCV'"


def test_the_errors_have_one_base() -> None:
    from lasso_jobs import errors

    exported = {n for n, c in vars(errors).items() if isinstance(c, type)}
    assert exported == {
        *(
            "LassoJobsError",
            "JobError",
            "DataError",
            "NoDataError",
            "ModelError",
            "FormatError",
            "OutputError",
        ),
        "ClusterError",
    }
    assert all(issubclass(getattr(errors, name), LassoJobsError) for name in exported)


@pytest.mark.parametrize("name", [n for n in lasso_jobs.__all__ if n != "__version__"])
def test_each_has_a_docstring_with_examples(name: str) -> None:
    text = inspect.getdoc(getattr(lasso_jobs, name)) or ""
    assert "\nExamples\n--------\n>>> " in text
