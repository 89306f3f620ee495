"""The outputs of a soak, and their readers: pandas, Polars and DuckDB; never our own log."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pandas as pd
import polars as pl
from deltalake import DeltaTable

COLUMNS = ["id", "date", "prediction", "model_version", "run_id"]
NO_ROWS = pd.DataFrame({name: [] for name in COLUMNS})
Reader = Callable[[], pd.DataFrame]


@dataclass(frozen=True)
class Output:
    """A place and a format.

    Parameters
    ----------
    name : str
    format : {"delta", "parquet", "postgresql"}
    root, quarantine : str
    env : mapping
        What the drivers and readers need to reach it.
    """

    name: str
    format: str
    root: str
    quarantine: str
    env: Mapping[str, str]

    @property
    def is_local(self) -> bool:
        return "://" not in self.root and self.format != "postgresql"

    def readers(self) -> dict[str, Reader]:
        if self.format == "postgresql":
            return {"polars": self._database, "pandas": self._database_pandas}
        if self.format == "delta":
            readers: dict[str, Reader] = {
                "pandas": self._delta_pandas,
                "polars": self._delta_polars,
            }
            return readers | ({"duckdb": self._delta_duckdb} if self.is_local else {})
        if self.is_local:
            return {
                "pandas": self._folder_pandas,
                "polars": self._folder_polars,
                "duckdb": self._folder_duckdb,
            }
        return {"polars": self._folder_polars}

    def bad_ids(self) -> pd.DataFrame:
        """The ``id`` and ``date`` of all rows in the quarantine."""
        if self.format == "postgresql":
            return self._rows_of(self.quarantine)[["id", "date"]]
        if self.format == "delta":
            if not DeltaTable.is_deltatable(self.quarantine, dict(self.env)):
                return pd.DataFrame({"id": [], "date": []})
            frame: pd.DataFrame = DeltaTable(
                self.quarantine, storage_options=dict(self.env)
            ).to_pandas()
        else:
            frame = self._scan(self.quarantine)
        return frame[["id", "date"]]

    def markers(self) -> dict[str, Any]:
        """The completion markers by night; a database has none."""
        if self.format == "postgresql":
            return {}
        if self.is_local:
            places = Path(self.root, "_lasso", "done").glob("*.json")
            return {place.stem: json.loads(place.read_text()) for place in places}
        objects = self._keys(f"{self.root}/_lasso/done/")
        return {Path(key).stem: json.load(each.get()["Body"]) for key, each in objects.items()}

    def _boto3(self) -> dict[str, str]:
        return {
            "endpoint_url": self.env["AWS_ENDPOINT_URL"],
            "region_name": self.env["AWS_REGION"],
            "aws_access_key_id": self.env["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": self.env["AWS_SECRET_ACCESS_KEY"],
        }

    def _delta(self) -> DeltaTable:
        return DeltaTable(self.root, storage_options=dict(self.env))

    def _delta_pandas(self) -> pd.DataFrame:
        frame: pd.DataFrame = self._delta().to_pandas(columns=COLUMNS)
        return frame

    def _delta_polars(self) -> pd.DataFrame:
        scan = pl.scan_delta(self.root, storage_options=dict(self.env) or None)
        return scan.select(COLUMNS).collect().to_pandas()

    def _delta_duckdb(self) -> pd.DataFrame:
        files = self._delta().file_uris()
        if not files:
            return NO_ROWS
        relation = duckdb.connect().read_parquet(files, hive_partitioning=True)
        return relation.select(*COLUMNS).df()

    def _folder_pandas(self) -> pd.DataFrame:
        if self._lacks_files(self.root):
            return NO_ROWS
        frame = pd.read_parquet(self.root, columns=COLUMNS)
        return frame.astype({"date": str})

    def _lacks_files(self, root: str) -> bool:
        """Whether a folder has no data, as when its only night was emptied: no reader opens it."""
        if self.is_local:
            return not any(Path(root).glob("date=*/*.parquet"))
        return not any("/date=" in key for key in self._keys(f"{root}/"))

    def _keys(self, root: str) -> dict[str, Any]:
        """The objects under an address in a bucket, by key."""
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        store = boto3.resource("s3", **self._boto3()).Bucket(bucket)
        return {each.key: each for each in store.objects.filter(Prefix=prefix)}

    def _folder_polars(self) -> pd.DataFrame:
        return self._scan(self.root)

    def _scan(self, root: str) -> pd.DataFrame:
        if self._lacks_files(root):
            return NO_ROWS
        scan = pl.scan_parquet(
            f"{root}/date=*/*.parquet",
            hive_partitioning=True,
            storage_options=dict(self.env) or None,
        )
        frame = scan.collect().to_pandas()
        return frame.assign(date=frame["date"].astype(str).str[:10])

    def _folder_duckdb(self) -> pd.DataFrame:
        if self._lacks_files(self.root):
            return NO_ROWS
        places = f"{self.root}/date=*/*.parquet"
        relation = duckdb.connect().read_parquet(places, hive_partitioning=True)
        return relation.select(*COLUMNS).df().assign(date=lambda f: f["date"].astype(str).str[:10])

    def _rows_of(self, table: str) -> pd.DataFrame:
        from adbc_driver_postgresql import dbapi

        uri = self.env["LASSO_JOBS_POSTGRESQL_URI"]
        with dbapi.connect(uri) as session, session.cursor() as cursor:
            cursor.execute("SELECT to_regclass($1::text) IS NOT NULL", (table,))
            if not cursor.fetchone()[0]:
                return NO_ROWS
            cursor.execute(f"SELECT * FROM {table}")
            frame: pd.DataFrame = cursor.fetch_arrow_table().to_pandas()
            return frame

    def _database(self) -> pd.DataFrame:
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.env["LASSO_JOBS_POSTGRESQL_URI"]) as session:
            return pl.read_database(f"SELECT * FROM {self.root}", session).to_pandas()

    def _database_pandas(self) -> pd.DataFrame:
        return self._rows_of(self.root)
