"""Fixture tables that Spark's SQL cannot express, made with Iceberg's Java API and its generic writers."""

from fixture import registry

from engine import list_of

JAVA, fixture = registry()


def column(t, number: int, name: str, kind, required=False):
    field = t.iceberg.types.Types.NestedField
    return field.required(number, name, kind) if required else field.optional(number, name, kind)


def make(t, columns, spec=None, **properties):
    """Creates the table with Java types and returns Iceberg's Table; `spec` is a function that takes a spec builder."""
    schema = t.java.schema(*(column(t, i, name, kind) for i, (name, kind) in enumerate(columns, 1)))
    partitions = spec(t.iceberg.PartitionSpec.builderFor(schema)).build() if spec else t.iceberg.PartitionSpec.unpartitioned()
    said = {k.replace("__", "-").replace("_", "."): v for k, v in properties.items()}
    builder = t.java.catalog().buildTable(t.java.identifier(*t.spec.names), schema).withPartitionSpec(partitions).withLocation(f"file:{t.dir}")
    for key, value in said.items():
        builder = builder.withProperty(key, value)
    return builder.create()


def rows(t, table, *values):
    return [t.java.record(table.schema(), value) for value in values]


def partition(t, table, *values):
    """Returns a partition tuple of the table's spec with these internal values."""
    data = t.iceberg.data.GenericRecord.create(table.spec().partitionType())
    for i, value in enumerate(values):
        data.set(i, value)
    return data


def append(t, table, records, part=None, file_format="PARQUET"):
    table.newAppend().appendFile(t.java.data_file(table, records, part, file_format)).commit()
    table.refresh()


def _extremes(t, file_format):
    types, jvm = t.iceberg.types.Types, t.java.jvm
    time, big = jvm.java.time, jvm.java.math.BigDecimal
    table = make(
        t,
        [
            ("i", types.IntegerType.get()),
            ("l", types.LongType.get()),
            ("f", types.FloatType.get()),
            ("d", types.DoubleType.get()),
            ("n38", types.DecimalType.of(38, 0)),
            ("n38s", types.DecimalType.of(38, 38)),
            ("n1", types.DecimalType.of(1, 1)),
            ("dt", types.DateType.get()),
            ("tm", types.TimeType.get()),
            ("ts", types.TimestampType.withoutZone()),
            ("tz", types.TimestampType.withZone()),
            ("s", types.StringType.get()),
            ("u", types.UUIDType.get()),
            ("x", types.FixedType.ofLength(3)),
            ("b", types.BinaryType.get()),
        ],
        write_metadata_metrics_default="full",
    )
    nines = "9" * 38

    def row(i, sign, day, clock, text, uuid, fixed):
        moment = f"{day}T{clock}"
        return {
            "i": i, "n38": big(sign + nines), "n38s": big(f"{sign}0.{nines}"), "n1": big(f"{sign}0.9"), "dt": time.LocalDate.parse(day), "tm": time.LocalTime.parse(clock),
            "ts": time.LocalDateTime.parse(moment), "tz": time.OffsetDateTime.parse(moment + "Z"), "s": text, "u": jvm.java.util.UUID.fromString(uuid),
            "x": fixed, "b": jvm.java.nio.ByteBuffer.wrap(fixed),
        }  # fmt: skip

    low = row(-(2**31), "-", "0001-01-01", "00:00:00", "", "00000000-0000-0000-0000-000000000000", b"\x00\x00\x00")
    high = row(2**31 - 1, "", "9999-12-31", "23:59:59.999999", "\U0010ffff\U0001f600 end", "ffffffff-ffff-ffff-ffff-ffffffffffff", b"\xff\xff\xff")
    odd = row(0, "-", "1969-12-31", "12:00:00.000001", "é\u0000z", "80000000-0000-0000-7fff-000000000000", b"\x7f\x80\x00")
    set_number = t.java.set_number
    records = rows(t, table, low, high, odd)
    for record, (l, f, d) in zip(records, (("-9223372036854775808", "-Infinity", "-1.7976931348623157E308"), ("9223372036854775807", "Infinity", "1.7976931348623157E308"), ("-1", "-0.0", "4.9E-324"))):
        set_number(record, "l", "Long", l)
        set_number(record, "f", "Float", f)
        set_number(record, "d", "Double", d)
    append(t, table, records, None, file_format)
    append(t, table, records[2:], None, file_format)


@fixture("mk", "extremes", doc="lowest and highest values of every v2 type in Parquet, metrics mode full: years 1 and 9999, time of day, decimal(38), uuid, fixed, infinities, U+10FFFF", rows="java")
def extremes(t):
    _extremes(t, "PARQUET")


