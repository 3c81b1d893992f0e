"""Creates the fixture tables of test/fixtures/made and the truth of each.

  python make.py              all of them
  python make.py rollback py_ only those whose name contains one of the words; the others stay as they are

Needs the packages of requirements.txt, Java 17 or newer, Maven for the first run, and a writable directory `/lake`. The paths of the
tables begin with this directory, so the fixtures in the repository are tables that were moved.
"""

import os
import shutil
import sys
import time
import traceback

from engine import CATALOG, Java, start_spark
from fixture import LAKE, Fixture
from java_tables import JAVA
from pyiceberg_tables import PYICEBERG
from spark_tables import SPARK
from states import STATES

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "iceberg")


def main() -> None:
    words = sys.argv[1:]
    specs = [s for s in SPARK + JAVA + PYICEBERG + STATES if not words or any(w in ".".join(s.names) for w in words)]
    shutil.rmtree(LAKE, ignore_errors=True)
    if not words:
        shutil.rmtree(TARGET, ignore_errors=True)
    java = Java(start_spark(f"{LAKE}/wh", LAKE))
    failed = []
    for spec in specs:
        start = time.time()
        for level in range(1, len(spec.names)):
            java.spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}." + ".".join(f"`{n.replace('.', '_')}`" for n in spec.names[:level]))
        made = Fixture(java, spec, TARGET)
        try:
            spec.make(made)
            made.finish()
            print(f"{made.name}: {time.time() - start:.1f} s", flush=True)
        except Exception:
            failed.append(made.name)
            print(f"{made.name}: FAILED\n{traceback.format_exc()[-3000:]}", flush=True)
    java.spark.stop()
    print(f"{len(specs) - len(failed)} made, failed: {failed}")
    sys.exit(1 if failed else 0)


main()
