"""Fixture tables that SQL can create."""

import glob
import json
import os

from engine import CATALOG, newest_metadata
from fixture import LAKE, registry

SPARK, fixture = registry()
MOR = {"write_delete_mode": "merge-on-read", "write_update_mode": "merge-on-read", "write_merge_mode": "merge-on-read"}


@fixture("mk", "rollback", doc="rolled back to the first of three appends, then another append on it: two snapshots that are no ancestors of main")
def rollback(t):
    t.create()
    first = t.append(0, 5)
    t.append(5, 10)
    t.append(10, 15)
    t.call("rollback_to_snapshot", snapshot_id=str(first))
    t.append(15, 20)


@fixture("mk", "set_current", doc="main set to a snapshot that is no ancestor of it, and on from there; deletes on both lines")
def set_current(t):
    t.create(partitioned="bucket(2, id)", **MOR)
    t.append(0, 20)
    left = t.append(20, 30)
    t.sql("DELETE FROM {t} WHERE id IN (1, 22)")
    t.call("rollback_to_snapshot", snapshot_id=str(left))
    t.append(30, 40)
    right = t.current()
    t.sql("DELETE FROM {t} WHERE id IN (2, 33)")
    t.call("set_current_snapshot", snapshot_id=str(right))
    t.append(40, 45)


@fixture("mk", "cherry_pick", doc="write-audit-publish: a staged append picked after another append, one picked when it fast-forwards, one published by its WAP id, one never published")
def cherry_pick(t):
    t.create(write_wap_enabled="true")
    t.append(0, 5)

    def stage(wap_id: str, first: int, last: int) -> int:
        t.spark.conf.set("spark.wap.id", wap_id)
        t.append(first, last)
        t.spark.conf.unset("spark.wap.id")
        return t.last()

    staged = stage("one", 100, 103)
    t.append(5, 8)
    t.call("cherrypick_snapshot", snapshot_id=str(staged))
    t.call("cherrypick_snapshot", snapshot_id=str(stage("two", 200, 204)))
    stage("three", 300, 302)
    t.append(8, 9)
    t.call("publish_changes", wap_id="'three'")
    stage("never", 400, 402)


@fixture("mk", "branches", doc="two branches and main that diverge by appends and deletes; one fast-forwarded, one replaced, one dropped; a branch from an old snapshot; a tag on a branch")
def branches(t):
    t.create(**MOR)
    first = t.append(0, 10)
    t.append(10, 20)
    t.sql("ALTER TABLE {t} CREATE BRANCH audit")
    t.sql(f"ALTER TABLE {{t}} CREATE BRANCH old AS OF VERSION {first}")
    t.sql("ALTER TABLE {t} CREATE BRANCH gone")
    t.append(20, 30, to="{t}.branch_audit")
    t.sql("DELETE FROM {t}.branch_audit WHERE id = 3")
    t.append(30, 35, to="{t}.branch_gone")
    t.sql("DELETE FROM {t}.branch_old WHERE id = 4")
    t.append(35, 37, to="{t}.branch_old")
    t.sql(f"ALTER TABLE {{t}} CREATE TAG `on old/1` AS OF VERSION {t.current('old')} RETAIN 365 DAYS")
    t.call("fast_forward", branch="'main'", to="'audit'")
    t.append(40, 45)
    t.sql(f"ALTER TABLE {{t}} REPLACE BRANCH audit AS OF VERSION {t.current('old')} RETAIN 7 DAYS WITH SNAPSHOT RETENTION 3 SNAPSHOTS 2 DAYS")
    t.append(45, 50, to="{t}.branch_audit")
    t.sql("ALTER TABLE {t} DROP BRANCH gone")


@fixture("mk", "tr_identity", doc="identity partitions of every type that Spark has; a row of nulls, a negative one, one before 1970")
def tr_identity(t):
    kinds = "b boolean, i int, l bigint, f float, d double, n decimal(12,3), s string, x binary, dt date, ts timestamp, tn timestamp_ntz"
    t.create(f"id bigint, {kinds}", partitioned=", ".join(k.split()[0] for k in kinds.split(", ")))
    t.sql("INSERT INTO {t} VALUES (1, null, null, null, null, null, null, null, null, null, null, null)")
    t.sql(
        "INSERT INTO {t} VALUES (2, true, 7, 8, float('1.5'), 2.5D, 3.125, 'a/b c=ü%', X'00ff10', date'2024-02-29', timestamp'2024-02-29 12:00:00.5', timestamp_ntz'2024-02-29 12:00:00.000001'),"
        " (3, false, -7, -8, float('-1.5'), -2.5D, -3.125, '', X'', date'1901-12-31', timestamp'1969-12-31 23:59:59.999999', timestamp_ntz'0001-01-01 00:00:00')"
    )


