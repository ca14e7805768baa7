package io.lakegen.jobs.show;

import static org.apache.spark.sql.functions.avg;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.sha2;
import static org.apache.spark.sql.functions.sum;

import io.lakegen.jobs.run.Commit;
import io.lakegen.jobs.show.ShownColumn.Kind;
import io.lakegen.spark.OutputSchema;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;

/**
 * Two outputs, row by row: rows of the same key (that is, of the same input) are pairs. Equal rows
 * of one output count once.
 */
final class Comparison {
  /** Differences of floats that are rounding. */
  private static final double TOLERANCE = 1e-5;

  /** Levenshtein's distance takes time by the square of the length. */
  private static final int COMPARED_TEXT = 300;

  private static final String STATUS = "__lakegen_status";

  private final JobOutput a;
  private final JobOutput b;
  private final List<ShownColumn> inputs;
  private final List<ShownColumn> results;
  private final List<Change> changes = new ArrayList<>();
  private final List<Difference> differences;
  private final Totals totals;
  private final List<Pair> pairs;

  /** A parameter, a model or another thing that the runs do not share. */
  record Change(String name, String a, String b) {}

  /**
   * How much a column differs.
   *
   * @param different pairs that differ in it
   * @param mean of the differences of those: the share of characters to change, one minus the
   *     cosine, the number's relative difference, or 1
   */
  record Difference(ShownColumn column, long different, double mean) {}

  /**
   * Rows.
   *
   * @param both in both outputs, with a result
   * @param different of these, those that differ in any column
   * @param failedInA rows that A has as errors and B as results
   * @param failedInB likewise
   */
  record Totals(
      long both, long different, long failedInA, long failedInB, long onlyA, long onlyB) {}

  /**
   * A row of both outputs.
   *
   * @param input the row with the input's columns
   * @param a the row in A; null if it is not there
   */
  record Pair(Row input, Row a, Row b, List<Cell> cells) {}

  /** A column of a pair, in words. */
  record Cell(ShownColumn column, String a, String b, boolean isEqual) {}

  Comparison(JobOutput a, JobOutput b, int rows) {
    this.a = a;
    this.b = b;
    this.inputs = common(a.inputs(), b.inputs());
    this.results = common(a.results(), b.results());
    describeChanges();
    Dataset<Row> joined = joined().cache();
    try {
      Row all = joined.agg(lit(1).as("one"), totals()).head();
      this.totals =
          new Totals(
              number(all, "both"),
              number(all, "different"),
              number(all, "failed_a"),
              number(all, "failed_b"),
              number(all, "only_a"),
              number(all, "only_b"));
      this.differences = new ArrayList<>();
      for (int i = 0; i < results.size(); i++) {
        Object mean = all.getAs("mean" + i);
        differences.add(
            new Difference(results.get(i), number(all, "n" + i), mean == null ? 0 : (Double) mean));
      }
      this.pairs = pairs(joined, rows);
    } finally {
      joined.unpersist();
    }
  }

  private static List<ShownColumn> common(List<ShownColumn> a, List<ShownColumn> b) {
    return a.stream().filter(b::contains).toList();
  }

  private static long number(Row row, String name) {
    Object value = row.getAs(name);
    return value == null ? 0 : ((Number) value).longValue();
  }

  private void describeChanges() {
    change("job", a.status().job(), b.status().job());
    change("model", a.status().model(), b.status().model());
    change("digest of the model", shortDigest(a), shortDigest(b));
    Map<String, Object> now = new TreeMap<>(a.last().params());
    Map<String, Object> then = new TreeMap<>(b.last().params());
    TreeSet<String> names = new TreeSet<>(now.keySet());
    names.addAll(then.keySet());
    names.remove("task");
    names.forEach(n -> change("--" + n, text(now.get(n)), text(then.get(n))));
    change("input", String.join(", ", a.last().input()), String.join(", ", b.last().input()));
    change("seconds", seconds(a), seconds(b));
  }

