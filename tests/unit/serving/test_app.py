"""The service in this process: what it takes, what it answers, and what it refuses."""

import json
import math
import shutil
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lasso_jobs.models.registry import Registered, Registry
from lasso_jobs.serving.app import Service
from lasso_jobs.serving.follower import Follower
from lasso_jobs.serving.options import ServeOptions
from lasso_jobs.serving.request_log import RequestLog
from lasso_jobs.serving.run import _follower

with warnings.catch_warnings():
    # It would rather have a package that Prefect does not bring.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ROW: dict[str, Any] = {"price": 20.0, "visits": 30.0, "store": "north", "promo": True}
TOKEN = "a token that is long enough"


class Running:
    """A service, and a client of it."""

    def __init__(self, options: ServeOptions, token: str | None = None) -> None:
        self.follower: Follower = _follower(options)
        folder = options.log_folder
        self.log = None if folder is None else RequestLog(folder, options.keys)
        service = Service(options, self.follower, self.log, "http://127.0.0.1:1/")
        self.client = TestClient(
            service.app(token), base_url="http://127.0.0.1:1", raise_server_exceptions=False
        )

    def post(self, path: str, body: object, **headers: str) -> Any:
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        kind = headers.pop("kind", "application/json")
        return self.client.post(path, content=content, headers={"content-type": kind, **headers})


@pytest.fixture(scope="module")
def sales(registry: Path) -> Registered:
    return Registry(registry).load("sales")


@pytest.fixture(scope="module")
def running(registry: Path) -> Iterator[Running]:
    running = Running(ServeOptions(model="sales", registry=str(registry)))
    with running.client:
        yield running


def test_an_object_is_answered_by_an_object(running: Running, sales: Registered) -> None:
    answer = running.post("/predict", ROW).json()
    expected = sales.model.predict(pd.DataFrame([ROW]))[0]
    assert answer["prediction"] == expected
    assert answer["model"] == "sales" and answer["model_version"] == "v1"
    half = sales.model.holdout.interval if sales.model.holdout else math.nan
    assert answer["prediction_high"] - expected == pytest.approx(half)
    assert expected - answer["prediction_low"] == pytest.approx(half)
    assert "notes" not in answer and "contributions" not in answer


def test_contributions_add_up_to_the_prediction(running: Running) -> None:
    answer = running.post("/predict?contributions=true", [ROW, {**ROW, "price": None}]).json()
    for row in answer["predictions"]:
        total = answer["base_value"] + sum(row["contributions"].values())
        assert total == pytest.approx(row["prediction"], rel=1e-12)
    assert answer["predictions"][1]["contributions"]["price"] == pytest.approx(0, abs=0.1)


