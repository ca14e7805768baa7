package io.lakegen.spark.sql;

import org.apache.spark.QueryContext;
import org.apache.spark.sql.AnalysisException;
import scala.Option;
import scala.collection.immutable.Map$;

/** Spark's exceptions with messages of our own. */
final class Failures {
  private Failures() {}

  /** Throws an AnalysisException. */
  static RuntimeException analysis(String message) {
    return Scala.<RuntimeException>raise(
        new AnalysisException(
            message,
            Option.empty(),
            Option.empty(),
            Option.empty(),
            Option.empty(),
            Map$.MODULE$.empty(),
            new QueryContext[0]));
  }
}
