"""Spark with Iceberg's Java library, with which all generators write and read tables.

Whatever SQL can express is done by Spark. The rest (types that Spark lacks, equality deletes, manifests that are appended unchanged) uses
Iceberg's Java API through Spark's JVM. The catalog is a JDBC catalog on a SQLite file, because Iceberg's in-memory catalog also keeps its
files in memory.
"""

import glob
import os
import shutil
import subprocess

JARS = [("org.apache.iceberg", "iceberg-spark-runtime-4.1_2.13", "1.11.0"), ("org.xerial", "sqlite-jdbc", "3.46.1.3")]
CATALOG = "lake"


def maven_jar(group: str, artifact: str, version: str) -> str:
    """Returns the path of a jar in Maven's local repository. Maven downloads the jar if it is missing."""
    jar = os.path.expanduser(f"~/.m2/repository/{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar")
    if not os.path.exists(jar):
        goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:get"
        subprocess.check_call(["mvn", "-q", "-B", goal, f"-Dartifact={group}:{artifact}:{version}", "-Dtransitive=false"])
    return jar


def start_spark(warehouse: str, database: str):
    """Starts a Spark session whose catalog `lake` writes to `warehouse`, one file per write if the data allows it, and keeps its own
    SQLite file in the directory `database`.

    The time zone is UTC. Counts scan the data instead of using metadata, because metadata is checked against them.
    """
    os.environ.setdefault("LC_ALL", "C.UTF-8")  # table names beyond ASCII are file names in the JVM
    from pyspark.sql import SparkSession

    os.makedirs(warehouse, exist_ok=True)
    catalog = f"spark.sql.catalog.{CATALOG}"
    config = {
        "spark.jars": ",".join(maven_jar(*jar) for jar in JARS),
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.iceberg.aggregate-push-down.enabled": "false",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -Dfile.encoding=UTF-8 -Dsun.jnu.encoding=UTF-8",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        f"{catalog}.uri": f"jdbc:sqlite:{database}/catalog.db",
        f"{catalog}.jdbc.schema-version": "V1",
        f"{catalog}.io-impl": "org.apache.iceberg.hadoop.HadoopFileIO",
        f"{catalog}.warehouse": f"file:{warehouse}",
        f"{catalog}.cache-enabled": "false",
        # keep few old metadata files; a table whose earlier states are needed sets a higher number
        f"{catalog}.table-default.write.metadata.delete-after-commit.enabled": "true",
        f"{catalog}.table-default.write.metadata.previous-versions-max": "1",
    }
    builder = SparkSession.builder.master("local[1]").appName("fixtures")
    for key, value in config.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


class Java:
    """Iceberg's Java API, through Spark's JVM."""

    def __init__(self, spark):
        self.spark = spark
        self.jvm = spark._jvm
        self.iceberg = spark._jvm.org.apache.iceberg
        self._functions = {}

    def table(self, ident: str):
        """Returns Iceberg's Table for an identifier such as `mk.rollback` (in Spark's quoting, without the catalog)."""
        return self.iceberg.spark.Spark3Util.loadIcebergTable(self.spark._jsparkSession, f"{CATALOG}.{ident}")

    def catalog(self):
        return self.iceberg.spark.Spark3Util.loadIcebergCatalog(self.spark._jsparkSession, CATALOG)

    def identifier(self, *names: str):
        return self.iceberg.catalog.TableIdentifier.of(self.array("java.lang.String", names))

    def array(self, kind: str, values):
        """Returns a Java array; `kind` is a class name, `int` or `byte`."""
        values = list(values)
        cls = getattr(self.jvm, kind) if "." not in kind else self._class(kind)
        array = self.spark.sparkContext._gateway.new_array(cls, len(values))
        for i, value in enumerate(values):
            array[i] = value
        return array

    def _class(self, name: str):
        found = self.jvm
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def function(self, body: str):
        """Returns a `java.util.function.BiFunction` with this body, compiled in the JVM. The same body yields the same function."""
        if body not in self._functions:
            compiler = self.jvm.org.codehaus.janino.ClassBodyEvaluator()
            compiler.setClassName(f"Function{len(self._functions)}")  # Py4J does not distinguish classes with the same name
            compiler.setParentClassLoader(self.jvm.java.lang.Thread.currentThread().getContextClassLoader())
            compiler.setImplementedInterfaces(self.array("java.lang.Class", [self.jvm.java.lang.Class.forName("java.util.function.BiFunction")]))
            compiler.cook(body)
            constructor = compiler.getClazz().getDeclaredConstructor(self.array("java.lang.Class", []))
            self._functions[body] = constructor.newInstance(self.array("java.lang.Object", []))
        return self._functions[body]

    def schema(self, *fields):
        """Returns Iceberg's Schema with these Java NestedFields."""
        return self.iceberg.Schema(list_of(self.jvm, fields))

    def record(self, schema, values: dict):
        record = self.iceberg.data.GenericRecord.create(schema)
        for key, value in values.items():
            record.setField(key, value)
        return record

    def set_number(self, record, name: str, kind: str, text: str) -> None:
        """Sets a field to a `Long`, `Float` or `Double`, because Py4J would convert a number to an Integer or a Double."""
        self.function(f"public Object apply(Object record, Object name) {{ ((org.apache.iceberg.data.Record) record).setField((String) name, {kind}.valueOf(\"{text}\")); return null; }}").apply(record, name)

    def partition_of(self, table, record):
        """Returns the partition tuple that the table's spec assigns to a record."""
        key = self.iceberg.PartitionKey(table.spec(), table.schema())
        key.partition(self.iceberg.data.InternalRecordWrapper(table.schema().asStruct()).wrap(record))
        return key

    def _output(self, table, file_format, spec, partition):
        factory = self.iceberg.io.OutputFileFactory.builderFor(table, 1, 1).format(file_format).build()
        return factory.newOutputFile(spec, partition) if partition is not None else factory.newOutputFile()

    def data_file(self, table, records, partition=None, file_format="PARQUET"):
        """Writes rows to one data file of the table with Iceberg's generic writers, without committing it."""
        kind = getattr(self.iceberg.FileFormat, file_format)
        factory = self.iceberg.data.GenericAppenderFactory(table, table.schema(), table.spec(), None, None, None, None)
        writer = factory.newDataWriter(self._output(table, kind, table.spec(), partition), kind, partition)
        for record in records:
            writer.write(record)
        writer.close()
        return writer.toDataFile()

    def equality_delete_file(self, table, column_ids, records, schema, partition=None, file_format="PARQUET", spec=None):
        """Writes an equality delete file as Flink does, without committing it."""
        kind, spec = getattr(self.iceberg.FileFormat, file_format), spec or table.spec()
        factory = self.iceberg.data.GenericAppenderFactory(table, table.schema(), spec, None, self.array("int", column_ids), schema, None)
        writer = factory.newEqDeleteWriter(self._output(table, kind, spec, partition), kind, partition)
        for record in records:
            writer.write(record)
        writer.close()
        return writer.toDeleteFile()


def list_of(jvm, values):
    result = jvm.java.util.ArrayList()
    for value in values:
        result.add(value)
    return result


def copy_metadata(table_dir: str, target: str) -> None:
    """Copies a table's current metadata folder without Hadoop's `.crc` files."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(os.path.join(table_dir, "metadata"), os.path.join(target, "metadata"), ignore=shutil.ignore_patterns(".*.crc", "*.crc"))


def newest_metadata(table_dir: str) -> str:
    return max(glob.glob(os.path.join(glob.escape(table_dir), "metadata", "*.metadata.json")))
