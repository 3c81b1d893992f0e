import java.util.ArrayList;
import java.util.List;
import org.apache.iceberg.Schema;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.TypeUtil;
import org.apache.iceberg.types.Types;

/** Random schemas and types. */
final class Schemas {
  private final Draw draw;

  Schemas(Draw draw) {
    this.draw = draw;
  }

  /** A schema with this many top-level columns, whose names begin with a prefix. */
  Schema schema(String prefix, int columns, int formatVersion) {
    List<Types.NestedField> fields = new ArrayList<>();
    int[] id = {0};
    for (int i = 0; i < columns; i++) {
      // Tables have columns that can be widened, and partitioned by.
      Type type = i == 0 ? draw.of(Types.IntegerType.get(), Types.FloatType.get(), Types.DecimalType.of(9, 2)) : type(2, formatVersion, id);
      boolean optional = type.typeId() == Type.TypeID.UNKNOWN || draw.chance(0.7);
      fields.add(optional ? Types.NestedField.optional(++id[0], prefix + i, type) : Types.NestedField.required(++id[0], prefix + i, type));
    }
    return new Schema(TypeUtil.assignIncreasingFreshIds(new Schema(fields)).columns());
  }

  /** A type for a new column. */
  Type type(int formatVersion) {
    return type(1, formatVersion, new int[] {100_000});
  }

  private Type type(int depth, int formatVersion, int[] id) {
    if (depth == 0 || draw.chance(0.75)) return primitive(formatVersion);
    return switch (draw.below(3)) {
      case 0 -> struct(depth - 1, formatVersion, id);
      case 1 -> Types.ListType.ofOptional(++id[0], type(depth - 1, formatVersion, id));
      default -> Types.MapType.ofOptional(++id[0], ++id[0], Types.StringType.get(), type(depth - 1, formatVersion, id));
    };
  }

  private Types.StructType struct(int depth, int formatVersion, int[] id) {
    List<Types.NestedField> fields = new ArrayList<>();
    int count = draw.between(1, 3);
    for (int i = 0; i < count; i++) {
      Type type = type(depth, formatVersion, id);
      // A dot in a name makes a path ambiguous.
      String name = draw.chance(0.05) ? "n.s" + i : "s" + i;
      fields.add(Types.NestedField.optional(++id[0], name, type));
    }
    return Types.StructType.of(fields);
  }

  private Type primitive(int formatVersion) {
    if (formatVersion >= 3 && draw.chance(0.15)) {
      return draw.of(Types.TimestampNanoType.withZone(), Types.TimestampNanoType.withoutZone(), Types.VariantType.get(),
          Types.UnknownType.get(), Types.GeometryType.crs84(), Types.GeographyType.crs84());
    }
    return draw.of(Types.BooleanType.get(), Types.IntegerType.get(), Types.IntegerType.get(), Types.LongType.get(),
        Types.FloatType.get(), Types.DoubleType.get(), Types.DateType.get(), Types.DateType.get(), Types.TimeType.get(),
        Types.TimestampType.withZone(), Types.TimestampType.withoutZone(), Types.StringType.get(), Types.StringType.get(),
        Types.UUIDType.get(), Types.FixedType.ofLength(draw.between(1, 5)), Types.BinaryType.get(),
        Types.DecimalType.of(9, 2), Types.DecimalType.of(draw.between(1, 38), 0), Types.DecimalType.of(20, 20));
  }

  /** A type to which this one can be promoted; null if there is none. Iceberg Java does not promote dates yet. */
  Type.PrimitiveType wider(Type type) {
    return switch (type.typeId()) {
      case INTEGER -> Types.LongType.get();
      case FLOAT -> Types.DoubleType.get();
      case DECIMAL -> {
        Types.DecimalType decimal = (Types.DecimalType) type;
        yield decimal.precision() == 38 ? null : Types.DecimalType.of(draw.between(decimal.precision() + 1, 38), decimal.scale());
      }
      default -> null;
    };
  }

  /** The columns without children, in the order of their ids. */
  static List<Types.NestedField> leaves(Schema schema) {
    return TypeUtil.indexById(schema.asStruct()).values().stream()
        .filter(field -> !field.type().isNestedType())
        .sorted((a, b) -> Integer.compare(a.fieldId(), b.fieldId()))
        .toList();
  }

  /** Leaves that are not in lists or maps: only they can be partitioned by, or compared by equality deletes. */
  static List<Types.NestedField> singleValues(Schema schema) {
    List<Types.NestedField> found = new ArrayList<>();
    collect(schema.asStruct(), found);
    return found;
  }

  private static void collect(Types.StructType struct, List<Types.NestedField> found) {
    for (Types.NestedField field : struct.fields()) {
      if (field.type().isStructType()) collect(field.type().asStructType(), found);
      else if (hasValues(field.type())) found.add(field);
    }
  }

  /** Whether there are bounds and values of a type. */
  static boolean hasValues(Type type) {
    return switch (type.typeId()) {
      case STRUCT, LIST, MAP, VARIANT, UNKNOWN, GEOMETRY, GEOGRAPHY -> false;
      default -> true;
    };
  }
}
