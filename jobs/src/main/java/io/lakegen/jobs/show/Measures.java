package io.lakegen.jobs.show;

import static org.apache.spark.sql.functions.approx_count_distinct;
import static org.apache.spark.sql.functions.array;
import static org.apache.spark.sql.functions.avg;
import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.explode;
import static org.apache.spark.sql.functions.expr;
import static org.apache.spark.sql.functions.floor;
import static org.apache.spark.sql.functions.greatest;
import static org.apache.spark.sql.functions.least;
import static org.apache.spark.sql.functions.length;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.min;
import static org.apache.spark.sql.functions.not;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.when;

import io.lakegen.jobs.show.ShownColumn.Kind;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.IntegralType;

/**
 * How the values are spread that a task measures: numbers, lengths of texts, and labels, over all
 * good rows. Two passes over these columns alone.
 */
final class Measures {
  private static final int BINS = 24;
  private static final int MOST_LABELS = 12;

  /** Beyond so many a text column is text, not labels. */
  private static final int MOST_DISTINCT = 60;

  private Measures() {}

  /**
   * How one column is spread.
   *
   * @param name of the column, or what of it
   * @param rows with a value
   * @param mean of numbers; NaN for labels
   * @param bars in the order of the values, or labels, the most frequent first
   * @param isLabels whether the bars are labels
   */
  record Spread(
      String name,
      long rows,
      double least,
      double median,
      double mean,
      double most,
      List<Bar> bars,
      boolean isLabels) {}

  /** Values of a bar, in words, and the rows that have them. */
  record Bar(String values, long rows) {}

  private record Measure(String name, Column value, boolean isLabel, boolean isWhole) {}

  private record Bins(double least, double width, int count) {}

  static List<Spread> of(JobOutput output) {
    List<Measure> measures = measures(output);
    if (measures.isEmpty()) {
      return List.of();
    }
    List<Column> aggregates = new ArrayList<>();
    for (int i = 0; i < measures.size(); i++) {
      Column value = measures.get(i).value();
      if (measures.get(i).isLabel()) {
        aggregates.add(approx_count_distinct(value).as("n" + i));
        continue;
      }
      aggregates.add(count(value).as("n" + i));
      aggregates.add(min(value).as("least" + i));
      aggregates.add(max(value).as("most" + i));
      aggregates.add(avg(value).as("mean" + i));
      aggregates.add(
          org.apache
              .spark
              .sql
              .functions
              .percentile_approx(value, array(lit(0.01), lit(0.5), lit(0.99)), lit(1000))
              .as("parts" + i));
    }
    Row all =
        output
            .good()
            .agg(aggregates.get(0), aggregates.subList(1, aggregates.size()).toArray(Column[]::new))
            .head();
    List<Column> bars = new ArrayList<>();
    Map<Integer, Bins> bins = new TreeMap<>();
    for (int i = 0; i < measures.size(); i++) {
      long rows = ((Number) all.getAs("n" + i)).longValue();
      Measure measure = measures.get(i);
      if (measure.isLabel()) {
        if (rows > 0 && rows <= MOST_DISTINCT) {
          bars.add(bar(i, coalesce(measure.value(), lit("null"))));
        }
      } else if (rows > 0) {
        Bins wide = bins(all, i, measure.isWhole());
        bins.put(i, wide);
        bars.add(bar(i, binOf(measure.value(), wide).cast(DataTypes.StringType)));
      }
    }
    return bars.isEmpty() ? List.of() : spreads(measures, all, bins, counts(output.good(), bars));
  }

  private static List<Measure> measures(JobOutput output) {
    List<Measure> measures = new ArrayList<>();
    for (ShownColumn column : output.results()) {
      Column value = col("`" + column.name() + "`");
      if (column.is(Kind.NUMBER)) {
        boolean whole =
            output.good().schema().apply(column.name()).dataType() instanceof IntegralType;
        Column number = value.cast(DataTypes.DoubleType);
        measures.add(
            new Measure(
                column.name(), when(number.isNaN(), lit(null)).otherwise(number), false, whole));
      } else if (column.is(Kind.TEXT)) {
        measures.add(new Measure(column.name(), value, true, false));
        measures.add(
            new Measure(
                column.name() + " (characters)",
                length(value).cast(DataTypes.DoubleType),
                false,
                true));
      } else if (column.is(Kind.BOOLEAN)) {
        measures.add(
            new Measure(column.name(), when(value, "yes").when(not(value), "no"), true, false));
      }
    }
    return measures;
  }

  private static Column bar(int measure, Column value) {
    return struct(lit(measure).as("measure"), value.as("value"));
  }

