"""One fixture table while it is made: short forms for what the makers say most, and its place on disk."""

import os
from dataclasses import dataclass
from typing import Callable

from engine import CATALOG, Java, copy_metadata
from truth import TruthWriter, save

# where the tables are made: `/iceberg/` in it is what shared paths are told by, in the fixtures and in the checks
LAKE = "/lake/made/iceberg"


@dataclass
class Spec:
    """A fixture to make: its namespace levels and name, what it shows, and the function that makes it."""

    names: tuple[str, ...]
    doc: str
    make: Callable
    rows: str | None = "spark"


def registry():
    """A list of fixtures and the decorator that adds to it."""
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
        # a JDBC catalog joins namespace levels with dots and so has none in a level
        self.ident = ".".join(f"`{n}`" for n in [*(n.replace(".", "_") for n in spec.names[:-1]), spec.names[-1]])
        self.name = ".".join(spec.names)
        self.dir = os.path.join(LAKE, "wh", *spec.names)

    # writing

    def sql(self, query: str):
        """Runs a query in which `{t}` stands for the table."""
        return self.spark.sql(query.replace("{t}", f"{CATALOG}.{self.ident}"))

    def create(self, columns: str = "id bigint, v string", partitioned: str = "", **properties):
        """CREATE TABLE; a property's `__` is a `-` and `_` is a `.`."""
        said = {key.replace("__", "-").replace("_", "."): value for key, value in properties.items()}
        props = ", ".join(f"'{k}'='{v}'" for k, v in said.items())
        partitions = f"PARTITIONED BY ({partitioned})" if partitioned else ""
        location = "file:" + self.dir.replace("'", "\\'")
        self.sql(f"CREATE TABLE {{t}} ({columns}) USING iceberg {partitions} LOCATION '{location}' {f'TBLPROPERTIES ({props})' if props else ''}")

    def set(self, **properties):
        for key, value in properties.items():
            self.sql(f"ALTER TABLE {{t}} SET TBLPROPERTIES ('{key.replace('__', '-').replace('_', '.')}'='{value}')")

    def append(self, first: int, last: int, columns: str = "id, concat('row ', id)", to: str = "{t}") -> int:
        """Appends the rows of `first` to `last` (not included) as one file; gives the snapshot's id."""
        self.sql(f"INSERT INTO {to} SELECT {columns} FROM range({first}, {last}, 1, 1)")
        return self.current()

    def call(self, procedure: str, **arguments: str):
        """CALL system.procedure on this table; arguments are SQL."""
        said = "".join(f", {key} => {value}" for key, value in arguments.items())
        return self.sql(f"CALL {CATALOG}.system.{procedure}(table => '{self.ident}'{said})")

    # reading

    def table(self):
        return self.java.table(self.ident)

    def current(self, ref: str = "main") -> int | None:
        snapshot = self.table().snapshot(ref)
        return snapshot.snapshotId() if snapshot else None

    def last(self) -> int:
        """The newest snapshot of all, staged or on a branch too."""
        return self.sql("SELECT snapshot_id FROM {t}.snapshots ORDER BY committed_at DESC LIMIT 1").first()[0]

    # keeping

    def truth(self) -> dict:
        return TruthWriter(self.java).describe(self.table(), self.name, self.spec.doc, self.spec.rows, self.ident)

    def keep(self) -> None:
        """Keeps the table as it is now under `before/`, with its truth in `before-truth/`: an earlier state to go on from."""
        copy_metadata(self.dir, os.path.join(self.target, "before", *self.spec.names))
        self._save("before-truth")

    def finish(self) -> None:
        if self.spec.names[0] == "quirks":
            self.target = os.path.join(self.target, "quirks")
        copy_metadata(self.dir, os.path.join(self.target, "wh", *self.spec.names))
        # shared/check/iceberg_truth.py takes each dot of a name for a level
        self._save("truth-dotted" if any("." in n for n in self.spec.names) else "truth")

    def _save(self, folder: str) -> None:
        os.makedirs(os.path.join(self.target, folder), exist_ok=True)
        save(self.truth(), os.path.join(self.target, folder, f"{self.name}.json"))
