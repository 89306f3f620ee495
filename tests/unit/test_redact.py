"""No secret stays in a text, in whatever form a library says it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lasso_jobs import escape
from lasso_jobs.cli import terminal
from lasso_jobs.errors import OutputError
from lasso_jobs.redact import redacted, redacted_values
from lasso_jobs.sinks import database

SECRET = "Hunter2/secret"


@pytest.mark.parametrize(
    "text",
    [
        f"s3://KEY:{SECRET}@bucket/scores",
        f"'s3://{SECRET.replace('/', '')}@bucket' and more",
        f"postgresql://lasso:p@ss{SECRET}@host:5432/db?sslmode=require",
        f"https://user:{SECRET}@prefect.example/api",
        f"tcp://user:{SECRET}@scheduler:8786",
        f"host=db password={SECRET} dbname=x",
        f"host=db password = '{SECRET} and {SECRET}' dbname=x",
        f"postgresql://host/db?user=u&password={SECRET}&sslpassword={SECRET}",
        f"sslpassword={SECRET}",
        f"{{'aws_secret_access_key': '{SECRET}', 'region': 'x'}}",
        f'{{"account_key": "{SECRET}"}}',
        f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={SECRET};EndpointSuffix=y",
        f"GET https://h/b?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}",
        f"https://account.blob.core.windows.net/c?sv=2020&sig={SECRET}",
        f"AWS_SESSION_TOKEN={SECRET}",
        f"PGPASSWORD={SECRET} psql",
    ],
)
def test_a_secret_is_known_by_where_it_stands(text: str) -> None:
    shown = redacted(text)
    assert SECRET not in shown and "Hunter2" not in shown
    assert "***" in shown
    for said in (
        escape.line(text),
        escape.markdown(text),
        str(OutputError(text, text, text, text)),
    ):
        assert "Hunter2" not in said


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/folder/user@example/day=2024-01-01",
        "tcp://127.0.0.1:8786",
        "http://127.0.0.1:4200/api",
        "carrier=AA: PSI 0.4, beyond the limit of 0.3",
        "signal = 3 AND keyboard: 5",
        "postgresql://HOST:PORT/DATABASE",
        "column 'token': has type int64; expected double",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "name",
    [
        *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCOUNT_KEY"),
        *("GOOGLE_SERVICE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN", "PGPASSWORD"),
        *("PREFECT_API_KEY", "PREFECT_API_AUTH_STRING", "LASSO_JOBS_POSTGRESQL_URI"),
    ],
)
def test_a_secret_is_known_by_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, SECRET)
    assert redacted(f"denied: {SECRET}!") == "denied: ***!"


# What libpq makes of a password with signs that are not encoded: a host, a port, a database.
SIGNS = st.text("@/:?#", min_size=1, max_size=3)


@given(st.lists(st.sampled_from(["hunter", "zwei", "drei3"]), min_size=1, max_size=3), SIGNS)
def test_no_part_of_a_password_is_told(words: list[str], sign: str) -> None:
    password = sign.join(words) if len(words) > 1 else words[0]
    uri = f"postgresql://lasso:{password}@host:5432/db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(database.VARIABLE, uri)
        for part in (password, f'host name "{password.rpartition("@")[2]}@host"', f'"{words[-1]}"'):
            said = escape.line(f"could not translate {part} to an address")
            assert not any(word in said for word in words)


@pytest.mark.parametrize("password", ["p@ss", "pa/ss@x", "a@b@c"])
def test_a_password_that_is_not_encoded_is_refused(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(database.VARIABLE, f"postgresql://lasso:{password}@127.0.0.1:1/postgres")
    with (
        pytest.raises(OutputError, match=r"not encoded; .* %40 for @") as caught,
        database.connected("scores"),
    ):
        pass
    assert password not in str(caught.value) and "ss@" not in str(caught.value)


def test_nothing_that_a_command_prints_holds_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Hunter2-of-S3")
    texts = ["key Hunter2-of-S3", f"s3://KEY:{SECRET}@bucket"]
    for text in texts:
        terminal.show({text: text})
        terminal.table([{text: text}])
        terminal.line(text)
        terminal.note(text)
        terminal.lines(f"{text}\n")
        terminal.print_json({text: [text, {text: (text,)}]})
    done = capsys.readouterr()
    assert "Hunter2" not in done.out + done.err
    assert json.loads(json.dumps(redacted_values({"a": (1, None, texts[0])}))) == {
        "a": [1, None, "key ***"]
    }
