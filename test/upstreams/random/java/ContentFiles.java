import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.iceberg.ContentFile;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileMetadata;
import org.apache.iceberg.MetadataColumns;
import org.apache.iceberg.Metrics;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.StructLike;
import org.apache.iceberg.Table;
import org.apache.iceberg.types.Comparators;
import org.apache.iceberg.types.Conversions;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;

/** Random data files, delete files and deletion vectors, as metadata has them. The files do not exist: nothing reads them. */
final class ContentFiles {
  private final Draw draw;
  private final Values values;
  private int count = 0;

  ContentFiles(Draw draw) {
    this.draw = draw;
    this.values = new Values(draw);
  }

  DataFile data(Table table) {
    return data(table, path(table, "data"));
  }

  DataFile data(Table table, String path) {
    // Writers that have not seen the newest spec or schema use an older one.
    PartitionSpec spec = draw.chance(0.85) ? table.spec() : anySpec(table);
    return data(table, path, spec, partition(spec));
  }

  /** A data file for the partition of another one. */
  DataFile dataLike(Table table, ContentFile<?> other) {
    return data(table, path(table, "data"), table.specs().get(other.specId()), other.partition());
  }

  private DataFile data(Table table, String path, PartitionSpec spec, StructLike partition) {
    long records = draw.chance(0.03) ? 0 : draw.between(1, 500);
    DataFiles.Builder builder = DataFiles.builder(spec)
        .withPath(path)
        .withFormat(draw.chance(0.8) ? FileFormat.PARQUET : draw.of(FileFormat.AVRO, FileFormat.ORC))
        .withFileSizeInBytes(draw.chance(0.02) ? 0 : draw.between(1, 1 << 20))
        .withMetrics(metrics(writtenSchema(table), records));
    if (spec.isPartitioned()) builder.withPartition(partition);
    if (draw.chance(0.3)) builder.withSplitOffsets(List.of(4L, 4L + draw.between(1, 1000)));
    return builder.build();
  }

  /** Position deletes for a data file: scoped to it by its reference or by bounds of the path, or to its partition. */
  DeleteFile positionDeletes(Table table, DataFile target) {
    long records = draw.between(1, 20);
    FileMetadata.Builder builder = deletes(table, target).ofPositionDeletes();
    Map<Integer, ByteBuffer> bounds = new HashMap<>();
    switch (draw.below(4)) {
      case 0 -> builder.withReferencedDataFile(target.location());
      case 1 -> bounds.put(MetadataColumns.DELETE_FILE_PATH.fieldId(), Conversions.toByteBuffer(Types.StringType.get(), target.location()));
      default -> {}
    }
    return builder.withMetrics(new Metrics(records, null, null, null, null, bounds, new HashMap<>(bounds))).build();
  }

  /** Equality deletes for the partition of a data file, or for all partitions if the spec has no fields. */
  DeleteFile equalityDeletes(Table table, DataFile target) {
    List<Types.NestedField> columns = draw.someOf(Schemas.singleValues(table.schema()), 3);
    int[] ids = columns.stream().mapToInt(Types.NestedField::fieldId).toArray();
    Schema schema = draw.chance(0.5) ? new Schema(columns) : writtenSchema(table);
    return deletes(table, target).ofEqualityDeletes(ids).withMetrics(metrics(schema, draw.between(1, 20))).build();
  }

  /** One deletion vector for each of these files, all in one Puffin file. */
  List<DeleteFile> vectors(Table table, List<DataFile> targets) {
    String path = path(table, "deletes", "puffin");
    List<DeleteFile> vectors = new ArrayList<>();
    long offset = 4;
    for (DataFile target : targets) {
      PartitionSpec spec = table.specs().get(target.specId());
      FileMetadata.Builder builder = FileMetadata.deleteFileBuilder(spec).ofPositionDeletes();
      if (spec.isPartitioned()) builder.withPartition(target.partition());
      long size = draw.between(20, 90);
      vectors.add(builder.withPath(path)
          .withFormat(FileFormat.PUFFIN)
          .withFileSizeInBytes(4 + 90L * targets.size())
          .withReferencedDataFile(target.location())
          .withContentOffset(offset)
          .withContentSizeInBytes(size)
          .withRecordCount(draw.between(1, 20))
          .build());
      offset += size;
    }
    return vectors;
  }

