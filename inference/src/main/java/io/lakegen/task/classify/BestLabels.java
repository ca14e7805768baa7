package io.lakegen.task.classify;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * The columns that scores make.
 *
 * @param labels one for each score, in their order
 * @param topK labels of the column {@code scores}; null for no such column
 */
record BestLabels(List<String> labels, Integer topK) {

  /** The best label, its score and, if they were asked for, the best with their scores. */
  List<Object> values(float[] scores) {
    List<Integer> best =
        IntStream.range(0, scores.length)
            .boxed()
            .sorted(Comparator.comparing((Integer i) -> -scores[i]))
            .toList();
    List<Object> values = new ArrayList<>(List.of(labels.get(best.get(0)), scores[best.get(0)]));
    if (topK != null) {
      Map<String, Float> top = new LinkedHashMap<>();
      best.stream().limit(topK).forEach(i -> top.put(labels.get(i), scores[i]));
      values.add(top);
    }
    return values;
  }
}
