"""Tables in AWS Glue and S3 (moto), written by pyiceberg's GlueCatalog, and their content according to pyiceberg.

  glue-tables.py ENDPOINT make
  glue-tables.py ENDPOINT append          six rows to sales.orders
  glue-tables.py ENDPOINT delta FOLDER    uploads a Delta table, and registers it as Spark, Athena, and crawlers do
  glue-tables.py ENDPOINT mixed FOLDER    uploads a Delta table and registers it, alone and with Iceberg metadata too (UniForm), beside an Iceberg table
  glue-tables.py ENDPOINT move            registers the table of Athena at a copy of its folder
  glue-tables.py ENDPOINT listed COUNT    tables in the database `many`, and faulty ones in `ops`, for listings only: they have no files
  glue-tables.py ENDPOINT truth FOLDER    one file per table, in the format Truth of test/integration/contents/truth.ts
"""

import datetime
import json
import os
import sys

import boto3
import pyarrow as pa
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.manifest import DataFileContent
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.types import DateType, DoubleType, LongType, NestedField, StringType

ENDPOINT, STEP = sys.argv[1:3]
CATALOG = GlueCatalog(
    "glue",
    **{"glue.endpoint": ENDPOINT, "s3.endpoint": ENDPOINT, "s3.access-key-id": os.environ["AWS_ACCESS_KEY_ID"],
       "s3.secret-access-key": os.environ["AWS_SECRET_ACCESS_KEY"], "s3.region": os.environ["AWS_REGION"], "warehouse": "s3://lake/warehouse"},
)
EVENTS = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "g", StringType()),
    NestedField(3, "day", DateType()),
    NestedField(4, "x", DoubleType()),
)
BY_GROUP = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "g"))
BY_DAY = PartitionSpec(PartitionField(3, 1000, DayTransform(), "day_day"), PartitionField(1, 1001, BucketTransform(4), "id_bucket"))


def events(first: int, last: int) -> pa.Table:
    ids = range(first, last)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "g": pa.array(["abc"[i % 3] for i in ids], pa.string()),
            "day": pa.array([datetime.date(2024, 1, 1 + i % 4) for i in ids], pa.date32()),
            "x": pa.array([None if i % 5 == 0 else i * 0.5 for i in ids], pa.float64()),
        },
        schema=pa.schema([pa.field("id", pa.int64(), nullable=False), ("g", pa.string()), ("day", pa.date32()), ("x", pa.float64())]),
    )


def make() -> None:
    boto3.client("s3", endpoint_url=ENDPOINT).create_bucket(Bucket="lake")
    for database in ("sales", "ops", "empty"):
        CATALOG.create_namespace(database)
    orders = CATALOG.create_table("sales.orders", EVENTS, partition_spec=BY_GROUP)
    for i in range(3):
        orders.append(events(i * 10, i * 10 + 10))
    orders.delete("id = 13")
    orders.delete("g = 'c'")
    items = CATALOG.create_table("sales.items", EVENTS, partition_spec=BY_DAY)
    items.append(events(0, 20))
    items.overwrite(events(100, 104), overwrite_filter="id < 5")
    flat = CATALOG.create_table("sales.flat", EVENTS, location="s3a://lake/elsewhere/flat")
    flat.append(events(0, 5))
    evolved = CATALOG.create_table("ops.evolved", EVENTS)
    evolved.append(events(0, 5))
    with evolved.update_schema() as update:
        update.add_column("note", StringType())
        update.rename_column("x", "value")
    more = events(5, 9).rename_columns(["id", "g", "day", "value"])
    evolved.append(more.append_column("note", pa.array(["n"] * 4)))
    evolved.manage_snapshots().create_tag(evolved.current_snapshot().snapshot_id, "audited").commit()
    CATALOG.create_table("ops.without_snapshot", EVENTS)
    others()


NOT_OURS = ("uniform", "a_view")  # pyiceberg lists them because it only checks `table_type`


