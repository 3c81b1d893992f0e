"""The content of a table according to Iceberg Java, which is the truth that the catalog's responses are compared with.

Files, counts, bounds and their human-readable text come from Iceberg's manifest reader and type conversions. The files to read and the
deletes that apply come from its scan planning. `live_rows` comes from a real scan of the data by Spark, or by Iceberg's generic reader if
Spark lacks a type. This project computes none of it.
"""

import json

# Returns Iceberg's text of a bound, or of a file's partition values (raw and human-readable, alternating). This is Java code, compiled in
# the JVM by Spark's Janino, because Py4J converts a small Long to an Integer, which Iceberg's code rejects.
HUMAN = """
public Object apply(Object kind, Object value) {
  if (kind instanceof org.apache.iceberg.PartitionSpec) {
    org.apache.iceberg.PartitionSpec spec = (org.apache.iceberg.PartitionSpec) kind;
    org.apache.iceberg.StructLike partition = (org.apache.iceberg.StructLike) value;
    java.util.List said = new java.util.ArrayList();
    for (int i = 0; i < spec.fields().size(); i++) {
      org.apache.iceberg.PartitionField field = (org.apache.iceberg.PartitionField) spec.fields().get(i);
      org.apache.iceberg.types.Type type = ((org.apache.iceberg.types.Types.NestedField) spec.partitionType().fields().get(i)).type();
      Object raw = partition.get(i, Object.class);
      if (raw instanceof java.nio.ByteBuffer) raw = java.util.Base64.getEncoder().encodeToString(org.apache.iceberg.util.ByteBuffers.toByteArray((java.nio.ByteBuffer) raw));
      said.add(raw == null ? null : raw.toString());
      said.add(field.transform().toHumanString(type, partition.get(i, Object.class)));
    }
    return said;
  }
  org.apache.iceberg.types.Type type = (org.apache.iceberg.types.Type) kind;
  return org.apache.iceberg.transforms.Transforms.identity().toHumanString(type, org.apache.iceberg.types.Conversions.fromByteBuffer(type, (java.nio.ByteBuffer) value));
}
"""


