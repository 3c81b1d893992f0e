"""A fixture table while it is created: short forms of the most frequent operations, and the table's location on disk."""

import os
from dataclasses import dataclass
from typing import Callable

from engine import CATALOG, Java, copy_metadata
from truth import TruthWriter, save

# where the tables are created; the fixtures and the checks recognize shared paths by `/iceberg/`
LAKE = "/lake/made/iceberg"


@dataclass
class Spec:
    """A fixture to create: its namespace levels and name, what it demonstrates, and the function that creates it."""

    names: tuple[str, ...]
    doc: str
    make: Callable
    rows: str | None = "spark"


def registry():
    """Returns a list of fixtures and the decorator that adds to it."""
    specs: list[Spec] = []

    def fixture(*names: str, doc: str, rows: str | None = "spark"):
        def add(make):
            specs.append(Spec(names, doc, make, rows))
            return make

        return add

    return specs, fixture


class Fixture:
    def __init__(self, java: Java, spec: Spec, target: str):
        self.java, self.spec, self.target = java, spec, target
        self.spark = java.spark
        self.iceberg = java.iceberg
        # a JDBC catalog joins namespace levels with dots, so a level cannot contain one
        self.ident = ".".join(f"`{n}`" for n in [*(n.replace(".", "_") for n in spec.names[:-1]), spec.names[-1]])
        self.name = ".".join(spec.names)
        self.dir = os.path.join(LAKE, "wh", *spec.names)

    # writing

    def sql(self, query: str):
        """Runs a query in which `{t}` stands for the table."""
        return self.spark.sql(query.replace("{t}", f"{CATALOG}.{self.ident}"))

    def create(self, columns: str = "id bigint, v string", partitioned: str = "", **properties):
        """Runs CREATE TABLE. In the names of properties, `__` stands for `-` and `_` for `.`."""
        said = {key.replace("__", "-").replace("_", "."): value for key, value in properties.items()}
        props = ", ".join(f"'{k}'='{v}'" for k, v in said.items())
        partitions = f"PARTITIONED BY ({partitioned})" if partitioned else ""
        location = "file:" + self.dir.replace("'", "\\'")
        self.sql(f"CREATE TABLE {{t}} ({columns}) USING iceberg {partitions} LOCATION '{location}' {f'TBLPROPERTIES ({props})' if props else ''}")

    def set(self, **properties):
        for key, value in properties.items():
            self.sql(f"ALTER TABLE {{t}} SET TBLPROPERTIES ('{key.replace('__', '-').replace('_', '.')}'='{value}')")

    def append(self, first: int, last: int, columns: str = "id, concat('row ', id)", to: str = "{t}") -> int:
        """Appends the rows from `first` to `last` (exclusive) as one file and returns the snapshot's id."""
        self.sql(f"INSERT INTO {to} SELECT {columns} FROM range({first}, {last}, 1, 1)")
        return self.current()

    def call(self, procedure: str, **arguments: str):
        """Calls a system procedure on this table. The arguments are SQL."""
        said = "".join(f", {key} => {value}" for key, value in arguments.items())
        return self.sql(f"CALL {CATALOG}.system.{procedure}(table => '{self.ident}'{said})")

    # reading

    def table(self):
        return self.java.table(self.ident)

    def current(self, ref: str = "main") -> int | None:
        snapshot = self.table().snapshot(ref)
        return snapshot.snapshotId() if snapshot else None

    def last(self) -> int:
        """Returns the newest snapshot, including staged ones and those on branches."""
        return self.sql("SELECT snapshot_id FROM {t}.snapshots ORDER BY committed_at DESC LIMIT 1").first()[0]

    # keeping

    def truth(self) -> dict:
        return TruthWriter(self.java).describe(self.table(), self.name, self.spec.doc, self.spec.rows, self.ident)

    def keep(self) -> None:
        """Saves the table's current state under `before/` and its truth under `before-truth/`, as the earlier state of the fixture."""
        copy_metadata(self.dir, os.path.join(self.target, "before", *self.spec.names))
        self._save("before-truth")

    def finish(self) -> None:
        if self.spec.names[0] == "quirks":
            self.target = os.path.join(self.target, "quirks")
        copy_metadata(self.dir, os.path.join(self.target, "wh", *self.spec.names))
        # shared/check/iceberg_truth.py interprets each dot of a name as a separator between levels
        self._save("truth-dotted" if any("." in n for n in self.spec.names) else "truth")

    def _save(self, folder: str) -> None:
        os.makedirs(os.path.join(self.target, folder), exist_ok=True)
        save(self.truth(), os.path.join(self.target, folder, f"{self.name}.json"))
