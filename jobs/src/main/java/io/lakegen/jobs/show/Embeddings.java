package io.lakegen.jobs.show;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/** Vectors of a sample of rows: which are near each other, and where they lie on a map. */
final class Embeddings {
  private static final int ITERATIONS = 60;

  private final float[][] vectors;
  private final double[] norms;

  /**
   * @param vectors of one length
   */
  @SuppressWarnings("MissingSummary")
  Embeddings(List<float[]> vectors) {
    this.vectors = vectors.toArray(float[][]::new);
    this.norms = vectors.stream().mapToDouble(v -> Math.sqrt(dot(v, v))).toArray();
  }

  /** Another vector, and the cosine to it. */
  record Neighbour(int index, double cosine) {}

  /**
   * A map.
   *
   * @param points two coordinates each, from -1 to 1
   * @param share of the variance that the map shows
   */
  record Plane(double[][] points, double share) {}

  int size() {
    return vectors.length;
  }

  double cosine(int a, int b) {
    double norm = norms[a] * norms[b];
    return norm == 0 ? 0 : dot(vectors[a], vectors[b]) / norm;
  }

  /** The nearest others by cosine, for every vector. */
  List<List<Neighbour>> neighbours(int count) {
    return IntStream.range(0, vectors.length).parallel().mapToObj(i -> nearest(i, count)).toList();
  }

  private List<Neighbour> nearest(int of, int count) {
    List<Neighbour> best = new ArrayList<>();
    for (int i = 0; i < vectors.length; i++) {
      double cosine = i == of ? -2 : cosine(of, i);
      if (i != of && (best.size() < count || cosine > best.get(count - 1).cosine())) {
        best.add(new Neighbour(i, cosine));
        best.sort(Comparator.comparingDouble(Neighbour::cosine).reversed());
        if (best.size() > count) {
          best.remove(count);
        }
      }
    }
    return best;
  }

  /**
   * The first two principal components, by power iteration on the covariance, which is never made:
   * {@code X'(Xv)}.
   */
  Plane plane() {
    int size = vectors.length;
    int length = size == 0 ? 0 : vectors[0].length;
    double[] mean = new double[length];
    for (float[] vector : vectors) {
      for (int i = 0; i < length; i++) {
        mean[i] += (double) vector[i] / size;
      }
    }
    double[][] centred = new double[size][length];
    double variance = 0;
    for (int r = 0; r < size; r++) {
      for (int i = 0; i < length; i++) {
        centred[r][i] = vectors[r][i] - mean[i];
        variance += centred[r][i] * centred[r][i];
      }
    }
    double squares = Arrays.stream(norms).map(n -> n * n).sum();
    if (variance <= 1e-12 * squares) {
      return new Plane(new double[size][2], 0);
    }
    double[] first = component(centred, length, null);
    double[] second = component(centred, length, first);
    double[][] points = new double[size][2];
    double shown = 0;
    double most = 1e-12;
    for (int r = 0; r < size; r++) {
      points[r][0] = dot(centred[r], first);
      points[r][1] = dot(centred[r], second);
      shown += points[r][0] * points[r][0] + points[r][1] * points[r][1];
      most = Math.max(most, Math.max(Math.abs(points[r][0]), Math.abs(points[r][1])));
    }
    for (double[] point : points) {
      point[0] /= most;
      point[1] /= most;
    }
    return new Plane(points, shown / variance);
  }

  private static double[] component(double[][] rows, int length, double[] without) {
    double[] v = new double[length];
    for (int i = 0; i < length; i++) {
      // Any start will do that is not orthogonal to the component, and the same every time.
      v[i] = Math.sin(1.0 + i);
    }
    for (int iteration = 0; iteration < ITERATIONS; iteration++) {
      orthogonal(v, without);
      double[] next = new double[length];
      for (double[] row : rows) {
        double weight = dot(row, v);
        for (int i = 0; i < length; i++) {
          next[i] += weight * row[i];
        }
      }
      orthogonal(next, without);
      double norm = Math.sqrt(dot(next, next));
      if (norm < 1e-12) {
        break;
      }
      for (int i = 0; i < length; i++) {
        v[i] = next[i] / norm;
      }
    }
    return v;
  }

  private static void orthogonal(double[] v, double[] to) {
    if (to != null) {
      double share = dot(v, to);
      for (int i = 0; i < v.length; i++) {
        v[i] -= share * to[i];
      }
    }
  }

  private static double dot(float[] a, float[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (double) a[i] * b[i];
    }
    return sum;
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }
}
