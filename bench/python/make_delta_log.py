"""Makes Delta logs that delta-rs itself would take very long to write: thousands of versions, and checkpoints of a million files.

delta-rs writes the first two versions and the checkpoint. The other commits are written here, with the same lines as delta-rs writes them: that is
verified for the second version, and at the end delta-rs reads the table. Statistics have six columns; values follow from the file's number.

  python make_delta_log.py versions   --warehouse /tmp/bench/delta --versions 20000 --files 5
  python make_delta_log.py checkpoint --warehouse /tmp/bench/delta --files 1000000
  python make_delta_log.py append     --warehouse /tmp/bench/delta
"""

import argparse
import datetime
import json
import os

import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

DAY_ZERO = datetime.date(2024, 1, 1)
SCHEMA = Schema.from_arrow(
    pa.schema(
        [
            ("event_id", pa.int64()),
            ("event_time", pa.timestamp("us", "UTC")),
            ("country", pa.string()),
            ("url", pa.string()),
            ("price", pa.decimal128(12, 2)),
            ("ratio", pa.float64()),
            ("event_day", pa.date32()),
        ]
    )
)
DAYS = [str(DAY_ZERO + datetime.timedelta(days=day)) for day in range(365)]
MODIFIED_MS = 1_714_560_000_000
NO_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
VERSIONS_OF_A_CHECKPOINT = 10


def parts(number: int) -> tuple[str, str, int, str]:
    """Path, day, size and statistics of a file."""
    day = DAYS[number % 365]
    noise = number * 2_654_435_761 % 2**32
    rows = 10_000 + noise % 1_000_000
    first = number * 1_000_000
    path = f"event_day={day}/part-{number:07}-{noise:08x}.c000.snappy.parquet"
    low = f'{{"event_id":{first},"event_time":"{day}T00:00:00.{noise % 1000:03}Z","country":"a{noise % 97}","url":"https://example.com/{noise:08x}","price":0.{10 + noise % 90},"ratio":0.{1 + noise}}}'
    high = f'{{"event_id":{first + rows},"event_time":"{day}T23:59:59.{noise % 1000:03}Z","country":"z{noise % 97}","url":"https://example.com/z{noise:08x}","price":99999.99,"ratio":1.{1 + noise}}}'
    nulls = f'{{"event_id":0,"event_time":0,"country":{noise % rows},"url":0,"price":0,"ratio":0}}'
    return path, day, 10**6 + noise % 10**8, f'{{"numRecords":{rows},"minValues":{low},"maxValues":{high},"nullCount":{nulls}}}'


def action(number: int) -> AddAction:
    path, day, size, stats = parts(number)
    return AddAction(path, size, {"event_day": day}, MODIFIED_MS, True, stats)


def line(number: int) -> str:
    """The line that delta-rs writes for the action."""
    path, day, size, stats = parts(number)
    text = stats.replace('"', '\\"')
    return (
        f'{{"add":{{"path":"{path}","partitionValues":{{"event_day":"{day}"}},"size":{size},"modificationTime":{MODIFIED_MS},"dataChange":true,"stats":"{text}",'
        '"tags":null,"baseRowId":null,"defaultRowCommitVersion":null,"clusteringProvider":null}}'
    )


def append(folder: str, numbers: range) -> None:
    adds = [action(number) for number in numbers]
    DeltaTable(folder).create_write_transaction(adds, "append", SCHEMA, ["event_day"], post_commithook_properties=NO_HOOKS)


def commit(folder: str, version: int) -> str:
    return os.path.join(folder, "_delta_log", f"{version:020}.json")


def make(folder: str, versions: int, files: int) -> None:
    """A table of `versions` commits with `files` files each."""
    os.makedirs(folder)
    create_table_with_add_actions(folder, SCHEMA, [action(number) for number in range(files)], partition_by=["event_day"], post_commithook_properties=NO_HOOKS)
    append(folder, range(files, 2 * files))
    with open(commit(folder, 1)) as file:
        info, *written = file.read().splitlines()
    if written != [line(number) for number in range(files, 2 * files)]:
        raise SystemExit("delta-rs writes other lines than this script")
    timestamp = json.loads(info)["commitInfo"]["timestamp"]
    for version in range(2, versions):
        lines = [info.replace(str(timestamp), str(timestamp + version))]
        lines.extend(line(number) for number in range(version * files, (version + 1) * files))
        with open(commit(folder, version), "w") as file:
            file.write("\n".join(lines))
    table = DeltaTable(folder)
    found = table.get_add_actions(flatten=True).num_rows
    if table.version() != versions - 1 or found != versions * files:
        raise SystemExit(f"delta-rs finds {found} files at version {table.version()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["versions", "checkpoint", "append"])
    parser.add_argument("--warehouse", required=True)
    parser.add_argument("--versions", type=int, default=20_000)
    parser.add_argument("--files", type=int, default=5)
    options = parser.parse_args()
    folder = os.path.join(options.warehouse, "bench", "files")
    if options.what == "append":
        first = 10**9
        append(folder, range(first, first + 5))
    elif options.what == "versions":
        make(folder, options.versions, options.files)
    else:
        last = VERSIONS_OF_A_CHECKPOINT - 1
        make(folder, last + 1, options.files // (last + 1))
        DeltaTable(folder).create_checkpoint()
        # As after a cleanup: what is older than the checkpoint is gone.
        for version in range(last):
            os.remove(commit(folder, version))
    print(json.dumps({"made": options.warehouse}))


if __name__ == "__main__":
    main()
