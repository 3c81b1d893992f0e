"""Delta tables for `../fixtures/delta`, written by Spark, with what Spark says of every version.

usage: python delta_logs.py OUT [NAME]...   (pip install 'pyspark>=4.1,<4.2' delta-spark==4.4.0; Maven for the jars)

OUT/NAME/_delta_log is the log; data files are left out. OUT/truth/NAME.json has, for each version that Spark can read: the operation and the time of
DESCRIBE HISTORY, the table's id, and of each file the size on disk and the number of rows that a scan of the data finds in it (`null` for a file
without any). Files are named by their path below the table, or by their URI if they are elsewhere.
"""

import glob
import json
import os
import shutil
import sys
import time
import urllib.parse

from engine import maven_jar

DELTA = "4.4.0"
JARS = [("io.delta", name, DELTA) for name in ("delta-spark_4.1_2.13", "delta-storage", "delta-kernel-api", "delta-kernel-defaults", "delta-kernel-unitycatalog")]
JARS += [("io.unitycatalog", "unitycatalog-client", "0.6.0"), ("io.unitycatalog", "unitycatalog-hadoop", "0.6.0")]
LAKE = "/tmp/delta-fixtures/delta"
TABLES = {}


def start_spark():
    from pyspark.sql import SparkSession

    config = {
        "spark.jars": ",".join(maven_jar(*jar) for jar in JARS),
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.warehouse.dir": "/tmp/delta-fixtures/warehouse",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -Dderby.system.home=/tmp/delta-fixtures",
    }
    builder = SparkSession.builder.master("local[1]").appName("delta-fixtures")
    for key, value in config.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    return session


def table(make):
    TABLES[make.__name__] = make
    return make


class Table:
    def __init__(self, spark, name):
        self.spark, self.name, self.path = spark, name, f"{LAKE}/{name}"
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def log(self):
        return f"{self.path}/_delta_log"

    def sql(self, text, **paths):
        return self.spark.sql(text.format(t=f"delta.`{self.path}`", **paths))

    def create(self, columns, *more, **properties):
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in properties.items())
        self.sql(f"CREATE TABLE {{t}} ({columns}) USING delta {' '.join(more)}" + (f" TBLPROPERTIES ({listed})" if listed else ""))

    def append(self, first, last):
        self.sql(f"INSERT INTO {{t}} SELECT id, concat('g', id % 3) FROM range({first}, {last})")

    def conf(self, **values):
        for key, value in values.items():
            self.spark.conf.set(key.replace("__", "."), value)


@table
def replaced(t):
    """CREATE OR REPLACE with other columns and partitions: another metaData.id in the same log."""
    t.spark.sql(f"CREATE TABLE replaced (id BIGINT, g STRING) USING delta PARTITIONED BY (g) LOCATION '{t.path}'")
    t.append(0, 6)
    t.spark.sql(f"CREATE OR REPLACE TABLE replaced (id INT, x DOUBLE) USING delta LOCATION '{t.path}'")
    t.sql("INSERT INTO {t} VALUES (1, 0.5), (2, 1.5)")


@table
def cleaned(t):
    """Commits and checkpoints that a cleanup removed: versions 0 to 5 are gone."""
    t.create("id BIGINT, g STRING", **{"delta.checkpointInterval": "3", "delta.logRetentionDuration": "interval 1 days", "delta.deletedFileRetentionDuration": "interval 1 days", "delta.enableDeletionVectors": "true"})
    for i in range(4):
        t.append(10 * i, 10 * i + 10)
    t.sql("DELETE FROM {t} WHERE id = 3")
    t.append(50, 52)
    t.sql("DELETE FROM {t} WHERE id = 13")
    t.append(60, 62)
    old = time.time() - 90 * 86400
    for version in range(8):
        for file in glob.glob(f"{t.log}/{version:020d}.*"):
            os.utime(file, (old + 60 * version, old + 60 * version))
    t.append(70, 72)
    t.append(80, 82)


@table
def v2_sidecars(t):
    """V2 checkpoints with a Parquet top level and sidecars, row tracking, clustering, deletion vectors."""
    t.conf(spark__databricks__delta__checkpoint__partSize="2", spark__databricks__delta__checkpointV2__topLevelFileFormat="parquet")
    t.create("id BIGINT, g STRING", "CLUSTER BY (id)", **{"delta.checkpointPolicy": "v2", "delta.checkpointInterval": "4", "delta.enableRowTracking": "true", "delta.enableDeletionVectors": "true"})
    for i in range(4):
        t.append(10 * i, 10 * i + 10)
    t.sql("DELETE FROM {t} WHERE id IN (3, 13)")
    t.append(40, 43)
    t.sql("ALTER TABLE {t} CLUSTER BY (g)")
    t.append(50, 51)
    t.sql("ALTER TABLE {t} CLUSTER BY NONE")


