package millrace.bench;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The door of the jar: `PeerJob JOB FOLDER CHECKPOINT_INTERVAL_MS [MORE...]`, with what more the job
 * asks for. Everything that a user of Flink would leave alone is left alone; what is set comes from the cluster's
 * configuration.
 */
public final class PeerJob {
  private PeerJob() {}

  public static void main(String[] args) throws Exception {
    String job = args[0];
    String folder = args[1];
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.enableCheckpointing(Long.parseLong(args[2]));
    WatermarkStrategy<Transaction> none = WatermarkStrategy.noWatermarks();
    WatermarkStrategy<Transaction> ascending =
        WatermarkStrategy.<Transaction>forMonotonousTimestamps()
            .withTimestampAssigner((record, given) -> record.timestamp);
    switch (job) {
      case "passthrough" ->
          PassthroughJob.build(
              transactions(env, new Transactions(Transactions.USERS, 1), none), folder);
      case "state" ->
          RollingJob.build(
              transactions(
                  env, new Transactions(RollingJob.USERS, 1, Transactions.Draw.UNIFORM), none),
              folder);
      case "state-zipf" ->
          RollingJob.build(
              transactions(
                  env, new Transactions(RollingJob.USERS, 1, Transactions.Draw.ZIPF), none),
              folder);
      case "checkpoint" ->
          RollingJob.build(
              env.fromSource(
                  IndexSource.paced(
                      new HotTransactions(Long.parseLong(args[3])), Double.parseDouble(args[4])),
                  none,
                  "transactions",
                  TypeInformation.of(Transaction.class)),
              folder);
      case "latency" ->
          LatencyJob.build(
              env, folder, Double.parseDouble(args[3]), Double.parseDouble(args[4]));
      case "window" ->
          WindowJob.build(
              transactions(
                  env, new Transactions(Transactions.USERS, WindowJob.RECORDS_PER_MS), ascending),
              folder);
      case "json" ->
          JsonJob.build(
              transactions(
                  env,
                  new JsonJob.Lines(
                      new Transactions(Transactions.USERS, WindowJob.RECORDS_PER_MS)),
                  ascending),
              folder);
      case "kafka" -> KafkaJob.build(env, ascending, folder, args[3], args[4], args[5]);
      case "nexmark-q1" -> NexmarkJobs.q1(events(env, folder, args[3]), folder);
      case "nexmark-q5" -> NexmarkJobs.q5(events(env, folder, args[3]), folder);
      case "nexmark-q8" -> NexmarkJobs.q8(events(env, folder, args[3]), folder);
      default -> throw new IllegalArgumentException("there is no job " + job);
    }
    env.execute("bench-" + job);
  }

  private static DataStream<Transaction> transactions(
      StreamExecutionEnvironment env,
      IndexSource.Generator<Transaction> made,
      WatermarkStrategy<Transaction> watermarks) {
    return env.fromSource(
        IndexSource.endless(made), watermarks, "transactions", TypeInformation.of(Transaction.class));
  }

  private static DataStream<NexmarkEvent> events(
      StreamExecutionEnvironment env, String folder, String count) {
    return env.fromSource(
        IndexSource.bounded(new NexmarkEvents(folder), Long.parseLong(count)),
        WatermarkStrategy.<NexmarkEvent>forMonotonousTimestamps()
            .withTimestampAssigner((event, given) -> event.dateTime()),
        "events",
        TypeInformation.of(NexmarkEvent.class));
  }
}
