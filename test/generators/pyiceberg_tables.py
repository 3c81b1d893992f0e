"""Fixture tables written end to end by pyiceberg. Each is registered in Iceberg Java's catalog, which reports the truth."""

import datetime
import os
import tempfile

import pyarrow as pa
from engine import CATALOG, newest_metadata
from fixture import LAKE, registry
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.types import DateType, DoubleType, IntegerType, ListType, LongType, NestedField, StringType, StructType

PYICEBERG, fixture = registry()
EVENTS = Schema(
    NestedField(1, "id", LongType(), required=True),
    NestedField(2, "g", StringType()),
    NestedField(3, "day", DateType()),
    NestedField(4, "x", DoubleType()),
    identifier_field_ids=[1],
)
FIRST = datetime.date(2024, 1, 1)


def create(t, schema, spec=None, **properties):
    """Creates the table in a separate catalog of pyiceberg, with `file://` paths below the same warehouse."""
    os.makedirs(t.dir, exist_ok=True)
    catalog = SqlCatalog("py", uri=f"sqlite:///{tempfile.mkdtemp()}/catalog.db", warehouse=f"file://{LAKE}/wh")
    catalog.create_namespace(t.spec.names[:-1])
    said = {key.replace("__", "-").replace("_", "."): value for key, value in properties.items()}
    said = {"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "1", **said}
    return catalog.create_table(t.spec.names, schema, f"file://{t.dir}", spec or PartitionSpec(), properties=said)


def register(t):
    """Registers the finished table with Iceberg Java."""
    t.sql(f"CALL {CATALOG}.system.register_table(table => '{t.ident}', metadata_file => 'file:{newest_metadata(t.dir)}')")


def events(first: int, last: int, group: str | None = None, shift: int = 0) -> pa.Table:
    ids = range(first, last)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "g": pa.array([group or "abc"[i % 3] for i in ids], pa.string()),
            "day": pa.array([FIRST + datetime.timedelta(days=i % 4 + shift) for i in ids], pa.date32()),
            "x": pa.array([None if i % 5 == 0 else i * 0.5 for i in ids], pa.float64()),
        },
        schema=pa.schema([pa.field("id", pa.int64(), nullable=False), ("g", pa.string()), ("day", pa.date32()), ("x", pa.float64())]),
    )


@fixture("mk", "py_writes", doc="pyiceberg: append, filtered overwrite, delete of rows and of whole files, upsert, dynamic partition overwrite, full overwrite; no tombstones in its overwrites")
def py_writes(t):
    by_group = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "g"))
    table = create(t, EVENTS, by_group)
    table.append(events(0, 12))
    table.append(events(12, 24))
    table.overwrite(events(100, 103, "a"), overwrite_filter="g = 'a'")
    table.delete("id = 13")
    table.delete("g = 'c'")
    table.upsert(events(1, 8, "b"))
    table.dynamic_partition_overwrite(events(200, 204, "a"))
    table.append(events(30, 33))
    table.overwrite(events(300, 306))
    register(t)


@fixture("mk", "py_evolved", doc="pyiceberg: schema and spec evolution, a tag, a branch with its own append, a removed snapshot, merge append")
def py_evolved(t):
    table = create(t, EVENTS, PartitionSpec(PartitionField(3, 1000, DayTransform(), "day_day")), commit_manifest__merge_enabled="true", commit_manifest_min__count__to__merge="2")
    table.append(events(0, 4))
    first = table.current_snapshot().snapshot_id
    with table.update_schema() as update:
        update.add_column("more", StructType(NestedField(10, "tags", ListType(11, StringType(), False)), NestedField(12, "n", IntegerType())))
        update.rename_column("x", "value")
    with table.update_spec() as update:
        update.add_field("id", BucketTransform(4), "id_bucket")
        update.remove_field("day_day")
    more = events(4, 10).rename_columns(["id", "g", "day", "value"])
    more = more.append_column("more", pa.array([{"tags": ["a", "b"], "n": i} if i % 2 else None for i in range(6)], pa.struct([("tags", pa.list_(pa.string())), ("n", pa.int32())])))
    table.append(more)
    table.manage_snapshots().create_tag(first, "first").create_branch(table.current_snapshot().snapshot_id, "audit").commit()
    table.append(more.slice(0, 2), branch="audit")
    table.append(more.slice(2, 2))
    middle = table.current_snapshot().snapshot_id
    table.append(more.slice(4, 2))
    table.maintenance.expire_snapshots().by_id(middle).commit()
    register(t)


@fixture("mk", "py_v1", doc="pyiceberg: format version 1, append and delete")
def py_v1(t):
    table = create(t, EVENTS, PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "g")), format__version="1")
    table.append(events(0, 9))
    table.append(events(9, 12))
    table.delete("id = 4")
    register(t)


@fixture("mk", "py_zstd", doc="pyiceberg: manifests written with its zstandard codec")
def py_zstd(t):
    _codec(t, "zstandard")


@fixture("mk", "py_snappy", doc="pyiceberg: manifests written with snappy")
def py_snappy(t):
    _codec(t, "snappy")


def _codec(t, codec):
    table = create(t, EVENTS, **{"write_avro_compression__codec": codec})
    table.append(events(0, 6))
    table.append(events(6, 9))
    register(t)
