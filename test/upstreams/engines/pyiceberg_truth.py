"""The content of a table as pyiceberg reads it, every snapshot included, in the format of the fixtures' truth (test/integration/contents/truth.ts)."""

from pyiceberg.manifest import DataFileContent
from pyiceberg.table import Table

CONTENT = {
    DataFileContent.DATA: ("DATA", "data_files"),
    DataFileContent.POSITION_DELETES: ("POSITION_DELETES", "position_delete_files"),
    DataFileContent.EQUALITY_DELETES: ("EQUALITY_DELETES", "equality_delete_files"),
}
# names in the truth, and the maps of a data file that contain the values
METRICS = {
    "size": lambda f: f.column_sizes,
    "values": lambda f: f.value_counts,
    "nulls": lambda f: f.null_value_counts,
    "nans": lambda f: f.nan_value_counts,
    "lower_hex": lambda f: {id: value.hex() for id, value in (f.lower_bounds or {}).items()},
    "upper_hex": lambda f: {id: value.hex() for id, value in (f.upper_bounds or {}).items()},
}


def truth(table: Table) -> dict:
    metadata = table.metadata
    files: dict[str, dict] = {}
    return {
        "current_snapshot_id": _id(metadata.current_snapshot_id),
        "refs": {
            name: {"type": ref.snapshot_ref_type.value, "snapshot_id": _id(ref.snapshot_id)} for name, ref in metadata.refs.items()
        },
        "snapshots": [_snapshot(table, snapshot, files) for snapshot in metadata.snapshots],
        "files": files,
    }


def _snapshot(table: Table, snapshot, files: dict) -> dict:
    live = []
    totals = {"data_records": 0, "data_files": 0, "data_bytes": 0}
    for manifest in snapshot.manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
            file = entry.data_file
            content, counted_as = CONTENT[file.content]
            totals[counted_as] = totals.get(counted_as, 0) + 1
            if content == "DATA":
                totals["data_records"] += file.record_count
                totals["data_bytes"] += file.file_size_in_bytes
            if file.file_path not in files:
                files[file.file_path] = _file(table, file, content, manifest.partition_spec_id)
            live.append({"file": file.file_path, "seq": entry.sequence_number, "file_seq": entry.file_sequence_number})
    is_current = snapshot.snapshot_id == table.metadata.current_snapshot_id
    return {
        "snapshot_id": _id(snapshot.snapshot_id),
        "parent_id": _id(snapshot.parent_snapshot_id),
        "sequence_number": snapshot.sequence_number or 0,
        "timestamp_ms": snapshot.timestamp_ms,
        "operation": snapshot.summary.operation.value,
        "schema_id": snapshot.schema_id,
        "live": live,
        "totals": totals,
        # counted by a real scan
        "live_rows": table.scan().to_arrow().num_rows if is_current else None,
    }


def _file(table: Table, file, content: str, spec_id: int) -> dict:
    maps = {name: metric(file) or {} for name, metric in METRICS.items()}
    ids = sorted({id for values in maps.values() for id in values})
    spec = table.specs()[spec_id]
    return {
        "path": file.file_path,
        "content": content,
        "format": file.file_format.value,
        "spec_id": spec_id,
        "record_count": file.record_count,
        "file_size_in_bytes": file.file_size_in_bytes,
        "partition": [
            {"name": field.name, "field_id": field.field_id, "raw": None if file.partition[at] is None else str(file.partition[at])}
            for at, field in enumerate(spec.fields)
        ],
        "columns": {id: {name: values[id] for name, values in maps.items() if id in values} for id in ids},
    }


def _id(snapshot_id: int | None) -> str | None:
    """Returns the id as text, because it may exceed JavaScript's numbers."""
    return None if snapshot_id is None else str(snapshot_id)
