"""Opens a REST catalog with pyiceberg and the parameters that the test writes to stdin, and creates rows to write."""

import datetime
import json
import sys

import pyarrow as pa
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.schema import Schema
from pyiceberg.types import DateType, DoubleType, LongType, NestedField, StringType
from pyiceberg_truth import truth

EVENTS = Schema(
    NestedField(1, "id", LongType(), required=False),
    NestedField(2, "g", StringType(), required=False),
    NestedField(3, "day", DateType(), required=False),
    NestedField(4, "x", DoubleType(), required=False),
)
FIRST = datetime.date(2024, 1, 1)


def read_input() -> dict:
    """The test's parameters. `catalog` contains the catalog's properties."""
    return json.load(sys.stdin)


def open_catalog(properties: dict) -> RestCatalog:
    return RestCatalog("test", **{"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO", **properties})


def events(first: int, last: int, group: str | None = None) -> pa.Table:
    ids = range(first, last)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "g": pa.array([group or "abc"[i % 3] for i in ids], pa.string()),
            "day": pa.array([FIRST + datetime.timedelta(days=i % 4) for i in ids], pa.date32()),
            "x": pa.array([None if i % 5 == 0 else float("nan") if i % 7 == 0 else i * 0.5 for i in ids], pa.float64()),
        }
    )


def truths(catalog: RestCatalog, namespaces: list[tuple[str, ...]]) -> list[dict]:
    """Returns the truth of every table that the catalog lists in the namespaces."""
    found = []
    for namespace in namespaces:
        for identifier in sorted(catalog.list_tables(namespace)):
            try:
                found.append({"path": list(identifier), "truth": truth(catalog.load_table(identifier))})
            except NoSuchTableError:
                continue
    return found