@fixture("mk", "extremes_orc", doc="the same in ORC", rows="java")
def extremes_orc(t):
    _extremes(t, "ORC")


@fixture("mk", "tr_java", doc="identity partitions of time and uuid; bucket of uuid, time and fixed; a void field; an hour before 1970", rows="java")
def tr_java(t):
    types, jvm = t.iceberg.types.Types, t.java.jvm
    columns = [("id", types.IntegerType.get()), ("tm", types.TimeType.get()), ("u", types.UUIDType.get()), ("x", types.FixedType.ofLength(4)), ("ts", types.TimestampType.withoutZone())]
    table = make(t, columns, lambda b: b.identity("tm").identity("u").bucket("u", 16).bucket("tm", 4).bucket("x", 4).alwaysNull("ts", "ts_void").hour("ts", "ts_h"))
    clock, uuid, fixed, ts = jvm.java.time.LocalTime.parse("23:59:59.999999"), jvm.java.util.UUID.fromString("f79c3e09-677c-4bbd-a479-3f349cb785e7"), b"\x01\x02\xfe\xff", "1969-12-31T22:59:59"
    record = rows(t, table, {"id": 1, "tm": clock, "u": uuid, "x": fixed, "ts": jvm.java.time.LocalDateTime.parse(ts)})
    append(t, table, record, t.java.partition_of(table, record[0]))
    empty = rows(t, table, {"id": 2})
    append(t, table, empty, t.java.partition_of(table, empty[0]))


@fixture("quirks", "fixed_partition", doc="an identity partition of type fixed: Iceberg Java writes its value to the manifest as bytes, with a length, though the manifest's Avro schema says fixed. No Avro library can read it, Iceberg Java does", rows="java")
def fixed_partition(t):
    types = t.iceberg.types.Types
    table = make(t, [("id", types.IntegerType.get()), ("x", types.FixedType.ofLength(4))], lambda b: b.identity("x"))
    for i, value in enumerate((b"\x01\x02\xfe\xff", None)):
        record = rows(t, table, {"id": i, "x": value})
        append(t, table, record, t.java.partition_of(table, record[0]))


@fixture("mk", "nanos", doc="format version 3: timestamp_ns and timestamptz_ns with day and hour partitions, before and after 1970", rows="java")
def nanos(t):
    types, time = t.iceberg.types.Types, t.java.jvm.java.time
    table = make(t, [("id", types.IntegerType.get()), ("ts", types.TimestampNanoType.withoutZone()), ("tz", types.TimestampNanoType.withZone())], lambda b: b.day("ts").hour("tz"), format__version="3")
    for i, moment in enumerate(("2024-02-29T12:34:56.123456789", "1969-12-31T23:59:59.999999999", "1677-09-22T00:00:00.000000001")):
        record = rows(t, table, {"id": i, "ts": time.LocalDateTime.parse(moment), "tz": time.OffsetDateTime.parse(moment + "Z")})
        append(t, table, record, t.java.partition_of(table, record[0]))


@fixture("mk", "defaults", doc="format version 3: columns added with initial and write defaults (also required ones), a default changed, an unknown column", rows="java")
def defaults(t):
    types, literal = t.iceberg.types.Types, t.iceberg.expressions.Literal
    table = make(t, [("id", types.IntegerType.get())], format__version="3")
    append(t, table, rows(t, table, {"id": 1}, {"id": 2}))
    update = table.updateSchema()
    update = update.addColumn("s", types.StringType.get(), "with a default", literal.of("none"))
    update = update.addRequiredColumn("n", types.IntegerType.get(), "required, with a default", literal.of(7))
    update = update.addColumn("nothing", types.UnknownType.get())
    update.commit()
    table.refresh()
    append(t, table, rows(t, table, {"id": 3, "s": "said", "n": 1}))
    table.updateSchema().updateColumnDefault("s", literal.of("changed")).commit()
    table.refresh()
    append(t, table, rows(t, table, {"id": 4, "s": None, "n": 2}), None, "AVRO")


@fixture("mk", "v3_type_names", doc="format version 3: geometry, geography, variant, unknown and nanosecond types in the schema; no data", rows=None)
def v3_type_names(t):
    types = t.iceberg.types.Types
    make(
        t,
        [
            ("id", types.LongType.get()),
            ("g", types.GeometryType.crs84()),
            ("g2", types.GeometryType.of("srid:3857")),
            ("w", types.GeographyType.crs84()),
            ("v", types.VariantType.get()),
            ("u", types.UnknownType.get()),
            ("ns", types.TimestampNanoType.withZone()),
        ],
        format__version="3",
    )


