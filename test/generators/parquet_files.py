"""Makes test/fixtures/made/parquet: small Parquet files of every type, encoding and codec, written by pyarrow, and their
content according to pyarrow.

  python parquet_files.py

For each file and field id, `truth.json` contains pyarrow's footer metadata (sizes, counts, and bounds as Iceberg's single-value bytes), the
exact number of distinct values, and the MurmurHash3 hashes of the values' single-value bytes (PyPI mmh3, seed 9001, as in DataSketches).
Bounds are omitted if Iceberg has no serialization for them.
Needs `pip install pyarrow mmh3`.
"""

import datetime
import decimal
import json
import math
import os
import struct
import uuid

import mmh3
import pyarrow as pa
import pyarrow.parquet as pq

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "parquet")
EPOCH = datetime.datetime(1970, 1, 1)


def micros(value) -> int:
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return (value - EPOCH) // datetime.timedelta(microseconds=1)


def iceberg_bytes(kind: str, value) -> bytes:
    """Serializes a value with Iceberg's single-value serialization (spec, appendix D)."""
    if kind == "boolean":
        return b"\x01" if value else b"\x00"
    if kind == "int":
        return struct.pack("<i", value)
    if kind == "long":
        return struct.pack("<q", value)
    if kind == "float":
        return struct.pack("<f", value)
    if kind == "double":
        return struct.pack("<d", value)
    if kind == "date":
        return struct.pack("<i", (value - EPOCH.date()).days)
    if kind == "time":
        return struct.pack("<q", ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond)
    if kind in ("timestamp", "timestamptz"):
        return struct.pack("<q", micros(value))
    if kind == "timestamp_ns":
        return struct.pack("<q", value.value if hasattr(value, "value") else micros(value) * 1000)
    if kind.startswith("decimal"):
        unscaled = int(value.scaleb(-value.as_tuple().exponent)) if value.as_tuple().exponent < 0 else int(value)
        scale = int(kind.split(",")[1].rstrip(")"))
        unscaled = int((value * (decimal.Decimal(10) ** scale)).to_integral_exact())
        length = (unscaled + (unscaled < 0)).bit_length() // 8 + 1
        return unscaled.to_bytes(length, "big", signed=True)
    if kind == "string":
        return value.encode() if isinstance(value, str) else value
    if kind == "uuid":
        return value.bytes if isinstance(value, uuid.UUID) else value
    return bytes(value)


def columns(n: int):
    """Returns name, Iceberg type, Arrow type and values of each column. Some values are null, and few are distinct."""
    decimal.getcontext().prec = 50
    d = decimal.Decimal
    day = datetime.date(1969, 12, 1)
    at = datetime.datetime(1969, 12, 31, 23, 59, 59, 123456)
    every = lambda f, distinct, nulls=7: [None if i % nulls == 3 else f(i % distinct) for i in range(n)]
    hour = datetime.timedelta(hours=1, microseconds=1)
    return [
        ("flag", "boolean", pa.bool_(), every(lambda i: i == 1, 2)),
        ("tiny", "int", pa.int8(), every(lambda i: i - 5, 11)),
        ("small", "int", pa.int32(), every(lambda i: i * 1000 - 20000, 41)),
        ("unsigned", "long", pa.uint32(), every(lambda i: 2**32 - 1 - i, 13)),
        ("big", "long", pa.int64(), [i * 2**40 - 2**45 for i in range(n)]),
        ("widened", "long", pa.int32(), every(lambda i: 7 - i, 17)),
        ("real", "float", pa.float32(), every(lambda i: i / 4 - 3, 29)),
        ("precise", "double", pa.float64(), every(lambda i: i / 3 - 3, 31)),
        ("with_nan", "double", pa.float64(), every(lambda i: math.nan if i == 2 else float(i + 1), 9)),
        ("only_nan", "double", pa.float64(), [math.nan] * n),
        ("from_zero", "double", pa.float64(), every(lambda i: float(i), 5)),
        ("price", "decimal(9,2)", pa.decimal128(9, 2), every(lambda i: d(i - 30).scaleb(-2), 60)),
        ("amount", "decimal(18,4)", pa.decimal128(18, 4), every(lambda i: d(i * 10**9 - 5 * 10**9).scaleb(-4), 12)),
        ("wide", "decimal(38,10)", pa.decimal128(38, 10), every(lambda i: d((i - 3) * 10**27 + i).scaleb(-10), 8)),
        ("day", "date", pa.date32(), every(lambda i: day + datetime.timedelta(days=i), 50)),
        ("clock", "time", pa.time64("us"), every(lambda i: datetime.time(i % 24, i % 60, 1, i), 23)),
        ("clock_ms", "time", pa.time32("ms"), every(lambda i: datetime.time(i % 24, i % 60, 1, i * 1000), 23)),
        ("at", "timestamp", pa.timestamp("us"), every(lambda i: at + i * hour, 33)),
        ("at_ms", "timestamp", pa.timestamp("ms"), every(lambda i: at.replace(microsecond=123000) + datetime.timedelta(milliseconds=i), 34)),
        ("at_zone", "timestamptz", pa.timestamp("us", tz="UTC"), every(lambda i: (at + i * hour).replace(tzinfo=datetime.timezone.utc), 35)),
        ("text", "string", pa.string(), every(lambda i: f"wört {i:03}", 44)),
        ("long_text", "string", pa.string(), every(lambda i: "x" * 100 + str(i), 6)),
        ("bytes", "binary", pa.binary(), every(lambda i: bytes([255 - i, 0, i]), 45)),
        ("five", "fixed[5]", pa.binary(5), every(lambda i: bytes([i] * 5), 46)),
        ("uid", "uuid", pa.uuid() if hasattr(pa, "uuid") else pa.binary(16), every(lambda i: uuid.UUID(int=(i + 1) << 120).bytes, 47)),
        ("nothing", "int", pa.int32(), [None] * n),
    ]


