import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.iceberg.BlobMetadata;
import org.apache.iceberg.ExpireSnapshots;
import org.apache.iceberg.GenericBlobMetadata;
import org.apache.iceberg.GenericStatisticsFile;
import org.apache.iceberg.HasTableOperations;
import org.apache.iceberg.ManageSnapshots;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.Table;
import org.apache.iceberg.UpdatePartitionSpec;
import org.apache.iceberg.UpdateSchema;
import org.apache.iceberg.expressions.Term;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;

/** Random commits that make no snapshot: schemas, specs, references, expiry, properties, statistics. */
final class TableOperations {
  private final Draw draw;
  private final Schemas schemas;
  private final Specs specs;
  private int names = 0;

  TableOperations(Draw draw) {
    this.draw = draw;
    this.schemas = new Schemas(draw);
    this.specs = new Specs(draw);
  }

  void evolveSchema(Table table) {
    UpdateSchema update = table.updateSchema();
    Schema schema = table.schema();
    List<Types.NestedField> columns = schema.columns();
    String column = schema.findColumnName(draw.from(Schemas.leaves(schema)).fieldId());
    switch (draw.below(7)) {
      case 0 -> update.addColumn("new" + ++names, schemas.type(formatVersion(table)));
      case 1 -> columns.stream().filter(field -> field.type().isStructType()).findFirst()
          .ifPresent(struct -> update.addColumn(struct.name(), "new" + ++names, schemas.type(formatVersion(table))));
      case 2 -> update.renameColumn(column, "renamed" + ++names);
      // A file loses its partition when Java writes its manifest anew after the source column was dropped.
      case 3 -> update.deleteColumn(column);
      case 4 -> update.makeColumnOptional(column);
      case 5 -> update.moveFirst(draw.from(columns).name());
      default -> update.unionByNameWith(new Schema(Types.NestedField.optional(1, "new" + ++names, Types.StringType.get())));
    }
    update.commit();
  }

  void widen(Table table) {
    UpdateSchema update = table.updateSchema();
    for (Types.NestedField field : Schemas.leaves(table.schema())) {
      Type.PrimitiveType wider = draw.chance(0.6) ? schemas.wider(field.type()) : null;
      if (wider != null) update.updateColumn(table.schema().findColumnName(field.fieldId()), wider);
    }
    update.commit();
  }

  void evolveSpec(Table table) {
    UpdatePartitionSpec update = table.updateSpec();
    Term term = specs.term(table.schema());
    var fields = table.spec().fields();
    if (!fields.isEmpty() && draw.chance(0.3)) update.removeField(draw.from(fields).name());
    else if (!fields.isEmpty() && draw.chance(0.3)) update.renameField(draw.from(fields).name(), "p_renamed" + ++names);
    else if (term != null && draw.chance(0.5)) update.addField(term);
    else if (term != null) update.addField("p_new" + ++names, term);
    update.commit();
  }

  void upgrade(Table table) {
    int version = formatVersion(table);
    if (version < 3) table.updateProperties().set("format-version", String.valueOf(version + 1)).commit();
  }

  void setProperty(Table table) {
    var update = table.updateProperties();
    switch (draw.below(5)) {
      case 0 -> update.set("write.metadata.compression-codec", draw.of("gzip", "none"));
      case 1 -> update.set("commit.manifest.min-count-to-merge", draw.of("1", "2", "100"));
      case 2 -> update.set("commit.manifest.target-size-bytes", draw.of("1", "8388608"));
      case 3 -> update.set("write.avro.compression-codec", draw.of("gzip", "snappy", "uncompressed"));
      default -> update.set("a \"property\"", draw.of("", "ü\n"));
    }
    update.commit();
  }

  /** Rolls main back to an ancestor, or sets it to any snapshot. */
  void rollBack(Table table) {
    Snapshot current = table.currentSnapshot();
    if (current == null) return;
    if (draw.chance(0.5) && current.parentId() != null) table.manageSnapshots().rollbackTo(current.parentId()).commit();
    else table.manageSnapshots().setCurrentSnapshot(draw.from(snapshots(table)).snapshotId()).commit();
  }

