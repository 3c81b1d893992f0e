import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Random choices that depend on a seed only. */
final class Draw {
  private final Random random;

  Draw(long seed) {
    // Neighbouring seeds of java.util.Random begin alike.
    random = new Random(seed * 0x9E3779B97F4A7C15L);
    random.nextInt();
  }

  /** From 0 to `bound` - 1. */
  int below(int bound) {
    return random.nextInt(bound);
  }

  /** From `least` to `most`. */
  int between(int least, int most) {
    return least + below(most - least + 1);
  }

  boolean chance(double probability) {
    return random.nextDouble() < probability;
  }

  long anyLong() {
    return random.nextLong();
  }

  byte[] bytes(int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  @SafeVarargs
  final <T> T of(T... choices) {
    return choices[below(choices.length)];
  }

  <T> T from(List<T> choices) {
    return choices.get(below(choices.size()));
  }

  /** One to `most` of them, in their order. */
  <T> List<T> someOf(List<T> choices, int most) {
    List<T> some = new ArrayList<>();
    int wanted = Math.min(between(1, most), choices.size());
    for (int i = 0; i < choices.size(); i++) {
      if (below(choices.size() - i) < wanted - some.size()) some.add(choices.get(i));
    }
    return some;
  }
}
