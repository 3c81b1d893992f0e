"""Makes test/fixtures/made/ndv: Iceberg tables with their data files. `db.sketched` has the Puffin statistics that Spark's own procedure
wrote. `db.no_metrics` has files without column metrics; one of them was imported and has no field ids.

  python ndv_table.py

`truth.json` contains Spark's counts (`count(DISTINCT …)`), the metadata's entries for the procedure's statistics files, and Spark's counts
for each file of `db.no_metrics`. The requirements are those of make.py.
"""

import glob
import json
import os
import shutil

from engine import CATALOG, Java, start_spark

LAKE = "/lake/made/ndv"
TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "ndv")

COLUMNS = "id bigint, k int, name string, day date, amount decimal(10,2), x double, f float, yes boolean, at timestamp, bin binary"
# id is unique; k, x and name repeat in no order; day is sorted
ROW = """id, CAST(pmod(hash(id), 5000) AS int), concat('name ', pmod(hash(id, 1), 300)), date_add(DATE'2026-01-01', CAST(id / 1000 AS int)),
  CAST(pmod(hash(id, 2), 700) / 100.0 AS decimal(10,2)), CAST(pmod(hash(id, 3), 2500) AS double) / 8, CAST(pmod(id, 7) AS float),
  id % 3 = 0, timestamp_seconds(1767225600 + pmod(hash(id, 4), 900)), CAST(concat('b', pmod(id, 40)) AS binary)"""


def main() -> None:
    shutil.rmtree(LAKE, ignore_errors=True)
    java = Java(start_spark(f"{LAKE}/wh", LAKE))
    spark = java.spark
    table = f"{CATALOG}.db.sketched"
    spark.sql(f"CREATE NAMESPACE IF NOT EXISTS {CATALOG}.db")
    spark.sql(f"CREATE TABLE {table} ({COLUMNS}) USING iceberg LOCATION 'file:{LAKE}/wh/db/sketched' TBLPROPERTIES ('write.parquet.compression-codec'='zstd')")

    def append(first: int, last: int) -> None:
        spark.sql(f"INSERT INTO {table} SELECT {ROW} FROM (SELECT IF(id % 500 = 499, NULL, id) AS id FROM range({first}, {last}, 1, 1))")

    append(0, 6000)
    append(6000, 12000)
    spark.sql(f"CALL {CATALOG}.system.compute_table_stats(table => 'db.sketched')")
    append(9000, 14000)
    spark.sql(f"CALL {CATALOG}.system.compute_table_stats(table => 'db.sketched', columns => array('k', 'name'))")
    append(14000, 15000)

    snapshots = []
    loaded = java.table("db.sketched")
    names = [c.split()[0] for c in COLUMNS.split(", ")]
    for (snapshot_id,) in spark.sql(f"SELECT snapshot_id FROM {table}.snapshots ORDER BY committed_at").collect():
        counts = ", ".join(f"count(DISTINCT {n}) AS {n}" for n in names)
        row = spark.sql(f"SELECT {counts} FROM {table} VERSION AS OF {snapshot_id}").first()
        distinct = {str(loaded.schema().findField(n).fieldId()): row[n] for n in names}
        ndv = {}
        for file in loaded.statisticsFiles():
            if file.snapshotId() == snapshot_id:
                ndv = {str(b.fields()[0]): int(b.properties()["ndv"]) for b in file.blobMetadata()}
        snapshots.append({"snapshot_id": str(snapshot_id), "distinct": distinct, "puffin_ndv": ndv})
    no_metrics = make_no_metrics(spark)
    spark.stop()

    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(f"{LAKE}/wh", f"{TARGET}/wh", ignore=shutil.ignore_patterns("*.crc", "_SUCCESS"))
    for table in ("sketched", "no_metrics"):
        for older in sorted(glob.glob(f"{TARGET}/wh/db/{table}/metadata/*.metadata.json"))[:-1]:
            os.remove(older)
    with open(f"{TARGET}/truth.json", "w") as out:
        json.dump({"snapshots": snapshots, "no_metrics": no_metrics}, out, indent=1)
        out.write("\n")


def make_no_metrics(spark) -> dict:
    """Returns the number of values and nulls and the smallest and largest value of each column, by file name."""
    table = f"{CATALOG}.db.no_metrics"
    spark.sql(f"CREATE TABLE {table} ({COLUMNS}) USING iceberg LOCATION 'file:{LAKE}/wh/db/no_metrics' TBLPROPERTIES ('write.metadata.metrics.default'='none')")
    spark.sql(f"INSERT INTO {table} SELECT {ROW} FROM (SELECT IF(id % 500 = 499, NULL, id) AS id FROM range(0, 600, 1, 1))")
    names = [c.split()[0] for c in COLUMNS.split(", ")]
    imported = f"{LAKE}/wh/db/no_metrics/data/imported"
    # by default, Spark's own files store timestamps as INT96, which have no bounds
    spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
    spark.sql(f"SELECT {ROW} FROM range(600, 900, 1, 1)").toDF(*names).write.parquet(imported)
    spark.sql(f"CALL {CATALOG}.system.add_files(table => 'db.no_metrics', source_table => '`parquet`.`{imported}`')")
    files = {}
    for (path,) in spark.sql(f"SELECT file_path FROM {table}.files").collect():
        columns = {}
        for index, name in enumerate(names):
            of = "hex(bin)" if name == "bin" else f"date_format(at, \"yyyy-MM-dd'T'HH:mm:ss.SSSSSS\")" if name == "at" else name
            row = spark.sql(f"SELECT count(*), count(*) - count({name}), CAST(min({of}) AS string), CAST(max({of}) AS string) FROM {table} WHERE _file = '{path}'").first()
            columns[str(index + 1)] = {"values": row[0], "nulls": row[1], "min": row[2], "max": row[3]}
        files[path.split("/")[-1]] = columns
    return files


main()