@fixture("mk", "v3_equality", doc="format version 3: equality deletes beside deletion vectors; an upsert whose own rows its delete does not meet", rows="java")
def v3_equality(t):
    types = t.iceberg.types.Types
    table = make(t, [("id", types.IntegerType.get()), ("g", types.StringType.get())], lambda b: b.identity("g"), format__version="3", write_delete_mode="merge-on-read")
    for group in ("a", "b"):
        append(t, table, rows(t, table, *({"id": i, "g": group} for i in range(10))), partition(t, table, group))
    only_id = table.schema().select(t.java.array("java.lang.String", ["id"]))
    deletes = t.java.equality_delete_file(table, [1], [t.java.record(only_id, {"id": 3}), t.java.record(only_id, {"id": 4})], only_id, partition(t, table, "a"))
    fresh = t.java.data_file(table, rows(t, table, {"id": 3, "g": "a"}), partition(t, table, "a"))
    table.newRowDelta().addDeletes(deletes).addRows(fresh).commit()
    t.sql("DELETE FROM {t} WHERE id IN (1, 3)")


@fixture("mk", "appended_manifest", doc="manifests appended as they are: entries and manifest without a snapshot id, which both inherit", rows=None)
def appended_manifest(t):
    _appended_manifest(t, "2", "avro")


@fixture("mk", "appended_manifest_v1", doc="format version 1 with snapshot id inheritance: entries whose snapshot id is null", rows=None)
def appended_manifest_v1(t):
    _appended_manifest(t, "1", "avro", compatibility_snapshot__id__inheritance_enabled="true")


def _appended_manifest(t, version, extension, **properties):
    types = t.iceberg.types.Types
    table = make(t, [("id", types.IntegerType.get()), ("v", types.StringType.get())], format__version=version, **properties)
    append(t, table, rows(t, table, {"id": 0, "v": "zero"}))
    for number in (1, 2):
        files = [t.java.data_file(table, rows(t, table, {"id": number * 10 + i, "v": f"v{i}"})) for i in range(3)]
        output = table.io().newOutputFile(f"file:{t.dir}/metadata/appended-{number}.{extension}")
        writer = t.iceberg.ManifestFiles.write(int(version), table.spec(), output, None)
        for file in files:
            writer.add(file)
        writer.close()
        table.newFastAppend().appendManifest(writer.toManifestFile()).commit()
        table.refresh()
    # delete a file from an appended manifest: the manifest is rewritten, with the inherited ids of its entries set explicitly
    table.newDelete().deleteFile(files[1]).commit()


@fixture("mk", "unpartitioned_deletes", doc="global equality deletes (an unpartitioned spec) on a table that was partitioned later, partitioned ones after; by two columns, one of them nested; Avro and ORC delete files", rows="java")
def unpartitioned_deletes(t):
    types = t.iceberg.types.Types
    inner = types.StructType.of(list_of(t.java.jvm, [column(t, 4, "a", types.IntegerType.get())]))
    table = make(t, [("id", types.IntegerType.get()), ("g", types.StringType.get()), ("s", inner)])
    nested = inner_record(t, table)
    append(t, table, [t.java.record(table.schema(), {"id": i, "g": "ab"[i % 2], "s": nested(i)}) for i in range(8)])
    table.updateSpec().addField("g").commit()
    table.refresh()
    for group in ("a", "b"):
        append(t, table, [t.java.record(table.schema(), {"id": i, "g": group, "s": nested(i)}) for i in range(8, 12)], partition(t, table, group))
    everywhere = table.specs()[0]
    only_id = table.schema().select(t.java.array("java.lang.String", ["id"]))
    table.newRowDelta().addDeletes(t.java.equality_delete_file(table, [1], [t.java.record(only_id, {"id": 9})], only_id, None, "AVRO", everywhere)).commit()
    table.refresh()
    both = table.schema().select(t.java.array("java.lang.String", ["id", "g"]))
    record = t.java.record(both, {"id": 10, "g": "a"})
    table.newRowDelta().addDeletes(t.java.equality_delete_file(table, [1, 2], [record], both, partition(t, table, "a"), "ORC")).commit()


def inner_record(t, table):
    kind = table.schema().findType("s")

    def of(value):
        record = t.iceberg.data.GenericRecord.create(kind)
        record.setField("a", value)
        return record

    return of
