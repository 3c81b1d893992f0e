"""Runs DataHub's Iceberg source with profiling, `runs` times, and prints what each run took.

The sink discards the metadata, so the time includes no server that stores it (the time of this project's runs does). Python's start and
imports are not included either. Each run opens the catalog again. Stateful ingestion needs a DataHub server and would read all tables too.

  python datahub_ingest.py '{"catalog": {"type": "rest", "uri": "http://127.0.0.1:8181"}, "threads": 2, "runs": 2}'
"""

import json
import os
import sys
import time

os.environ["DATAHUB_TELEMETRY_ENABLED"] = "false"

from datahub.ingestion.run.pipeline import Pipeline  # noqa: E402


def ingest(catalog: dict, threads: int) -> dict:
    """One run. Exits the process if a table was not read completely."""
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
    options = json.loads(sys.argv[1])
    runs = [ingest(options["catalog"], options["threads"]) for _ in range(options["runs"])]
    print(json.dumps(runs))


if __name__ == "__main__":
    main()
