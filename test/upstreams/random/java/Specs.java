import java.util.List;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.Schema;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.expressions.Term;
import org.apache.iceberg.types.Types;

/** Random partition specs. */
final class Specs {
  private final Draw draw;

  Specs(Draw draw) {
    this.draw = draw;
  }

  PartitionSpec spec(Schema schema, int fields) {
    List<Types.NestedField> sources = Schemas.singleValues(schema);
    PartitionSpec.Builder builder = PartitionSpec.builderFor(schema);
    for (int i = 0; i < fields && !sources.isEmpty(); i++) {
      Types.NestedField source = draw.from(sources);
      String column = schema.findColumnName(source.fieldId());
      String name = "p" + i;
      try {
        switch (transform(source)) {
          case "bucket" -> builder.bucket(column, draw.of(1, 4, 16), name);
          case "truncate" -> builder.truncate(column, draw.of(1, 4, 10), name);
          case "year" -> builder.year(column, name);
          case "month" -> builder.month(column, name);
          case "day" -> builder.day(column, name);
          case "hour" -> builder.hour(column, name);
          case "void" -> builder.alwaysNull(column, name);
          default -> builder.identity(column, name);
        }
      } catch (IllegalArgumentException redundant) {
        // The spec has such a field already.
      }
    }
    return builder.build();
  }

  /** A partition field that a spec can be given; null if the column cannot be partitioned by. */
  Term term(Schema schema) {
    List<Types.NestedField> sources = Schemas.singleValues(schema);
    if (sources.isEmpty()) return null;
    Types.NestedField source = draw.from(sources);
    String column = schema.findColumnName(source.fieldId());
    return switch (transform(source)) {
      case "bucket" -> Expressions.bucket(column, draw.of(1, 4, 16));
      case "truncate" -> Expressions.truncate(column, draw.of(1, 4, 10));
      case "year" -> Expressions.year(column);
      case "month" -> Expressions.month(column);
      case "day" -> Expressions.day(column);
      case "hour" -> Expressions.hour(column);
      default -> Expressions.ref(column);
    };
  }

  private String transform(Types.NestedField source) {
    if (draw.chance(0.05)) return "void";
    return switch (source.type().typeId()) {
      case INTEGER, LONG, DECIMAL, STRING, BINARY -> draw.of("identity", "bucket", "truncate");
      case DATE -> draw.of("identity", "bucket", "year", "month", "day");
      case TIMESTAMP, TIMESTAMP_NANO -> draw.of("identity", "bucket", "year", "month", "day", "hour");
      case TIME, UUID, FIXED -> draw.of("identity", "bucket");
      default -> "identity";
    };
  }
}
