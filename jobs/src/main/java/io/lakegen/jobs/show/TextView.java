package io.lakegen.jobs.show;

import io.lakegen.jobs.run.Commit;
import io.lakegen.jobs.run.OutputStatus;
import io.lakegen.jobs.show.Embeddings.Neighbour;
import io.lakegen.jobs.show.ShownColumn.Kind;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;

/** Prints an output, or two of them, for people. */
final class TextView {
  /** Characters of a text that are printed. */
  private static final int MOST_TEXT = 1_200;

  private static final int VECTORS = 1_000;
  private static final int QUERIES = 3;
  private static final int NEIGHBOURS = 3;
  private static final int ERROR_EXAMPLES = 3;

  private final PrintStream out;
  private final int width;

  /**
   * @param width columns of the terminal
   */
  @SuppressWarnings("MissingSummary")
  TextView(PrintStream out, int width) {
    this.out = out;
    this.width = Math.max(40, width);
  }

  void print(JobOutput output, int rows) {
    OutputStatus status = output.status();
    out.println(status.output() + ": " + status.job() + " with " + status.model());
    out.println("  " + counts(output));
    List<Row> sample = output.sample(rows);
    int number = 0;
    for (Row row : sample) {
      out.println();
      print(++number, row, output);
    }
    Neighbourhood.of(output, VECTORS).ifPresent(this::print);
    List<Measures.Spread> spreads =
        Measures.of(output).stream().filter(s -> !s.isLabels() || s.bars().size() > 1).toList();
    if (!spreads.isEmpty()) {
      out.println();
      out.println("over all rows:");
      int longest = spreads.stream().mapToInt(s -> s.name().length()).max().orElse(0);
      spreads.forEach(s -> wrapped("  " + pad(s.name(), longest) + "  ", words(s)));
    }
    errors(output);
  }

  private static String counts(JobOutput output) {
    Commit.Counts counts = output.status().counts();
    String all =
        String.format(
            Locale.ROOT,
            "%,d input = %,d ok + %,d failed%s; %s, %s",
            counts.input(),
            counts.ok(),
            counts.failed(),
            counts.written() == counts.ok()
                ? ""
                : String.format(Locale.ROOT, " (%,d rows written)", counts.written()),
            Values.count(output.status().runs().size(), "run"),
            Values.count(output.chunks().size(), "chunk"));
    return output
        .where()
        .map(
            w ->
                String.format(
                    Locale.ROOT,
                    "%s%n  where %s: %,d ok + %,d failed",
                    all,
                    w,
                    output.good().count(),
                    output.errors().map(e -> e.count()).orElse(0L)))
        .orElse(all);
  }

  private void print(int number, Row row, JobOutput output) {
    List<ShownColumn> tall = new ArrayList<>();
    List<String> brief = new ArrayList<>();
    List<ShownColumn> all =
        Stream.concat(output.inputs().stream(), output.results().stream()).toList();
    for (ShownColumn column : all) {
      Object value = row.getAs(column.name());
      if (column.is(Kind.NUMBER) || column.is(Kind.BOOLEAN)) {
        brief.add(column.name() + " " + Values.text(value));
      } else if (value != null) {
        tall.add(column);
      }
    }
    int longest = tall.stream().mapToInt(c -> c.name().length()).max().orElse(0);
    String indent = pad(number + ".", 4);
    for (ShownColumn column : tall) {
      wrapped(indent + pad(column.name(), longest) + "  ", text(column, row.getAs(column.name())));
      indent = "    ";
    }
    if (!brief.isEmpty()) {
      wrapped(indent, String.join(" · ", brief));
    }
  }

  /** A value in words. */
  static String text(ShownColumn column, Object value) {
    if (value == null) {
      return "null";
    }
    return switch (column.kind()) {
      case IMAGE -> Pictures.about((byte[]) value);
      case IMAGES ->
          Values.list(value).stream()
              .map(i -> Pictures.about((byte[]) i))
              .collect(Collectors.joining("; "));
      case VECTOR -> Values.vector(Values.floats(value));
      case VECTORS -> {
        List<?> vectors = Values.list(value);
        yield vectors.size()
            + " vectors"
            + (vectors.isEmpty() ? "" : " of " + Values.list(vectors.get(0)).size() + " numbers");
      }
      default -> Values.cut(Values.text(value), MOST_TEXT);
    };
  }

