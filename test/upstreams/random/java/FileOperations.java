import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.iceberg.AppendFiles;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DeleteFile;
import org.apache.iceberg.DeleteFiles;
import org.apache.iceberg.FileFormat;
import org.apache.iceberg.ManifestFile;
import org.apache.iceberg.ManifestFiles;
import org.apache.iceberg.OverwriteFiles;
import org.apache.iceberg.ReplacePartitions;
import org.apache.iceberg.RewriteFiles;
import org.apache.iceberg.RewriteManifests;
import org.apache.iceberg.RowDelta;
import org.apache.iceberg.Snapshot;
import org.apache.iceberg.SnapshotUpdate;
import org.apache.iceberg.Table;
import org.apache.iceberg.expressions.Expressions;

/** Random commits that make a snapshot, on main or on a branch. */
final class FileOperations {
  private static final String MAIN = "main";
  private final Draw draw;
  private final ContentFiles files;
  /** Paths that were removed, which may be added again. */
  private final List<String> removed = new ArrayList<>();

  FileOperations(Draw draw) {
    this.draw = draw;
    this.files = new ContentFiles(draw);
  }

  void append(Table table) {
    AppendFiles append = draw.chance(0.5) ? table.newFastAppend() : table.newAppend();
    String branch = branch(table);
    // A path is added again after its removal, with other metrics, or while it is live.
    if (draw.chance(0.3)) {
      List<DataFile> live = live(table, branch).data;
      if (!removed.isEmpty() && draw.chance(0.6)) append.appendFile(files.data(table, draw.from(removed)));
      else if (!live.isEmpty()) append.appendFile(draw.from(live));
    }
    for (int i = draw.between(1, 4); i > 0; i--) append.appendFile(files.data(table));
    commit(append, branch);
  }

  /** Appends a manifest as it is: its entries, and in format version 2 the manifest itself, inherit what they lack. */
  void appendManifest(Table table) throws Exception {
    DataFile first = files.data(table);
    int version = TableOperations.formatVersion(table);
    if (version == 1 && !table.properties().containsKey("compatibility.snapshot-id-inheritance.enabled")) {
      table.updateProperties().set("compatibility.snapshot-id-inheritance.enabled", "true").commit();
    }
    String path = table.location() + "/metadata/appended-" + Long.toHexString(draw.anyLong()) + ".avro";
    var writer = ManifestFiles.write(version, table.specs().get(first.specId()), table.io().newOutputFile(path), null);
    try (writer) {
      writer.add(first);
      if (draw.chance(0.5)) writer.add(files.dataLike(table, first));
    }
    commit(table.newFastAppend().appendManifest(writer.toManifestFile()), branch(table));
  }

  void delete(Table table) {
    String branch = branch(table);
    DeleteFiles delete = table.newDelete();
    if (draw.chance(0.1)) delete.deleteFromRowFilter(Expressions.alwaysTrue());
    else {
      for (DataFile file : some(live(table, branch).data, 3)) {
        removed.add(file.location());
        delete.deleteFile(file);
      }
    }
    commit(delete, branch);
  }

  void overwrite(Table table) {
    String branch = branch(table);
    OverwriteFiles overwrite = table.newOverwrite();
    if (draw.chance(0.1)) overwrite.overwriteByRowFilter(Expressions.alwaysTrue());
    else {
      for (DataFile file : some(live(table, branch).data, 3)) {
        removed.add(file.location());
        overwrite.deleteFile(file).addFile(files.dataLike(table, file));
      }
    }
    if (draw.chance(0.3)) overwrite.addFile(files.data(table));
    commit(overwrite, branch);
  }

  void replacePartitions(Table table) {
    ReplacePartitions replace = table.newReplacePartitions();
    for (int i = draw.between(1, 2); i > 0; i--) replace.addFile(files.data(table));
    commit(replace, branch(table));
  }

  /** Deletes rows of some files, as the table's format version can express it, and adds rows. */
  void rowDelta(Table table) {
    int version = TableOperations.formatVersion(table);
    if (version == 1) {
      append(table);
      return;
    }
    String branch = branch(table);
    Live live = live(table, branch);
    RowDelta delta = table.newRowDelta();
    // Otherwise Iceberg looks for conflicts in the whole history.
    if (live.head != null) delta.validateFromSnapshot(live.head.snapshotId());
    List<DataFile> targets = some(live.data, 3);
    if (version >= 3) {
      deleteByVectors(table, delta, live, targets.stream().filter(target -> draw.chance(0.7)).toList());
    } else {
      for (DataFile target : targets) if (draw.chance(0.7)) delta.addDeletes(files.positionDeletes(table, target));
    }
    for (DataFile target : targets) if (draw.chance(0.4)) delta.addDeletes(files.equalityDeletes(table, target));
    if (draw.chance(0.4)) delta.addRows(files.data(table));
    if (draw.chance(0.1)) for (DataFile file : some(live.data, 1)) delta.removeRows(file);
    commit(delta, branch);
  }

