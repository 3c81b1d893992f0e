"""The peer: measures how fast delta-rs reads the files of a table with their statistics, at its newest version.

Prints JSON: the files, the seconds to open the table (which replays the log) and to flatten all add actions, and the files per second.

  python delta_read.py /tmp/bench/delta/bench/files
"""

import json
import sys
import time

from deltalake import DeltaTable


def main() -> None:
    start = time.perf_counter()
    table = DeltaTable(sys.argv[1])
    opened = time.perf_counter()
    files = table.get_add_actions(flatten=True).num_rows
    seconds = time.perf_counter() - start
    print(json.dumps({"files": files, "openSeconds": round(opened - start, 3), "seconds": round(seconds, 3), "filesPerSecond": round(files / seconds)}))


if __name__ == "__main__":
    main()
