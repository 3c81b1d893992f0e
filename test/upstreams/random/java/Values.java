import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.UUID;
import org.apache.iceberg.types.Type;
import org.apache.iceberg.types.Types;

/** Random values of primitive types, in Iceberg's internal representation. Few different ones, so that partitions and bounds meet. */
final class Values {
  private static final long DAY = 86_400_000_000L;
  private final Draw draw;

  Values(Draw draw) {
    this.draw = draw;
  }

  Object of(Type type) {
    return switch (type.typeId()) {
      case BOOLEAN -> draw.chance(0.5);
      case INTEGER -> draw.chance(0.1) ? draw.of(Integer.MIN_VALUE, Integer.MAX_VALUE) : draw.between(-3, 12);
      case LONG -> draw.chance(0.1) ? draw.of(Long.MIN_VALUE, Long.MAX_VALUE, 1L << 40) : (long) draw.between(-3, 12);
      case FLOAT -> draw.chance(0.2)
          ? draw.of(0f, -0f, Float.MIN_VALUE, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY)
          : draw.between(-4, 12) / 4f + (draw.chance(0.2) ? 0.1f : 0f);
      case DOUBLE -> draw.chance(0.2)
          ? draw.of(0d, -0d, Double.MIN_VALUE, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY)
          : draw.between(-4, 12) / 4d + (draw.chance(0.2) ? 0.1 : 0);
      case DATE -> draw.chance(0.1) ? draw.of(-200_000, 200_000) : 19_700 + draw.between(-3, 40);
      case TIME -> draw.below(24) * 3_600_000_000L + draw.below(3);
      case TIMESTAMP -> (19_700 + draw.between(-3, 40)) * DAY + draw.below(24) * 3_600_000_000L - draw.below(2);
      case TIMESTAMP_NANO -> ((19_700 + draw.between(-3, 40)) * DAY + draw.below(24) * 3_600_000_000L) * 1000 - draw.below(2);
      case STRING -> draw.of("", "a", "ab", "b", "ä", "\ud83d\ude00", "z/=%20 ", "\"quoted\"", "long text, longer than a truncated bound");
      case UUID -> new UUID(draw.of(0L, 1L, -1L), draw.of(7L, -7L));
      case FIXED -> ByteBuffer.wrap(bytes(((Types.FixedType) type).length()));
      case BINARY -> ByteBuffer.wrap(bytes(draw.below(4)));
      case DECIMAL -> decimal((Types.DecimalType) type);
      default -> throw new IllegalArgumentException("no values of " + type);
    };
  }

  private byte[] bytes(int length) {
    byte[] bytes = draw.bytes(length);
    for (int i = 0; i < length; i++) bytes[i] = draw.of((byte) 0, (byte) 1, (byte) 0x7f, (byte) 0x80, (byte) 0xff);
    return bytes;
  }

  private BigDecimal decimal(Types.DecimalType type) {
    BigInteger most = BigInteger.TEN.pow(type.precision()).subtract(BigInteger.ONE);
    BigInteger unscaled = draw.chance(0.1)
        ? draw.of(most, most.negate())
        : BigInteger.valueOf(draw.between(-200, 300)).remainder(most);
    return new BigDecimal(unscaled, type.scale());
  }
}
