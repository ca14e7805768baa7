package io.lakegen.spark.sql;

import io.lakegen.batch.ScoringStats.Counter;
import io.lakegen.spark.Cluster;
import io.lakegen.spark.RowFormat;
import io.lakegen.spark.ScoringPlan;
import java.io.Serializable;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import org.apache.spark.SparkContext;
import org.apache.spark.rdd.RDD;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.catalyst.expressions.Attribute;
import org.apache.spark.sql.catalyst.expressions.AttributeSet;
import org.apache.spark.sql.catalyst.expressions.AttributeSet$;
import org.apache.spark.sql.catalyst.expressions.SortOrder;
import org.apache.spark.sql.catalyst.expressions.UnsafeProjection;
import org.apache.spark.sql.catalyst.plans.physical.Partitioning;
import org.apache.spark.sql.catalyst.plans.physical.RoundRobinPartitioning;
import org.apache.spark.sql.catalyst.plans.physical.UnknownPartitioning;
import org.apache.spark.sql.execution.BaseLimitExec;
import org.apache.spark.sql.execution.CoalesceExec;
import org.apache.spark.sql.execution.FilterExec;
import org.apache.spark.sql.execution.GenerateExec;
import org.apache.spark.sql.execution.InputAdapter;
import org.apache.spark.sql.execution.OneRowRelationExec;
import org.apache.spark.sql.execution.ProjectExec;
import org.apache.spark.sql.execution.SortExec;
import org.apache.spark.sql.execution.SparkPlan;
import org.apache.spark.sql.execution.TakeOrderedAndProjectExec;
import org.apache.spark.sql.execution.UnaryExecNode;
import org.apache.spark.sql.execution.WholeStageCodegenExec;
import org.apache.spark.sql.execution.exchange.ENSURE_REQUIREMENTS$;
import org.apache.spark.sql.execution.exchange.ShuffleExchangeExec;
import org.apache.spark.sql.execution.metric.SQLMetric;
import org.apache.spark.sql.execution.metric.SQLMetrics;
import org.apache.spark.util.CollectionAccumulator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Option;
import scala.collection.Iterator;
import scala.collection.immutable.IndexedSeq;
import scala.collection.immutable.Map;
import scala.collection.immutable.Map$;
import scala.collection.immutable.Seq;
import scala.jdk.javaapi.CollectionConverters;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractFunction2;

/** Scores the child's rows, as jobs do, and adds the result of a call. */
public final class ModelScoringExec extends SparkPlan implements UnaryExecNode {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(ModelScoringExec.class);

  private final ModelCall call;
  private final Attribute result;
  private final SparkPlan child;
  private transient volatile Map<String, SQLMetric> metrics;

  /** The call's inputs are columns of the child. */
  public ModelScoringExec(ModelCall call, Attribute result, SparkPlan child) {
    this.call = call;
    this.result = result;
    this.child = child;
  }

  @Override
  public SparkPlan child() {
    return child;
  }

  @Override
  public Seq<SparkPlan> children() {
    return UnaryExecNode.super.children();
  }

  @Override
  public SparkPlan withNewChildInternal(SparkPlan newChild) {
    return new ModelScoringExec(call, result, newChild);
  }

  @Override
  public SparkPlan withNewChildrenInternal(IndexedSeq<SparkPlan> newChildren) {
    return withNewChildInternal(newChildren.apply(0));
  }

  @Override
  public Seq<Attribute> output() {
    return Scala.append(child.output(), List.of(result));
  }

  @Override
  public AttributeSet producedAttributes() {
    return AttributeSet$.MODULE$.apply(result);
  }

  @Override
  public Partitioning outputPartitioning() {
    return maySpread()
        ? new UnknownPartitioning(child.outputPartitioning().numPartitions())
        : child.outputPartitioning();
  }

  @Override
  public Seq<SortOrder> outputOrdering() {
    return maySpread() ? Scala.seq(List.of()) : child.outputOrdering();
  }

  /** Sorted rows stay where they are: nothing would bring their order back. */
  private boolean maySpread() {
    return !isSorted(child);
  }

  /** The sorts of joins, windows and aggregates are not the user's, and are not kept. */
  private static boolean isSorted(SparkPlan plan) {
    if (plan instanceof SortExec || plan instanceof TakeOrderedAndProjectExec) {
      return true;
    }
    if (plan.children().isEmpty()) {
      return !plan.outputOrdering().isEmpty();
    }
    boolean keepsOrder =
        plan instanceof ProjectExec
            || plan instanceof FilterExec
            || plan instanceof BaseLimitExec
            || plan instanceof CoalesceExec
            || plan instanceof GenerateExec
            || plan instanceof WholeStageCodegenExec
            || plan instanceof InputAdapter
            || plan instanceof ModelScoringExec;
    return keepsOrder && isSorted(plan.children().apply(0));
  }

  // A class's method hides a trait's from Java.
  @Override
  public String verboseStringWithOperatorId() {
    return UnaryExecNode.super.verboseStringWithOperatorId();
  }

  /** What a query's page in Spark's UI shows of the operator. */
  private enum Metric {
    numOutputRows("number of output rows", null),
    rows("rows scored", Counter.rows),
    failed("bad rows", Counter.failed),
    batches("batches", Counter.batches),
    size("size of the rows (tokens, pixels or rows)", Counter.size),
    padded("size of the batches, padding counted", Counter.padded),
    outOfMemory("batches split for lack of memory", Counter.outOfMemory),
    prepareNanos("time preparing rows", Counter.prepareNanos),
    inferNanos("time in the model", Counter.inferNanos);

