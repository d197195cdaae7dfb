package millrace.bench;

/** First a record of each of a million users, then only some of them again: bench/jobs/checkpoint-pipeline.ts. */
final class HotTransactions implements IndexSource.Generator<Transaction> {
  private static final long serialVersionUID = 1;

  private final Transactions transactions = new Transactions(RollingJob.USERS, 1);
  private final long hot;

  /** @param hot users that come again */
  HotTransactions(long hot) {
    this.hot = hot;
  }

  @Override
  public Transaction make(long index) {
    long user = index < RollingJob.USERS ? index : index % hot * (RollingJob.USERS / hot);
    Transaction made = transactions.make(index);
    made.userId = transactions.userId((int) user);
    return made;
  }
}
