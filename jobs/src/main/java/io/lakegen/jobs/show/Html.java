package io.lakegen.jobs.show;

import io.lakegen.jobs.run.Commit;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** Pieces of a page. */
final class Html {
  private static final int CHART_WIDTH = 300;
  private static final int CHART_HEIGHT = 90;

  private Html() {}

  /** Values are data: nothing of them may become markup. */
  static String escape(String text) {
    StringBuilder escaped = new StringBuilder(text.length() + 16);
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '&' -> escaped.append("&amp;");
        case '<' -> escaped.append("&lt;");
        case '>' -> escaped.append("&gt;");
        case '"' -> escaped.append("&quot;");
        case '\'' -> escaped.append("&#39;");
        default -> {
          // No document may hold other control characters, or half of a surrogate pair.
          boolean lone =
              Character.isSurrogate(c)
                  && !(Character.isHighSurrogate(c)
                      ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
                      : i > 0 && Character.isHighSurrogate(text.charAt(i - 1)));
          escaped.append(lone || (c < ' ' && c != '\n' && c != '\t' && c != '\r') ? '\uFFFD' : c);
        }
      }
    }
    return escaped.toString();
  }

  static String number(long value) {
    return String.format(Locale.ROOT, "%,d", value);
  }

  /** A number with a caption. */
  static String tile(String number, String caption, String style) {
    return "<div class=\""
        + style
        + "\"><b>"
        + escape(number)
        + "</b><span>"
        + escape(caption)
        + "</span></div>\n";
  }

  static String stages(Map<String, Double> stages) {
    double all = Math.max(1e-9, stages.values().stream().mapToDouble(Double::doubleValue).sum());
    StringBuilder html = new StringBuilder("<div class=\"stages\">");
    stages.forEach(
        (stage, seconds) ->
            html.append(
                String.format(
                    Locale.ROOT,
                    "<i class=\"%s\" style=\"width:%.2f%%\" title=\"%s %.1f s\"></i>",
                    escape(stage),
                    100 * seconds / all,
                    escape(stage),
                    seconds)));
    html.append("</div>\n<ul class=\"key\">");
    stages.forEach(
        (stage, seconds) ->
            html.append(
                String.format(
                    Locale.ROOT,
                    "<li><i class=\"%s\"></i>%s %.1f s (%.0f %%)</li>",
                    escape(stage),
                    escape(stage),
                    seconds,
                    100 * seconds / all)));
    return html.append("</ul>\n").toString();
  }

  /** Rows per second over the time in which chunks were made; pauses between runs are left out. */
  static String pace(List<Commit> chunks) {
    List<double[]> steps = new ArrayList<>();
    double elapsed = 0;
    Instant before = null;
    for (Commit chunk : chunks) {
      Instant started = Instant.parse(chunk.started());
      Instant committed = Instant.parse(chunk.committed());
      Instant from = before != null && started.isBefore(before) ? before : started;
      double length = Math.max(1e-3, Duration.between(from, committed).toMillis() / 1e3);
      List<Commit.Pace> pace = chunk.work() == null ? List.of() : chunk.work().pace();
      double lead = Duration.between(started, from).toMillis() / 1e3;
      double at = 0;
      long rows = 0;
      for (Commit.Pace point : pace) {
        double until = Math.min(length, point.seconds() - lead);
        // Tasks end together: an instant has no rate.
        if (until - at >= length / 40) {
          steps.add(
              new double[] {elapsed + at, elapsed + until, (point.rows() - rows) / (until - at)});
          at = until;
          rows = point.rows();
        }
      }
      if (length > at) {
        steps.add(
            new double[] {
              elapsed + at, elapsed + length, (chunk.counts().input() - rows) / (length - at)
            });
      }
      elapsed += length;
      before = committed;
    }
    double most = steps.stream().mapToDouble(s -> s[2]).max().orElse(0);
    if (most <= 0) {
      return "";
    }
    StringBuilder path = new StringBuilder("M0 60");
    for (double[] step : steps) {
      double y = 60 - 56 * Math.max(0, step[2]) / most;
      path.append(
          String.format(
              Locale.ROOT,
              " L%.1f %.1f L%.1f %.1f",
              600 * step[0] / elapsed,
              y,
              600 * step[1] / elapsed,
              y));
    }
    return String.format(
        Locale.ROOT,
        "<svg viewBox=\"0 0 600 60\" preserveAspectRatio=\"none\" style=\"height:90px\""
            + " role=\"img\" aria-label=\"rows per second over time\"><path class=\"pace\" d=\"%s"
            + " L600 60 Z\"/><path class=\"axis\" d=\"M0 60H600\"/></svg><div"
            + " class=\"ends\"><span>0 s</span><span>at most %s rows/s</span><span>%s"
            + " s</span></div>%n",
        path,
        Values.tenths(most),
        Values.tenths(elapsed));
  }

  static String spread(Measures.Spread spread) {
    return "<div><h3>"
        + escape(spread.name())
        + "</h3>\n"
        + (spread.isLabels() ? labels(spread) : histogram(spread))
        + "</div>\n";
  }

  private static String labels(Measures.Spread spread) {
    long most = spread.bars().stream().mapToLong(Measures.Bar::rows).max().orElse(1);
    StringBuilder html = new StringBuilder("<div class=\"labels\">");
    for (Measures.Bar bar : spread.bars()) {
      html.append(
          String.format(
              Locale.ROOT,
              "<span title=\"%1$s\">%1$s</span><i style=\"width:%2$.1f%%\"></i><b>%3$,d</b>",
              escape(Values.cut(bar.values(), 120)),
              100.0 * bar.rows() / most,
              bar.rows()));
    }
    return html.append("</div>\n").toString();
  }

  private static String histogram(Measures.Spread spread) {
    List<Measures.Bar> bars = spread.bars();
    long most = Math.max(1, bars.stream().mapToLong(Measures.Bar::rows).max().orElse(1));
    double width = (double) CHART_WIDTH / Math.max(4, bars.size());
    StringBuilder html =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram of %s\">",
                CHART_WIDTH,
                CHART_HEIGHT,
                escape(spread.name())));
    for (int i = 0; i < bars.size(); i++) {
      if (bars.get(i).rows() == 0) {
        continue;
      }
      double height = Math.max(1, (CHART_HEIGHT - 4.0) * bars.get(i).rows() / most);
      html.append(
          String.format(
              Locale.ROOT,
              "<rect class=\"bar\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"><title>%s:"
                  + " %,d rows</title></rect>",
              i * width,
              CHART_HEIGHT - height,
              Math.max(1, width - 1),
              height,
              escape(bars.get(i).values()),
              bars.get(i).rows()));
    }
    return html.append(
            String.format(
                Locale.ROOT,
                "<path class=\"axis\" d=\"M0 %1$dH%2$d\"/></svg><div"
                    + " class=\"ends\"><span>%3$s</span><span>median %4$s, mean"
                    + " %5$s</span><span>%6$s</span></div>%n",
                CHART_HEIGHT,
                CHART_WIDTH,
                Values.number(spread.least()),
                Values.number(spread.median()),
                Values.number(spread.mean()),
                Values.number(spread.most())))
        .toString();
  }

  /** A command for a shell, an option a line. */
  static String command(List<String> words) {
    StringBuilder command = new StringBuilder();
    for (int i = 0; i < words.size(); i++) {
      String word = words.get(i);
      String quoted =
          word.matches("[\\w@%+=:,./-]+")
              ? word
              : "'" + Values.cut(word, 1000).replace("'", "'\\''") + "'";
      boolean isOption = i > 0 && word.startsWith("--");
      command.append(i == 0 ? "" : isOption ? " \\\n  " : " ").append(quoted);
    }
    return command.toString();
  }
}