@fixture("mk", "tr_hash", doc="bucket and truncate of int, long, decimal, string, binary, date and timestamp; null and negative values")
def tr_hash(t):
    columns = "id bigint, i int, l bigint, n decimal(9,2), s string, x binary, dt date, ts timestamp"
    parts = "bucket(4, i), bucket(8, l), bucket(16, n), bucket(4, s), bucket(4, x), bucket(4, dt), bucket(4, ts), truncate(10, i), truncate(10, l), truncate(50, n), truncate(2, s), truncate(3, x)"
    t.create(columns, partitioned=parts)
    t.sql("INSERT INTO {t} VALUES (1, null, null, null, null, null, null, null)")
    t.sql("INSERT INTO {t} VALUES (2, 15, 25, 10.65, 'iceberg', X'0102030405', date'2017-11-16', timestamp'2017-11-16 22:31:08')")
    t.sql("INSERT INTO {t} VALUES (3, -1, -11, -0.05, '日本語', X'ff', date'1969-12-31', timestamp'1969-12-31 23:59:59.999999')")


@fixture("mk", "tr_time", doc="year, month, day and hour of date, timestamp and timestamp without zone; null, before 1970 and far from it")
def tr_time(t):
    t.create(
        "id bigint, y date, m date, d date, ty timestamp, tm timestamp, td timestamp, th timestamp, nh timestamp_ntz",
        partitioned="years(y), months(m), days(d), years(ty), months(tm), days(td), hours(th), hours(nh)",
    )
    for i, (day, time) in enumerate((("2024-02-29", "2024-02-29 23:59:59"), ("1969-12-31", "1969-12-31 23:59:59.999999"), ("0001-01-01", "0001-01-01 00:00:00"), ("9999-12-31", "9999-12-31 23:59:59.999999"))):
        values = [f"date'{day}'"] * 3 + [f"timestamp'{time}'"] * 4 + [f"timestamp_ntz'{time}'"]
        t.sql(f"INSERT INTO {{t}} VALUES ({i}, {', '.join(values)})")
    t.sql("INSERT INTO {t} VALUES (9, null, null, null, null, null, null, null, null)")


@fixture("mk", "upgraded", doc="format version 1, then 2 with position deletes of a partition's granularity, then 3: deletion vectors beside the old position deletes, rows with and without ids")
def upgraded(t):
    t.create("id bigint, g int", partitioned="g", format__version="1")
    t.append(0, 20, "id, cast(id % 2 as int)")
    t.append(20, 40, "id, cast(id % 2 as int)")
    t.set(format__version="2", write_delete_granularity="partition", **MOR)
    t.sql("DELETE FROM {t} WHERE id IN (2, 3, 22, 23)")
    t.append(40, 50, "id, cast(id % 2 as int)")
    t.set(format__version="3")
    t.append(50, 60, "id, cast(id % 2 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (4, 44, 54)")
    t.sql("UPDATE {t} SET id = id + 1000 WHERE id = 25")


@fixture("mk", "v1_void", doc="format version 1 whose partition fields were dropped: they stay in the spec as void; a dropped column; values under three specs")
def v1_void(t):
    t.create("id bigint, g string, day date, extra int", partitioned="g, days(day)", format__version="1")
    t.append(0, 4, "id, if(id % 2 = 0, 'a', null), date_add(date'1969-12-31', cast(id as int)), cast(id as int)")
    t.sql("ALTER TABLE {t} DROP PARTITION FIELD g")
    t.append(4, 8, "id, 'b', date_add(date'2024-01-01', cast(id as int)), null")
    t.sql("ALTER TABLE {t} ADD PARTITION FIELD bucket(4, id)")
    t.sql("ALTER TABLE {t} DROP PARTITION FIELD days(day)")
    t.sql("ALTER TABLE {t} DROP COLUMN extra")
    t.append(8, 10, "id, 'c', null")
    t.sql("DELETE FROM {t} WHERE id = 5")