NAMES = list(ROW)
FORMS = {
    "dataframe_split": {"columns": NAMES, "data": [list(ROW.values())] * 2, "index": [5, 6]},
    "dataframe_records": [ROW, ROW],
    "instances": [ROW, ROW],
    "inputs": {name: [value, value] for name, value in ROW.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_mlflow_is_read(running: Running, form: str, sales: Registered) -> None:
    answer = running.post("/invocations", {form: FORMS[form]}).json()
    expected = sales.model.predict(pd.DataFrame([ROW, ROW])).tolist()
    assert [row["prediction"] for row in answer["predictions"]] == expected


def test_csv_is_read(running: Running, sales: Registered) -> None:
    text = 'visits,price,store,promo,extra\n30,20,north,true,x\n30,,"",false,y\n'
    answer = running.post("/invocations", text, kind="text/csv; charset=utf-8").json()
    frame = pd.DataFrame([ROW, {"price": None, "visits": 30.0, "store": "", "promo": False}])
    assert [row["prediction"] for row in answer["predictions"]] == pytest.approx(
        sales.model.predict(frame).tolist(), rel=1e-14
    )
    assert answer["ignored_fields"] == ["extra"]
    assert [bool(row.get("notes")) for row in answer["predictions"]] == [False, True]


values = {
    "price": st.none() | st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.booleans(),
    "visits": st.none() | st.floats(-1e6, 1e6),
    "store": st.none() | st.sampled_from(["north", "south", "mars", "", "(other)", "ü\u202e"]),
    "promo": st.none() | st.booleans() | st.integers(0, 1),
}


@settings(max_examples=40)
@example([{"price": 1.5, "visits": 2, "store": None, "promo": 1}])
@example([{"price": None, "visits": 2, "store": None, "promo": None}] * 2)
@given(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=5))
def test_predictions_are_those_of_predict(
    running: Running, sales: Registered, rows: list[dict[str, Any]]
) -> None:
    frame = pd.DataFrame(rows, columns=NAMES)
    frame = frame.astype({"price": "float64", "visits": "float64", "store": "string"})
    frame["promo"] = [None if row["promo"] is None else float(row["promo"]) for row in rows]
    frame["promo"] = frame["promo"].astype("Float64")
    expected = sales.model.predict(frame).tolist()
    split = {"columns": NAMES, "data": [[row[name] for name in NAMES] for row in rows]}
    for path, body in (("/predict", rows), ("/invocations", {"dataframe_split": split})):
        answer = running.post(path, body).json()
        assert [row["prediction"] for row in answer["predictions"]] == expected
        for row, sent in zip(answer["predictions"], rows, strict=True):
            said = " ".join(row.get("notes", []))
            assert ("price is null" in said) == (sent["price"] is None)
            assert ("store has no level" in said) == (
                sent["store"] in ("mars", "", "(other)", "ü\u202e")
            )


@pytest.mark.parametrize(
    ("value", "reason"),
    [("1e300", "too_large"), ("-Infinity", "infinite"), ("Infinity", "infinite")],
)
def test_a_bad_row_has_a_reason_and_the_others_their_predictions(
    running: Running, value: str, reason: str
) -> None:
    bad = json.dumps(ROW).replace("20.0", value)
    answer = running.post("/predict", f"[{json.dumps(ROW)}, {bad}]").json()["predictions"]
    assert answer[0]["prediction"] is not None
    assert answer[1]["prediction"] is answer[1]["prediction_low"] is None
    assert (answer[1]["error"]["reason"], answer[1]["error"]["column"]) == (reason, "price")


def test_nan_is_a_null(running: Running) -> None:
    with_nan = running.post("/predict", json.dumps(ROW).replace("20.0", "NaN")).json()
    assert with_nan == running.post("/predict", {**ROW, "price": None}).json()


REFUSED: list[tuple[str, object, int, str]] = [
    ("/predict", "{", 400, "is no JSON"),
    ("/predict", "", 400, "is no JSON"),
    ("/predict", "[" * 100_000, 400, "is no JSON"),
    ("/predict", [1, 2], 400, "is no list of objects"),
    ("/predict", "3", 400, "is no list of objects"),
    ("/predict", {"visits": 1, "store": "north", "promo": True}, 422, "lacks the field 'price'"),
    ("/predict", [ROW, {"visits": 1, "store": "a", "promo": True}], 422, "row 1: lacks the field"),
    ("/predict", {**ROW, "price": "20"}, 422, "row 0, field 'price': has the value '20'"),
    ("/predict", [ROW, {**ROW, "store": 7}], 422, "row 1, field 'store': has the value 7"),
    ("/predict", {**ROW, "price": [1]}, 422, "field 'price': has the value [1]"),
    ("/predict", {**ROW, "price": {"a": 1}}, 422, "field 'price': has the value"),
    ("/predict", {**ROW, "price": 10**400}, 400, "infinity"),
    ("/predict", {**ROW, "promo": "yes"}, 422, "field 'promo': has the value 'yes'"),
    ("/invocations", {"rows": []}, 400, "has none of the forms"),
    ("/invocations", {"instances": [], "inputs": {}}, 400, "has instances and inputs"),
    ("/invocations", {"instances": [[1, 2]]}, 400, "is no list of objects"),
    ("/invocations", {"dataframe_split": {"columns": ["a"]}}, 400, "has no lists columns and"),
    (
        "/invocations",
        {"dataframe_split": {"columns": ["a", "a"], "data": []}},
        400,
        "the column 'a' twice",
    ),
    (
        "/invocations",
        {"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}},
        400,
        "row 1: has 2 values",
    ),
    ("/invocations", {"inputs": {"a": [1], "b": [1, 2]}}, 400, "no lists of one length"),
]


@pytest.mark.parametrize(("path", "body", "status", "said"), REFUSED)
def test_what_cannot_be_answered_is_refused_in_one_message(
    running: Running, path: str, body: object, status: int, said: str
) -> None:
    answer = running.post(path, body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"instances": [{"\\ud800": NaN}]}', "surrogates not allowed"),
        ('{"instances": [{"a": NaN, "b": "\\udc00"}]}', "surrogates not allowed"),
        ('{"instances": [{"a": NaN, "b": }]}', "char 31"),
        ("[" * 100_000 + "NaN", "is no JSON"),
    ],
    ids=["a half of a pair in a name", "in a value", "after a NaN", "too deep"],
)
def test_json_with_a_nan_is_refused_for_what_is_wrong_with_it(
    running: Running, path: str, body: str, said: str
) -> None:
    answer = running.post(path, body)
    assert answer.status_code == 400 and said in answer.json()["error"]


def test_json_with_a_nan_may_have_pairs_of_surrogates(running: Running) -> None:
    answer = running.post("/predict", json.dumps({**ROW, "\U0001f41f": math.nan}))
    assert answer.json()["ignored_fields"] == ["\U0001f41f"]


