import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.jdbc.JdbcCatalog;

/**
 * Makes random tables and random histories with Iceberg Java, and states what Iceberg Java reads from them.
 *
 * Arguments: a folder, the first and the last seed, and `true` for paths that metadata describes in several ways
 * (see RandomTable). Writes
 * `FOLDER/steps/{tables,histories}/seed_SEED/{0,1,…}`, and prints how often each operation was applied or refused.
 */
public final class RandomTables {
  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    Path warehouse = folder.resolve("warehouse");
    Map<String, Integer> counts = new TreeMap<>();
    try (JdbcCatalog catalog = new JdbcCatalog(properties -> new LocalFiles(), null, true)) {
      catalog.initialize("random", Map.of(
          CatalogProperties.URI, "jdbc:sqlite:file::memory:?cache=shared",
          CatalogProperties.WAREHOUSE_LOCATION, warehouse.toString()));
      for (String kind : new String[] {"tables", "histories"}) {
        catalog.createNamespace(Namespace.of(kind));
        for (long seed = Long.parseLong(args[1]); seed <= Long.parseLong(args[2]); seed++) {
          TableIdentifier name = TableIdentifier.of(kind, "seed_" + seed);
          Path steps = folder.resolve("steps").resolve(kind).resolve(name.name());
          try {
            new RandomTable(catalog, name, steps, seed, kind.equals("histories")).run(counts);
          } catch (Exception problem) {
            throw new IllegalStateException("seed " + seed + " of " + kind, problem);
          }
        }
      }
    }
    counts.forEach((operation, count) -> System.out.println(count + " " + operation));
  }
}
