"""Changes the tables of a REST catalog for a while, one operation after the other, and prints the truth of the remaining tables.

`seed` determines the order of the operations; every kind occurs.
"""

import json
import random
import sys
import time

from lake import EVENTS, events, open_catalog, read_input, truths
from pyiceberg.expressions import EqualTo
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.transforms import BucketTransform, IdentityTransform
from pyiceberg.types import StringType

NAMESPACE = ("busy",)


class Writer:
    def __init__(self, catalog, choose: random.Random, tables: int):
        self.catalog, self.choose = catalog, choose
        self.next_id = 0
        self.names = [f"t{n}" for n in range(tables)]
        catalog.create_namespace_if_not_exists(NAMESPACE)
        for name in self.names:
            self.create(name)

    def create(self, name: str):
        t = self.catalog.create_table((*NAMESPACE, name), EVENTS, partition_spec=PartitionSpec())
        t.append(self.rows(t))

    def rows(self, t):
        """New rows with the table's current schema."""
        count = self.choose.randint(1, 8)
        first, self.next_id = self.next_id, self.next_id + count
        rows = events(first, first + count)
        return rows.select([field.name for field in t.schema().fields if field.name in rows.column_names])

    # the operations

    def append(self, name, t):
        t.append(self.rows(t))

    def overwrite(self, name, t):
        t.overwrite(self.rows(t))

    def overwrite_some(self, name, t):
        t.overwrite(self.rows(t), overwrite_filter=EqualTo("g", "a"))

    def delete(self, name, t):
        t.delete(EqualTo("g", self.choose.choice("abc")))

    def delete_one(self, name, t):
        t.delete(f"id = {self.choose.randrange(max(1, self.next_id))}")

    def add_column(self, name, t):
        with t.update_schema() as update:
            update.add_column(f"c{self.next_id}_{self.choose.randrange(1000)}", StringType())

    def drop_column(self, name, t):
        if "x" in t.schema().column_names:
            with t.update_schema() as update:
                update.delete_column("x")

    def evolve_spec(self, name, t):
        with t.update_spec() as update:
            if t.spec().fields:
                update.remove_field(t.spec().fields[0].name)
            else:
                transform, source = self.choose.choice([(IdentityTransform(), "g"), (BucketTransform(3), "id")])
                update.add_field(source, transform, f"p{self.choose.randrange(10**6)}")

    def roll_back(self, name, t):
        parent = t.current_snapshot() and t.current_snapshot().parent_snapshot_id
        if parent and t.snapshot_by_id(parent):
            t.manage_snapshots().rollback_to_snapshot(parent).commit()

    def expire(self, name, t):
        kept = {ref.snapshot_id for ref in t.metadata.refs.values()}
        old = [s.snapshot_id for s in t.snapshots() if s.snapshot_id not in kept]
        if old:
            t.maintenance.expire_snapshots().by_ids(old[: self.choose.randint(1, len(old))]).commit()

    def tag(self, name, t):
        t.manage_snapshots().create_tag(t.current_snapshot().snapshot_id, f"tag{self.choose.randrange(10**6)}").commit()

    def recreate(self, name, t):
        self.catalog.drop_table((*NAMESPACE, name))
        self.create(name)

    def drop(self, name, t):
        if len(self.names) > 3:
            self.catalog.drop_table((*NAMESPACE, name))
            self.names.remove(name)

    def new(self, name, t):
        self.names.append(f"n{self.next_id}")
        self.create(self.names[-1])

    def rename(self, name, t):
        renamed = f"r{self.next_id}_{self.choose.randrange(1000)}"
        self.catalog.rename_table((*NAMESPACE, name), (*NAMESPACE, renamed))
        self.names[self.names.index(name)] = renamed

    OFTEN = [append] * 8 + [overwrite, overwrite_some, delete, delete_one] * 2
    SELDOM = [add_column, drop_column, evolve_spec, roll_back, expire, tag, recreate, drop, new, rename]

    def run(self, operations: int, pause: float):
        todo = [*self.SELDOM * 2, *(self.choose.choice(self.OFTEN) for _ in range(operations - 2 * len(self.SELDOM)))]
        self.choose.shuffle(todo)
        for operation in todo:
            name = self.choose.choice(self.names)
            t = self.catalog.load_table((*NAMESPACE, name))
            if operation is Writer.tag and not t.current_snapshot():
                continue
            try:
                operation(self, name, t)
            except Exception as error:
                raise RuntimeError(f"{operation.__name__} of {name}") from error
            time.sleep(pause)


def main():
    options = read_input()
    catalog = open_catalog(options["catalog"])
    writer = Writer(catalog, random.Random(options["seed"]), options["tables"])
    writer.run(options["operations"], options["pause"])
    json.dump(truths(catalog, [NAMESPACE]), sys.stdout)


main()