  void cherryPick(Table table) {
    List<Snapshot> staged = snapshots(table).stream().filter(snapshot -> snapshot.summary().containsKey("wap.id")).toList();
    List<Snapshot> choices = staged.isEmpty() || draw.chance(0.2) ? snapshots(table) : staged;
    if (!choices.isEmpty()) table.manageSnapshots().cherrypick(draw.from(choices).snapshotId()).commit();
  }

  void changeRefs(Table table) {
    List<Snapshot> choices = snapshots(table);
    if (choices.isEmpty()) return;
    long snapshotId = draw.from(choices).snapshotId();
    List<String> names = table.refs().keySet().stream().filter(name -> !name.equals("main")).sorted().toList();
    ManageSnapshots manage = table.manageSnapshots();
    if (names.isEmpty() || draw.chance(0.5)) {
      String name = draw.of("branch ", "tag.", "ü/") + ++this.names;
      if (draw.chance(0.6)) manage.createBranch(name, snapshotId);
      else manage.createTag(name, snapshotId).setMaxRefAgeMs(name, Long.MAX_VALUE);
    } else {
      String name = draw.from(names);
      boolean isBranch = table.refs().get(name).isBranch();
      switch (draw.below(4)) {
        case 0 -> manage.fastForwardBranch("main", name);
        case 1 -> {
          if (isBranch) manage.replaceBranch(name, snapshotId);
          else manage.replaceTag(name, snapshotId);
        }
        case 2 -> {
          if (isBranch) manage.renameBranch(name, "renamed " + ++this.names);
          else manage.removeTag(name);
        }
        default -> {
          if (isBranch) manage.removeBranch(name);
          else manage.removeTag(name);
        }
      }
    }
    manage.commit();
  }

  /** Expires one snapshot or all but the last ones, and deletes the files that only they need. */
  void expire(Table table) {
    List<Snapshot> choices = snapshots(table);
    if (choices.isEmpty()) return;
    ExpireSnapshots expire = table.expireSnapshots();
    if (draw.chance(0.5)) expire.expireSnapshotId(draw.from(choices).snapshotId());
    else expire.expireOlderThan(Long.MAX_VALUE / 2).retainLast(draw.between(1, 4));
    expire.cleanExpiredMetadata(draw.chance(0.3)).commit();
  }

  /** Sets statistics whose file does not exist: the numbers in the metadata serve. */
  void setStatistics(Table table) {
    List<Snapshot> choices = snapshots(table);
    if (choices.isEmpty()) return;
    Snapshot snapshot = draw.from(choices);
    // Statistics that are gone or have other columns stay in the catalog as they were.
    boolean isSet = table.statisticsFiles().stream().anyMatch(file -> file.snapshotId() == snapshot.snapshotId());
    if (isSet) return;
    if (draw.chance(0.2)) {
      table.updateStatistics().removeStatistics(snapshot.snapshotId()).commit();
      return;
    }
    Schema schema = snapshot.schemaId() == null ? table.schema() : table.schemas().get(snapshot.schemaId());
    var blobs = draw.someOf(Schemas.leaves(schema == null ? table.schema() : schema), 3).stream()
        .<BlobMetadata>map(field -> new GenericBlobMetadata("apache-datasketches-theta-v1", snapshot.snapshotId(),
            snapshot.sequenceNumber(), List.of(field.fieldId()), Map.of("ndv", String.valueOf(draw.below(1000)))))
        .toList();
    String path = table.location() + "/metadata/" + ++names + ".stats";
    table.updateStatistics().setStatistics(new GenericStatisticsFile(snapshot.snapshotId(), path, 1000, 100, blobs)).commit();
  }

  void setSortOrder(Table table) {
    Types.NestedField column = draw.from(Schemas.singleValues(table.schema()));
    table.replaceSortOrder().desc(table.schema().findColumnName(column.fieldId())).commit();
  }

  static int formatVersion(Table table) {
    return ((HasTableOperations) table).operations().current().formatVersion();
  }

  private static List<Snapshot> snapshots(Table table) {
    List<Snapshot> snapshots = new ArrayList<>();
    table.snapshots().forEach(snapshots::add);
    return snapshots;
  }
}
