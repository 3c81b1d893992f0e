"""Changes three Delta tables with Spark and delta-rs, as many operations at a time as each line of stdin asks for, and prints a line when they are done.

The first line is JSON: `folder` of the tables, and the `seed` that determines the order of the operations; every kind occurs. After the last
operation, the line is the truth of every version that Spark can read.
"""

import glob
import json
import os
import random
import sys
import time
import urllib.parse

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from pyspark.sql import SparkSession

COLUMNS = "id BIGINT, g STRING, n INT"
PROPERTIES = {
    "delta.checkpointInterval": "4",
    "delta.logRetentionDuration": "interval 1 days",
    "delta.deletedFileRetentionDuration": "interval 1 days",
}
DAY = 86_400


def start_spark():
    config = {
        "spark.jars": ",".join(sorted(glob.glob(f"{os.environ['DELTA_JARS']}/*.jar"))),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        # VACUUM lists folders in as many tasks.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",
        "spark.default.parallelism": "1",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[1]").appName("keep-writing")
    for key, value in config.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session


class Table:
    next_id = 0

    def __init__(self, spark, folder: str, choose: random.Random):
        self.spark, self.choose = spark, choose
        self.path = f"{folder}/{type(self).__name__.lower()}"
        self.create()

    def ids(self) -> tuple[int, int]:
        first, self.next_id = self.next_id, self.next_id + self.choose.randint(2, 9)
        return first, self.next_id

    def sql(self, text: str):
        return self.spark.sql(text.replace("{t}", f"delta.`{self.path}`"))

    def create_with_spark(self, *features: str, partitioned=""):
        properties = ", ".join(f"'{k}' = '{v}'" for k, v in [*PROPERTIES.items(), *((f, "true") for f in features)])
        self.sql(f"CREATE TABLE {{t}} ({COLUMNS}) USING delta {partitioned} TBLPROPERTIES ({properties})")

    def spark_append(self):
        first, last = self.ids()
        self.sql(
            f"INSERT INTO {{t}} (id, g, n) SELECT id, IF(id % 5 = 0, NULL, concat('g ', id % 3)), IF(id % 4 = 0, NULL, CAST(id AS INT)) FROM range({first}, {last}, 1, 1)"
        )

    def spark_delete(self):
        self.sql(f"DELETE FROM {{t}} WHERE id = {self.choose.randrange(max(1, self.next_id))} OR id % 7 = {self.choose.randrange(7)}")

    def spark_optimize(self):
        self.sql("OPTIMIZE {t}")

    def rows(self) -> pa.Table:
        ids = range(*self.ids())
        return pa.table(
            {
                "id": pa.array(ids, pa.int64()),
                "g": pa.array([None if i % 5 == 0 else f"g {i % 3}" for i in ids], pa.string()),
                "n": pa.array([None if i % 4 == 0 else i for i in ids], pa.int32()),
            }
        )

    @property
    def rs(self) -> DeltaTable:
        return DeltaTable(self.path)

    def rs_append(self):
        # Rows have no value of a column that was added.
        write_deltalake(self.path, self.rows(), mode="append", schema_mode="merge")

    def rs_delete(self):
        self.rs.delete(f"id % 6 = {self.choose.randrange(6)}")


class Spark(Table):
    """Deletion vectors, row tracking, column mapping from the middle on, and a log that is cleaned."""

    name = "n"

    def create(self):
        self.create_with_spark("delta.enableDeletionVectors", "delta.enableRowTracking")

    def spark_append(self):
        if self.name == "n":
            super().spark_append()
        else:
            first, last = self.ids()
            self.sql(f"INSERT INTO {{t}} (id, g, {self.name}) SELECT id, 'mapped', CAST(id AS INT) FROM range({first}, {last}, 1, 1)")

    def overwrite(self):
        first, last = self.ids()
        self.sql(f"INSERT OVERWRITE {{t}} (id, g) SELECT id, 'over' FROM range({first}, {last}, 1, 1)")

    def update(self):
        self.sql(f"UPDATE {{t}} SET g = 'updated' WHERE id % 4 = {self.choose.randrange(4)}")

    def merge(self):
        self.sql(
            f"MERGE INTO {{t}} AS t USING (SELECT id FROM range(0, {self.next_id + 2})) AS s ON t.id = s.id "
            "WHEN MATCHED AND s.id % 3 = 0 THEN DELETE WHEN MATCHED AND s.id % 3 = 1 THEN UPDATE SET g = 'merged' WHEN NOT MATCHED AND s.id % 5 = 1 THEN INSERT (id) VALUES (s.id)"
        )

    def restore(self):
        newest = self.sql("DESCRIBE HISTORY {t} LIMIT 1").collect()[0].version
        self.sql(f"RESTORE TABLE {{t}} TO VERSION AS OF {newest - 1}")

    def vacuum(self):
        self.sql("VACUUM {t} RETAIN 0 HOURS")

    def add_column(self):
        self.sql("ALTER TABLE {t} ADD COLUMN (more STRING)")

    def map_columns(self):
        self.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        self.sql("ALTER TABLE {t} RENAME COLUMN n TO renamed")
        self.name = "renamed"

    def clean_log(self):
        """Spark cleans by day, and only what has a checkpoint after it: the versions before the newest one get old."""
        newest = max(int(os.path.basename(file)[:20]) for file in glob.glob(f"{self.path}/_delta_log/*.checkpoint*.parquet"))
        old = time.time() - 90 * DAY
        for version in range(newest):
            for file in glob.glob(f"{self.path}/_delta_log/{version:020d}.*"):
                os.utime(file, (old + version, old + version))
        for _ in range(4):
            self.spark_append()

    OPERATIONS = [overwrite, update, merge, restore, vacuum, add_column, Table.spark_optimize, *[Table.spark_delete] * 4]
    LAST = [map_columns, spark_append, Table.spark_delete, clean_log, Table.spark_delete, spark_append]


class Rs(Table):
    """Written by delta-rs alone."""

    def create(self):
        configuration = {"delta.logRetentionDuration": "interval 0 days", "delta.enableExpiredLogCleanup": "false"}
        write_deltalake(self.path, self.rows(), partition_by=["g"], configuration=configuration)

    def overwrite(self):
        write_deltalake(self.path, self.rows(), mode="overwrite")

    def merge(self):
        merge = self.rs.merge(self.rows(), "t.id = s.id - 3", source_alias="s", target_alias="t")
        merge.when_matched_update({"n": "s.n"}).when_not_matched_insert_all().execute()

    def restore(self):
        self.rs.restore(self.rs.version() - 1)

    def optimize(self):
        self.rs.optimize.compact()

    def vacuum(self):
        self.rs.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)

    def add_column(self):
        rows = self.rows()
        write_deltalake(self.path, rows.append_column("more", pa.array(["m"] * len(rows))), mode="append", schema_mode="merge")

    def clean_log(self):
        self.rs.create_checkpoint()
        self.rs.cleanup_metadata()

    OPERATIONS = [overwrite, merge, restore, optimize, vacuum, *[Table.rs_append] * 3, Table.rs_delete]
    LAST = [add_column, clean_log, Table.rs_append, Table.rs_delete]


