"""Makes Iceberg tables of any size for the benchmarks: real metadata, no data files.

`one` makes a table of many files: pyiceberg's own manifest writer writes its manifests, from DataFile objects with full metrics
(sizes, value, null and NaN counts and both bounds for 20 columns of mixed types), partitioned by day. `many` makes many
small tables, by default of one snapshot each. Both are directory warehouses, `WAREHOUSE/NAMESPACE/TABLE/metadata`; values come from a
seeded generator, so that two runs differ only in ids and times. With `--bucket`, the metadata contains paths in
`s3://BUCKET/NAMESPACE/TABLE`, and the files are written to `WAREHOUSE/BUCKET/NAMESPACE/TABLE`, from where they are put there.

  python make_table.py one  --warehouse /tmp/bench/wh --name files --files 200000 --snapshots 20
  python make_table.py one  --warehouse /tmp/bench/million --files 1000000 --snapshots 1 --manifests 100
  python make_table.py many --warehouse /tmp/bench/many --tables 1000
  python make_table.py many --warehouse /tmp/bench/s3 --tables 20 --snapshots 5 --files 10 --bucket lake
"""

import argparse
import datetime
import decimal
import json
import os
import random
import shutil
import tempfile
import time
import uuid

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestEntry,
    ManifestEntryStatus,
    ManifestFile,
    write_manifest,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.transforms import DayTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
    UUIDType,
)

COLUMNS = [
    ("event_id", LongType()),
    ("event_time", TimestamptzType()),
    ("user_id", LongType()),
    ("session_id", UUIDType()),
    ("country", StringType()),
    ("city", StringType()),
    ("url", StringType()),
    ("referrer", StringType()),
    ("status", IntegerType()),
    ("latency_ms", IntegerType()),
    ("bytes_sent", LongType()),
    ("price", DecimalType(12, 2)),
    ("ratio", DoubleType()),
    ("score", FloatType()),
    ("ok", BooleanType()),
    ("device", StringType()),
    ("os", StringType()),
    ("signed_up", DateType()),
    ("payload", BinaryType()),
    ("note", StringType()),
]
SCHEMA = Schema(*(NestedField(i, name, kind, required=False) for i, (name, kind) in enumerate(COLUMNS, 1)))
SPEC = PartitionSpec(PartitionField(source_id=2, field_id=1000, transform=DayTransform(), name="event_day"))
FLOATING = [i for i, (_, kind) in enumerate(COLUMNS, 1) if isinstance(kind, (DoubleType, FloatType))]
FIRST_DAY = 19_723  # 2024-01-01, in days since the epoch
DAY_US = 86_400_000_000
EPOCH = datetime.date(1970, 1, 1)


def bounds(rng: random.Random, number: int, day: int, rows: int) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Lower and upper bounds by field id, in Iceberg's single-value serialization (pyiceberg's `to_bytes`)."""
    start = day * DAY_US + rng.randrange(DAY_US // 2)
    low_user, ratio, price = rng.randrange(1_000_000), rng.random(), rng.randrange(1, 50_000)
    # strings are truncated to 16 characters, as with the engines' default metrics mode truncate(16)
    word = f"{rng.getrandbits(64):016x}"
    low = [
        number * rows, start, low_user, uuid.UUID(int=rng.getrandbits(127)), "AD", word[:9], f"/{word[:12]}", f"https://{word[:8]}",
        200, rng.randrange(20), rng.randrange(4096), decimal.Decimal(price).scaleb(-2), ratio / 2, -ratio, False,
        "android-" + word[:4], "14." + word[:2], EPOCH + datetime.timedelta(days=day - 900), rng.randbytes(8), word,
    ]
    high = [
        (number + 1) * rows - 1, start + DAY_US // 3, low_user + 900_000, uuid.UUID(int=rng.getrandbits(127) | 1 << 127), "ZW", f"z{word[:9]}",
        f"/z{word[:12]}", f"https://z{word[:7]}", 599, 900 + rng.randrange(30_000), 1 << 20 | rng.randrange(1 << 20),
        decimal.Decimal(price + 1_000_000).scaleb(-2), 1 + ratio, 1 - ratio / 2, True, "windows-" + word[:4], "9." + word[:2],
        EPOCH + datetime.timedelta(days=day), b"\xff" + rng.randbytes(7), f"z{word[1:]}",
    ]

    def encode(values: list) -> dict[int, bytes]:
        return {i: to_bytes(kind, value) for i, ((_, kind), value) in enumerate(zip(COLUMNS, values), 1)}

    return encode(low), encode(high)


def data_file(rng: random.Random, location: str, number: int, day: int) -> DataFile:
    """One data file that does not exist, with the metrics that a writer records by default."""
    rows = rng.randrange(50_000, 250_000)
    lower, upper = bounds(rng, number, day, rows)
    ids = range(1, len(COLUMNS) + 1)
    date = EPOCH + datetime.timedelta(days=day)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{location}/data/event_day={date}/{number:05d}-{rng.getrandbits(32):08x}-{rng.getrandbits(64):016x}-0-00001.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(day),
        record_count=rows,
        file_size_in_bytes=rows * rng.randrange(60, 120),
        column_sizes={i: rows * rng.randrange(1, 9) for i in ids},
        value_counts=dict.fromkeys(ids, rows),
        null_value_counts={i: rng.randrange(rows) if i % 5 == 0 else 0 for i in ids},
        nan_value_counts={i: rng.randrange(100) for i in FLOATING},
        lower_bounds=lower,
        upper_bounds=upper,
        key_metadata=None,
        split_offsets=[4],
        equality_ids=None,
        sort_order_id=0,
        spec_id=0,
    )


def catalog(warehouse: str, database: str, **properties: str) -> SqlCatalog:
    return SqlCatalog("bench", uri=f"sqlite:///{database}", warehouse=f"file://{warehouse}", **properties)


class AppendInManifests(_FastAppendFiles):
    """A fast append that writes several manifests, as engines do; pyiceberg's own keeps all files in memory and writes one manifest."""

    def __init__(self, tx) -> None:
        super().__init__(operation=Operation.APPEND, transaction=tx, io=tx._table.io, branch="main")
        self._written: list[ManifestFile] = []

    def write_manifest(self, files) -> None:
        metadata = self._transaction.table_metadata
        with write_manifest(metadata.format_version, metadata.spec(), metadata.schema(), self.new_manifest_output(), self._snapshot_id, self._compression) as writer:
            for file in files:
                writer.add(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=self._snapshot_id, sequence_number=None, file_sequence_number=None, data_file=file))
        self._written.append(writer.to_manifest_file())

    def _existing_manifests(self) -> list[ManifestFile]:
        return self._written + super()._existing_manifests()


