"""Copies the metadata of tables to another place and rewrites the paths in it, as Spark's `rewrite_table_path` does.

    relocate.py FOLDER COPY FROM TO

FROM is the path of FOLDER in the metadata, TO the URI of the copy. Paths of metadata are rewritten, in the metadata files and, with
fastavro, in the manifest lists. Paths of data files stay as they are, because no data file is read here.
"""

import gzip
import json
import os
import re
import shutil
import sys

import fastavro


def relocate(folder: str, copy: str, old: str, new: str):
    prefix = re.compile("(?:file:(?://)?)?" + re.escape(old))
    for base, _, names in os.walk(folder):
        target = os.path.join(copy, os.path.relpath(base, folder))
        os.makedirs(target, exist_ok=True)
        for name in names:
            source, destination = os.path.join(base, name), os.path.join(target, name)
            if name.endswith(".gz.metadata.json"):
                with gzip.open(source, "rt") as read, gzip.open(destination, "wt") as write:
                    write.write(prefix.sub(new, read.read()))
            elif name.endswith(".metadata.json"):
                with open(source, newline="") as read, open(destination, "w", newline="") as write:
                    write.write(prefix.sub(new, read.read()))
            elif name.endswith(".avro") and is_manifest_list(source):
                manifest_list(source, destination, lambda path: prefix.sub(new, path, count=1))
            else:
                shutil.copyfile(source, destination)


def is_manifest_list(path: str) -> bool:
    with open(path, "rb") as file:
        return "manifest_path" in {field["name"] for field in fastavro.reader(file).writer_schema["fields"]}


def manifest_list(source: str, destination: str, moved):
    with open(source, "rb") as file:
        reader = fastavro.reader(file)
        records = [{**record, "manifest_path": moved(record["manifest_path"])} for record in reader]
        metadata = {key: value for key, value in reader.metadata.items() if not key.startswith("avro.")}
        # the schema's own text, because fastavro would drop the field ids
        schema = json.loads(reader.metadata["avro.schema"])
        codec = reader.codec
    with open(destination, "wb") as file:
        fastavro.writer(file, schema, records, codec=codec, metadata=metadata)


relocate(*sys.argv[1:])
