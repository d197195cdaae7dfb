package millrace.bench;

/** The 7-field transaction of bench/jobs/transactions.ts as a POJO, so that Flink's own serializer takes it. */
public class Transaction {
  public String transactionId;
  public String userId;
  public String productId;
  public double price;
  /** Event time, ms. */
  public long timestamp;
  public String paymentMethod;
  public String geolocation;

  /** A copy with another price: what the maps before and behind the exchange make. */
  public Transaction withPrice(double newPrice) {
    Transaction copy = new Transaction();
    copy.transactionId = transactionId;
    copy.userId = userId;
    copy.productId = productId;
    copy.price = newPrice;
    copy.timestamp = timestamp;
    copy.paymentMethod = paymentMethod;
    copy.geolocation = geolocation;
    return copy;
  }

  /** A number that depends on every field; exact, so that sums don't depend on order. */
  public double fingerprint() {
    return price * 8
        + ((timestamp - Transactions.EPOCH_MS) & 0xffff)
        + last(transactionId) * 3
        + last(userId) * 5
        + last(productId) * 7
        + paymentMethod.length() * 11
        + last(geolocation) * 13;
  }

  private static int last(String text) {
    return text.charAt(text.length() - 1);
  }
}