  private static String text(Object value) {
    return value == null ? "not given" : Values.cut(String.valueOf(value), 200);
  }

  private static String shortDigest(JobOutput output) {
    return output.last().modelSha256().substring(0, 12);
  }

  private static String seconds(JobOutput output) {
    return String.format(
        Locale.ROOT, "%.1f", output.chunks().stream().mapToDouble(Commit::seconds).sum());
  }

  private void change(String name, String ofA, String ofB) {
    if (!Objects.equals(ofA, ofB)) {
      changes.add(new Change(name, ofA, ofB));
    }
  }

  private Dataset<Row> side(JobOutput output, String side) {
    Dataset<Row> rows = slim(output.identified(output.good()), side, lit("ok"));
    return output
        .errors()
        .map(e -> rows.unionByName(slim(output.identified(e), side, lit("error"))))
        .orElse(rows)
        .dropDuplicates(JobOutput.KEY, JobOutput.INDEX);
  }

  private Dataset<Row> slim(Dataset<Row> rows, String side, Column status) {
    List<Column> columns = new ArrayList<>();
    columns.add(col(JobOutput.KEY));
    columns.add(col(JobOutput.INDEX));
    columns.add(status.as(side + STATUS));
    for (int i = 0; i < results.size(); i++) {
      Column value = col("`" + results.get(i).name() + "`");
      Column compared =
          switch (results.get(i).kind()) {
            case IMAGE -> sha2(value, 256);
            case IMAGES -> expr("transform(`" + results.get(i).name() + "`, x -> sha2(x, 256))");
            default -> value;
          };
      columns.add(compared.as(side + i));
    }
    return rows.select(columns.toArray(Column[]::new));
  }

  /** A line for each row of either, with the difference of every column. */
  private Dataset<Row> joined() {
    Dataset<Row> rows =
        side(a, "a")
            .join(
                side(b, "b"),
                scala.jdk.javaapi.CollectionConverters.asScala(
                        List.of(JobOutput.KEY, JobOutput.INDEX))
                    .toSeq(),
                "full_outer");
    List<Column> columns = new ArrayList<>();
    columns.add(col(JobOutput.KEY));
    columns.add(col(JobOutput.INDEX));
    columns.add(
        expr("concat(coalesce(a" + STATUS + ", 'none'), ' ', coalesce(b" + STATUS + ", 'none'))")
            .as(STATUS));
    for (int i = 0; i < results.size(); i++) {
      columns.add(difference(rows, results.get(i), i).as("d" + i));
    }
    return rows.select(columns.toArray(Column[]::new));
  }

  /** From 0, equal, to 1; a null against a value is 1. */
  private static Column difference(Dataset<Row> rows, ShownColumn column, int i) {
    String x = "a" + i;
    String y = "b" + i;
    boolean same = rows.schema().apply(x).dataType().equals(rows.schema().apply(y).dataType());
    String sql =
        switch (column.kind()) {
          case TEXT ->
              String.format(
                  Locale.ROOT,
                  "greatest(0.001D, levenshtein(left(%1$s, %3$d), left(%2$s, %3$d))"
                      + " / greatest(1, least(%3$d, greatest(length(%1$s), length(%2$s)))))",
                  x,
                  y,
                  COMPARED_TEXT);
          case NUMBER ->
              String.format(
                  Locale.ROOT,
                  "abs(double(%1$s) - %2$s) / greatest(1e-12D, abs(double(%1$s)),"
                      + " abs(double(%2$s)))",
                  x,
                  y);
          case VECTOR ->
              String.format(
                  Locale.ROOT,
                  "CASE WHEN size(%1$s) <> size(%2$s) THEN 1D ELSE 1 - aggregate(zip_with(%1$s,"
                      + " %2$s, (p, q) -> double(p) * q), 0D, (s, v) -> s + v) / greatest(1e-12D,"
                      + " sqrt(aggregate(%1$s, 0D, (s, v) -> s + double(v) * v) * aggregate(%2$s,"
                      + " 0D, (s, v) -> s + double(v) * v))) END",
                  x,
                  y);
          default ->
              same
                      && rows.schema().apply(x).dataType()
                          instanceof org.apache.spark.sql.types.MapType
                  ? String.format(Locale.ROOT, "IF(to_json(%s) <=> to_json(%s), 0D, 1D)", x, y)
                  : same ? String.format(Locale.ROOT, "IF(%s <=> %s, 0D, 1D)", x, y) : "1D";
        };
    String equal = column.is(Kind.TEXT) ? x + " <=> " + y : x + " IS NULL AND " + y + " IS NULL";
    return expr(
        "CASE WHEN "
            + equal
            + " THEN 0D WHEN "
            + x
            + " IS NULL OR "
            + y
            + " IS NULL THEN 1D ELSE least(1D, "
            + sql
            + ") END");
  }