class Both(Table):
    """Written by both engines in turn, without what delta-rs cannot read."""

    def create(self):
        self.create_with_spark(partitioned="PARTITIONED BY (g)")

    OPERATIONS = [Table.spark_append, Table.rs_append, Table.spark_delete, Table.rs_delete, Table.spark_optimize, Table.rs_append]
    LAST = []


def truth_of(table: Table) -> dict:
    """What Spark's snapshot of each version has, and what a scan counts in the newest one. delta-rs has to agree, if it can read the table."""
    spark, path = table.spark, table.path
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, path)
    none = getattr(getattr(spark._jvm.scala, "None$"), "MODULE$")
    get = max((m for m in log.getClass().getMethods() if m.getName() == "getSnapshotAt"), key=lambda m: len(m.getParameterTypes()))
    more = [none if "Option" in type_.getName() else False for type_ in get.getParameterTypes()[1:]]
    versions = {}
    for row in table.sql("DESCRIBE HISTORY {t}").collect():
        try:
            snapshot = log.getSnapshotAt(row.version, *more)
            adds = [json.loads(line) for line in snapshot.allFiles().toJSON().collectAsList()]
        except Exception as error:
            if "DELTA_LOG_FILE_NOT_FOUND" not in str(error) and "DELTA_VERSIONS_NOT_CONTIGUOUS" not in str(error) and "FileNotFound" not in str(error):
                raise
            continue
        files = {}
        for add in adds:
            deleted = add.get("deletionVector", {}).get("cardinality", 0)
            files[f"{path}/{urllib.parse.unquote(add['path'])}"] = [add["size"], json.loads(add["stats"])["numRecords"], deleted]
        columns = [field["name"] for field in json.loads(snapshot.schema().json())["fields"]]
        versions[row.version] = {"operation": row.operation, "columns": columns, "files": files}
        if isinstance(table, Rs):
            check_delta_rs(path, row.version, files)
    rows = spark.read.format("delta").load(path).count()
    return {"versions": versions, "rows": rows}


def check_delta_rs(path: str, version: int, files: dict):
    adds = pa.table(DeltaTable(path, version=version).get_add_actions(flatten=True)).to_pylist()
    found = {f"{path}/{urllib.parse.unquote(add['path'])}": [add["size_bytes"], add["num_records"], 0] for add in adds}
    assert found == files, f"Spark and delta-rs differ in version {version} of {path}: {files} and {found}"


def main():
    lines = iter(sys.stdin.readline, "")
    options = json.loads(next(lines))
    choose = random.Random(options["seed"])
    spark = start_spark()
    tables = [kind(spark, options["folder"], choose) for kind in (Spark, Rs, Both)]
    todo = []
    for table in tables:
        own = [*table.OPERATIONS]
        choose.shuffle(own)
        first = [table.spark_append] if isinstance(table, Spark) else []
        todo.append([*first, *((lambda t=table, o=operation: o(t)) for operation in [*own, *table.LAST])])
    print(json.dumps({"left": sum(map(len, todo))}), flush=True)
    for line in lines:
        for _ in range(int(line)):
            left = [operations for operations in todo if operations]
            if left:
                choose.choices(left, [len(operations) for operations in left])[0].pop(0)()
        left = sum(map(len, todo))
        print(json.dumps({"left": left} if left else {"left": 0, "truth": {os.path.basename(t.path): truth_of(t) for t in tables}}), flush=True)
        if left == 0:
            break
    spark.stop()


main()