def test_a_refusal_does_not_send_a_long_value_back(running: Running) -> None:
    answer = running.post("/predict", {**ROW, "price": "z" * 100_000})
    assert answer.status_code == 422 and len(answer.content) < 5_000
    said = answer.json()
    assert "zzz" in said["found"] and said["where"] == "request, row 0, field 'price'"


def test_a_parameter_that_is_neither_true_nor_false_is_refused(running: Running) -> None:
    assert running.post("/predict?contributions=yes", ROW).status_code == 400
    assert running.post("/predict?contributions=False", ROW).status_code == 200


def test_csv_that_is_none_is_refused(running: Running) -> None:
    for text in ("a,b\n1\n", "", b"a\xff\n\xff\n", "price,price\n1,2\n"):
        assert running.post("/invocations", text, kind="text/csv").status_code == 400


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_content_that_a_page_could_send_unasked_is_refused(running: Running, kind: str) -> None:
    assert running.post("/predict", ROW, kind=kind).status_code == 415


def test_no_rows_are_no_predictions(running: Running) -> None:
    assert running.post("/predict", []).json()["predictions"] == []


def test_large_requests_are_refused(registry: Path) -> None:
    options = ServeOptions(model="sales", registry=str(registry), max_body_bytes=1000, max_rows=3)
    running = Running(options)
    assert running.post("/predict", [ROW] * 3).status_code == 200
    few = running.post("/predict", [{**ROW, "store": "a"}] * 4)
    assert few.status_code == 413 and "4 rows" in few.json()["error"]
    assert running.post("/predict", b" " * 1001).status_code == 413
    in_parts = running.client.post(
        "/predict",
        content=(b" " * 400 for _ in range(4)),
        headers={"content-type": "application/json"},
    )
    assert in_parts.status_code == 413


def test_missing_fields_are_nulls_if_that_is_wanted(registry: Path) -> None:
    options = ServeOptions(model="sales", registry=str(registry), missing_columns="impute")
    running = Running(options)
    answer = running.post("/predict", {"visits": 30.0, "store": "north", "promo": True}).json()
    assert "price is missing" in answer["notes"][0]
    full = running.post("/predict", {**ROW, "price": None}).json()
    assert answer["prediction"] == full["prediction"]


def test_with_a_token_only_health_checks_do_without(registry: Path) -> None:
    running = Running(ServeOptions(model="sales", registry=str(registry)), TOKEN)
    for path in ("/version", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = running.client.get(path)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer wrong", "Bearer", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN} x"):
        assert running.post("/predict", ROW, authorization=wrong).status_code == 401
    for scheme in ("Bearer", "bearer"):
        assert running.post("/predict", ROW, authorization=f"{scheme} {TOKEN}").status_code == 200
    for path in ("/ping", "/v2/health/live", "/v2/health/ready"):
        assert running.client.get(path).status_code == 200


def test_without_a_token_only_names_of_this_machine_are_answered(running: Running) -> None:
    for host, status in (("localhost:80", 200), ("[::1]", 200), ("evil.example:80", 421)):
        answer = running.client.get("/version", headers={"host": host})
        assert answer.status_code == status


def test_the_page_and_the_schema_say_what_the_model_takes(running: Running) -> None:
    page = running.client.get("/docs").text
    assert "<script" not in page and "http://" not in page.replace("http://127.0.0.1:1/", "")
    schema = running.client.get("/openapi.json").json()
    row = schema["components"]["schemas"]["Row"]
    assert list(row["properties"]) == ["price", "visits", "store", "promo"] == row["required"]
    assert row["properties"]["price"]["type"] == ["number", "integer", "boolean", "null"]
    assert "north" in row["properties"]["store"]["description"]
    assert running.post("/predict", row["examples"][0]).status_code == 200


def test_a_model_without_features_answers_each_row(registry: Path, tmp_path: Path) -> None:
    shutil.copytree(registry, tmp_path / "models")
    own = Registry(tmp_path / "models")
    model = own.load("sales").model
    predictor = replace(model.predictor, coef=model.predictor.coef * 0)
    own.register(replace(model, predictor=predictor), {})
    log = str(tmp_path / "log")
    running = Running(ServeOptions(model="sales@v2", registry=own.path, log_folder=log))
    for body in ([{}, {}], [{"price": 1}, {}]):
        answer = running.post("/predict", body).json()
        assert [row["prediction"] for row in answer["predictions"]] == [model.intercept] * 2
    assert running.log is not None and running.log.flush() == 4
    assert pq.read_table(log)["row"].to_pylist() == [0, 1, 0, 1]