  private Column[] totals() {
    Column ok = col(STATUS).equalTo("ok ok");
    List<Column> all = new ArrayList<>();
    Column differs = lit(false);
    for (int i = 0; i < results.size(); i++) {
      Column different = ok.and(col("d" + i).gt(TOLERANCE));
      differs = differs.or(different);
      all.add(sum(different.cast("long")).as("n" + i));
      all.add(avg(org.apache.spark.sql.functions.when(different, col("d" + i))).as("mean" + i));
    }
    all.add(countOf(ok).as("both"));
    all.add(countOf(differs).as("different"));
    all.add(countOf(col(STATUS).equalTo("error ok")).as("failed_a"));
    all.add(countOf(col(STATUS).equalTo("ok error")).as("failed_b"));
    all.add(countOf(col(STATUS).endsWith(" none")).as("only_a"));
    all.add(countOf(col(STATUS).startsWith("none ")).as("only_b"));
    return all.toArray(Column[]::new);
  }

  private static Column countOf(Column condition) {
    return count(org.apache.spark.sql.functions.when(condition, 1));
  }

  private List<Pair> pairs(Dataset<Row> joined, int most) {
    Column outcome =
        expr(
            "CASE WHEN "
                + STATUS
                + " IN ('error ok', 'ok error') THEN 0 WHEN "
                + STATUS
                + " = 'ok ok' THEN 1 ELSE 2 END");
    List<Column> order = new ArrayList<>(List.of(outcome));
    for (int i = 0; i < results.size(); i++) {
      order.add(
          org.apache
              .spark
              .sql
              .functions
              .when(col("d" + i).gt(TOLERANCE), col("d" + i))
              .otherwise(0)
              .desc());
    }
    order.add(col(JobOutput.KEY));
    order.add(col(JobOutput.INDEX));
    List<Row> first =
        joined
            .where("NOT (" + STATUS + " IN ('error error', 'error none', 'none error'))")
            .orderBy(order.toArray(Column[]::new))
            .limit(most)
            .collectAsList();
    Object[] keys = first.stream().map(r -> r.getString(0)).distinct().toArray();
    Map<String, Row> ofA = byKey(a, keys);
    Map<String, Row> ofB = byKey(b, keys);
    List<Pair> pairs = new ArrayList<>();
    for (Row row : first) {
      String id = row.getString(0) + "/" + row.getInt(1);
      Row x = ofA.get(id);
      Row y = ofB.get(id);
      pairs.add(new Pair(x == null ? y : x, x, y, cells(row, x, y)));
    }
    return pairs;
  }

  private static Map<String, Row> byKey(JobOutput output, Object[] keys) {
    Map<String, Row> rows = new HashMap<>();
    List<Dataset<Row>> all = new ArrayList<>(List.of(output.good()));
    output.errors().ifPresent(all::add);
    for (Dataset<Row> some : all) {
      for (Row row : output.identified(some).where(col(JobOutput.KEY).isin(keys)).collectAsList()) {
        rows.putIfAbsent(row.getAs(JobOutput.KEY) + "/" + row.getAs(JobOutput.INDEX), row);
      }
    }
    return rows;
  }

