import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.apache.iceberg.BlobMetadata;
import org.apache.iceberg.ContentFile;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.FileContent;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.ManifestContent;
import org.apache.iceberg.ManifestFile;
import org.apache.iceberg.ManifestFiles;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.PartitionSpecParser;
import org.apache.iceberg.Schema;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.StatisticsFile;
import org.apache.iceberg.Table;
import org.apache.iceberg.types.Conversions;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.util.ByteBuffers;

/**
 * The content of a table according to Iceberg Java: what its manifest readers and its scan planning return for every snapshot. The fields are
 * declared in test/integration/contents/truth.ts.
 */
final class Truth {
  private static final ObjectMapper JSON = new ObjectMapper();
  private final Table table;
  private final ObjectNode files = JSON.createObjectNode();
  /** Keys of files by their description: a path that was added again with other metrics is another file. */
  private final Map<String, String> keys = new LinkedHashMap<>();
  /** Keys by path and offset, for plans, whose files lack metrics. */
  private final Map<String, String> keysByName = new HashMap<>();

  private Truth(Table table) {
    this.table = table;
  }

  static void write(Table table, Path file) throws IOException {
    JSON.writeValue(file.toFile(), new Truth(table).table());
  }

  private ObjectNode table() throws IOException {
    ObjectNode node = JSON.createObjectNode();
    Snapshot current = table.currentSnapshot();
    node.put("current_snapshot_id", current == null ? null : String.valueOf(current.snapshotId()));
    ObjectNode refs = node.putObject("refs");
    table.refs().forEach((name, ref) -> refs.putObject(name)
        .put("type", ref.type().name().toLowerCase())
        .put("snapshot_id", String.valueOf(ref.snapshotId())));
    ArrayNode schemas = node.putArray("schemas");
    for (Schema schema : table.schemas().values()) schemas.add(JSON.readTree(SchemaParser.toJson(schema)));
    node.put("format_version", TableOperations.formatVersion(table));
    node.put("current_schema_id", table.schema().schemaId());
    ArrayNode specs = node.putArray("specs");
    for (PartitionSpec spec : table.specs().values()) specs.add(JSON.readTree(PartitionSpecParser.toJson(spec)));
    node.put("default_spec_id", table.spec().specId());
    ObjectNode properties = node.putObject("properties");
    table.properties().forEach(properties::put);
    ArrayNode snapshots = node.putArray("snapshots");
    for (Snapshot snapshot : table.snapshots()) snapshots.add(snapshot(snapshot));
    node.set("files", files);
    return node;
  }

  private ObjectNode snapshot(Snapshot snapshot) throws IOException {
    ObjectNode node = JSON.createObjectNode();
    node.put("snapshot_id", String.valueOf(snapshot.snapshotId()));
    node.put("parent_id", snapshot.parentId() == null ? null : String.valueOf(snapshot.parentId()));
    node.put("sequence_number", snapshot.sequenceNumber());
    node.put("timestamp_ms", snapshot.timestampMillis());
    node.put("operation", snapshot.operation());
    node.put("schema_id", snapshot.schemaId());
    ObjectNode summary = node.putObject("summary");
    snapshot.summary().forEach(summary::put);
    if (snapshot.firstRowId() != null) node.put("first_row_id", snapshot.firstRowId()).put("added_rows", snapshot.addedRows());
    ArrayNode live = node.putArray("live");
    Map<String, Long> totals = new LinkedHashMap<>(Map.of("data_files", 0L, "data_records", 0L, "data_bytes", 0L));
    for (ManifestFile manifest : snapshot.allManifests(table.io())) {
      try (var reader = manifest.content() == ManifestContent.DATA
          ? ManifestFiles.read(manifest, table.io(), table.specs())
          : ManifestFiles.readDeleteManifest(manifest, table.io(), table.specs())) {
        for (ContentFile<?> file : reader) {
          ObjectNode entry = live.addObject();
          entry.put("file", key(file)).put("seq", file.dataSequenceNumber()).put("file_seq", file.fileSequenceNumber());
          entry.put("row_id", file.firstRowId());
          count(file, totals);
        }
      }
    }
    node.set("totals", JSON.valueToTree(totals));
    ArrayNode plan = JSON.createArrayNode();
    try (var tasks = table.newScan().useSnapshot(snapshot.snapshotId()).planFiles()) {
      for (FileScanTask task : tasks) {
        ObjectNode planned = plan.addObject().put("file", keysByName.get(nameOf(task.file())));
        ArrayNode deletes = planned.putArray("deletes");
        for (DeleteFile delete : task.deletes()) deletes.add(keysByName.get(nameOf(delete)));
      }
      node.set("plan", plan);
    } catch (RuntimeException refused) {
      node.put("plan_error", refused.toString());
    }
    ObjectNode ndv = node.putObject("ndv");
    for (StatisticsFile statistics : table.statisticsFiles()) {
      if (statistics.snapshotId() != snapshot.snapshotId()) continue;
      for (BlobMetadata blob : statistics.blobMetadata()) ndv.put(String.valueOf(blob.fields().get(0)), blob.properties().get("ndv"));
    }
    return node;
  }

