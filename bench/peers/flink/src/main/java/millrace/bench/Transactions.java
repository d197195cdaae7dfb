package millrace.bench;

import java.math.BigDecimal;
import java.math.RoundingMode;
import java.util.function.IntFunction;

/**
 * Makes transaction number i, field by field the one that bench/jobs/transactions.ts makes. Text comes
 * out of tables, as it does there; whatever differs shows in the checksum.
 */
public final class Transactions implements IndexSource.Generator<Transaction> {
  private static final long serialVersionUID = 1;

  public static final int USERS = 100_000;
  public static final long EPOCH_MS = 1_700_000_040_000L;
  /** Tallies count by index modulo this. */
  public static final int SPLITS = 8;

  private static final int ID_BLOCK = 10_000;
  private static final int STRIDE = 2003;
  private static final String[] ID_TAILS = table(ID_BLOCK, i -> String.format("%04d", i));
  private static final String[] PRODUCTS = table(5000, i -> String.format("product-%05d", i));
  private static final String[] METHODS = {"credit-card", "paypal", "wallet", "bank-transfer"};
  private static final String[] PLACES =
      table(1021, i -> fixed(48 + i / 997.0) + "," + fixed(11 + i / 883.0));

  /** 1 / (1 - exponent), of an exponent of 0.99. */
  private static final int ZIPF_POWER = 100;

  private final int users;
  private final int recordsPerMs;
  private final Draw draw;
  private transient String[] userIds;
  private transient long idBlock;
  private transient String idHead;
  private transient double zipfWidth;

  /** How records choose their users. */
  public enum Draw {
    CYCLE,
    UNIFORM,
    ZIPF
  }

  public Transactions(int users, int recordsPerMs) {
    this(users, recordsPerMs, Draw.CYCLE);
  }

  public Transactions(int users, int recordsPerMs, Draw draw) {
    this.users = users;
    this.recordsPerMs = recordsPerMs;
    this.draw = draw;
  }

  @Override
  public Transaction make(long index) {
    if (userIds == null) {
      userIds = new String[users];
      idBlock = -1;
      zipfWidth = Math.round((Math.pow(users, 1.0 / ZIPF_POWER) - 1) * 1e9) / 1e9;
    }
    Transaction made = new Transaction();
    made.transactionId = transactionId(index);
    made.userId = userId(userOf(index));
    made.productId = PRODUCTS[(int) ((index % PRODUCTS.length) * 31 % PRODUCTS.length)];
    made.price = (index % 9973) * 13 % 9973 / 4.0;
    made.timestamp = EPOCH_MS + index / recordsPerMs;
    made.paymentMethod = METHODS[(int) (index & 3)];
    made.geolocation = PLACES[(int) (index % PLACES.length)];
    return made;
  }

  /** @param user below `users`; a record must have been made before */
  String userId(int user) {
    String known = userIds[user];
    return known != null ? known : (userIds[user] = String.format("user-%07d", user));
  }

  private int userOf(long index) {
    return switch (draw) {
      case CYCLE -> (int) ((index % users) * STRIDE % users);
      case UNIFORM ->
          index < users
              ? (int) (index * STRIDE % users)
              : Integer.remainderUnsigned(scattered((int) index), users);
      case ZIPF -> {
        double share = Integer.toUnsignedLong(scattered((int) index)) / 4294967296.0;
        long rank = (long) hundredthPower(1 + share * zipfWidth);
        yield (int) (Math.min(users, rank) * STRIDE % users);
      }
    };
  }

  /** By products alone, in the order of the other side: a library's power may differ in its last bit. */
  private static double hundredthPower(double x) {
    double x4 = x * x * (x * x);
    double x16 = x4 * x4 * (x4 * x4);
    double x32 = x16 * x16;
    return x32 * x32 * x32 * x4;
  }

  /** 32 bits that look random, one number for each index. */
  private static int scattered(int index) {
    int h = (index ^ (index >>> 16)) * 0x85ebca6b;
    h = (h ^ (h >>> 13)) * 0xc2b2ae35;
    return h ^ (h >>> 16);
  }

  private String transactionId(long index) {
    long block = index / ID_BLOCK;
    if (block != idBlock) {
      idBlock = block;
      idHead = String.format("tx%06d", block);
    }
    return idHead + ID_TAILS[(int) (index % ID_BLOCK)];
  }

  /** The number of the tally that counts a record. */
  static int splitOf(long timestamp) {
    return (int) ((timestamp - EPOCH_MS) & (SPLITS - 1));
  }

  static String[] table(int count, IntFunction<String> make) {
    String[] entries = new String[count];
    for (int i = 0; i < count; i++) entries[i] = make.apply(i);
    return entries;
  }

  /** Five places, rounded from the exact binary value as JavaScript's toFixed does. */
  private static String fixed(double value) {
    return new BigDecimal(value).setScale(5, RoundingMode.HALF_UP).toPlainString();
  }
}