@fixture("mk", "rewritten_manifests", doc="six appends, a delete, then rewrite_manifests: entries EXISTING in manifests of another snapshot; an append after")
def rewritten_manifests(t):
    t.create("id bigint, g int", partitioned="g", **MOR)
    for i in range(6):
        t.append(i * 10, i * 10 + 10, "id, cast(id % 3 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (7, 8)")
    t.call("rewrite_manifests", use_caching="false")
    t.append(60, 65, "id, cast(id % 3 as int)")


@fixture("mk", "compacted", doc="rewrite_data_files of one partition with its starting sequence number: deletes stay, attached to files in which they match no row; then dangling deletes, then rewrite_position_delete_files")
def compacted(t):
    t.create("id bigint, g int", partitioned="g", write_delete_granularity="partition", **MOR)
    for i in range(3):
        t.append(i * 10, i * 10 + 10, "id, cast(id % 2 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (2, 3, 12)")
    t.call("rewrite_data_files", where="'g = 0'", options="map('rewrite-all', 'true', 'use-starting-sequence-number', 'true')")
    t.append(30, 40, "id, cast(id % 2 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (5, 14, 31, 32)")
    t.call("rewrite_data_files", where="'g = 1'", options="map('rewrite-all', 'true', 'use-starting-sequence-number', 'false', 'remove-dangling-deletes', 'false')")
    t.call("rewrite_position_delete_files", options="map('rewrite-all', 'true')")


@fixture("mk", "expired_middle", doc="snapshots expired from the middle by id: their children's parents are gone; a tag keeps an old one alive whose files main has no more")
def expired_middle(t):
    t.create(write_delete_mode="copy-on-write")
    ids = [t.append(i * 5, i * 5 + 5) for i in range(6)]
    t.sql(f"ALTER TABLE {{t}} CREATE TAG kept AS OF VERSION {ids[1]}")
    t.sql("DELETE FROM {t} WHERE id = 7")
    t.call("expire_snapshots", snapshot_ids=f"array({ids[2]}, {ids[3]})")
    t.append(30, 35)
    t.call("expire_snapshots", older_than="timestamp'2999-01-01 00:00:00'", retain_last="2")


@fixture("mk", "deletes_by_partition", doc="position deletes of a partition's granularity: one delete file over several data files, and data files that came after it")
def deletes_by_partition(t):
    t.create("id bigint, g string", partitioned="g", write_delete_granularity="partition", **MOR)
    for i in range(3):
        t.append(i * 10, i * 10 + 10, "id, if(id % 2 = 0, 'even', null)")
    t.sql("DELETE FROM {t} WHERE id IN (2, 4, 12, 22, 3, 13)")
    t.append(30, 40, "id, if(id % 2 = 0, 'even', null)")
    t.sql("DELETE FROM {t} WHERE id IN (6, 32, 33)")
    t.sql("MERGE INTO {t} USING (SELECT id, 'even' AS g FROM range(38, 42, 1, 1)) s ON {t}.id = s.id AND {t}.g = s.g WHEN MATCHED THEN UPDATE SET id = s.id + 1000 WHEN NOT MATCHED THEN INSERT *")


@fixture("mk", "nested", doc="structs in lists in maps and structs in structs, with metrics modes for leaves; nested columns added, renamed and dropped")
def nested(t):
    t.create(
        "id bigint, at struct<lat: double, lon: double, name: struct<full: string, short: string>>, tags map<string, array<struct<k: string, v: int>>>, pairs array<struct<a: int, b: struct<c: decimal(9,2)>>>",
        **{"write_metadata_metrics_column_at_name_full": "full", "write_metadata_metrics_column_at_name_short": "counts", "write_metadata_metrics_column_at_lon": "none"},
    )
    row = "id, named_struct('lat', id * 1.5D, 'lon', -id * 2.5D, 'name', named_struct('full', repeat(concat('long name ', id), 3), 'short', if(id % 2 = 0, 's', null))), map('x', array(named_struct('k', 'k', 'v', cast(id as int)))), array(named_struct('a', 1, 'b', named_struct('c', 1.25)))"
    t.append(0, 5, row)
    t.sql("ALTER TABLE {t} ADD COLUMN at.height float")
    t.sql("ALTER TABLE {t} RENAME COLUMN at.name.short TO brief")
    t.sql("ALTER TABLE {t} DROP COLUMN at.lon")
    t.sql("ALTER TABLE {t} ADD COLUMN pairs.element.b.d date")
    t.append(5, 8, "id, named_struct('lat', double('nan'), 'name', null, 'height', float(id)), null, array(named_struct('a', null, 'b', named_struct('c', -1.25, 'd', date'1960-01-01')))")
    t.sql("INSERT INTO {t} VALUES (9, null, null, null)")