  /** A new vector of a file replaces its earlier one. */
  private void deleteByVectors(Table table, RowDelta delta, Live live, List<DataFile> targets) {
    if (targets.isEmpty()) return;
    Set<String> paths = targets.stream().map(DataFile::location).collect(Collectors.toSet());
    for (DeleteFile delete : live.deletes) {
      if (delete.format() == FileFormat.PUFFIN && paths.contains(delete.referencedDataFile())) delta.removeDeletes(delete);
    }
    for (DeleteFile vector : files.vectors(table, targets)) delta.addDeletes(vector);
  }

  /** Compacts data files, delete files or both. The new data files keep an old sequence number or not. */
  void rewrite(Table table) {
    String branch = branch(table);
    Live live = live(table, branch);
    List<DataFile> data = some(live.data, 4);
    if (data.isEmpty()) return;
    RewriteFiles rewrite = table.newRewrite().validateFromSnapshot(live.head.snapshotId());
    for (DataFile file : data) rewrite.deleteFile(file);
    rewrite.addFile(files.dataLike(table, data.get(0)));
    if (draw.chance(0.4)) rewrite.dataSequenceNumber(data.stream().mapToLong(DataFile::dataSequenceNumber).min().getAsLong());
    if (draw.chance(0.4)) for (DeleteFile file : some(live.deletes, 2)) rewrite.deleteFile(file);
    data.forEach(file -> removed.add(file.location()));
    commit(rewrite, branch);
  }

  void rewriteManifests(Table table) {
    if (table.currentSnapshot() == null) return;
    RewriteManifests rewrite = table.rewriteManifests();
    int groups = draw.between(1, 3);
    if (draw.chance(0.8)) rewrite.clusterBy(file -> Math.floorMod(file.location().hashCode(), groups));
    if (draw.chance(0.3)) rewrite.rewriteIf(manifest -> manifest.length() % 2 == 0);
    rewrite.commit();
  }

  private <U extends SnapshotUpdate<U>> void commit(SnapshotUpdate<U> update, String branch) {
    if (draw.chance(0.1)) update.set("comment", draw.of("", "ü", "{\"json\": [1]}"));
    // Write, audit, publish: the snapshot is in the metadata, but on no branch until somebody picks it.
    if (branch.equals(MAIN) && draw.chance(0.08)) update.set("wap.id", String.valueOf(draw.below(1000))).stageOnly().commit();
    else if (branch.equals(MAIN)) update.commit();
    else update.toBranch(branch).commit();
  }

  private String branch(Table table) {
    List<String> branches = table.refs().entrySet().stream()
        .filter(ref -> ref.getValue().isBranch()).map(Map.Entry::getKey).sorted().toList();
    return branches.isEmpty() || draw.chance(0.7) ? MAIN : draw.from(branches);
  }

  private <F> List<F> some(List<F> choices, int most) {
    return choices.isEmpty() ? List.of() : draw.someOf(choices, most);
  }

  private record Live(Snapshot head, List<DataFile> data, List<DeleteFile> deletes) {}

  /** The files of a branch, sorted by path: manifests that are written in parallel have no fixed order. */
  private static Live live(Table table, String branch) {
    Snapshot head = table.snapshot(branch);
    // A path that is live twice can be chosen once.
    Map<String, DataFile> data = new HashMap<>();
    Map<String, DeleteFile> deletes = new HashMap<>();
    if (head != null) {
      for (ManifestFile manifest : head.dataManifests(table.io())) {
        for (DataFile file : ManifestFiles.read(manifest, table.io(), table.specs())) data.put(file.location(), file.copy());
      }
      for (ManifestFile manifest : head.deleteManifests(table.io())) {
        for (DeleteFile file : ManifestFiles.readDeleteManifest(manifest, table.io(), table.specs())) {
          deletes.put(file.location() + "@" + file.contentOffset(), file.copy());
        }
      }
    }
    return new Live(head, sorted(data), sorted(deletes));
  }

  private static <F> List<F> sorted(Map<String, F> byPath) {
    return byPath.entrySet().stream().sorted(Map.Entry.comparingByKey()).map(Map.Entry::getValue).toList();
  }
}