@table
def in_commit_times(t):
    """In-commit timestamps switched on in the middle of the history."""
    t.create("id BIGINT, g STRING")
    t.append(0, 2)
    t.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')")
    t.append(2, 4)
    t.append(4, 6)


@table
def added_again(t):
    """Files that are added again without a removal, when row tracking is switched on later. RESTORE brings removed ones back."""
    t.create("id BIGINT, g STRING", **{"delta.enableDeletionVectors": "true"})
    t.append(0, 10)
    t.append(10, 20)
    t.sql("DELETE FROM {t} WHERE id IN (3, 13)")
    t.sql("ALTER TABLE {t} SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')")
    t.sql("DELETE FROM {t} WHERE id < 10")
    t.sql("RESTORE TABLE {t} TO VERSION AS OF 3")
    t.sql("OPTIMIZE {t}")


@table
def clone_source(t):
    """The table that `cloned` was cloned from."""
    t.create("id BIGINT, g STRING", "PARTITIONED BY (g)", **{"delta.enableDeletionVectors": "true"})
    t.append(0, 9)
    t.sql("DELETE FROM {t} WHERE id IN (3, 4)")


@table
def cloned(t):
    """A shallow clone: absolute paths of files and deletion vectors, then own ones beside them."""
    t.sql("CREATE TABLE {t} SHALLOW CLONE delta.`{source}`", source=f"{LAKE}/clone_source")
    t.sql("DELETE FROM {t} WHERE id IN (5, 6)")
    t.append(20, 23)


@table
def small_pages(t):
    """Multi-part checkpoints of many row groups and pages, whose statistics are structs only; partition values with special characters and nulls."""
    t.conf(spark__databricks__delta__checkpoint__partSize="25")
    hadoop = t.spark.sparkContext._jsc.hadoopConfiguration()
    for key, value in (("parquet.block.size", "2048"), ("parquet.page.size", "512"), ("parquet.page.row.count.limit", "7"), ("parquet.block.size.row.check.min", "5"), ("parquet.page.size.row.check.min", "5")):
        hadoop.set(key, value)
    t.create("id BIGINT, p STRING, d DATE, s STRUCT<a: INT, b: STRING>", "PARTITIONED BY (p, d)", **{"delta.checkpointInterval": "3", "delta.checkpoint.writeStatsAsStruct": "true", "delta.checkpoint.writeStatsAsJson": "false"})
    rows = "SELECT id, CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN 'ü %/=' ELSE concat('p', id) END, date_add(DATE'2024-02-28', CAST(id % 3 AS INT)), IF(id % 5 = 0, NULL, named_struct('a', CAST(id AS INT), 'b', concat('b', id)))"
    t.sql(f"INSERT INTO {{t}} {rows} FROM range(0, 40)")
    t.sql(f"INSERT INTO {{t}} {rows} FROM range(40, 60)")
    t.sql("DELETE FROM {t} WHERE p = 'p7' OR p = 'p10'")
    t.sql(f"INSERT INTO {{t}} {rows} FROM range(60, 63)")
    for key in ("parquet.block.size", "parquet.page.size", "parquet.page.row.count.limit", "parquet.block.size.row.check.min", "parquet.page.size.row.check.min"):
        hadoop.unset(key)


@table
def removed_without_vector(t):
    """A commit, written by hand, that removes a file without naming its deletion vector, as Trino's OPTIMIZE does: the file stays."""
    t.create("id BIGINT, g STRING", **{"delta.enableDeletionVectors": "true"})
    t.append(0, 6)
    t.append(6, 12)
    t.sql("DELETE FROM {t} WHERE id IN (1, 7)")
    actions = [json.loads(line) for line in open(f"{t.log}/{1:020d}.json")]
    path = next(action["add"]["path"] for action in actions if "add" in action)
    info = {"commitInfo": {"timestamp": int(time.time() * 1000), "operation": "OPTIMIZE", "operationParameters": {}, "engineInfo": "by hand"}}
    remove = {"remove": {"path": path, "deletionTimestamp": int(time.time() * 1000), "dataChange": False}}
    with open(f"{t.log}/{4:020d}.json", "w") as file:
        file.write("\n".join(json.dumps(action) for action in (info, remove)) + "\n")


