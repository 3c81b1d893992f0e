"""Tables by delta-rs for test/formats/delta: their logs, and what their data files contain.
usage: python3 delta_tables.py (deltalake and pyarrow as in requirements.txt)

truth.json has, per path of a file: `rows`, and per column (names of structs and fields joined by `/`) `nulls`, `min` and `max`, which are Iceberg's
single-value serialization in hex, computed here from the rows; NaN is not counted. Partitioned tables: `partition`, the value in the same form."""
import datetime as dt, decimal, json, os, random, shutil, struct, urllib.parse
import pyarrow as pa, pyarrow.parquet as pq
from deltalake import write_deltalake

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "delta")
random.seed(17)
decimal.getcontext().prec = 60
YEAR_1, YEAR_10000 = -62135596800_000000, 253402300800_000000


def unscaled(digits, scale):
    return lambda: decimal.Decimal(random.randrange(-(10**digits) + 1, 10**digits)).scaleb(-scale)


def text():
    return "".join(random.choice('aé€😀\U0010ffff\uffff"\\\n\x01z') for _ in range(random.randrange(0, 90)))


# dates and timestamps are made from integers
TYPES = {
    "b": (pa.bool_(), lambda: random.random() < 0.5),
    "i8": (pa.int8(), lambda: random.randrange(-128, 128)),
    "i16": (pa.int16(), lambda: random.randrange(-(2**15), 2**15)),
    "i32": (pa.int32(), lambda: random.choice([random.randrange(-(2**31), 2**31), -(2**31), 2**31 - 1, 0])),
    "i64": (pa.int64(), lambda: random.choice([random.randrange(-(2**63), 2**63), 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)])),
    "f32": (pa.float32(), lambda: random.choice([random.uniform(-1e3, 1e3), 0.1, -0.0, 0.0, 3.4e38, 1e-45])),
    "f64": (pa.float64(), lambda: random.choice([random.uniform(-1e9, 1e9), 1e308, 5e-324, -0.0, 0.0, 0.1 + 0.2])),
    "nan": (pa.float64(), lambda: random.choice([float("nan"), float("inf"), -float("inf"), 1.5])),
    "d9": (pa.decimal128(9, 2), unscaled(9, 2)),
    "d15": (pa.decimal128(15, 6), unscaled(15, 6)),
    "d18": (pa.decimal128(18, 4), unscaled(18, 4)),
    "d20": (pa.decimal128(20, 0), unscaled(20, 0)),
    "d38": (pa.decimal128(38, 10), unscaled(38, 10)),
    "near": (pa.decimal128(38, 18), lambda: decimal.Decimal("0.999999999999999999")),
    "dt": (pa.date32(), lambda: random.randrange(-719162, 2932896)),
    "ts": (pa.timestamp("us", "UTC"), lambda: random.randrange(YEAR_1, YEAR_10000)),
    "old": (pa.timestamp("us", "UTC"), lambda: random.randrange(-10_000_000, 0)),
    "ntz": (pa.timestamp("us"), lambda: random.randrange(YEAR_1, YEAR_10000)),
    "s": (pa.string(), text),
    "bin": (pa.binary(), lambda: random.randbytes(5)),
}


