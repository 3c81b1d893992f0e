import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.Table;
import org.apache.iceberg.Transaction;
import org.apache.iceberg.catalog.Catalog;
import org.apache.iceberg.catalog.TableIdentifier;

/** One table that is created and changed at random, with copies of some of its states. */
final class RandomTable {
  private static final int MAX_STEPS = 4;
  private final Catalog catalog;
  private final TableIdentifier name;
  private final Path steps;
  private final Draw draw;
  private final Schemas schemas;
  private final FileOperations files;
  private final TableOperations changes;
  private final boolean isHistory;
  private int step = 0;
  private int schemaCount = 0;

  interface Operation {
    void apply(Table table) throws Exception;
  }

  private record Choice(String name, int weight, Operation operation) {}

  /**
   * @param isHistory many changes of few columns, with branches, rollbacks, expiry and replacements; otherwise few changes of a wide table
   * @param steps the folder of the copies: `0/metadata`, `0/truth.json` and so on
   */
  RandomTable(Catalog catalog, TableIdentifier name, Path steps, long seed, boolean isHistory) {
    this.catalog = catalog;
    this.name = name;
    this.steps = steps;
    this.draw = new Draw(isHistory ? ~seed : seed);
    this.schemas = new Schemas(draw);
    this.files = new FileOperations(draw);
    this.changes = new TableOperations(draw);
    this.isHistory = isHistory;
  }

  /** @param counts how often each operation was applied, and how often Iceberg refused it */
  void run(Map<String, Integer> counts) throws Exception {
    Table table = create();
    List<Choice> choices = choices();
    int operations = isHistory ? draw.between(15, 40) : draw.between(6, 14);
    for (int i = 0; i < operations; i++) {
      if (isHistory && draw.chance(0.01)) {
        catalog.dropTable(name, true);
        table = create();
      } else if (isHistory && draw.chance(0.02)) replace(table, counts);
      else if (draw.chance(0.1)) inTransaction(table, counts);
      else apply(choose(choices), table, counts);
      table.refresh();
      if (step < MAX_STEPS - 1 && draw.chance(0.2)) save(table);
    }
    save(table);
  }

  /** What a transaction can do, too. */
  private List<Choice> changes() {
    return List.of(
        new Choice("append", 30, files::append),
        new Choice("appendManifest", 3, files::appendManifest),
        new Choice("delete", 8, files::delete),
        new Choice("overwrite", 8, files::overwrite),
        new Choice("replacePartitions", 3, files::replacePartitions),
        new Choice("rowDelta", 25, files::rowDelta),
        new Choice("rewrite", 10, files::rewrite),
        new Choice("rewriteManifests", 5, files::rewriteManifests),
        new Choice("widen", 5, changes::widen),
        new Choice("evolveSchema", 8, changes::evolveSchema),
        new Choice("evolveSpec", 8, changes::evolveSpec),
        new Choice("upgrade", 2, changes::upgrade),
        new Choice("setProperty", 6, changes::setProperty),
        new Choice("setStatistics", 3, changes::setStatistics),
        new Choice("setSortOrder", 1, changes::setSortOrder));
  }

  private List<Choice> choices() {
    List<Choice> choices = new ArrayList<>(changes());
    if (!isHistory) return choices;
    choices.addAll(List.of(
        new Choice("rollBack", 6, changes::rollBack),
        new Choice("cherryPick", 6, changes::cherryPick),
        new Choice("changeRefs", 14, changes::changeRefs),
        new Choice("expire", 7, changes::expire)));
    return choices;
  }

  private Choice choose(List<Choice> choices) {
    int at = draw.below(choices.stream().mapToInt(Choice::weight).sum());
    for (Choice choice : choices) {
      at -= choice.weight;
      if (at < 0) return choice;
    }
    throw new AssertionError();
  }

  /** Iceberg refuses what does not fit the table's state. */
  private static boolean apply(Choice choice, Table table, Map<String, Integer> counts) throws Exception {
    try {
      choice.operation.apply(table);
      counts.merge(choice.name, 1, Integer::sum);
      return true;
    } catch (RuntimeException refused) {
      String reason = refused.getClass().getSimpleName() + ": " + refused.getMessage();
      counts.merge("refused " + choice.name + " " + reason.replaceAll("\\d+|[^\\x20-\\x7e]+", "#").substring(0, Math.min(70, reason.length())), 1, Integer::sum);
      return false;
    }
  }

  /** Several changes in one version of the metadata. */
  private void inTransaction(Table table, Map<String, Integer> counts) throws Exception {
    Transaction transaction = table.newTransaction();
    for (int i = draw.between(2, 4); i > 0; i--) {
      if (!apply(choose(changes()), transaction.table(), counts)) return;
    }
    transaction.commitTransaction();
  }

  private Table create() {
    int version = draw.of(1, 2, 2, 3);
    Schema schema = schema(version);
    return catalog.createTable(name, schema, spec(schema), properties(version));
  }

  /** Replaces the table under its uuid, as CREATE OR REPLACE TABLE AS SELECT does. */
  private void replace(Table table, Map<String, Integer> counts) {
    // A column that keeps its name keeps its id, and with another type Iceberg cannot read older partition specs.
    Schema schema = draw.chance(0.5) ? table.schema() : schema(2);
    Transaction transaction = catalog.buildTable(name, schema).withPartitionSpec(spec(schema)).replaceTransaction();
    try {
      files.append(transaction.table());
      transaction.commitTransaction();
      counts.merge("replace", 1, Integer::sum);
    } catch (RuntimeException refused) {
      counts.merge("refused replace " + refused.getMessage(), 1, Integer::sum);
    }
  }

  private Schema schema(int version) {
    return schemas.schema("t" + ++schemaCount + "_c", isHistory ? draw.between(2, 4) : draw.between(4, 12), version);
  }

  private PartitionSpec spec(Schema schema) {
    return new Specs(draw).spec(schema, draw.between(0, isHistory ? 2 : 4));
  }

  private Map<String, String> properties(int version) {
    Map<String, String> properties = new HashMap<>(Map.of("format-version", String.valueOf(version)));
    if (draw.chance(0.4)) properties.put("commit.manifest.min-count-to-merge", draw.of("1", "3"));
    if (draw.chance(0.2)) properties.put("write.metadata.compression-codec", "gzip");
    return properties;
  }

  private void save(Table table) throws Exception {
    Path folder = steps.resolve(String.valueOf(step++));
    Path copy = Files.createDirectories(folder.resolve("metadata"));
    try (Stream<Path> entries = Files.list(Path.of(table.location(), "metadata"))) {
      for (Path file : (Iterable<Path>) entries::iterator) Files.copy(file, copy.resolve(file.getFileName()));
    }
    Truth.write(table, folder.resolve("truth.json"));
  }
}