  /** A few values far out must not press all others into one bar: they go into the end bars. */
  private static Bins bins(Row all, int i, boolean whole) {
    List<Double> parts = all.getList(all.fieldIndex("parts" + i));
    double least = all.<Double>getAs("least" + i);
    double most = all.<Double>getAs("most" + i);
    double core = parts.get(2) - parts.get(0);
    if (core > 0 && most - least > 4 * core) {
      least = Math.max(least, parts.get(0) - core / 2);
      most = Math.min(most, parts.get(2) + core / 2);
    }
    if (whole) {
      least = Math.floor(least);
      double width = Math.max(1, Math.ceil((most - least + 1) / BINS));
      return new Bins(least, width, (int) Math.floor((most - least) / width) + 1);
    }
    return most > least ? new Bins(least, (most - least) / BINS, BINS) : new Bins(least, 1, 1);
  }

  private static Column binOf(Column value, Bins bins) {
    Column bin = floor(value.minus(bins.least()).divide(bins.width()));
    // greatest() and least() pass over nulls, which belong to no bin.
    return when(value.isNotNull(), greatest(lit(0L), least(lit(bins.count() - 1L), bin)));
  }

  private static Map<Integer, Map<String, Long>> counts(Dataset<Row> good, List<Column> bars) {
    Map<Integer, Map<String, Long>> counts = new TreeMap<>();
    good.select(explode(array(bars.toArray(Column[]::new))).as("bar"))
        .where(col("bar.value").isNotNull())
        .groupBy(expr("bar.measure"), expr("bar.value"))
        .count()
        .collectAsList()
        .forEach(
            r ->
                counts
                    .computeIfAbsent(r.getInt(0), m -> new TreeMap<>())
                    .put(r.getString(1), r.getLong(2)));
    return counts;
  }

  private static List<Spread> spreads(
      List<Measure> measures,
      Row all,
      Map<Integer, Bins> bins,
      Map<Integer, Map<String, Long>> counts) {
    List<Spread> spreads = new ArrayList<>();
    for (int i = 0; i < measures.size(); i++) {
      Map<String, Long> rows = counts.get(i);
      if (rows == null) {
        continue;
      }
      Measure measure = measures.get(i);
      if (measure.isLabel()) {
        spreads.add(labels(measure.name(), rows));
      } else if (measures.stream()
              .noneMatch(m -> m.isLabel() && measure.name().equals(m.name() + " (characters)"))
          || !isLabelled(measures, counts, measure)) {
        List<Double> parts = all.getList(all.fieldIndex("parts" + i));
        spreads.add(
            new Spread(
                measure.name(),
                all.<Long>getAs("n" + i),
                all.getAs("least" + i),
                parts.get(1),
                all.getAs("mean" + i),
                all.getAs("most" + i),
                bars(bins.get(i), measure.isWhole(), rows),
                false));
      }
    }
    return spreads;
  }

  /** The lengths of labels tell nothing. */
  private static boolean isLabelled(
      List<Measure> measures, Map<Integer, Map<String, Long>> counts, Measure lengths) {
    for (int i = 0; i < measures.size(); i++) {
      Measure measure = measures.get(i);
      if (measure.isLabel() && lengths.name().equals(measure.name() + " (characters)")) {
        return counts.containsKey(i);
      }
    }
    return false;
  }

  private static Spread labels(String name, Map<String, Long> rows) {
    List<Map.Entry<String, Long>> sorted =
        rows.entrySet().stream()
            .sorted(
                Map.Entry.<String, Long>comparingByValue(Comparator.reverseOrder())
                    .thenComparing(Map.Entry.comparingByKey()))
            .toList();
    List<Bar> bars = new ArrayList<>();
    long others = 0;
    for (Map.Entry<String, Long> entry : sorted) {
      if (bars.size() < MOST_LABELS) {
        bars.add(new Bar(entry.getKey(), entry.getValue()));
      } else {
        others += entry.getValue();
      }
    }
    if (others > 0) {
      bars.add(new Bar((sorted.size() - MOST_LABELS) + " others", others));
    }
    long all = rows.values().stream().mapToLong(Long::longValue).sum();
    return new Spread(name, all, Double.NaN, Double.NaN, Double.NaN, Double.NaN, bars, true);
  }

  private static List<Bar> bars(Bins bins, boolean whole, Map<String, Long> rows) {
    List<Bar> bars = new ArrayList<>();
    for (int b = 0; b < bins.count(); b++) {
      double from = bins.least() + b * bins.width();
      double to = from + bins.width();
      String values =
          whole && bins.width() == 1
              ? Values.number(from)
              : Values.number(from) + " to " + Values.number(whole ? to - 1 : to);
      bars.add(new Bar(values, rows.getOrDefault(String.valueOf(b), 0L)));
    }
    return bars;
  }
}