@fixture("mk", "variant", doc="format version 3: a variant column, whole and null, beside others")
def variant(t):
    t.create("id bigint, v variant, s string", format__version="3", **MOR)
    t.append(0, 5, """id, parse_json(concat('{"a": ', id, ', "b": [true, "x"]}')), 'one'""")
    t.sql("INSERT INTO {t} VALUES (10, null, null)")
    t.sql("DELETE FROM {t} WHERE id = 2")


@fixture("mk", "lineage", doc="format version 3: row ids through update, merge and compaction; deletion vectors of several files in one Puffin file")
def lineage(t):
    t.create("id bigint, g int", partitioned="g", format__version="3", write_delete_granularity="file", **MOR)
    for i in range(3):
        t.append(i * 10, i * 10 + 10, "id, cast(id % 2 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (1, 2, 11, 12, 21, 22)")
    t.sql("UPDATE {t} SET id = id + 100 WHERE id IN (3, 14)")
    t.sql("MERGE INTO {t} USING (SELECT id FROM range(25, 35, 1, 1)) s ON {t}.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id, g) VALUES (s.id, 5)")
    t.call("rewrite_data_files", options="map('rewrite-all', 'true', 'min-input-files', '2')")


@fixture("mk", "modes_change", doc="metrics mode none, then counts, then full, column by column: what one file does not say makes the snapshot's sum unknown")
def modes_change(t):
    t.create("id bigint, a string, b double, c int", write_metadata_metrics_default="none", write_metadata_metrics_column_c="full")
    row = "id, concat('value that is longer than sixteen characters ', id), if(id = 3, double('nan'), id * 0.5D), cast(null as int)"
    t.append(0, 5, row)
    t.set(write_metadata_metrics_default="counts")
    t.append(5, 10, row)
    t.set(write_metadata_metrics_default="full", write_metadata_metrics_column_a="truncate(3)")
    t.append(10, 15, row)
    t.sql("DELETE FROM {t} WHERE id < 5")
    t.sql("DELETE FROM {t} WHERE id < 10")


@fixture("mk", "manifests_snappy", doc="manifests and manifest lists written with snappy")
def manifests_snappy(t):
    _codec(t, "snappy")


@fixture("mk", "manifests_zstd", doc="manifests and manifest lists written with zstd")
def manifests_zstd(t):
    _codec(t, "zstd")


@fixture("mk", "manifests_plain", doc="manifests and manifest lists written without compression")
def manifests_plain(t):
    _codec(t, "uncompressed")


def _codec(t, codec: str):
    t.create("id bigint, v string, g int", partitioned="g", write_manifest_compression__codec=codec, **MOR)
    t.append(0, 20, "id, concat('row ', id), cast(id % 3 as int)")
    t.append(20, 30, "id, concat('row ', id), cast(id % 3 as int)")
    t.sql("DELETE FROM {t} WHERE id IN (1, 2, 25)")


@fixture("mk", "wide", doc="300 columns: by default only the first 100 have metrics")
def wide(t):
    t.create(", ".join(f"c{i} {('bigint', 'string', 'double')[i % 3]}" for i in range(300)))
    t.append(0, 3, ", ".join(f"cast(id + {i} as {('bigint', 'string', 'double')[i % 3]})" for i in range(300)))


@fixture("mk", "empty", doc="made and never written; format version 3, partitioned")
def empty(t):
    t.create("id bigint, day date", partitioned="days(day)", format__version="3")


@fixture("mk", "truncated", doc="appended, truncated, overwritten with nothing, appended again: snapshots without a file")
def truncated(t):
    t.create()
    t.append(0, 10)
    t.sql("TRUNCATE TABLE {t}")
    t.sql("INSERT OVERWRITE {t} SELECT id, 'x' FROM range(0, 0, 1, 1)")
    t.append(0, 3)
    t.sql("DELETE FROM {t}")


@fixture("mk", "renamed", doc="columns renamed, swapped and moved, a name given to another column; appends before and after")
def renamed(t):
    t.create("id bigint, a string, b string")
    t.append(0, 5, "id, 'first a', 'first b'")
    t.sql("ALTER TABLE {t} RENAME COLUMN a TO c")
    t.sql("ALTER TABLE {t} RENAME COLUMN b TO a")
    t.sql("ALTER TABLE {t} ADD COLUMN b int FIRST")
    t.append(5, 10, "cast(id as int), id, 'was a', 'was b'")
    t.sql("ALTER TABLE {t} DROP COLUMN c")
    t.append(10, 12, "null, id, 'was b'")


