package io.lakegen.spark.sql;

import org.apache.spark.QueryContext;
import org.apache.spark.sql.AnalysisException;
import scala.Option;
import scala.collection.immutable.Map;
import scala.collection.immutable.Map$;
import scala.jdk.javaapi.CollectionConverters;

/** Spark's exceptions with messages of our own. */
final class Failures {
  /**
   * The condition of Spark whose message is whatever it is given. Python's side of Spark cannot do
   * with an exception that has none.
   */
  private static final String CONDITION = "_LEGACY_ERROR_USER_RAISED_EXCEPTION";

  private Failures() {}

  /** Throws an AnalysisException. */
  static RuntimeException analysis(String message) {
    Map<String, String> parameters =
        Map$.MODULE$.from(CollectionConverters.asScala(java.util.Map.of("errorMessage", message)));
    return Scala.<RuntimeException>raise(
        new AnalysisException(
            message,
            Option.empty(),
            Option.empty(),
            Option.empty(),
            Option.apply(CONDITION),
            parameters,
            new QueryContext[0]));
  }
}
