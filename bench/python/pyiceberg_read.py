"""The peer: measures how fast pyiceberg reads the manifests of a table, each distinct one once, one after the other.

Prints JSON: the manifests, their bytes, the live entries, the seconds and the entries per second. The manifest lists are read before
the time starts; nothing that is read is kept.

  python pyiceberg_read.py /tmp/bench/wh/bench/files
"""

import glob
import json
import os
import sys
import time

from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.table import StaticTable


def newest_metadata(table: str) -> str:
    """The newest metadata file of a table directory; the names begin with an increasing number."""
    return max(glob.glob(os.path.join(table, "metadata", "*.metadata.json")))


def main() -> None:
    table = StaticTable.from_metadata(newest_metadata(os.path.abspath(sys.argv[1])))
    io = PyArrowFileIO()
    lists = [snapshot.manifest_list for snapshot in table.snapshots()]
    manifests = {m.manifest_path: m for snapshot in table.snapshots() for m in snapshot.manifests(io)}
    start = time.perf_counter()
    entries = 0
    for manifest in manifests.values():
        entries += len(manifest.fetch_manifest_entry(io))
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "manifests": len(manifests),
                "manifestBytes": sum(m.manifest_length for m in manifests.values()),
                "manifestListBytes": sum(len(io.new_input(path)) for path in lists),
                "entries": entries,
                "seconds": round(seconds, 3),
                "entriesPerSecond": round(entries / seconds),
            }
        )
    )


if __name__ == "__main__":
    main()
