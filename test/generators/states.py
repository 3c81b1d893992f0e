"""Fixture tables in two states: one to reconcile first, and a later one. `keep` saves the first."""

from fixture import registry
from spark_tables import MOR

STATES, fixture = registry()
# keep every metadata file, so that the later state also contains those of the earlier one
KEEP = {"write_metadata_previous__versions__max": "100"}


@fixture("inc", "appended", doc="later: two more appends")
def appended(t):
    t.create("id bigint, g int", partitioned="g", **KEEP)
    t.append(0, 10, "id, cast(id % 2 as int)")
    t.append(10, 20, "id, cast(id % 2 as int)")
    t.keep()
    t.append(20, 30, "id, cast(id % 2 as int)")
    t.append(30, 40, "id, cast(id % 2 as int)")


@fixture("inc", "unchanged", doc="later: just the same")
def unchanged(t):
    t.create(**KEEP)
    t.append(0, 10)
    t.keep()


@fixture("inc", "overwritten", doc="later: INSERT OVERWRITE of everything, then an append")
def overwritten(t):
    t.create(**KEEP)
    t.append(0, 10)
    t.append(10, 20)
    t.keep()
    t.sql("INSERT OVERWRITE {t} SELECT id, 'new' FROM range(50, 55, 1, 1)")
    t.append(55, 60)


@fixture("inc", "deleted_from", doc="later: position deletes, an update, and a delete that replaces a delete file")
def deleted_from(t):
    t.create(write_delete_granularity="file", **MOR, **KEEP)
    t.append(0, 10)
    t.sql("DELETE FROM {t} WHERE id = 1")
    t.keep()
    t.sql("DELETE FROM {t} WHERE id = 2")
    t.sql("UPDATE {t} SET v = 'changed' WHERE id = 3")


@fixture("inc", "expired", doc="later: the older snapshots are expired, nothing else changed")
def expired(t):
    t.create(**KEEP)
    for i in range(4):
        t.append(i * 5, i * 5 + 5)
    t.sql("DELETE FROM {t} WHERE id = 2")
    t.keep()
    t.call("expire_snapshots", older_than="timestamp'2999-01-01 00:00:00'", retain_last="2")


@fixture("inc", "rolled_back", doc="later: main rolled back to the first snapshot and an append there; the old line stays in the metadata")
def rolled_back(t):
    t.create(**KEEP)
    first = t.append(0, 10)
    t.append(10, 20)
    t.append(20, 30)
    t.keep()
    t.call("rollback_to_snapshot", snapshot_id=str(first))
    t.append(30, 35)


@fixture("inc", "rolled_back_only", doc="later: main rolled back, no new snapshot at all")
def rolled_back_only(t):
    t.create(**KEEP)
    first = t.append(0, 10)
    t.append(10, 20)
    t.keep()
    t.call("rollback_to_snapshot", snapshot_id=str(first))


@fixture("inc", "remade", doc="later: dropped and made again under its name, with another uuid, schema and partitioning")
def remade(t):
    import shutil

    t.create("id bigint, v string", **KEEP)
    t.append(0, 10)
    t.append(10, 20)
    t.keep()
    t.sql("DROP TABLE {t}")
    shutil.rmtree(t.dir)
    t.create("id bigint, v string, day date", partitioned="days(day)", **KEEP)
    t.append(0, 3, "id, 'again', date'2024-05-05'")


@fixture("inc", "evolved", doc="later: columns added, renamed, widened and dropped, another partition spec, an append")
def evolved(t):
    t.create("id int, a string, b int", **KEEP)
    t.append(0, 10, "cast(id as int), 'a', 1")
    t.keep()
    t.sql("ALTER TABLE {t} ADD COLUMN day date")
    t.sql("ALTER TABLE {t} RENAME COLUMN a TO name")
    t.sql("ALTER TABLE {t} ALTER COLUMN id TYPE bigint")
    t.sql("ALTER TABLE {t} DROP COLUMN b")
    t.sql("ALTER TABLE {t} ADD PARTITION FIELD days(day)")
    t.append(10, 12, "id, 'b', date'2024-01-02'")


@fixture("inc", "schema_only", doc="later: a column was added and properties set; no new snapshot")
def schema_only(t):
    t.create(**KEEP)
    t.append(0, 10)
    t.keep()
    t.sql("ALTER TABLE {t} ADD COLUMN more int")
    t.sql("ALTER TABLE {t} SET TBLPROPERTIES ('comment' = 'changed')")


@fixture("inc", "refs_only", doc="later: a tag moved, a branch came, another went; no new snapshot on main, one on a branch")
def refs_only(t):
    t.create(**KEEP)
    first = t.append(0, 10)
    t.append(10, 20)
    t.sql(f"ALTER TABLE {{t}} CREATE TAG here AS OF VERSION {first}")
    t.sql("ALTER TABLE {t} CREATE BRANCH goes")
    t.keep()
    t.sql("ALTER TABLE {t} REPLACE TAG here")
    t.sql("ALTER TABLE {t} DROP BRANCH goes")
    t.sql("ALTER TABLE {t} CREATE BRANCH comes")
    t.append(20, 25, to="{t}.branch_comes")


@fixture("inc", "compacted", doc="later: data files and manifests rewritten, same rows")
def compacted(t):
    t.create(**KEEP)
    for i in range(4):
        t.append(i * 5, i * 5 + 5)
    t.keep()
    t.call("rewrite_data_files", options="map('rewrite-all', 'true')")
    t.call("rewrite_manifests", use_caching="false")


@fixture("inc", "filled", doc="earlier: no snapshot yet; later: two")
def filled(t):
    t.create(**KEEP)
    t.keep()
    t.append(0, 5)
    t.append(5, 10)


@fixture("inc", "upgraded", doc="later: format version 2 became 3, with a deletion vector that takes the place of a position delete file")
def upgraded(t):
    t.create(write_delete_granularity="file", **MOR, **KEEP)
    t.append(0, 10)
    t.sql("DELETE FROM {t} WHERE id = 1")
    t.keep()
    t.set(format__version="3")
    t.sql("DELETE FROM {t} WHERE id = 2")
    t.append(10, 15)
