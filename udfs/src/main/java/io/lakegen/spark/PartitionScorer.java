package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.batch.BatchScorer;
import io.lakegen.batch.Scored;
import io.lakegen.batch.ScoringOptions;
import io.lakegen.batch.ScoringStats;
import io.lakegen.model.Devices;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.PackStore;
import io.lakegen.spark.RowFormat.KeptRow;
import io.lakegen.task.Budget;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Task;
import io.lakegen.task.TaskDefinition;
import java.io.IOException;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.resource.ResourceInformation;
import org.apache.spark.sql.catalyst.InternalRow;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Scores a partition on the executor: binds the plan to this JVM's shared model and streams the
 * rows through it.
 */
public final class PartitionScorer implements FlatMapFunction<Iterator<InternalRow>, InternalRow> {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(PartitionScorer.class);

  /** Encoded pictures are megabytes each; texts never come near this. */
  private static final long WINDOW_BYTES = 32L << 20;

  private final ScoringPlan plan;
  private final CountersAccumulator counters;

  /**
   * @param counters registered with the Spark context
   */
  @SuppressWarnings("MissingSummary")
  public PartitionScorer(ScoringPlan plan, CountersAccumulator counters) {
    this.plan = plan;
    this.counters = counters;
  }

  private record TaskKey(TaskDefinition definition, OptionValues options, long budget) {}

  private record SharedTask(Task<?, ?> task, Budget budget) {}

  @Override
  public Iterator<InternalRow> call(Iterator<InternalRow> rows) throws IOException {
    if (!rows.hasNext()) {
      return rows;
    }
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
    LoadedModel model = leased.model();
    LOG.debug("task {} is on {}", TaskContext.get().taskAttemptId(), model.device());
    SharedTask shared =
        model.shared(
            new TaskKey(plan.definition(), plan.options(), plan.batchBudget()),
            SharedTask.class,
            () -> open(leased));
    return score(rows, shared.task(), shared.budget(), leased);
  }

  private <P, O> Iterator<InternalRow> score(
      Iterator<InternalRow> rows, Task<P, O> task, Budget budget, LeasedModel<LoadedModel> leased) {
    RowFormat format = new RowFormat(plan);
    ScoringStats stats = new ScoringStats();
    Iterator<KeptRow> kept =
        new Iterator<>() {
          @Override
          public boolean hasNext() {
            return rows.hasNext();
          }

          @Override
          public KeptRow next() {
            return format.read(rows.next());
          }
        };
    BatchScorer<KeptRow, P, O> scorer =
        new BatchScorer<>(
            kept,
            KeptRow::input,
            KeptRow::key,
            task,
            new ScoringOptions(
                plan.definition().data().windowRows(),
                WINDOW_BYTES,
                plan.prepareThreads(),
                plan.timeouts(),
                plan.modelId() + " on " + leased.model().device()),
            budget,
            stats);
    leased.usedBy(scorer);
    CountersAccumulator.Feed feed = new CountersAccumulator.Feed(counters, stats);
    // Listeners are called last come, first served: the scorer ends before the lease.
    TaskContext.get()
        .addTaskCompletionListener(
            context -> {
              scorer.close();
              feed.send();
            });
    return new Output<>(format, task, scorer, feed);
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
    long most =
        plan.batchBudget() > 0
            ? plan.batchBudget()
            : plan.definition().data().budget().on(model.device());
    Budget budget = new Budget(most);
    Task<?, ?> task = plan.definition().open(model, plan.options(), budget);
    leased.prove(task);
    LOG.info("scoring with {} on {}, batch budget {}", plan.modelId(), model.device(), most);
    return new SharedTask(task, budget);
  }

  private static final class Output<O> implements Iterator<InternalRow> {
    private static final int ROWS_PER_SEND = 64;

    private final RowFormat format;
    private final Task<?, O> task;
    private final Iterator<Scored<KeptRow, O>> scored;
    private final CountersAccumulator.Feed feed;
    private Iterator<InternalRow> pending = List.<InternalRow>of().iterator();
    private int rows;

    Output(
        RowFormat format,
        Task<?, O> task,
        Iterator<Scored<KeptRow, O>> scored,
        CountersAccumulator.Feed feed) {
      this.format = format;
      this.task = task;
      this.scored = scored;
      this.feed = feed;
    }

    @Override
    public boolean hasNext() {
      return pending.hasNext() || scored.hasNext();
    }

    @Override
    public InternalRow next() {
      if (!pending.hasNext()) {
        Scored<KeptRow, O> next = scored.next();
        List<List<Object>> values = next.error() == null ? task.values(next.result()) : List.of();
        pending = format.write(next.row(), values, next.error()).iterator();
        if (++rows % ROWS_PER_SEND == 0) {
          feed.send();
        }
      }
      return pending.next();
    }
  }
}