  private FileMetadata.Builder deletes(Table table, DataFile target) {
    PartitionSpec spec = draw.chance(0.8) ? table.specs().get(target.specId()) : anySpec(table);
    FileMetadata.Builder builder = FileMetadata.deleteFileBuilder(spec)
        .withPath(path(table, "deletes"))
        .withFormat(draw.of(FileFormat.PARQUET, FileFormat.PARQUET, FileFormat.AVRO, FileFormat.ORC))
        .withFileSizeInBytes(draw.between(1, 1 << 14));
    if (spec.isPartitioned()) builder.withPartition(spec.specId() == target.specId() ? target.partition() : partition(spec));
    return builder;
  }

  /** A path of a new file; few are outside of the table, or have characters that matter in URIs. */
  private String path(Table table, String folder) {
    return path(table, folder, "parquet");
  }

  private String path(Table table, String folder, String extension) {
    String root = draw.chance(0.05) ? "/elsewhere/" : table.location() + "/" + folder + "/";
    String name = draw.chance(0.1) ? draw.of("a b", "p=%2F", "ä", "x#y?z", "d//e") : "f";
    return root + name + "-" + ++count + "." + extension;
  }

  private PartitionSpec anySpec(Table table) {
    List<Integer> ids = table.specs().keySet().stream().sorted().toList();
    return table.specs().get(draw.from(ids));
  }

  private Schema writtenSchema(Table table) {
    if (draw.chance(0.8)) return table.schema();
    return table.schemas().get(draw.from(table.schemas().keySet().stream().sorted().toList()));
  }

  StructLike partition(PartitionSpec spec) {
    List<Types.NestedField> fields = spec.partitionType().fields();
    Object[] tuple = new Object[fields.size()];
    for (int i = 0; i < tuple.length; i++) {
      boolean isVoid = spec.fields().get(i).transform().isVoid() || !Schemas.hasValues(fields.get(i).type());
      if (!isVoid && draw.chance(0.85)) tuple[i] = partitionValue(fields.get(i).type());
    }
    return new Tuple(tuple);
  }

  private Object partitionValue(Type type) {
    // Only partition values can be NaN; bounds cannot.
    if (type.typeId() == Type.TypeID.FLOAT && draw.chance(0.1)) return Float.NaN;
    if (type.typeId() == Type.TypeID.DOUBLE && draw.chance(0.1)) return Double.NaN;
    return values.of(type);
  }

  private Metrics metrics(Schema schema, long records) {
    if (draw.chance(0.1)) return new Metrics(records);
    Map<Integer, Long> sizes = new HashMap<>(), counts = new HashMap<>(), nulls = new HashMap<>(), nans = new HashMap<>();
    Map<Integer, ByteBuffer> lower = new HashMap<>(), upper = new HashMap<>();
    for (Types.NestedField field : Schemas.leaves(schema)) {
      int id = field.fieldId();
      if (draw.chance(0.6)) sizes.put(id, (long) draw.between(1, 5000));
      if (draw.chance(0.1)) continue;
      long nullCount = field.isRequired() ? 0 : draw.of(0L, 0L, records, (long) draw.below((int) records + 1));
      counts.put(id, records);
      if (draw.chance(0.95)) nulls.put(id, nullCount);
      boolean isFloat = field.type().typeId() == Type.TypeID.FLOAT || field.type().typeId() == Type.TypeID.DOUBLE;
      if (isFloat) nans.put(id, draw.chance(0.8) ? 0L : draw.of(records - nullCount, (records - nullCount) / 2));
      boolean isEmpty = nullCount + nans.getOrDefault(id, 0L) == records;
      if (isEmpty || !Schemas.hasValues(field.type()) || draw.chance(0.2)) continue;
      bounds(field.type(), id, lower, upper);
    }
    return new Metrics(records, sizes, counts, nulls, nans, lower, upper);
  }

  private void bounds(Type type, int id, Map<Integer, ByteBuffer> lower, Map<Integer, ByteBuffer> upper) {
    Object a = values.of(type), b = values.of(type);
    Comparator<Object> order = Comparators.forType(type.asPrimitiveType());
    boolean ordered = order.compare(a, b) <= 0;
    lower.put(id, Conversions.toByteBuffer(type, ordered ? a : b));
    // There may be no short upper bound of a long text or binary.
    if (draw.chance(0.95)) upper.put(id, Conversions.toByteBuffer(type, ordered ? b : a));
  }

  private record Tuple(Object[] values) implements StructLike {
    @Override
    public int size() {
      return values.length;
    }

    @Override
    public <T> T get(int pos, Class<T> javaClass) {
      return javaClass.cast(values[pos]);
    }

    @Override
    public <T> void set(int pos, T value) {
      throw new UnsupportedOperationException();
    }
  }
}