@fixture("mk", "promoted", doc="int to long, float to double, decimal(9,2) to (18,2), in a partition source too: old files keep narrow bounds under the wide type; the newest value is in an old file")
def promoted(t):
    t.create("id int, f float, n decimal(9,2), k int", partitioned="k")
    t.sql("INSERT INTO {t} VALUES (2147483647, float('3.5'), 9999999.99, 1), (-5, float('-1.25'), -0.01, -1), (0, float('nan'), null, null)")
    for column, kind in (("id", "bigint"), ("f", "double"), ("n", "decimal(18,2)"), ("k", "bigint")):
        t.sql(f"ALTER TABLE {{t}} ALTER COLUMN {column} TYPE {kind}")
    t.sql("INSERT INTO {t} VALUES (-9007199254740993, 1e300, -1234567890123456.78, 5000000000), (7, -1e-300, 0.00, 1)")
    t.sql("DELETE FROM {t} WHERE id = -5")


@fixture("mk", "replaced", doc="CREATE OR REPLACE TABLE AS SELECT: another schema with fresh ids, a snapshot without a parent, the old ones still in the metadata")
def replaced(t):
    t.create("id bigint, g string", partitioned="g")
    t.append(0, 10, "id, if(id % 2 = 0, 'a', 'b')")
    t.append(10, 20, "id, if(id % 2 = 0, 'a', 'b')")
    t.sql("CREATE OR REPLACE TABLE {t} USING iceberg PARTITIONED BY (days(at)) AS SELECT cast(id as string) AS id, date_add(date'2024-01-01', cast(id as int)) AS at, id * 1.5D AS x FROM range(0, 3, 1, 1)")
    t.append(3, 5, "cast(id as string), date'1965-05-05', id * 2D")


@fixture("mk", "data_elsewhere", doc="data files outside of the table's location (write.data.path)")
def data_elsewhere(t):
    t.create(partitioned="truncate(1, id)", write_data_path=f"file:{LAKE}/elsewhere/data", **MOR)
    t.append(0, 3)
    t.sql("DELETE FROM {t} WHERE id = 1")


@fixture("mk", "inline_manifests", doc="format version 1 whose snapshots list their manifests themselves, without a manifest list, as writers did before 2019")
def inline_manifests(t):
    """Iceberg 1.11 reads such snapshots but does not write them. The metadata is rewritten to this form (spec, 'Snapshots') and registered."""
    t.create("id bigint, g int", partitioned="g", format__version="1")
    t.append(0, 6, "id, cast(id % 2 as int)")
    t.append(6, 9, "id, null")
    t.sql("DELETE FROM {t} WHERE g = 0")
    t.append(9, 12, "id, 7")
    newest = newest_metadata(t.dir)
    with open(newest) as file:
        metadata = json.load(file)
    table = t.table()
    for snapshot in metadata["snapshots"]:
        del snapshot["manifest-list"]
        manifests = table.snapshot(snapshot["snapshot-id"]).allManifests(table.io())
        snapshot["manifests"] = [manifest.path() for manifest in manifests]
    inline = os.path.join(t.dir, "metadata", "00005-11111111-2222-3333-4444-555555555555.metadata.json")
    with open(inline, "w") as file:
        json.dump(metadata, file)
    t.sql("DROP TABLE {t}")
    for old in glob.glob(os.path.join(t.dir, "metadata", "*")):
        if old != inline and (old.endswith(".metadata.json") or os.path.basename(old).startswith("snap-")):
            os.remove(old)
    t.sql(f"CALL {CATALOG}.system.register_table(table => '{t.ident}', metadata_file => 'file:{inline}')")


def _odd(t):
    t.create("`a column` bigint, `ünï.dot` string, `quo``te` int", partitioned="`ünï.dot`")
    t.sql("INSERT INTO {t} VALUES (1, 'a b/c', 1), (2, 'é%20+', 2), (3, null, 3), (4, '', null)")
    t.sql("ALTER TABLE {t} CREATE TAG `v 1.0/ü`")


for _names in (("odd names", "with space"), ("odd names", "ünïcode 表"), ("odd names", "100%20+'x'"), ("odd names", "dot.ted"), ("mk", "deep", "er", "leaf"), ("a.b", "c")):
    fixture(*_names, doc="odd names of the table, its columns, partition values and a tag")(_odd)
