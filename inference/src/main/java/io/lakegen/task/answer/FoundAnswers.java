package io.lakegen.task.answer;

import io.lakegen.task.answer.Spans.Span;
import io.lakegen.task.answer.Windows.Window;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The answers of one context, made of spans: a span grows to whole words, and answers of the same
 * text, whatever their case, become the first of them with the sum of their scores.
 */
final class FoundAnswers {
  private final String context;
  private final Windows windows;
  private final Map<String, FoundAnswer> byText = new LinkedHashMap<>();
  private final List<FoundAnswer> none = new ArrayList<>();

  /** Where each character starts in the string; null where all are of one {@code char}. */
  private final int[] places;

  FoundAnswers(String context, Windows windows) {
    this.context = context;
    this.windows = windows;
    this.places = places(context);
  }

  private static int[] places(String text) {
    int count = text.codePointCount(0, text.length());
    if (count == text.length()) {
      return null;
    }
    int[] places = new int[count + 1];
    for (int i = 0; i < count; i++) {
      places[i + 1] = places[i] + Character.charCount(text.codePointAt(places[i]));
    }
    return places;
  }

  void add(Window window, Span span) {
    int start = windows.starts()[span.first()];
    int end = windows.ends()[span.last()];
    long firstWord = windows.words()[span.first()];
    long lastWord = windows.words()[span.last()];
    if (firstWord >= 0 && lastWord >= 0) {
      // Only as far as the window shows the word.
      int first = span.first();
      while (first > window.from() && windows.words()[first - 1] == firstWord) {
        first--;
      }
      int last = span.last();
      while (last < window.to() - 1 && windows.words()[last + 1] == lastWord) {
        last++;
      }
      start = windows.starts()[first];
      end = windows.ends()[last];
    }
    FoundAnswer found = new FoundAnswer(text(start, end), span.score(), start, end);
    byText.merge(
        found.text().toLowerCase(Locale.ROOT),
        found,
        (one, other) ->
            new FoundAnswer(one.text(), one.score() + other.score(), one.start(), one.end()));
  }

  private String text(int start, int end) {
    return places == null
        ? context.substring(start, end)
        : context.substring(places[start], places[end]);
  }

  /** Adds that there is no answer. */
  void addNone(double score) {
    none.add(new FoundAnswer("", score, 0, 0));
  }

  List<FoundAnswer> best(int most) {
    List<FoundAnswer> all = new ArrayList<>(byText.values());
    all.addAll(none);
    all.sort(Comparator.comparing((FoundAnswer a) -> -a.score()));
    return List.copyOf(all.subList(0, Math.min(most, all.size())));
  }
}