def write_mixed_statistics(log):
    """A checkpoint, written by pyarrow with small version 2 pages, in which one file has statistics as JSON, one as a struct, one both, and one none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = pa.struct([("id", pa.int64())])
    parsed = pa.struct([("numRecords", pa.int64()), ("minValues", column), ("maxValues", column), ("nullCount", column)])
    strings = pa.map_(pa.string(), pa.string())
    metadata = pa.struct([("id", pa.string()), ("format", pa.struct([("provider", pa.string()), ("options", strings)])), ("schemaString", pa.string()), ("partitionColumns", pa.list_(pa.string())), ("configuration", strings)])
    schema = pa.schema([
        ("protocol", pa.struct([("minReaderVersion", pa.int32()), ("minWriterVersion", pa.int32())])),
        ("metaData", metadata),
        ("add", pa.struct([("path", pa.string()), ("partitionValues", strings), ("size", pa.int64()), ("stats", pa.string()), ("stats_parsed", parsed)])),
        ("remove", pa.struct([("path", pa.string())])),
    ])
    fields = [{"name": name, "type": type_, "nullable": True, "metadata": {}} for name, type_ in (("id", "long"), ("p", "string"))]

    def stats(rows, low, high, nulls):
        return {"numRecords": rows, "minValues": {"id": low}, "maxValues": {"id": high}, "nullCount": {"id": nulls}}

    def add(path, p, text=None, struct=None):
        return {"add": {"path": path, "partitionValues": [("p", p)], "size": 10, "stats": text and json.dumps(text), "stats_parsed": struct}}

    rows = [
        add("text", "a", text=stats(5, 1, 9, 0)),
        {"remove": {"path": "gone"}},
        {"metaData": {"id": "8d1c0f0e-0000-4000-8000-000000000000", "format": {"provider": "parquet", "options": []}, "schemaString": json.dumps({"type": "struct", "fields": fields}), "partitionColumns": ["p"], "configuration": [("delta.checkpointInterval", "7"), ("x", None)]}},
        add("struct", None, struct=stats(6, -(2**62), 2**62, 1)),
        add("both", "", text=stats(7, 2, 3, 0), struct=stats(7, 2, 3, 0)),
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        add("none", "ü"),
    ]
    os.makedirs(log, exist_ok=True)
    file = f"{log}/{0:020d}.checkpoint.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file, data_page_version="2.0", data_page_size=1, write_batch_size=2, compression="zstd")


def truth_of(spark, name):
    path = f"{LAKE}/{name}"
    history = {row.version: row for row in spark.sql(f"DESCRIBE HISTORY delta.`{path}`").collect()}
    newest = max(history)
    versions = []
    for version in range(newest + 1):
        reader = spark.read.format("delta").option("versionAsOf", version)
        try:
            frame = reader.load(path)
            rows = {row[0]: row[1] for row in frame.groupBy("_metadata.file_path").count().collect()}
            files = {file_name(path, uri): {"size": os.stat(local(uri)).st_size, "rows": None} for uri in frame.inputFiles()}
            for uri, count in rows.items():
                files[file_name(path, uri)]["rows"] = count
        except Exception as error:  # a version that is gone
            print(name, version, str(error)[:150])
            continue
        row = history.get(version)
        versions.append({
            "version": version,
            "operation": row.operation if row else None,
            "timestamp": int(row.timestamp.timestamp() * 1000) if row else None,
            "columns": [[field.name, field.dataType.simpleString()] for field in frame.schema],
            "files": dict(sorted(files.items())),
        })
    detail = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]
    return {"table": name, "doc": TABLES[name].__doc__, "engine": f"Spark {spark.version}, Delta {DELTA}", "id": detail.id, "clusteringColumns": list(detail.clusteringColumns), "versions": versions}


def local(uri):
    """The path on disk. Spark encodes some URIs and not others."""
    return next(path for path in (plain(urllib.parse.unquote(uri)), plain(uri)) if os.path.exists(path))


def plain(uri):
    return "/" + uri.removeprefix("file:").lstrip("/")


def file_name(path, uri):
    file = local(uri)
    return file.removeprefix(f"{path}/") if file.startswith(f"{path}/") else f"file://{file}"


def main():
    out, names = sys.argv[1], sys.argv[2:] or list(TABLES)
    write_mixed_statistics(f"{out}/mixed_statistics/_delta_log")
    spark = start_spark()
    os.makedirs(f"{out}/truth", exist_ok=True)
    for name in names:
        TABLES[name](Table(spark, name))
        with open(f"{out}/truth/{name}.json", "w") as file:
            json.dump(truth_of(spark, name), file, indent=1, ensure_ascii=False)
        shutil.rmtree(f"{out}/{name}", ignore_errors=True)
        ignore = shutil.ignore_patterns(".*", "_commits", "_staged_commits", *(["*.crc"] if name == "small_pages" else []))
        shutil.copytree(f"{LAKE}/{name}/_delta_log", f"{out}/{name}/_delta_log", ignore=ignore)
    spark.stop()


if __name__ == "__main__":
    main()
