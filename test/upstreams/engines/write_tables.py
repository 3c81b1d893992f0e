"""Creates a table of each kind that pyiceberg can write, and prints the truth of all. With `more`, it changes some of them."""

import datetime
import decimal
import json
import sys
import uuid

import pyarrow as pa
from lake import EVENTS, events, open_catalog, read_input, truths
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform, MonthTransform, TruncateTransform
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    FixedType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    MapType,
    NestedField,
    StringType,
    StructType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

TABLES = {}


def table(make):
    TABLES[make.__name__] = make
    return make


def by(source: int, transform, name: str, field_id: int = 1000) -> PartitionSpec:
    return PartitionSpec(PartitionField(source, field_id, transform, name))


@table
def empty(create):
    create(EVENTS)


@table
def appended(create):
    t = create(EVENTS)
    for first in (0, 10, 20):
        t.append(events(first, first + 10))


@table
def by_identity(create):
    t = create(EVENTS, by(2, IdentityTransform(), "g"))
    t.append(events(0, 12))
    t.append(events(12, 24, "a"))


@table
def by_bucket_and_day(create):
    spec = PartitionSpec(PartitionField(1, 1000, BucketTransform(4), "id_bucket"), PartitionField(3, 1001, DayTransform(), "day_day"))
    create(EVENTS, spec).append(events(0, 16))


@table
def by_month_and_truncate(create):
    spec = PartitionSpec(PartitionField(3, 1000, MonthTransform(), "month"), PartitionField(2, 1001, TruncateTransform(1), "g_1"))
    create(EVENTS, spec).append(events(0, 9))


@table
def deleted_from(create):
    t = create(EVENTS, by(2, IdentityTransform(), "g"))
    t.append(events(0, 12))
    t.append(events(12, 24))
    t.delete("id = 13")
    t.delete("g = 'c'")


@table
def overwritten(create):
    t = create(EVENTS)
    t.append(events(0, 12))
    t.overwrite(events(100, 103, "a"), overwrite_filter="g = 'a'")
    t.overwrite(events(200, 206))


@table
def schema_evolved(create):
    t = create(EVENTS)
    t.append(events(0, 4))
    with t.update_schema() as update:
        update.add_column("note", StringType())
        update.rename_column("x", "value")
        update.delete_column("day")
    more = events(4, 8).drop_columns(["day"]).rename_columns(["id", "g", "value"])
    t.append(more.append_column("note", pa.array(["n"] * 4)))


@table
def spec_evolved(create):
    t = create(EVENTS, by(3, DayTransform(), "day_day"))
    t.append(events(0, 4))
    with t.update_spec() as update:
        update.remove_field("day_day")
        update.add_field("g", IdentityTransform(), "g")
    t.append(events(4, 8))


@table
def branched(create):
    t = create(EVENTS)
    t.append(events(0, 4))
    first = t.current_snapshot().snapshot_id
    t.append(events(4, 8))
    t.manage_snapshots().create_tag(first, "first").create_branch(t.current_snapshot().snapshot_id, "audit").commit()
    t.append(events(8, 10), branch="audit")


@table
def rolled_back(create):
    t = create(EVENTS)
    t.append(events(0, 4))
    first = t.current_snapshot().snapshot_id
    t.append(events(4, 8))
    t.manage_snapshots().rollback_to_snapshot(first).commit()
    t.append(events(8, 12))


@table
def expired(create):
    t = create(EVENTS)
    t.append(events(0, 4))
    first = t.current_snapshot().snapshot_id
    t.append(events(4, 8))
    t.maintenance.expire_snapshots().by_id(first).commit()


@table
def format_v1(create):
    t = create(EVENTS, by(2, IdentityTransform(), "g"), **{"format-version": "1"})
    t.append(events(0, 9))
    t.delete("id = 4")


@table
def all_types(create):
    schema = Schema(
        NestedField(1, "bool", BooleanType()),
        NestedField(2, "int", IntegerType()),
        NestedField(3, "long", LongType()),
        NestedField(4, "float", FloatType()),
        NestedField(5, "dec", DecimalType(20, 4)),
        NestedField(6, "date", DateType()),
        NestedField(7, "time", TimeType()),
        NestedField(8, "ts", TimestampType()),
        NestedField(9, "tstz", TimestamptzType()),
        NestedField(10, "bin", BinaryType()),
        NestedField(11, "fixed", FixedType(4)),
        NestedField(12, "uuid", UUIDType()),
        NestedField(13, "struct", StructType(NestedField(14, "a", LongType()), NestedField(15, "b", ListType(16, StringType(), False)))),
        NestedField(17, "map", MapType(18, StringType(), 19, LongType(), False)),
    )
    at = datetime.datetime(2024, 5, 6, 7, 8, 9, 123456)
    rows = [
        {
            "bool": n % 2 == 0,
            "int": -n,
            "long": 2**60 + n,
            "float": n / 3,
            "dec": decimal.Decimal(n).scaleb(-4) * (-1 if n % 2 else 1),
            "date": at.date(),
            "time": at.time(),
            "ts": at,
            "tstz": at.replace(tzinfo=datetime.timezone.utc),
            "bin": bytes([0, 255, n]),
            "fixed": bytes([n] * 4),
            "uuid": uuid.UUID(int=n).bytes,
            "struct": {"a": n, "b": [str(n), None]},
            "map": [("k", n)],
        }
        for n in range(5)
    ]
    rows.append({name: None for name in rows[0]})
    t = create(schema)
    t.append(pa.Table.from_pylist(rows, schema=t.schema().as_arrow()))


def change(tables):
    """Changes some tables for a second run; the others stay as they are."""
    for t in tables("appended"):
        t.append(events(30, 40))
    for t in tables("deleted_from"):
        t.delete("id = 0")
    for t in tables("rolled_back"):
        t.manage_snapshots().rollback_to_snapshot(t.current_snapshot().parent_snapshot_id).commit()


def main():
    """Creates or changes the tables, except those in `leave_out`, which the server does not accept from pyiceberg."""
    options = read_input()
    catalog = open_catalog(options["catalog"])
    namespace = tuple(options["namespace"])
    names = [name for name in TABLES if name not in options.get("leave_out", [])]
    if "more" in sys.argv:
        change(lambda name: [catalog.load_table((*namespace, name))] if name in names else [])
    else:
        for depth in range(1, len(namespace) + 1):
            catalog.create_namespace_if_not_exists(namespace[:depth])
        for name in names:
            TABLES[name](
                lambda schema, spec=PartitionSpec(), **properties: catalog.create_table(
                    (*namespace, name), schema, partition_spec=spec, properties=properties
                )
            )
    json.dump(truths(catalog, [namespace]), sys.stdout)


main()
