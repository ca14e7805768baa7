package io.lakegen.spark;

import ai.djl.Device;
import io.lakegen.model.Devices;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.ModelPack;
import io.lakegen.model.ModelPool;
import io.lakegen.model.PackStore;
import io.lakegen.scoring.BatchBudget;
import io.lakegen.scoring.BatchScorer;
import io.lakegen.scoring.Scored;
import io.lakegen.scoring.ScoringOptions;
import io.lakegen.scoring.ScoringStats;
import io.lakegen.task.ModelTask;
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
public final class PartitionScorer<I, P, O>
    implements FlatMapFunction<Iterator<InternalRow>, InternalRow> {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(PartitionScorer.class);

  /** Encoded pictures are megabytes each; texts never come near this. */
  private static final long WINDOW_BYTES = 32L << 20;

  private final ScoringPlan<I, P, O> plan;
  private final CountersAccumulator counters;

  /**
   * @param counters registered with the Spark context
   */
  @SuppressWarnings("MissingSummary")
  public PartitionScorer(ScoringPlan<I, P, O> plan, CountersAccumulator counters) {
    this.plan = plan;
    this.counters = counters;
  }

  private record ModelKey(String packSha256, Device device) {}

  private record TaskKey(RowTask<?, ?, ?> task, long budget) {}

  private record SharedTask(ModelTask<?, ?, ?> task, BatchBudget budget) {}

  @Override
  public Iterator<InternalRow> call(Iterator<InternalRow> rows) throws IOException {
    if (!rows.hasNext()) {
      return rows;
    }
    RowFormat<I, P, O> format = new RowFormat<>(plan);
    Device device = Devices.resolve(plan.device(), gpuAddresses(), plan.engine(), plan.threads());
    LoadedModel model =
        ModelPool.get(
            new ModelKey(plan.modelSha256(), device), LoadedModel.class, () -> load(device));
    SharedTask shared =
        model.shared(
            new TaskKey(plan.task(), plan.batchBudget()),
            SharedTask.class,
            () -> open(model, device));
    @SuppressWarnings("unchecked") // made by this plan's task, which is part of the key
    ModelTask<I, P, O> task = (ModelTask<I, P, O>) shared.task();
    ScoringStats stats = new ScoringStats();
    BatchScorer<RowFormat.Input<I>, P, O> scorer =
        new BatchScorer<>(
            new Iterator<>() {
              @Override
              public boolean hasNext() {
                return rows.hasNext();
              }

              @Override
              public RowFormat.Input<I> next() {
                return format.read(rows.next());
              }
            },
            new RowFormat.Adapter<>(task),
            new ScoringOptions(plan.task().windowRows(), WINDOW_BYTES, plan.prepareThreads()),
            shared.budget(),
            stats);
    CountersAccumulator.Feed feed = new CountersAccumulator.Feed(counters, stats);
    TaskContext.get()
        .addTaskCompletionListener(
            context -> {
              scorer.close();
              feed.send();
            });
    return new Output(format, scorer, feed);
  }

  private List<String> gpuAddresses() {
    ResourceInformation gpus = TaskContext.get().resourcesJMap().get("gpu");
    return gpus == null ? List.of() : List.of(gpus.addresses());
  }

  private LoadedModel load(Device device) throws IOException {
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
    return LoadedModel.load(pack, device, plan.threads());
  }

  private SharedTask open(LoadedModel model, Device device) {
    ModelTask<I, P, O> task = plan.task().open(model);
    try {
      task.check();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    long budget = plan.batchBudget() > 0 ? plan.batchBudget() : plan.task().defaultBudget(device);
    LOG.info("scoring with {} on {}, batch budget {}", plan.modelId(), device, budget);
    return new SharedTask(task, new BatchBudget(budget));
  }

  private final class Output implements Iterator<InternalRow> {
    private static final int ROWS_PER_SEND = 64;

    private final RowFormat<I, P, O> format;
    private final Iterator<Scored<RowFormat.Input<I>, O>> scored;
    private final CountersAccumulator.Feed feed;
    private Iterator<InternalRow> pending = List.<InternalRow>of().iterator();
    private int rows;

    Output(
        RowFormat<I, P, O> format,
        Iterator<Scored<RowFormat.Input<I>, O>> scored,
        CountersAccumulator.Feed feed) {
      this.format = format;
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
        pending = format.write(scored.next()).iterator();
        if (++rows % ROWS_PER_SEND == 0) {
          feed.send();
        }
      }
      return pending.next();
    }
  }
}