def write(name: str, n: int, ids: bool = True, only: set | None = None, **options) -> dict:
    chosen = [(i + 1, c) for i, c in enumerate(columns(n)) if only is None or c[0] in only]
    fields, arrays = [], []
    for field_id, (column, _, arrow, values) in chosen:
        storage = pa.binary(16) if column == "uid" else arrow
        array = pa.array(values, storage)
        if column == "uid" and arrow != storage:
            array = pa.ExtensionArray.from_storage(arrow, array)
        arrays.append(array)
        fields.append(pa.field(column, arrow, metadata={b"PARQUET:field_id": str(field_id).encode()} if ids else None))
    path = os.path.join(TARGET, f"{name}.parquet")
    pq.write_table(pa.table(arrays, schema=pa.schema(fields)), path, row_group_size=options.pop("row_group_size", n // 2 or 1), **options)
    return {"rows": n, "ids": ids, "size": os.path.getsize(path), "columns": {str(i): describe(path, i, k, c, v) for i, (c, k, _, v) in chosen}}


def describe(path: str, field_id: int, kind: str, column: str, values) -> dict:
    meta = pq.ParquetFile(path).metadata
    chunks = [c for g in range(meta.num_row_groups) for c in (meta.row_group(g).column(i) for i in range(meta.num_columns)) if c.path_in_schema == column]
    said = {
        "name": column,
        "type": kind,
        "size": sum(c.total_compressed_size for c in chunks),
        "values": sum(c.num_values for c in chunks),
        "nulls": sum(c.statistics.null_count for c in chunks) if all(c.statistics and c.statistics.has_null_count for c in chunks) else None,
    }
    bounded = [c for c in chunks if not (c.statistics and c.statistics.null_count == c.num_values)]
    if bounded and all(c.statistics and c.statistics.has_min_max for c in bounded):
        said["lower"] = iceberg_bytes(kind, min(c.statistics.min for c in bounded)).hex()
        said["upper"] = iceberg_bytes(kind, max(c.statistics.max for c in bounded)).hex()
    distinct = {iceberg_bytes(kind, v) for v in values if v is not None}
    said["distinct"] = len(distinct)
    said["hashes"] = sorted(f"{(mmh3.hash64(v, 9001, True, signed=False)[0] >> 1):016x}" for v in distinct)[:40]
    return said


def main() -> None:
    os.makedirs(TARGET, exist_ok=True)
    plain = {"use_dictionary": False}
    delta = {
        "tiny": "DELTA_BINARY_PACKED", "small": "DELTA_BINARY_PACKED", "big": "DELTA_BINARY_PACKED", "widened": "DELTA_BINARY_PACKED",
        "text": "DELTA_BYTE_ARRAY", "long_text": "DELTA_BYTE_ARRAY", "bytes": "DELTA_LENGTH_BYTE_ARRAY", "five": "DELTA_BYTE_ARRAY",
        "real": "BYTE_STREAM_SPLIT", "precise": "BYTE_STREAM_SPLIT", "day": "DELTA_BINARY_PACKED", "at": "DELTA_BINARY_PACKED",
    }
    truth = {
        "dictionary_snappy": write("dictionary_snappy", 500, compression="snappy"),
        "dictionary_v2_zstd": write("dictionary_v2_zstd", 500, compression="zstd", data_page_version="2.0"),
        "plain_none": write("plain_none", 200, compression="none", **plain),
        "plain_v2_gzip": write("plain_v2_gzip", 200, compression="gzip", data_page_version="2.0", **plain),
        "plain_brotli": write("plain_brotli", 200, compression="brotli", **plain),
        "plain_lz4": write("plain_lz4", 200, compression="lz4", **plain),
        "delta_v2": write("delta_v2", 300, only=set(delta) | {"flag"}, column_encoding=delta, data_page_version="2.0", compression="zstd", use_dictionary=False),
        "delta_v1": write("delta_v1", 300, only=set(delta), column_encoding=delta, compression="snappy", use_dictionary=False),
        "small_dictionary": write("small_dictionary", 500, compression="zstd", dictionary_pagesize_limit=64, write_batch_size=50, data_page_size=100),
        "decimals_as_integers": write("decimals_as_integers", 100, only={"price", "amount", "wide"}, store_decimal_as_integer=True),
        "int96": write("int96", 100, only={"at", "at_zone"}, use_deprecated_int96_timestamps=True),
        "no_ids": write("no_ids", 60, ids=False, only={"small", "text", "uid"}),
        "no_statistics": write("no_statistics", 60, only={"small", "text"}, write_statistics=False),
    }
    nested(truth)
    with open(os.path.join(TARGET, "truth.json"), "w") as out:
        json.dump(truth, out, indent=1)
        out.write("\n")


def nested(truth: dict) -> None:
    """Lists, maps and structs, with ids and without."""
    rows = [{"tags": ["a", None, f"t{i}"] if i % 4 else None, "props": [(f"k{i % 3}", i % 5)], "point": {"x": i, "y": None if i % 2 else i / 2}} for i in range(40)]
    for name, ids in (("nested", True), ("nested_no_ids", False)):
        of = lambda n, t, i, **kw: pa.field(n, t, metadata={b"PARQUET:field_id": str(i).encode()} if ids else None, **kw)
        schema = pa.schema([
            of("tags", pa.list_(of("element", pa.string(), 4)), 1),
            of("props", pa.map_(of("key", pa.string(), 5, nullable=False), of("value", pa.int32(), 6)), 2),
            of("point", pa.struct([of("x", pa.int64(), 7), of("y", pa.float64(), 8)]), 3),
        ])
        path = os.path.join(TARGET, f"{name}.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
        meta = pq.ParquetFile(path).metadata.row_group(0)
        by_path = {meta.column(i).path_in_schema: meta.column(i) for i in range(meta.num_columns)}
        leaves = {
            "4": ("tags.list.element", "string", [t for r in rows for t in r["tags"] or []]),
            "5": ("props.key_value.key", "string", [k for r in rows for k, _ in r["props"]]),
            "6": ("props.key_value.value", "int", [v for r in rows for _, v in r["props"]]),
            "7": ("point.x", "long", [r["point"]["x"] for r in rows]),
            "8": ("point.y", "double", [r["point"]["y"] for r in rows]),
        }
        said = {}
        for field_id, (column, kind, values) in leaves.items():
            chunk = by_path[column]
            said[field_id] = {
                "name": column, "type": kind, "size": chunk.total_compressed_size, "values": chunk.num_values, "nulls": chunk.statistics.null_count,
                "lower": iceberg_bytes(kind, chunk.statistics.min).hex(), "upper": iceberg_bytes(kind, chunk.statistics.max).hex(),
                "distinct": len({v for v in values if v is not None}),
                "hashes": sorted(f"{(mmh3.hash64(iceberg_bytes(kind, v), 9001, True, signed=False)[0] >> 1):016x}" for v in {v for v in values if v is not None})[:40],
            }
        truth[name] = {"rows": len(rows), "ids": ids, "size": os.path.getsize(path), "columns": said}


main()
