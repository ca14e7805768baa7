package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.Scored;
import io.lakegen.batch.ScoringOptions;
import io.lakegen.batch.ScoringStats;
import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.model.Devices;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowError;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The rows of a Spark task, scored with this JVM's shared model, in the order in which they come.
 * The task's end, good or bad, stops the work and gives the model back.
 *
 * @param <R> what the caller keeps of a row
 */
public final class ScoredRows<R> implements Iterator<ScoredRows.Outcome<R>> {
  private static final Logger LOG = LoggerFactory.getLogger(ScoredRows.class);

  /** Encoded pictures are megabytes each; texts never come near this. */
  private static final long WINDOW_BYTES = 32L << 20;

  private static final int ROWS_PER_SEND = 64;

  private final ScoringPlan plan;
  private final Iterator<Scored<R, Object>> scored;
  private final Task<?, Object> task;
  private final ScoringStats stats = new ScoringStats();
  private final CountersFeed feed;
  private int rows;

  /**
   * A row's outcome.
   *
   * @param values of the task for each output row; empty where there is an error
   * @param error null if there is none
   */
  public record Outcome<R>(R row, List<List<Object>> values, RowError error) {}

  private record TaskKey(TaskDefinition definition, OptionValues options, long budget) {}

  private record SharedTask(Task<?, ?> task, Budget budget) {}

  /**
   * Leases the model, which loads it if no task of this JVM did before.
   *
   * @param rows pulled on the caller's thread, some windows ahead of what is asked for
   * @param inputOf what the task reads of a row
   * @param nameOf how messages name a row
   * @param counters get what was counted since they got something last
   */
  public ScoredRows(
      ScoringPlan plan,
      Iterator<R> rows,
      Function<R, RowInput> inputOf,
      Function<R, String> nameOf,
      Consumer<Map<Counter, Long>> counters)
      throws IOException {
    this.plan = plan;
    this.feed = new CountersFeed(stats, counters);
    List<Device> devices =
        Devices.candidates(plan.device(), gpuAddresses(), plan.engine(), plan.threads());
    LeasedModel<LoadedModel> leased =
        LeasedModel.of(
            ExecutorModels.pool(),
            plan.modelSha256(),
            devices,
            this::fetch,
            (pack, device) -> LoadedModel.load(pack, device, plan.threads()));
    TaskContext.get()
        .addTaskCompletionListener(
            context -> {
              leased.close();
            });
    LOG.debug("task {} is on {}", TaskContext.get().taskAttemptId(), leased.model().device());
    SharedTask shared =
        leased
            .model()
            .shared(
                new TaskKey(plan.definition(), plan.options(), plan.batchBudget()),
                SharedTask.class,
                () -> open(leased));
    @SuppressWarnings("unchecked") // its own prepared rows and results are all that it is given
    Task<Object, Object> opened = (Task<Object, Object>) shared.task();
    this.task = opened;
    BatchScorer<R, Object, Object> scorer =
        new BatchScorer<>(
            rows,
            inputOf,
            nameOf,
            opened,
            new ScoringOptions(
                plan.definition().data().windowRows(),
                WINDOW_BYTES,
                plan.prepareThreads(),
                plan.timeouts(),
                plan.modelId() + " on " + leased.model().device()),
            shared.budget(),
            leased.deviceUse(),
            stats);
    this.scored = scorer;
    leased.usedBy(scorer);
    // Listeners are called last come, first served: the scorer ends before the lease.
    TaskContext.get()
        .addTaskCompletionListener(
            context -> {
              scorer.close();
              feed.send();
            });
  }

  @Override
  public boolean hasNext() {
    return scored.hasNext();
  }

  @Override
  public Outcome<R> next() {
    Scored<R, Object> next = scored.next();
    if (++rows % ROWS_PER_SEND == 0) {
      feed.send();
    }
    return new Outcome<>(
        next.row(), next.error() == null ? task.values(next.result()) : List.of(), next.error());
  }

  /** Hands on what has come to the counters, also while a row takes its time. Thread-safe. */
  void sendCounts() {
    feed.send();
  }

  /** Addresses of the GPUs that Spark assigned to the task of this thread. */
  public static List<String> gpuAddresses() {
    ResourceInformation gpus = TaskContext.get().resourcesJMap().get("gpu");
    return gpus == null ? List.of() : List.of(gpus.addresses());
  }

  private ModelPack fetch() throws IOException {
    ModelPack pack = PackStore.ofNode().fetch(plan.modelUri(), plan.conf().value());
    if (!pack.sha256().equals(plan.modelSha256())) {
      throw new IOException(
          "model pack "
              + plan.modelUri()
              + ": "
              + pack.sha256()
              + " (expected: "
              + plan.modelSha256()
              + ", as when the job started; the pack was changed since)");
    }
    return pack;
  }

  private SharedTask open(LeasedModel<LoadedModel> leased) {
    LoadedModel model = leased.model();
    Budget budget =
        plan.batchBudget() > 0
            ? new Budget(plan.batchBudget())
            : plan.definition().data().budget().budget(model.device(), plan.threads());
    Task<?, ?> task = plan.definition().open(model, plan.options(), budget);
    leased.prove(task);
    LOG.info("scoring with {} on {}, batch budget {}", plan.modelId(), model.device(), budget);
    return new SharedTask(task, budget);
  }
}