class TruthWriter:
    def __init__(self, java):
        self.java = java
        self.iceberg = java.iceberg
        self.spark = java.spark
        self.human = java.function(HUMAN)

    def describe(self, table, name: str, doc: str, rows="spark", ident: str | None = None) -> dict:
        """Returns the truth of `table` (Java), named `name` in the catalog. `rows` selects the engine that counts rows: `spark`
        (by `ident`), `java`, or None for a table without data to read."""
        self.files, self.keys = {}, {}
        self.schemas = {int(i): table.schemas()[i] for i in table.schemas()}
        self.table = table
        # schemas in which a field's name and type are looked up: the current one first, then the others from the newest
        self.lookup = [table.schema()] + [self.schemas[i] for i in sorted(self.schemas, reverse=True)]
        meta = table.operations().current()
        snapshots = [self._snapshot(s, rows, ident) for s in self._each(table.snapshots())]
        current = table.currentSnapshot()
        return {
            "table": name,
            "doc": doc,
            "engine": "iceberg-java 1.11.0",
            "location": table.location(),
            "metadata_location": meta.metadataFileLocation(),
            "uuid": str(table.uuid()),
            "format_version": meta.formatVersion(),
            "last_sequence_number": meta.lastSequenceNumber(),
            "last_updated_ms": meta.lastUpdatedMillis(),
            "last_column_id": meta.lastColumnId(),
            "current_snapshot_id": current.snapshotId() if current else None,
            "current_schema_id": table.schema().schemaId(),
            "default_spec_id": table.spec().specId(),
            "schemas": [json.loads(self.iceberg.SchemaParser.toJson(self.schemas[i])) for i in sorted(self.schemas)],
            "specs": [json.loads(self.iceberg.PartitionSpecParser.toJson(table.specs()[i])) for i in sorted(table.specs())],
            "properties": dict(table.properties()),
            "refs": {ref: self._ref(table.refs()[ref]) for ref in sorted(table.refs())},
            "snapshot_log": [{"timestamp_ms": e.timestampMillis(), "snapshot_id": e.snapshotId()} for e in self._each(table.history())],
            "snapshots": snapshots,
            "files": self.files,
        }

    def _each(self, *iterables) -> list:
        lists = self.iceberg.relocated.com.google.common.collect.Lists
        return [item for iterable in iterables for item in lists.newArrayList(iterable)]

    def _ref(self, ref) -> dict:
        said = {
            "type": str(ref.type()).lower(),
            "snapshot_id": ref.snapshotId(),
            "min_snapshots_to_keep": ref.minSnapshotsToKeep(),
            "max_snapshot_age_ms": ref.maxSnapshotAgeMs(),
            "max_ref_age_ms": ref.maxRefAgeMs(),
        }
        return {k: v for k, v in said.items() if v is not None}

    def _snapshot(self, snapshot, rows, ident) -> dict:
        io, specs, sid = self.table.io(), self.table.specs(), snapshot.snapshotId()
        live = []
        for manifest in snapshot.allManifests(io):
            deletes = str(manifest.content()) == "DELETES"
            reader = (self.iceberg.ManifestFiles.readDeleteManifest if deletes else self.iceberg.ManifestFiles.read)(manifest, io, specs)
            for file in self._each(reader):
                entry = {"file": self._file(file), "seq": file.dataSequenceNumber(), "file_seq": file.fileSequenceNumber()}
                first_row = None if deletes else file.firstRowId()
                if first_row is not None:
                    # after an upgrade to format version 3, a file gets its row ids in a later snapshot than its first
                    entry["first_row_id"] = self.files[entry["file"]]["first_row_id"] = first_row
                live.append(entry)
            reader.close()
        plan = []
        tasks = self.table.newScan().useSnapshot(sid).planFiles()
        for task in self._each(tasks):
            entry = {"file": self._file(task.file()), "start": task.start(), "length": task.length()}
            deletes = [self._file(d) for d in task.deletes()]
            plan.append({**entry, "deletes": deletes} if deletes else entry)
        tasks.close()
        changes = self.iceberg.SnapshotChanges.builderFor(self.table).snapshot(snapshot).build()
        said = {
            "snapshot_id": sid,
            "parent_id": snapshot.parentId(),
            "sequence_number": snapshot.sequenceNumber(),
            "timestamp_ms": snapshot.timestampMillis(),
            "operation": snapshot.operation(),
            "schema_id": snapshot.schemaId(),
            "manifest_list": snapshot.manifestListLocation(),
            "summary": dict(snapshot.summary()),
            "live": live,
            "totals": self._totals(live),
            "added": [self._file(f) for f in self._each(changes.addedDataFiles(), changes.addedDeleteFiles())],
            "removed": [self._file(f) for f in self._each(changes.removedDataFiles(), changes.removedDeleteFiles())],
            "plan": plan,
        }
        if snapshot.firstRowId() is not None:
            said |= {"first_row_id": snapshot.firstRowId(), "added_rows": snapshot.addedRows()}
        if rows == "spark":
            from engine import CATALOG

            said["live_rows"] = self.spark.sql(f"SELECT count(*) FROM {CATALOG}.{ident} VERSION AS OF {sid}").first()[0]
        elif rows == "java":
            scan = self.iceberg.data.IcebergGenerics.read(self.table).useSnapshot(sid).build()
            said["live_rows"] = len(self._each(scan))
            scan.close()
        return said

    def _totals(self, live: list) -> dict:
        files = [self.files[entry["file"]] for entry in live]
        of = {kind: [f for f in files if f["content"] == kind] for kind in ("DATA", "POSITION_DELETES", "EQUALITY_DELETES")}
        deletes = of["POSITION_DELETES"] + of["EQUALITY_DELETES"]
        return {
            "data_files": len(of["DATA"]),
            "position_delete_files": len([f for f in of["POSITION_DELETES"] if f["format"] != "PUFFIN"]),
            "equality_delete_files": len(of["EQUALITY_DELETES"]),
            "deletion_vectors": len([f for f in of["POSITION_DELETES"] if f["format"] == "PUFFIN"]),
            "data_records": sum(f["record_count"] for f in of["DATA"]),
            "position_delete_records": sum(f["record_count"] for f in of["POSITION_DELETES"]),
            "equality_delete_records": sum(f["record_count"] for f in of["EQUALITY_DELETES"]),
            "data_bytes": sum(f["file_size_in_bytes"] for f in of["DATA"]),
            "delete_bytes": sum(f["file_size_in_bytes"] for f in deletes),
        }

    def _file(self, file) -> str:
        """Returns the file's key and describes the file at its first occurrence. The key of a deletion vector includes its offset."""
        deletes = str(file.content()) != "DATA"
        offset = file.contentOffset() if deletes else None
        met = (file.location(), offset)
        if met in self.keys:
            return self.keys[met]
        key = self.keys[met] = f"f{len(self.keys)}"
        said = {
            "content": str(file.content()),
            "path": file.location(),
            "format": str(file.format()),
            "spec_id": file.specId(),
            "partition": self._partition(file),
            "record_count": file.recordCount(),
            "file_size_in_bytes": file.fileSizeInBytes(),
            "sort_order_id": file.sortOrderId(),
            "split_offsets": list(file.splitOffsets()) if file.splitOffsets() else None,
            "equality_ids": list(file.equalityFieldIds()) if file.equalityFieldIds() else None,
            "content_offset": offset,
            "content_size_in_bytes": file.contentSizeInBytes() if deletes else None,
            "referenced_data_file": file.referencedDataFile() if deletes else None,
        }
        self.files[key] = {k: v for k, v in said.items() if v is not None} | {"columns": self._columns(file)}
        return key

    def _partition(self, file) -> list:
        spec = self.table.specs()[file.specId()]
        said = list(self.human.apply(spec, file.partition()))
        return [
            {"name": field.name(), "field_id": field.fieldId(), "type": str(kind.type()), "raw": said[2 * i], "human": said[2 * i + 1]}
            for i, (field, kind) in enumerate(zip(spec.fields(), spec.partitionType().fields()))
        ]

    def _columns(self, file) -> dict:
        columns: dict[int, dict] = {}
        counts = (("size", file.columnSizes()), ("values", file.valueCounts()), ("nulls", file.nullValueCounts()), ("nans", file.nanValueCounts()))
        for said, by_id in counts:
            for column, count in (by_id or {}).items():
                columns.setdefault(int(column), {})[said] = count
        for said, by_id in (("lower", file.lowerBounds()), ("upper", file.upperBounds())):
            for column, buffer in (by_id or {}).items():
                entry = columns.setdefault(int(column), {})
                raw = bytes(self.iceberg.util.ByteBuffers.toByteArray(buffer))
                entry[said], entry[f"{said}_hex"] = self._human(int(column), buffer), raw.hex()
        return {str(c): {**self._name(c), **columns[c]} for c in sorted(columns)}

    def _field(self, column: int):
        reserved = column > 2147483000
        if reserved:
            return self.iceberg.MetadataColumns.DELETE_FILE_PATH if column == 2147483546 else self.iceberg.MetadataColumns.DELETE_FILE_POS
        for schema in self.lookup:
            field = schema.findField(column)
            if field is not None:
                return field
        return None

    def _name(self, column: int) -> dict:
        field = self._field(column)
        if field is None:
            return {"name": None, "type": None}
        path = next((s.findColumnName(column) for s in self.lookup if s.findColumnName(column)), field.name())
        return {"name": path, "type": str(field.type())}

    def _human(self, column: int, buffer) -> str | None:
        field = self._field(column)
        if field is None:
            return None
        try:
            return self.human.apply(field.type(), buffer)
        except Exception as error:  # a type without a text form (variant, geometry)
            return f"({type(error).__name__})"


def save(truth: dict, path: str) -> None:
    """Writes one line per snapshot and per file, so that differences are visible in a diff."""
    lines = []
    for key, value in truth.items():
        if key == "snapshots" and value:
            body = "[\n" + ",\n".join(json.dumps(s, ensure_ascii=False) for s in value) + "\n]"
        elif key == "files" and value:
            body = "{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items()) + "\n}"
        else:
            body = json.dumps(value, ensure_ascii=False)
        lines.append(f"{json.dumps(key)}: {body}")
    with open(path, "w", encoding="utf-8") as out:
        out.write("{\n" + ",\n".join(lines) + "\n}\n")