def array(name, rows, nulls):
    kind, value = TYPES[name]
    values = [None if random.random() < nulls else value() for _ in range(rows)]
    if pa.types.is_date32(kind):
        return pa.array(values, pa.int32()).cast(kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    return pa.array(values, kind)


def single_value(kind, value):
    if pa.types.is_boolean(kind):
        data = bytes([value])
    elif pa.types.is_int64(kind):
        data = struct.pack("<q", value)
    elif pa.types.is_integer(kind):
        data = struct.pack("<i", value)
    elif pa.types.is_float32(kind):
        data = struct.pack("<f", value)
    elif pa.types.is_floating(kind):
        data = struct.pack("<d", value)
    elif pa.types.is_decimal(kind):
        whole = int(value.scaleb(kind.scale))
        data = whole.to_bytes(((whole + (whole < 0)).bit_length() + 8) // 8, "big", signed=True)
    else:
        data = value if isinstance(value, bytes) else value.encode()
    return data.hex()


def as_integers(column):
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def order(value):
    """Zeros by sign, strings by UTF-8."""
    if isinstance(value, float):
        return (value, str(value)[0] != "-")
    return value.encode() if isinstance(value, str) else value


def leaves(column, path):
    if pa.types.is_struct(column.type):
        for field, child in zip(column.type, column.flatten()):
            yield from leaves(child, path + [field.name])
    elif not pa.types.is_nested(column.type):
        yield "/".join(path), as_integers(column)


def contents(table):
    columns = {}
    for name in table.schema.names:
        for path, column in leaves(table.column(name).combine_chunks(), [name]):
            values = [v for v in column.to_pylist() if v is not None]
            known = [v for v in values if v == v]
            found = columns[path] = {"nulls": len(column) - len(values)}
            if known:
                found["min"], found["max"] = (single_value(column.type, f(known, key=order)) for f in (min, max))
    return {"rows": table.num_rows, "columns": columns}


def adds(folder):
    for name in sorted(os.listdir(f"{folder}/_delta_log")):
        if name.endswith(".json"):
            with open(f"{folder}/_delta_log/{name}") as log:
                yield from (action["add"] for action in map(json.loads, log) if "add" in action)


def finish(folder, truth):
    for name in os.listdir(folder):
        if name != "_delta_log":
            path = f"{folder}/{name}"
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
    with open(f"{folder}/truth.json", "w") as out:
        json.dump(truth, out, separators=(",", ":"))


def types():
    folder = f"{TARGET}/rs_every_type"
    for index in range(12):
        rows, nulls = [1, 3, 20][index % 3], [0, 0.3, 1.0, 0][index % 4]
        columns = {name: array(name, rows, nulls) for name in TYPES}
        columns["st"] = pa.StructArray.from_arrays([array("i64", rows, nulls), array("s", rows, nulls)], ["x.y", "z"])
        columns["li"] = pa.array([[1, None]] * rows, pa.list_(pa.int64()))
        columns["mp"] = pa.array([[("k", 1)]] * rows, pa.map_(pa.string(), pa.int64()))
        columns["dot.name"] = array("i32", rows, nulls)
        write_deltalake(folder, pa.table(columns), mode="append")
    truth = {a["path"]: contents(pq.ParquetFile(f"{folder}/{urllib.parse.unquote(a['path'])}").read()) for a in adds(folder)}
    finish(folder, truth)


def partitions(name, columns):
    folder = f"{TARGET}/{name}"
    truth = {}
    for index in range(10):
        row = {name: array(name, 1, 1.0 if index == 0 else 0.0) for name in columns}
        row["id"] = pa.array([index], pa.int64())
        write_deltalake(folder, pa.table(row), mode="append", partition_by=columns)
        values = {name: as_integers(row[name]) for name in columns}
        hexes = {name: None if v[0].as_py() is None else single_value(v.type, v[0].as_py()) for name, v in values.items()}
        for add in adds(folder):
            truth.setdefault(add["path"], {"rows": 1, "partition": hexes})
    finish(folder, truth)


if __name__ == "__main__":
    shutil.rmtree(TARGET, ignore_errors=True)
    types()
    # delta-rs 1.6.6 writes -1.25 as `-1.-25` and cannot read it
    for name in ("d9", "d38"):
        TYPES[name] = (TYPES[name][0], lambda value=TYPES[name][1]: abs(value()))
    partitions("rs_partitioned_by_numbers", ["b", "i8", "i16", "i32", "i64", "d9", "d38"])
    # the names of folders have at most 255 bytes
    TYPES["f64"] = (pa.float64(), lambda: random.choice([random.uniform(-1e9, 1e9), -0.0, 0.1 + 0.2, 1e-7, 1.5e20]))
    TYPES["f32"] = (pa.float32(), lambda: random.choice([random.uniform(-1e3, 1e3), 0.1, -0.0, float("nan"), float("inf")]))
    TYPES["s"] = (pa.string(), lambda: random.choice(["a b", "ü%é", "a=b/c", "😀", "'\"", "null", "1"]))
    partitions("rs_partitioned_by_others", ["f32", "f64", "dt", "ts", "ntz", "s", "bin"])
