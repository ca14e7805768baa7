package io.lakegen.jobs.show;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.lakegen.jobs.run.Commit;
import io.lakegen.jobs.run.OutputStatus;
import io.lakegen.jobs.show.ShownColumn.Kind;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;

/**
 * An output, or two, as one page that needs nothing else: pictures lie in it, and its own policy
 * forbids it the network and any script but its own. Its size has a bound, however many rows there
 * are.
 */
final class Page {
  private static final Set<Kind> NOT_IN_WORDS =
      EnumSet.of(Kind.IMAGE, Kind.IMAGES, Kind.VECTOR, Kind.VECTORS);

  private static final int MOST_TEXT = 1_500;

  /** Characters of a text that is only passed along, below a picture. */
  private static final int MOST_SMALL = 80;

  private static final int ERRORS_OF_TYPE = 6;
  private static final int POINTS = 1_500;
  private static final int NEIGHBOURS = 6;

  /** Characters of pictures in a page; what is beyond is named only. */
  private static final int PICTURES = 2_500_000;

  /** Characters of rows in a page. */
  private static final int ROWS = 1_200_000;

  private final StringBuilder html = new StringBuilder();
  private int pictures;

  private Page() {}

  /**
   * The page of an output.
   *
   * @param rows most rows of the sample
   */
  static String of(JobOutput output, int rows) throws IOException {
    Page page = new Page();
    OutputStatus status = output.status();
    page.begin(status.job() + ": " + Values.fileName(status.output()));
    page.heading(status);
    page.summary(output);
    page.time(output);
    page.spreads(output);
    page.rows(output, rows);
    page.neighbourhood(output);
    page.errors(output);
    page.lineage(output);
    return page.end();
  }

  static String of(Comparison comparison) throws IOException {
    Page page = new Page();
    page.begin("comparison: " + Values.fileName(comparison.a().status().output()));
    page.comparison(comparison);
    return page.end();
  }

  private void begin(String title) throws IOException {
    html.append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")
        .append("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")
        .append(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src"
                + " data:; style-src 'unsafe-inline'; script-src 'sha256-")
        .append(digest(resource("page.js")))
        .append("'\">\n<title>")
        .append(Html.escape(title))
        .append("</title>\n<style>\n")
        .append(resource("page.css"))
        .append("</style></head><body>\n");
  }

  private String end() throws IOException {
    return html.append("<script>")
        .append(resource("page.js"))
        .append("</script>\n</body></html>\n")
        .toString();
  }