def others() -> None:
    """Creates other objects in the Glue catalog, which must not be read as Iceberg tables."""
    glue = boto3.client("glue", endpoint_url=ENDPOINT)
    columns = {"Columns": [{"Name": "id", "Type": "bigint"}], "Location": "s3://lake/hive/t"}
    for name, more in {
        "hive": {"TableType": "EXTERNAL_TABLE", "Parameters": {"classification": "parquet"}},
        "delta": {"TableType": "EXTERNAL_TABLE", "Parameters": {"spark.sql.sources.provider": "delta", "table_type": "delta"}},
        "uniform": {"TableType": "EXTERNAL_TABLE", "Parameters": {"spark.sql.sources.provider": "DELTA", "table_type": "ICEBERG", "metadata_location": "s3://lake/x"}},
        "a_view": {"TableType": "VIRTUAL_VIEW", "ViewOriginalText": "select 1", "Parameters": {"table_type": "ICEBERG"}},
        "bare": {},
    }.items():
        glue.create_table(DatabaseName="sales", TableInput={"Name": name, "StorageDescriptor": columns, **more})


def listed(count: int) -> None:
    glue = boto3.client("glue", endpoint_url=ENDPOINT)
    CATALOG.create_namespace("many")

    def put(database: str, name: str, location: str, parameters: dict) -> None:
        storage = {"Columns": [], "Location": location}
        glue.create_table(DatabaseName=database, TableInput={"Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage, "Parameters": parameters})

    for i in range(count):
        put("many", f"t{i:04}", f"s3://lake/t{i}", {"table_type": "iceberg", "metadata_location": f"s3://lake/t{i}/metadata/0.metadata.json"})
        if i % 3 == 2:
            for j in range(2):
                put("many", f"t{i:04}_hive_{j}", f"s3://lake/hive/{i}", {"classification": "parquet"})
    put("ops", "unregistered", "s3://lake/ops/unregistered", {"table_type": "ICEBERG"})
    # its metadata is a copy of another table's and names that table's files
    orders = CATALOG.load_table("sales.orders").metadata_location
    stray = "stray/metadata/0.metadata.json"
    boto3.client("s3", endpoint_url=ENDPOINT).copy_object(Bucket="lake", Key=stray, CopySource=orders.removeprefix("s3://"))
    put("ops", "stray", "s3://lake/stray", {"table_type": "ICEBERG", "metadata_location": f"s3://lake/{stray}"})


def delta(folder: str) -> None:
    boto3.client("s3", endpoint_url=ENDPOINT).create_bucket(Bucket="lake")
    s3, glue = boto3.client("s3", endpoint_url=ENDPOINT), boto3.client("glue", endpoint_url=ENDPOINT)
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            for place in ("delta/t", "delta/copy"):
                s3.upload_file(path, "lake", f"{place}/{os.path.relpath(path, folder)}")
    CATALOG.create_namespace("deltas")
    at = "s3://lake/delta/t"
    symlinks = {"Location": f"{at}/_symlink_format_manifest", "InputFormat": "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat"}
    for name, storage, parameters in (
        ("spark", {"Location": "s3://lake/delta-__PLACEHOLDER__", "SerdeInfo": {"Parameters": {"path": at}}}, {"spark.sql.sources.provider": "delta"}),
        ("athena", {"Location": f"{at}/"}, {"table_type": "DELTA"}),
        ("crawler", {"Location": at.replace("s3:", "s3a:")}, {"classification": "delta"}),
        ("symlinks", symlinks, {"classification": "parquet"}),
        ("gone", {"Location": "s3://lake/delta/nowhere"}, {"table_type": "DELTA"}),
        ("iceberg", {"Location": "s3://lake/x"}, {"table_type": "ICEBERG", "metadata_location": "s3://lake/x/metadata/0.metadata.json"}),
    ):
        glue.create_table(DatabaseName="deltas", TableInput={"Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage, "Parameters": parameters})


def mixed(folder: str) -> None:
    s3, glue = boto3.client("s3", endpoint_url=ENDPOINT), boto3.client("glue", endpoint_url=ENDPOINT)
    s3.create_bucket(Bucket="lake")
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            for table in ("orders", "uniform"):
                s3.upload_file(path, "lake", f"mixed/{table}/{os.path.relpath(path, folder)}")
    CATALOG.create_namespace("mixed")
    CATALOG.create_table("mixed.events", EVENTS, location="s3://lake/mixed/events").append(events(0, 5))
    uniform = CATALOG.create_table("mixed.uniform_metadata", EVENTS, location="s3://lake/mixed/uniform_metadata").metadata_location
    glue.delete_table(DatabaseName="mixed", Name="uniform_metadata")
    delta = {"spark.sql.sources.provider": "delta"}
    for name, parameters in (
        ("orders", delta),
        ("uniform", {**delta, "table_type": "ICEBERG", "metadata_location": uniform}),
        ("hive", {"classification": "parquet"}),
    ):
        storage = {"Location": f"s3://lake/mixed/{name}"}
        glue.create_table(DatabaseName="mixed", TableInput={"Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage, "Parameters": parameters})


def move() -> None:
    glue = boto3.client("glue", endpoint_url=ENDPOINT)
    storage = {"Location": "s3://lake/delta/copy"}
    glue.update_table(DatabaseName="deltas", TableInput={"Name": "athena", "StorageDescriptor": storage, "Parameters": {"table_type": "DELTA"}})


def append() -> None:
    CATALOG.load_table("sales.orders").append(events(200, 206))


def truth(folder: str) -> None:
    for (database,) in CATALOG.list_namespaces():
        for name in CATALOG.list_tables(database):
            if name[1] in NOT_OURS:
                continue
            path = ".".join(name)
            with open(os.path.join(folder, f"{path}.json"), "w") as out:
                json.dump(describe(CATALOG.load_table(name)), out)


def describe(table) -> dict:
    files: dict[str, dict] = {}
    snapshots = [snapshot(table, s, files) for s in table.metadata.snapshots]
    current = table.current_snapshot()
    return {
        "current_snapshot_id": current.snapshot_id if current else None,
        "refs": {name: {"type": str(ref.snapshot_ref_type), "snapshot_id": ref.snapshot_id} for name, ref in table.metadata.refs.items()},
        "snapshots": snapshots,
        "files": files,
    }


def snapshot(table, s, files: dict) -> dict:
    live = []
    for manifest in s.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            file = entry.data_file
            files[file.file_path] = describe_file(table, file, manifest.partition_spec_id)
            live.append({"file": file.file_path, "seq": entry.sequence_number, "file_seq": entry.file_sequence_number})
    data = [files[entry["file"]] for entry in live]
    scan = table.scan(snapshot_id=s.snapshot_id)
    return {
        "snapshot_id": s.snapshot_id,
        "parent_id": s.parent_snapshot_id,
        "sequence_number": s.sequence_number,
        "timestamp_ms": s.timestamp_ms,
        "operation": s.summary.operation.value,
        "schema_id": s.schema_id,
        "live": live,
        "totals": {
            "data_files": len(data),
            "data_records": sum(f["record_count"] for f in data),
            "data_bytes": sum(f["file_size_in_bytes"] for f in data),
        },
        "plan": [{"file": task.file.file_path, "deletes": [d.file_path for d in task.delete_files]} for task in scan.plan_files()],
        "live_rows": len(scan.to_arrow()),
    }


def describe_file(table, file, spec_id: int) -> dict:
    spec = table.specs()[spec_id]
    columns: dict[int, dict] = {}
    for field, by_id in (("size", file.column_sizes), ("values", file.value_counts), ("nulls", file.null_value_counts), ("nans", file.nan_value_counts)):
        for column, count in (by_id or {}).items():
            columns.setdefault(column, {})[field] = count
    for field, by_id in (("lower_hex", file.lower_bounds), ("upper_hex", file.upper_bounds)):
        for column, raw in (by_id or {}).items():
            columns.setdefault(column, {})[field] = raw.hex()
    assert file.content == DataFileContent.DATA, "pyiceberg writes no delete files"
    return {
        "content": "DATA",
        "path": file.file_path,
        "format": file.file_format.value,
        "spec_id": spec_id,
        "record_count": file.record_count,
        "file_size_in_bytes": file.file_size_in_bytes,
        "partition": [
            {"name": field.name, "field_id": field.field_id, "raw": None if file.partition[i] is None else str(file.partition[i])}
            for i, field in enumerate(spec.fields)
        ],
        "columns": columns,
    }


STEPS = {"make": make, "append": append, "delta": lambda: delta(sys.argv[3]), "mixed": lambda: mixed(sys.argv[3]), "move": move, "listed": lambda: listed(int(sys.argv[3])), "truth": lambda: truth(sys.argv[3])}
STEPS[STEP]()