  private void print(Neighbourhood some) {
    Embeddings embeddings = some.embeddings();
    List<List<Neighbour>> near = embeddings.neighbours(NEIGHBOURS);
    out.println();
    out.printf(Locale.ROOT, "nearest among %,d rows, by cosine:%n", embeddings.size());
    for (int q = 0; q < Math.min(QUERIES, embeddings.size()); q++) {
      int query = (q * 2 + 1) * embeddings.size() / (2 * QUERIES);
      out.println("  " + Values.cut(some.texts().get(query), width - 4));
      for (Neighbour neighbour : near.get(query)) {
        out.println(
            String.format(Locale.ROOT, "    %.3f  ", neighbour.cosine())
                + Values.cut(some.texts().get(neighbour.index()), width - 12));
      }
    }
  }

  private static String words(Measures.Spread spread) {
    if (spread.isLabels()) {
      return spread.bars().stream()
          .map(b -> String.format(Locale.ROOT, "%s %,d", b.values(), b.rows()))
          .collect(Collectors.joining(" · "));
    }
    return Values.number(spread.mean())
        + " on average, median "
        + Values.number(spread.median())
        + ", "
        + Values.number(spread.least())
        + " to "
        + Values.number(spread.most());
  }

  private void errors(JobOutput output) {
    Map<String, Long> types = output.errorTypes();
    if (types.isEmpty()) {
      return;
    }
    out.println();
    out.println("errors:");
    List<Row> examples = output.errorSample(ERROR_EXAMPLES);
    types.forEach(
        (type, rows) -> {
          out.printf("  %s: %s%n", type, Values.count(rows, "row"));
          examples.stream()
              .map(r -> r.<Row>getAs("error"))
              .filter(e -> type.equals(e.getAs("stage") + "/" + e.getAs("type")))
              .forEach(
                  e ->
                      wrapped(
                          "    ",
                          Values.cut(e.getAs("message"), MOST_TEXT)
                              + " ("
                              + e.getAs("file")
                              + ")"));
        });
  }

  void print(Comparison comparison) {
    for (String line : comparison.lines()) {
      wrapped("", line);
    }
    List<Comparison.Pair> pairs = comparison.pairs();
    int number = 0;
    for (Comparison.Pair pair : pairs) {
      out.println();
      String indent = pad(++number + ".", 4);
      int longest =
          Math.max(
              2 + comparison.results().stream().mapToInt(c -> c.name().length()).max().orElse(0),
              comparison.inputs().stream().mapToInt(c -> c.name().length()).max().orElse(0));
      for (ShownColumn column : comparison.inputs()) {
        Object value = pair.input().getAs(column.name());
        if (value != null) {
          wrapped(indent + pad(column.name(), longest) + "  ", text(column, value));
          indent = "    ";
        }
      }
      for (Comparison.Cell cell : pair.cells()) {
        String name = cell.column().name();
        if (cell.isEqual()) {
          wrapped(indent + pad("  " + name, longest) + "  ", cell.a());
        } else {
          wrapped(indent + pad("A " + name, longest) + "  ", cell.a());
          wrapped(indent + pad("B " + name, longest) + "  ", cell.b());
        }
        indent = "    ";
      }
    }
  }

  private void wrapped(String prefix, String text) {
    wrap(prefix, text, width).forEach(out::println);
  }

  /** Lines of a text behind a prefix, no longer than the width where words allow it. */
  static List<String> wrap(String prefix, String text, int width) {
    List<String> lines = new ArrayList<>();
    int room = Math.max(20, width - prefix.length());
    String indent = prefix;
    for (String paragraph : text.strip().split("\\R", -1)) {
      StringBuilder line = new StringBuilder();
      for (String word : paragraph.strip().split("\\s+", -1)) {
        if (line.length() > 0 && line.length() + 1 + word.length() > room) {
          lines.add(indent + line);
          indent = " ".repeat(prefix.length());
          line.setLength(0);
        }
        String rest = word;
        while (rest.length() > room) {
          // A word longer than the line: Chinese and Japanese have no spaces.
          lines.add(indent + rest.substring(0, room));
          indent = " ".repeat(prefix.length());
          rest = rest.substring(room);
        }
        line.append(line.length() == 0 ? "" : " ").append(rest);
      }
      lines.add(indent + line);
      indent = " ".repeat(prefix.length());
    }
    return lines;
  }

  private static String pad(String text, int length) {
    return text + " ".repeat(Math.max(0, length - text.length()));
  }

  /** What a task measures in one line; for pages as well. */
  static Optional<String> line(Measures.Spread spread) {
    return spread.isLabels() ? Optional.empty() : Optional.of(words(spread));
  }
}