def make_one(warehouse: str, namespace: str, name: str, files: int, snapshots: int, manifests: int) -> dict:
    """A table of `files` data files, added in `snapshots` appends of equal size with `manifests` manifests each."""
    rng = random.Random(7)
    location = f"file://{warehouse}/{namespace}/{name}"
    with tempfile.TemporaryDirectory() as scratch:
        cat = catalog(warehouse, f"{scratch}/catalog.db")
        cat.create_namespace(namespace)
        # pyiceberg assigns new ids in the schema's order, so the ids above stay valid
        table = cat.create_table((namespace, name), SCHEMA, location, SPEC, properties={"write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": "2"})
        made = 0
        for snapshot in range(snapshots):
            count = files // snapshots + (snapshot < files % snapshots)
            with table.transaction() as tx, AppendInManifests(tx) as append:
                for manifest in range(manifests):
                    part = range(made + count * manifest // manifests, made + count * (manifest + 1) // manifests)
                    append.write_manifest(data_file(rng, location, number, FIRST_DAY + snapshot * 7 + number % 7) for number in part)
            made += count
    return {"table": f"{namespace}.{name}", "files": made, "snapshots": snapshots, "manifests": snapshots * manifests}


def make_many(warehouse: str, namespace: str, tables: int, snapshots: int, files: int, bucket: str | None) -> dict:
    """`tables` tables of `snapshots` appends with `files` data files each."""
    rng = random.Random(11)
    root = f"s3://{bucket}" if bucket else f"file://{warehouse}"
    with tempfile.TemporaryDirectory() as scratch:
        mirror = {"py-io-impl": "mirror_io.MirrorFileIO", "mirror.root": warehouse} if bucket else {}
        cat = catalog(warehouse, f"{scratch}/catalog.db", **mirror)
        cat.create_namespace(namespace)
        for number in range(tables):
            name = f"t{number:05d}"
            location = f"{root}/{namespace}/{name}"
            table = cat.create_table((namespace, name), SCHEMA, location, SPEC)
            for snapshot in range(snapshots):
                with table.transaction() as tx, tx.update_snapshot().fast_append() as append:
                    for file in range(snapshot * files, (snapshot + 1) * files):
                        append.append_data_file(data_file(rng, location, file, FIRST_DAY + file))
    return {"namespace": namespace, "tables": tables, "snapshots": snapshots, "filesPerSnapshot": files}


def metadata_bytes(folder: str) -> int:
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(folder) for f in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="what", required=True)
    one = commands.add_parser("one", help="one table of many files")
    one.add_argument("--name", default="files")
    one.add_argument("--files", type=int, default=200_000)
    one.add_argument("--snapshots", type=int, default=20)
    one.add_argument("--manifests", type=int, default=1, help="manifests an append")
    many = commands.add_parser("many", help="many small tables")
    many.add_argument("--tables", type=int, default=1_000)
    many.add_argument("--snapshots", type=int, default=1, help="appends a table")
    many.add_argument("--files", type=int, default=4, help="data files an append")
    many.add_argument("--bucket", help="write what is to be put into this bucket")
    for command in (one, many):
        command.add_argument("--warehouse", required=True, help="a directory; made if it is not there")
        command.add_argument("--namespace", default="bench")
    args = parser.parse_args()

    warehouse = os.path.abspath(args.warehouse)
    below = [args.namespace, args.name] if args.what == "one" else [args.bucket or "", args.namespace]
    target = os.path.join(warehouse, *below)
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    start = time.perf_counter()
    if args.what == "one":
        made = make_one(warehouse, args.namespace, args.name, args.files, args.snapshots, args.manifests)
    else:
        made = make_many(warehouse, args.namespace, args.tables, args.snapshots, args.files, args.bucket)
    print(json.dumps({**made, "seconds": round(time.perf_counter() - start, 1), "bytes": metadata_bytes(target)}))


if __name__ == "__main__":
    main()
