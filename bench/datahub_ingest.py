"""Runs DataHub's Iceberg source, profiling on, as often as told, and prints what each run took.

The sink throws the metadata away, so no server that keeps it is in the time (ours has one in its). Python's start and imports are not in
it either. Each run opens the catalog anew. Stateful ingestion needs a DataHub server, and would not spare the reading of a table.

  python datahub_ingest.py '{"catalog": {"type": "rest", "uri": "http://127.0.0.1:8181"}, "threads": 2, "runs": 2}'
"""

import json
import os
import sys
import time

os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"

from datahub.ingestion.run.pipeline import Pipeline  # noqa: E402


def ingest(catalog: dict, threads: int) -> dict:
    """One run; it ends the process when a table was not read whole."""
    config = {"catalog": {"bench": catalog}, "profiling": {"enabled": True}, "processing_threads": threads}
    recipe = {"source": {"type": "iceberg", "config": config}, "sink": {"type": "blackhole"}}
    start, cpu = time.perf_counter(), time.process_time()
    pipeline = Pipeline.create(recipe, report_to=None)
    pipeline.run()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    report = pipeline.source.get_report()
    said = [*report.failures, *report.warnings]
    if said:
        sys.exit(f"DataHub did not read all: {said[:5]}")
    profiles = report.aspects["dataset"]["datasetProfile"]
    return {"seconds": seconds, "cpuSeconds": cpu_seconds, "tables": report.tables_scanned, "profiles": profiles}


def main() -> None:
    asked = json.loads(sys.argv[1])
    runs = [ingest(asked["catalog"], asked["threads"]) for _ in range(asked["runs"])]
    print(json.dumps(runs))


if __name__ == "__main__":
    main()