  private static void count(ContentFile<?> file, Map<String, Long> totals) {
    boolean isData = file.content() == FileContent.DATA;
    String kind = isData ? "data_files"
        : file.format() == FileFormat.PUFFIN ? "deletion_vectors"
        : file.content() == FileContent.POSITION_DELETES ? "position_delete_files" : "equality_delete_files";
    totals.merge(kind, 1L, Long::sum);
    if (!isData) return;
    totals.merge("data_records", file.recordCount(), Long::sum);
    totals.merge("data_bytes", file.fileSizeInBytes(), Long::sum);
  }

  private String key(ContentFile<?> file) {
    ObjectNode node = JSON.createObjectNode();
    node.put("content", file.content().name());
    node.put("path", file.location());
    node.put("format", file.format().name());
    node.put("spec_id", file.specId());
    node.put("record_count", file.recordCount());
    node.put("file_size_in_bytes", file.fileSizeInBytes());
    if (file instanceof DeleteFile delete && delete.contentOffset() != null) {
      node.put("content_offset", delete.contentOffset()).put("content_size_in_bytes", delete.contentSizeInBytes());
    }
    node.set("partition", partition(file));
    node.set("columns", columns(file));
    return keys.computeIfAbsent(node.toString(), description -> {
      String key = "f" + keys.size();
      files.set(key, node);
      keysByName.put(nameOf(file), key);
      return key;
    });
  }

  private static String nameOf(ContentFile<?> file) {
    return file.location() + "@" + (file instanceof DeleteFile delete ? delete.contentOffset() : null);
  }

  private ArrayNode partition(ContentFile<?> file) {
    ArrayNode tuple = JSON.createArrayNode();
    PartitionSpec spec = table.specs().get(file.specId());
    for (int i = 0; i < spec.fields().size(); i++) {
      Type type = spec.partitionType().fields().get(i).type();
      Object value = file.partition().get(i, Object.class);
      ObjectNode field = tuple.addObject()
          .put("name", spec.fields().get(i).name())
          .put("field_id", spec.fields().get(i).fieldId())
          .put("type", type.toString())
          .put("raw", value == null ? null : value.toString());
      // Iceberg Java no longer knows the types of columns that were dropped.
      if (type.typeId() != Type.TypeID.UNKNOWN) field.put("hex", value == null ? null : hex(Conversions.toByteBuffer(type, value)));
    }
    return tuple;
  }

  private static ObjectNode columns(ContentFile<?> file) {
    ObjectNode columns = JSON.createObjectNode();
    counts(columns, "size", file.columnSizes());
    counts(columns, "values", file.valueCounts());
    counts(columns, "nulls", file.nullValueCounts());
    counts(columns, "nans", file.nanValueCounts());
    bounds(columns, "lower_hex", file.lowerBounds());
    bounds(columns, "upper_hex", file.upperBounds());
    return columns;
  }

  private static void counts(ObjectNode columns, String name, Map<Integer, Long> counts) {
    if (counts != null) new TreeMap<>(counts).forEach((id, count) -> columns.withObject("/" + id).put(name, count));
  }

  private static void bounds(ObjectNode columns, String name, Map<Integer, ByteBuffer> bounds) {
    if (bounds != null) new TreeMap<>(bounds).forEach((id, bound) -> columns.withObject("/" + id).put(name, hex(bound)));
  }

  private static String hex(ByteBuffer value) {
    return HexFormat.of().formatHex(ByteBuffers.toByteArray(value));
  }
}
