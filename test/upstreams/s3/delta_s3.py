"""Delta tables in S3, written by delta-rs, and what delta-rs reads of each version.

  delta_s3.py make URI    the tables sales/orders, sales/eu/items and events below URI
  delta_s3.py more URI    further versions of orders: rows deleted, merged, compacted and appended, and a checkpoint; and a new table
  delta_s3.py truth URI   prints {TABLE: [{version, operation, files: {URI: rows}}]}

The environment has the keys and the endpoint.
"""

import datetime
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

STEP, ROOT = sys.argv[1:3]
OPTIONS = {"AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}


def uri(name: str) -> str:
    return f"{ROOT}/{name}"


def rows(first: int, last: int) -> pa.Table:
    ids = range(first, last)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "g": pa.array(["abc"[i % 3] for i in ids], pa.string()),
            "day": pa.array([datetime.date(2024, 1, 1 + i % 4) for i in ids], pa.date32()),
            "x": pa.array([None if i % 5 == 0 else i * 0.5 for i in ids], pa.float64()),
        }
    )


def write(name: str, data: pa.Table, **options) -> None:
    write_deltalake(uri(name), data, mode="append", storage_options=OPTIONS, **options)


def table(name: str) -> DeltaTable:
    return DeltaTable(uri(name), storage_options=OPTIONS)


def make() -> None:
    for first in (0, 10, 20):
        write("sales/orders", rows(first, first + 10), partition_by=["g"])
    table("sales/orders").delete("id = 13")
    write("sales/eu/items", rows(0, 5))
    write("events", rows(0, 7), partition_by=["day"])
    table("events").create_checkpoint()


def more() -> None:
    table("sales/orders").delete("g = 'c'")
    source = rows(25, 40)
    merge = table("sales/orders").merge(source, predicate="t.id = s.id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()
    table("sales/orders").optimize.compact()
    write("sales/orders", rows(50, 53), partition_by=["g"])
    table("sales/orders").create_checkpoint()
    write("sales/orders", rows(60, 61), partition_by=["g"])
    write("sales/returns", rows(0, 2))


def truth() -> None:
    found = {}
    for name in ("sales/orders", "sales/eu/items", "events", "sales/returns"):
        if not DeltaTable.is_deltatable(uri(name), OPTIONS):
            continue
        operations = {entry["version"]: entry["operation"] for entry in table(name).history()}
        versions = []
        for version in sorted(operations):
            state = DeltaTable(uri(name), version=version, storage_options=OPTIONS)
            actions = pa.table(state.get_add_actions(flatten=True)).to_pylist()
            files = {f"{uri(name)}/{action['path']}": action["num_records"] for action in actions}
            versions.append({"version": version, "operation": operations[version], "files": files})
        found[name] = versions
    print(json.dumps(found))


{"make": make, "more": more, "truth": truth}[STEP]()