    private final String label;
    private final Counter counter;

    Metric(String label, Counter counter) {
      this.label = label;
      this.counter = counter;
    }
  }

  @Override
  public Map<String, SQLMetric> metrics() {
    if (metrics == null) {
      synchronized (this) {
        if (metrics == null) {
          @SuppressWarnings("unchecked") // it is empty
          java.util.Map<String, SQLMetric> made = new LinkedHashMap<>();
          for (Metric metric : Metric.values()) {
            made.put(
                metric.name(),
                metric.name().endsWith("Nanos")
                    ? SQLMetrics.createNanoTimingMetric(
                        sparkContext(), metric.label, SQLMetrics.createNanoTimingMetric$default$3())
                    : SQLMetrics.createMetric(sparkContext(), metric.label));
          }
          metrics = Map$.MODULE$.from(CollectionConverters.asScala(made));
        }
      }
    }
    return metrics;
  }

  @Override
  public RDD<InternalRow> doExecute() {
    SparkContext context = sparkContext();
    CollectionAccumulator<String> examples = new CollectionAccumulator<>();
    context.register(examples);
    BadRowReport.attach(context, call.prettyName(), longMetric(Metric.failed.name()), examples);
    LinkedHashMap<Counter, SQLMetric> counters = new LinkedHashMap<>();
    for (Metric metric : Metric.values()) {
      if (metric.counter != null) {
        counters.put(metric.counter, longMetric(metric.name()));
      }
    }
    Score score =
        new Score(
            call,
            call.spec().plan(context, session().sessionState().newHadoopConf()),
            child.output(),
            output(),
            longMetric(Metric.numOutputRows.name()),
            new SendCounters(counters),
            examples);
    return input()
        .mapPartitionsWithIndexInternal(
            score, true, false, ClassTag$.MODULE$.apply(InternalRow.class));
  }

  /**
   * The child's rows, moved to more partitions if those are fewer than the tasks that run at once:
   * a small file, a limit, or a shuffle that AQE shrank by its bytes would leave devices idle.
   */
  private RDD<InternalRow> input() {
    RDD<InternalRow> rows = child.execute();
    int tasks = Cluster.concurrentTasks(sparkContext());
    int partitions = rows.getNumPartitions();
    if (!maySpread() || partitions == 0 || partitions >= tasks || hasOneRow()) {
      return rows;
    }
    LOG.info("{}: moving rows from {} partitions to {}", call.prettyName(), partitions, tasks);
    return new ShuffleExchangeExec(
            new RoundRobinPartitioning(tasks), child, ENSURE_REQUIREMENTS$.MODULE$, Option.empty())
        .execute();
  }

  /** A call on constants, as in {@code SELECT ai_embed('a text')}. */
  private boolean hasOneRow() {
    return Scala.<SparkPlan>list(child.collectLeaves()).stream()
        .allMatch(leaf -> leaf instanceof OneRowRelationExec);
  }

  private record SendCounters(LinkedHashMap<Counter, SQLMetric> metrics)
      implements Consumer<java.util.Map<Counter, Long>>, Serializable {
    @Override
    public void accept(java.util.Map<Counter, Long> amounts) {
      new EnumMap<>(amounts)
          .forEach(
              (counter, amount) -> {
                SQLMetric metric = metrics.get(counter);
                if (metric != null) {
                  metric.add(amount);
                }
              });
    }
  }

  /** What goes to the executors: nothing of the plan. */
  private static final class Score
      extends AbstractFunction2<Object, Iterator<InternalRow>, Iterator<InternalRow>>
      implements Serializable {
    private static final long serialVersionUID = 1L;

    private final ModelCall call;
    private final ScoringPlan plan;
    private final Seq<Attribute> input;
    private final Seq<Attribute> output;
    private final SQLMetric outputRows;
    private final SendCounters counters;
    private final CollectionAccumulator<String> examples;

    Score(
        ModelCall call,
        ScoringPlan plan,
        Seq<Attribute> input,
        Seq<Attribute> output,
        SQLMetric outputRows,
        SendCounters counters,
        CollectionAccumulator<String> examples) {
      this.call = call;
      this.plan = plan;
      this.input = input;
      this.output = output;
      this.outputRows = outputRows;
      this.counters = counters;
      this.examples = examples;
    }

    @Override
    public Iterator<InternalRow> apply(Object index, Iterator<InternalRow> rows) {
      return new CallRows(
          call.spec(),
          plan,
          new RowFormat(plan),
          rows,
          UnsafeProjection.create(call.children(), input),
          UnsafeProjection.create(Scala.widen(output), output),
          outputRows,
          counters,
          examples);
    }
  }

  @Override
  public int productArity() {
    return 3;
  }

  @Override
  public Object productElement(int index) {
    return index == 0 ? call : index == 1 ? result : child;
  }

  @Override
  public boolean canEqual(Object other) {
    return other instanceof ModelScoringExec;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ModelScoringExec scoring
        && call.equals(scoring.call)
        && result.equals(scoring.result)
        && child.equals(scoring.child);
  }

  @Override
  public int hashCode() {
    return Objects.hash(call, result, child);
  }
}
