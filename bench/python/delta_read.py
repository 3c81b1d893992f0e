"""The peer: measures how fast delta-rs reads the files of tables with their statistics, at their newest versions.

Prints JSON: the tables, their files, the seconds to open the tables (which replays their logs) and to flatten all add actions, and the files and tables per
second. Several tables are read by four threads.

  python delta_read.py /tmp/bench/delta/bench/files
  python delta_read.py s3://bucket/ns0/t00000 s3://bucket/ns1/t00001
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from deltalake import DeltaTable


def read(uri: str) -> tuple[float, int]:
    start = time.perf_counter()
    table = DeltaTable(uri)
    opened = time.perf_counter() - start
    return opened, table.get_add_actions(flatten=True).num_rows


def main() -> None:
    uris = sys.argv[1:]
    start = time.perf_counter()
    with ThreadPoolExecutor(min(4, len(uris))) as threads:
        results = list(threads.map(read, uris))
    seconds = time.perf_counter() - start
    files = sum(rows for _, rows in results)
    opening = sum(opened for opened, _ in results)
    rates = {"filesPerSecond": round(files / seconds), "tablesPerSecond": round(len(uris) / seconds)}
    print(json.dumps({"tables": len(uris), "files": files, "openSeconds": round(opening, 3), "seconds": round(seconds, 3), **rates}))


if __name__ == "__main__":
    main()