  private static String resource(String name) throws IOException {
    try (InputStream in = Page.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static String digest(String script) {
    try {
      byte[] digest =
          MessageDigest.getInstance("SHA-256").digest(script.getBytes(StandardCharsets.UTF_8));
      return Base64.getEncoder().encodeToString(digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }

  private void heading(OutputStatus status) {
    html.append("<h1>")
        .append(Html.escape(status.job() + " with " + status.model()))
        .append("</h1>\n<p class=\"soft\">")
        .append(Html.escape(status.output()))
        .append("</p>\n");
    if (status.writer() != null) {
      html.append("<p class=\"soft\">").append(Html.escape(status.writer())).append("</p>\n");
    }
  }

  private void section(String title) {
    html.append("<h2>").append(Html.escape(title)).append("</h2>\n");
  }

  private void soft(String text) {
    html.append("<p class=\"soft\">").append(Html.escape(text)).append("</p>\n");
  }

  private void summary(JobOutput output) {
    Commit.Counts counts = output.status().counts();
    double seconds = output.chunks().stream().mapToDouble(Commit::seconds).sum();
    html.append("<div class=\"numbers\">\n")
        .append(Html.tile(Html.number(counts.input()), "input rows", ""))
        .append(Html.tile(Html.number(counts.ok()), "ok", ""))
        .append(
            Html.tile(Html.number(counts.failed()), "failed", counts.failed() > 0 ? "bad" : ""));
    if (counts.written() != counts.ok()) {
      html.append(Html.tile(Html.number(counts.written()), "rows written", ""));
    }
    html.append(Html.tile(Values.tenths(seconds) + " s", "in chunks", ""))
        .append(
            Html.tile(
                Values.tenths(counts.input() / Math.max(seconds, 1e-3)), "rows per second", ""))
        .append("</div>\n");
    soft(
        String.format(
            Locale.ROOT,
            "%,d input = %,d ok + %,d failed, as committed in %s of %s",
            counts.input(),
            counts.ok(),
            counts.failed(),
            Values.count(output.chunks().size(), "chunk"),
            Values.count(output.status().runs().size(), "run")));
    output
        .where()
        .ifPresent(
            w ->
                soft(
                    String.format(
                        Locale.ROOT,
                        "Below: rows where %s, %,d ok and %,d failed",
                        w,
                        output.good().count(),
                        output.errors().map(e -> e.count()).orElse(0L))));
  }

  private void time(JobOutput output) {
    Map<String, Double> stages = new LinkedHashMap<>();
    int tasks = 0;
    for (Commit chunk : output.chunks()) {
      if (chunk.work() != null) {
        chunk.work().stages().forEach((stage, s) -> stages.merge(stage, s, Double::sum));
        tasks = Math.max(tasks, chunk.work().tasks());
      }
    }
    String pace = Html.pace(output.chunks());
    if (stages.isEmpty() && pace.isEmpty()) {
      return;
    }
    section("Where the time went");
    if (!stages.isEmpty()) {
      soft("Seconds by stage, summed over " + Values.count(tasks, "task") + " at once");
      html.append(Html.stages(stages));
    }
    if (!pace.isEmpty()) {
      html.append("<p class=\"soft\" style=\"margin-top:18px\">Rows per second over time</p>\n")
          .append(pace);
    }
  }

  private void spreads(JobOutput output) {
    List<Measures.Spread> spreads = Measures.of(output);
    if (!spreads.isEmpty()) {
      section("What was measured");
      html.append("<div class=\"charts\">\n");
      spreads.forEach(s -> html.append(Html.spread(s)));
      html.append("</div>\n");
    }
  }

  private static List<ShownColumn> pictureColumns(JobOutput output) {
    List<ShownColumn> of =
        Stream.concat(output.results().stream(), output.inputs().stream())
            .filter(c -> c.is(Kind.IMAGE) || c.is(Kind.IMAGES))
            .toList();
    if (!of.isEmpty()) {
      return of;
    }
    return output.inputs().stream().filter(c -> c.is(Kind.PATH)).toList();
  }

  private void rows(JobOutput output, int most) {
    List<Row> sample = output.sample(most);
    if (sample.isEmpty()) {
      return;
    }
    List<ShownColumn> shown = pictureColumns(output);
    section(shown.isEmpty() ? "Rows" : "Contact sheet");
    soft(String.format(Locale.ROOT, "%,d rows, drawn by their keys.", sample.size()));
    html.append(
        "<input data-for=\"rows\" placeholder=\"Filter these rows\" aria-label=\"Filter these"
            + " rows\">\n");
    if (shown.isEmpty()) {
      table(output, sample);
    } else {
      sheet(output, sample, shown);
    }
  }

  private void table(JobOutput output, List<Row> sample) {
    List<ShownColumn> columns =
        Stream.concat(output.inputs().stream(), output.results().stream())
            .filter(c -> !NOT_IN_WORDS.contains(c.kind()))
            .toList();
    html.append("<div class=\"scroll\"><table><thead><tr>");
    columns.forEach(
        c ->
            html.append("<th class=\"")
                .append(style(c))
                .append("\">")
                .append(Html.escape(c.name()))
                .append("</th>"));
    html.append("</tr></thead><tbody id=\"rows\">\n");
    int start = html.length();
    for (Row row : sample) {
      if (html.length() - start > ROWS) {
        break;
      }
      html.append("<tr>");
      for (ShownColumn column : columns) {
        html.append("<td class=\"")
            .append(style(column))
            .append("\">")
            .append(Html.escape(text(column, row)))
            .append("</td>");
      }
      html.append("</tr>\n");
    }
    html.append("</tbody></table></div>\n");
  }

  private static String style(ShownColumn column) {
    return switch (column.kind()) {
      case NUMBER -> "number";
      case BOOLEAN -> "plain";
      default -> "text";
    };
  }

  private static String text(ShownColumn column, Row row) {
    Object value = row.getAs(column.name());
    return value == null ? "" : Values.cut(TextView.text(column, value).strip(), MOST_TEXT);
  }

  private void sheet(JobOutput output, List<Row> sample, List<ShownColumn> shown) {
    Pictures reader = pictures(output);
    html.append("<div class=\"sheet\" id=\"rows\">\n");
    for (Row row : sample) {
      boolean wide = shown.stream().anyMatch(c -> c.is(Kind.IMAGES));
      html.append(wide ? "<figure class=\"wide\">" : "<figure>").append("<div class=\"views\">");
      StringBuilder about = new StringBuilder();
      for (ShownColumn column : shown) {
        List<Pictures.Picture> found = images(reader, row, column, names(output, row, column));
        if (!column.is(Kind.IMAGES)) {
          found.forEach(p -> about.append(about.length() == 0 ? "" : ", ").append(p.about()));
        }
      }
      html.append("</div><figcaption>");
      caption(output, row, about.toString());
      html.append("</figcaption></figure>\n");
    }
    html.append("</div>\n");
  }

  private static Pictures pictures(JobOutput output) {
    return new Pictures(output.spark().sparkContext().hadoopConfiguration(), output.last().input());
  }

  /** What the pictures of a list show, where the task gives as many texts; empty otherwise. */
  private static List<?> names(JobOutput output, Row row, ShownColumn column) {
    if (!column.is(Kind.IMAGES)) {
      return List.of();
    }
    int pictures = Values.list(row.getAs(column.name())).size();
    return output.results().stream()
        .filter(c -> c.is(Kind.TEXTS))
        .map(c -> Values.list(row.getAs(c.name())))
        .filter(texts -> texts.size() == pictures)
        .findFirst()
        .orElse(List.of());
  }

  private List<Pictures.Picture> images(
      Pictures reader, Row row, ShownColumn column, List<?> names) {
    List<Pictures.Picture> found = pictures > PICTURES ? List.of() : reader.pictures(row, column);
    if (found.isEmpty()) {
      html.append("<span class=\"none\">")
          .append(row.getAs(column.name()) == null ? "none" : "not in this page")
          .append("</span>");
    }
    String name = Html.escape(column.name());
    for (int i = 0; i < found.size(); i++) {
      String data = found.get(i).data();
      pictures += data.length();
      String shows = names.isEmpty() ? name : Html.escape(String.valueOf(names.get(i)));
      String image = "<img alt=\"" + shows + "\" title=\"" + shows + "\" src=\"" + data + "\">";
      html.append(names.isEmpty() ? image : "<div>" + image + "<b>" + shows + "</b></div>");
    }
    if (found.size() < names.size() && !found.isEmpty()) {
      html.append("<span class=\"none\">and ")
          .append(names.size() - found.size())
          .append(" more</span>");
    }
    return found;
  }

  /** Texts that the task makes or reads first, then what is short. */
  private void caption(JobOutput output, Row row, String about) {
    List<String> small = new ArrayList<>();
    boolean first = true;
    boolean named = output.results().stream().anyMatch(c -> !names(output, row, c).isEmpty());
    for (ShownColumn column :
        Stream.concat(output.results().stream(), output.inputs().stream()).toList()) {
      Object value = row.getAs(column.name());
      if (value == null
          || NOT_IN_WORDS.contains(column.kind())
          || (named && column.is(Kind.TEXTS))) {
        continue;
      }
      boolean isMain =
          column.is(Kind.TEXT)
              && (output.isRead(column)
                  || (!output.results().isEmpty() && column.equals(output.results().get(0))));
      if (isMain) {
        html.append(first ? "" : "<br>").append(Html.escape(text(column, row)));
        first = false;
      } else if (column.is(Kind.PATH)) {
        small.add(Values.fileName(String.valueOf(value)));
      } else if (column.is(Kind.NUMBER)
          || column.is(Kind.BOOLEAN)
          || output.results().contains(column)) {
        small.add(column.name() + " " + text(column, row));
      } else if (column.is(Kind.TEXT)) {
        small.add(column.name() + " " + Values.cut(text(column, row), MOST_SMALL));
      }
    }
    if (!about.isEmpty()) {
      small.add(about);
    }
    html.append("<small>").append(Html.escape(String.join(" · ", small))).append("</small>");
  }

  private void neighbourhood(JobOutput output) throws JsonProcessingException {
    Optional<Neighbourhood> found = Neighbourhood.of(output, POINTS);
    if (found.isEmpty()) {
      return;
    }
    Embeddings embeddings = found.get().embeddings();
    Embeddings.Plane plane = embeddings.plane();
    section("Map of the embeddings");
    soft(
        String.format(
            Locale.ROOT,
            "%,d rows on their first two principal components, which show %.0f %% of the variance."
                + " Choose a point to see its nearest neighbours by cosine.",
            embeddings.size(),
            100 * plane.share()));
    html.append(
        "<div class=\"map\"><svg id=\"points\" viewBox=\"-105 -105 210 210\" role=\"img\""
            + " aria-label=\"map of the embeddings\">\n");
    for (int i = 0; i < embeddings.size(); i++) {
      html.append(
          String.format(
              Locale.ROOT,
              "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"1.6\"><title>%s</title></circle>",
              100 * plane.points()[i][0],
              -100 * plane.points()[i][1],
              Html.escape(Values.cut(found.get().texts().get(i), 60))));
    }
    html.append("</svg>\n<div id=\"near\"><p></p><ol></ol></div></div>\n");
    List<List<Object>> near = new ArrayList<>();
    for (List<Embeddings.Neighbour> of : embeddings.neighbours(NEIGHBOURS)) {
      List<Object> row = new ArrayList<>();
      of.forEach(n -> row.add(List.of(n.index(), Math.round(n.cosine() * 1e4) / 1e4)));
      near.add(row);
    }
    String json =
        new ObjectMapper()
            .writeValueAsString(Map.of("texts", found.get().texts(), "near", near))
            // A text must not end the element it stands in.
            .replace("<", "\\u003c");
    html.append("<script type=\"application/json\" id=\"neighbourhood\">")
        .append(json)
        .append("</script>\n");
  }

  private void errors(JobOutput output) {
    Map<String, Long> types = output.errorTypes();
    if (types.isEmpty()) {
      return;
    }
    section("Errors");
    List<Row> examples = output.errorSample(ERRORS_OF_TYPE);
    types.forEach(
        (type, rows) -> {
          html.append("<details open><summary><b>")
              .append(Html.escape(type))
              .append("</b> ")
              .append(Values.count(rows, "row"))
              .append("</summary>\n");
          for (Row row : examples) {
            Row error = row.getAs("error");
            if (type.equals(error.getAs("stage") + "/" + error.getAs("type"))) {
              html.append("<div class=\"error\">")
                  .append(Html.escape(Values.cut(error.getAs("message"), MOST_TEXT)))
                  .append("<small>")
                  .append(Html.escape(String.join(" · ", about(output, row, error))))
                  .append("</small></div>\n");
            }
          }
          html.append("</details>\n");
        });
  }

  private static List<String> about(JobOutput output, Row row, Row error) {
    List<String> about = new ArrayList<>();
    List<String> there = List.of(row.schema().fieldNames());
    for (ShownColumn column : output.inputs()) {
      if (there.contains(column.name()) && row.getAs(column.name()) != null) {
        String text = Values.cut(text(column, row), 200);
        about.add(column.name() + " " + (text.isBlank() ? "(blank)" : text));
      }
    }
    about.add(String.valueOf(error.<String>getAs("file")));
    return about;
  }

  private void lineage(JobOutput output) {
    Commit last = output.last();
    section("How it was made");
    html.append("<pre>").append(Html.escape(Html.command(output.command()))).append("</pre>\n<dl>");
    term("model", last.model());
    term("model_sha256", last.modelSha256());
    term("params_sha256", last.paramsSha256());
    if (last.work() != null) {
      term("Lakegen", last.work().lakegen());
    }
    for (OutputStatus.Run run : output.status().runs()) {
      term(
          "run " + run.runId(),
          String.format(
              Locale.ROOT,
              "%,d chunks, %,d input = %,d ok + %,d failed, %s to %s",
              run.chunks(),
              run.counts().input(),
              run.counts().ok(),
              run.counts().failed(),
              run.started(),
              run.committed()));
    }
    html.append("</dl>\n");
    soft("Every row has its own lineage in the column lineage: key, model, digests, seed and run.");
  }

  private void term(String name, String value) {
    html.append("<dt>")
        .append(Html.escape(name))
        .append("</dt><dd>")
        .append(Html.escape(value))
        .append("</dd>\n");
  }

  private void comparison(Comparison comparison) {
    html.append("<h1>Comparison of two runs</h1>\n<dl>");
    term("A", comparison.a().status().output());
    term("B", comparison.b().status().output());
    html.append("</dl>\n<div class=\"numbers\">\n");
    Comparison.Totals counts = comparison.counts();
    html.append(Html.tile(Html.number(counts.both()), "rows in both", ""))
        .append(Html.tile(Html.number(counts.both() - counts.different()), "equal", ""))
        .append(Html.tile(Html.number(counts.different()), "different", ""))
        .append(
            Html.tile(
                Html.number(counts.failedInA()),
                "failed in A only",
                counts.failedInA() > 0 ? "bad" : ""))
        .append(
            Html.tile(
                Html.number(counts.failedInB()),
                "failed in B only",
                counts.failedInB() > 0 ? "bad" : ""))
        .append(Html.tile(Html.number(counts.onlyA()), "only in A", ""))
        .append(Html.tile(Html.number(counts.onlyB()), "only in B", ""))
        .append("</div>\n");
    section("What the runs do not share");
    if (comparison.changes().isEmpty()) {
      soft("Nothing.");
    } else {
      html.append(
          "<div class=\"scroll\"><table><thead><tr><th></th><th>A</th><th>B</th></tr></thead><tbody>\n");
      comparison.changes().forEach(c -> html.append(row(c.name(), c.a(), c.b())));
      html.append("</tbody></table></div>\n");
    }
    section("By column");
    html.append(
        "<div class=\"scroll\"><table><thead><tr><th>column</th><th>rows that differ</th><th>by, on"
            + " average</th></tr></thead><tbody>\n");
    for (Comparison.Difference difference : comparison.differences()) {
      html.append(
          row(
              difference.column().name(),
              Html.number(difference.different()),
              difference.different() == 0 ? "" : Comparison.unit(difference)));
    }
    html.append("</tbody></table></div>\n");
    section("Row by row, those that differ most first");
    html.append(
        "<input data-for=\"rows\" placeholder=\"Filter these rows\" aria-label=\"Filter these"
            + " rows\">\n"
            + "<div id=\"rows\">\n");
    Pictures ofA = pictures(comparison.a());
    Pictures ofB = pictures(comparison.b());
    int start = html.length() - pictures;
    for (Comparison.Pair pair : comparison.pairs()) {
      if (html.length() - pictures - start > 2 * ROWS) {
        break;
      }
      pair(comparison, pair, ofA, ofB);
    }
    html.append("</div>\n");
  }

  private static String row(String... cells) {
    StringBuilder row = new StringBuilder("<tr>");
    for (String cell : cells) {
      row.append("<td>").append(Html.escape(cell)).append("</td>");
    }
    return row.append("</tr>\n").toString();
  }

  private void pair(Comparison comparison, Comparison.Pair pair, Pictures ofA, Pictures ofB) {
    html.append("<div class=\"pair\"><p class=\"of\">");
    List<String> inputs = new ArrayList<>();
    for (ShownColumn column : comparison.inputs()) {
      if (pair.input().getAs(column.name()) != null) {
        inputs.add(column.name() + ": " + Values.cut(text(column, pair.input()), 300));
      }
    }
    html.append(Html.escape(String.join(" · ", inputs))).append("</p><div class=\"sides\">\n");
    for (Comparison.Cell cell : pair.cells()) {
      boolean isPicture = cell.column().is(Kind.IMAGE) || cell.column().is(Kind.IMAGES);
      side(cell, cell.a(), isPicture ? pair.a() : null, ofA);
      side(cell, cell.b(), isPicture ? pair.b() : null, ofB);
    }
    html.append("</div></div>\n");
  }

  private void side(Comparison.Cell cell, String text, Row pictured, Pictures reader) {
    html.append(cell.isEqual() ? "<div>" : "<div class=\"differs\">")
        .append("<small>")
        .append(Html.escape(cell.column().name()))
        .append("</small>");
    if (pictured != null) {
      images(reader, pictured, cell.column(), List.of());
    }
    html.append(Html.escape(text)).append("</div>\n");
  }
}