  private List<Cell> cells(Row differences, Row x, Row y) {
    List<Cell> cells = new ArrayList<>();
    String missingX = missing(x);
    String missingY = missing(y);
    if (missingX != null || missingY != null) {
      ShownColumn main = results.isEmpty() ? new ShownColumn("result", Kind.TEXT) : results.get(0);
      cells.add(
          new Cell(
              main,
              missingX != null ? missingX : value(main, x),
              missingY != null ? missingY : value(main, y),
              false));
      return cells;
    }
    for (int i = 0; i < results.size(); i++) {
      ShownColumn column = results.get(i);
      double difference = differences.<Double>getAs("d" + i);
      String a = value(column, x);
      String b = value(column, y);
      boolean isEqual = difference <= TOLERANCE;
      if (column.is(Kind.VECTOR) && !isEqual) {
        b += String.format(Locale.ROOT, " (cosine %.4f)", 1 - difference);
      }
      cells.add(new Cell(column, a, b, isEqual));
    }
    return cells;
  }

  private static String missing(Row row) {
    if (row == null) {
      return "(no such row)";
    }
    Row error =
        Arrays.asList(row.schema().fieldNames()).contains(OutputSchema.ERROR)
            ? row.getAs(OutputSchema.ERROR)
            : null;
    return error == null
        ? null
        : "(error "
            + error.getAs("stage")
            + "/"
            + error.getAs("type")
            + ": "
            + error.getAs("message")
            + ")";
  }

  private static String value(ShownColumn column, Row row) {
    return TextView.text(column, row.getAs(column.name()));
  }

  JobOutput a() {
    return a;
  }

  JobOutput b() {
    return b;
  }

  /** Input columns of both. */
  List<ShownColumn> inputs() {
    return inputs;
  }

  /** Results of both. */
  List<ShownColumn> results() {
    return results;
  }

  List<Change> changes() {
    return changes;
  }

  List<Difference> differences() {
    return differences;
  }

  Totals counts() {
    return totals;
  }

  /** Rows of both, those that differ most first. */
  List<Pair> pairs() {
    return pairs;
  }

  /** The comparison for people, without the rows. */
  List<String> lines() {
    List<String> lines = new ArrayList<>();
    lines.add("A " + a.status().output() + ": " + a.status().job() + " with " + a.status().model());
    lines.add("B " + b.status().output() + ": " + b.status().job() + " with " + b.status().model());
    changes.forEach(c -> lines.add("  " + c.name() + ": A " + c.a() + ", B " + c.b()));
    lines.add(summary());
    differences.stream()
        .filter(d -> d.different() > 0)
        .forEach(
            d ->
                lines.add(
                    String.format(
                        Locale.ROOT,
                        "  %s: %,d rows differ, by %s on average",
                        d.column().name(),
                        d.different(),
                        unit(d))));
    return lines;
  }

  String summary() {
    String rest =
        List.of(
                part(totals.failedInA, "failed in A only"),
                part(totals.failedInB, "failed in B only"),
                part(totals.onlyA, "only in A"),
                part(totals.onlyB, "only in B"))
            .stream()
            .filter(p -> !p.isEmpty())
            .collect(Collectors.joining("; "));
    return String.format(
            Locale.ROOT,
            "%,d rows in both: %,d equal, %,d different",
            totals.both,
            totals.both - totals.different,
            totals.different)
        + (rest.isEmpty() ? "" : "; " + rest);
  }

  private static String part(long rows, String words) {
    return rows == 0 ? "" : String.format(Locale.ROOT, "%,d %s", rows, words);
  }

  /** The mean difference with its unit. */
  static String unit(Difference difference) {
    return switch (difference.column().kind()) {
      case TEXT -> String.format(Locale.ROOT, "%.0f %% of the characters", 100 * difference.mean());
      case NUMBER -> String.format(Locale.ROOT, "%.2g %%", 100 * difference.mean());
      case VECTOR -> String.format(Locale.ROOT, "1 - cosine = %.2g", difference.mean());
      default -> "all of it";
    };
  }
}