def test_metrics_count_requests_and_rows(registry: Path) -> None:
    running = Running(ServeOptions(model="sales", registry=str(registry)))
    running.post("/predict", [ROW, {**ROW, "price": 1e300}])
    running.post("/predict", "{")
    running.client.get("/a/made/up/name")
    text = running.client.get("/metrics").text
    for line in (
        'lasso_jobs_requests_total{path="/predict",status="200"} 1.0',
        'lasso_jobs_requests_total{path="/predict",status="400"} 1.0',
        'lasso_jobs_requests_total{path="other",status="404"} 1.0',
        'lasso_jobs_rows_total{fate="scored"} 1.0',
        'lasso_jobs_rows_total{fate="too_large"} 1.0',
    ):
        assert line in text.splitlines()


def test_requests_are_logged_as_they_were_answered(registry: Path, tmp_path: Path) -> None:
    options = ServeOptions(
        model="sales", registry=str(registry), log_folder=str(tmp_path / "log"), keys=("id",)
    )
    running = Running(options)
    with running.client:
        rows = [{**ROW, "id": 7}, {**ROW, "id": None, "price": 1e300}]
        answer = running.post("/predict", rows, **{"x-request-id": "mine"})
        assert answer.headers["x-request-id"] == "mine"
        assert running.post("/predict", ROW).status_code == 422  # without its key
    logged = pq.read_table(tmp_path / "log").to_pylist()
    (row,) = logged
    assert {name: row[name] for name in ("id", "request_id", "row", "model_version", "price")} == {
        "id": "7",
        "request_id": "mine",
        "row": 0,
        "model_version": "v1",
        "price": 20.0,
    }
    told = answer.json()["predictions"][0]
    assert [row[name] for name in told] == list(told.values())
    (bad,) = pq.read_table(tmp_path / "log-quarantine").to_pylist()
    assert (bad["reason"], bad["column"], bad["row"]) == ("too_large", "price", 1)


def test_a_log_that_cannot_be_written_keeps_its_rows(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log").write_text("no folder")
    options = ServeOptions(model="sales", registry=str(registry), log_folder=str(tmp_path / "log"))
    running = Running(options)
    assert running.log is not None
    running.post("/predict", [ROW, {**ROW, "price": 1e300}])
    assert running.log.flush() == 0 and running.log.n_waiting == 2
    ready = running.client.get("/v2/health/ready").json()
    assert ready["ready"] and "log" in ready["request_log"] != "written"
    assert not list(tmp_path.rglob("*.parquet"))
    with monkeypatch.context() as patch:
        patch.setattr("lasso_jobs.serving.request_log._table", lambda *_: {}["a bug"])
        assert running.log.flush() == 0 and running.log.n_waiting == 2
        assert running.log.trouble == "KeyError: 'a bug'"
    (tmp_path / "log").unlink()
    assert running.log.flush() == 2 and running.log.n_waiting == 0
    assert running.client.get("/v2/health/ready").json()["request_log"] == "written"


def test_a_log_that_cannot_be_written_is_told_once_and_so_is_what_is_lost(
    registry: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log").write_text("no folder")
    running = Running(
        ServeOptions(
            model="sales",
            registry=str(registry),
            log_folder=str(tmp_path / "log"),
            log_seconds=0.001,
        )
    )
    log = running.log
    assert log is not None
    tries = []
    flush = log.flush
    log.flush = lambda: tries.append(log.trouble) or flush()  # type: ignore[method-assign,func-returns-value]
    with caplog.at_level("WARNING", "lasso_jobs.serving"), running.client:
        running.post("/predict", [ROW, ROW])
        while len(set(tries)) < 4:
            time.sleep(0.001)
    assert len(set(tries)) >= 4  # each names another file
    wait, lost = [record.getMessage() for record in caplog.records]
    assert wait.startswith("the request log's rows wait: ") and "log" in wait
    assert lost == "rows that the request log has lost, as the service ends: 2"


def test_too_many_rows_that_wait_are_left_out_and_counted(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lasso_jobs.serving.request_log.MOST_ROWS", 3)
    options = ServeOptions(model="sales", registry=str(registry), log_folder=str(tmp_path / "log"))
    running = Running(options)
    for _ in range(2):
        assert running.post("/predict", [ROW, ROW]).status_code == 200
    line = 'lasso_jobs_logged_rows_total{fate="left out"} 2.0'
    assert line in running.client.get("/metrics").text.splitlines()


def test_a_name_that_the_log_has_itself_is_refused(registry: Path, tmp_path: Path) -> None:
    from lasso_jobs.errors import JobError

    options = ServeOptions(model="sales", registry=str(registry), log_folder=str(tmp_path))
    with pytest.raises(JobError, match="a field 'row'"):
        Running(replace(options, keys=("row",)))
