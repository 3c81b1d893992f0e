"""Makes Delta tables of any size for the benchmarks: real logs, no data files.

delta-rs writes the commits and checkpoints, from add actions with statistics as Spark writes them for 20 columns of mixed types, partitioned by
day. `one` makes a table of many files, `many` makes many small tables, and `append` adds a version of five files to a table of `one`. Both are directory warehouses, `WAREHOUSE/NAMESPACE/TABLE/_delta_log`; values come
from a seeded generator.

  python make_delta.py one  --warehouse /tmp/bench/delta --files 200000 --versions 20
  python make_delta.py one  --warehouse /tmp/bench/delta --files 100000 --versions 20000
  python make_delta.py one  --warehouse /tmp/bench/delta --files 1000000 --versions 10 --checkpoint
  python make_delta.py many --warehouse /tmp/bench/delta --tables 1000
  python make_delta.py append --warehouse /tmp/bench/delta
"""

import argparse
import datetime
import json
import os
import random

import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

DAY_ZERO = datetime.date(2024, 1, 1)
EPOCH = datetime.date(1970, 1, 1)
SCHEMA = pa.schema(
    [
        ("event_id", pa.int64()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("user_id", pa.int64()),
        ("country", pa.string()),
        ("city", pa.string()),
        ("url", pa.string()),
        ("referrer", pa.string()),
        ("status", pa.int32()),
        ("latency_ms", pa.int32()),
        ("bytes_sent", pa.int64()),
        ("price", pa.decimal128(12, 2)),
        ("ratio", pa.float64()),
        ("score", pa.float32()),
        ("ok", pa.bool_()),
        ("device", pa.string()),
        ("os", pa.string()),
        ("signed_up", pa.date32()),
        ("payload", pa.binary()),
        ("note", pa.string()),
        ("event_day", pa.date32()),
    ]
)
DELTA_SCHEMA = Schema.from_arrow(SCHEMA)
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def text(rng: random.Random, length: int) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=length))


def add(rng: random.Random, number: int) -> AddAction:
    day = DAY_ZERO + datetime.timedelta(days=number % 365)
    rows = rng.randrange(10_000, 1_000_000)
    first = number * 1_000_000
    start = datetime.datetime.combine(day, datetime.time(rng.randrange(12)))
    end = start + datetime.timedelta(hours=11, milliseconds=rng.randrange(1000))
    low = {
        "event_id": first,
        "event_time": start.isoformat(timespec="milliseconds") + "Z",
        "user_id": rng.randrange(10**6),
        "country": text(rng, 2),
        "city": text(rng, 8),
        "url": "https://example.com/" + text(rng, 12),
        "referrer": "https://" + text(rng, 16),
        "status": 200,
        "latency_ms": rng.randrange(10),
        "bytes_sent": rng.randrange(1000),
        "price": round(rng.random() * 10, 2),
        "ratio": rng.random(),
        "score": 0.5,
        "device": text(rng, 6),
        "os": text(rng, 5),
        "signed_up": str(day - datetime.timedelta(days=rng.randrange(1000))),
        "note": text(rng, 30),
    }
    high = {
        **low,
        "event_id": first + rows,
        "event_time": end.isoformat(timespec="milliseconds") + "Z",
        "user_id": 10**9,
        "country": "zz",
        "city": "z" + text(rng, 8),
        "url": "https://example.com/z" + text(rng, 10),
        "referrer": "https://z" + text(rng, 16),
        "status": 599,
        "latency_ms": 60_000,
        "bytes_sent": 2**40 + number,
        "price": 99_999.99,
        "ratio": 1 + rng.random(),
        "score": 1.5,
        "device": "z" + text(rng, 5),
        "os": "z" + text(rng, 4),
        "signed_up": str(day),
        "note": "z" + text(rng, 29),
    }
    nulls = {field.name: (rng.randrange(rows) if i % 3 == 0 else 0) for i, field in enumerate(SCHEMA) if field.name != "event_day"}
    stats = {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nulls}
    path = f"event_day={day}/part-{number:05}-{rng.getrandbits(64):016x}.c000.snappy.parquet"
    return AddAction(path, rng.randrange(10**6, 10**8), {"event_day": str(day)}, 1_714_560_000_000, True, json.dumps(stats, separators=(",", ":")))


def append(table: DeltaTable, adds: list[AddAction]) -> None:
    table.create_write_transaction(adds, "append", DELTA_SCHEMA, ["event_day"], post_commithook_properties=NO_HOOKS)


def make_table(folder: str, files: int, versions: int, seed: int, checkpoint: bool) -> None:
    rng = random.Random(seed)
    os.makedirs(folder)
    table = None
    number = 0
    for version in range(versions):
        count = files * (version + 1) // versions - files * version // versions
        adds = [add(rng, number + i) for i in range(count)]
        number += count
        if table is None:
            create_table_with_add_actions(folder, DELTA_SCHEMA, adds, partition_by=["event_day"], post_commithook_properties=NO_HOOKS)
            table = DeltaTable(folder)
        else:
            append(table, adds)
    if checkpoint:
        DeltaTable(folder).create_checkpoint()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["one", "many", "append"])
    parser.add_argument("--warehouse", required=True)
    parser.add_argument("--name", default="files")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--versions", type=int, default=1)
    parser.add_argument("--tables", type=int, default=1)
    parser.add_argument("--checkpoint", action="store_true")
    options = parser.parse_args()
    folder = os.path.join(options.warehouse, "bench", options.name)
    if options.what == "append":
        table = DeltaTable(folder)
        rng = random.Random(table.version())
        append(table, [add(rng, 10**6 + i) for i in range(5)])
    elif options.what == "one":
        make_table(folder, options.files, options.versions, 1, options.checkpoint)
    else:
        for number in range(options.tables):
            folder = os.path.join(options.warehouse, f"ns{number % 10}", f"t{number:05}")
            make_table(folder, options.files, options.versions, number, False)
    print(json.dumps({"made": options.warehouse}))


if __name__ == "__main__":
    main()
