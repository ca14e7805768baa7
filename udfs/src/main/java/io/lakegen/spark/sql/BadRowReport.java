package io.lakegen.spark.sql;

import java.util.List;
import org.apache.spark.SparkContext;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerEvent;
import org.apache.spark.sql.execution.SQLExecution;
import org.apache.spark.sql.execution.metric.SQLMetric;
import org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionEnd;
import org.apache.spark.util.CollectionAccumulator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Warns at the end of a query of rows that a call could not do. */
final class BadRowReport extends SparkListener {
  private static final Logger LOG = LoggerFactory.getLogger(BadRowReport.class);
  private static final int EXAMPLES = 3;

  private final SparkContext context;
  private final long execution;
  private final String function;
  private final SQLMetric failed;
  private final CollectionAccumulator<String> examples;

  private BadRowReport(
      SparkContext context,
      long execution,
      String function,
      SQLMetric failed,
      CollectionAccumulator<String> examples) {
    this.context = context;
    this.execution = execution;
    this.function = function;
    this.failed = failed;
    this.examples = examples;
  }

  /** Waits for the end of the query that runs on this thread. */
  static void attach(
      SparkContext context,
      String function,
      SQLMetric failed,
      CollectionAccumulator<String> examples) {
    String execution = context.getLocalProperty(SQLExecution.EXECUTION_ID_KEY());
    if (execution != null) {
      context.addSparkListener(
          new BadRowReport(context, Long.parseLong(execution), function, failed, examples));
    }
  }

  @Override
  public void onOtherEvent(SparkListenerEvent event) {
    if (event instanceof SparkListenerSQLExecutionEnd end && end.executionId() == execution) {
      if (failed.value() > 0) {
        List<String> some = examples.value().stream().distinct().limit(EXAMPLES).toList();
        LOG.warn("{}: {} bad rows, such as {}", function, failed.value(), some);
      }
      context.removeSparkListener(this);
    }
  }
}
