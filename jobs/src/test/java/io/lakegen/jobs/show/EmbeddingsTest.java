package io.lakegen.jobs.show;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class EmbeddingsTest {
  /** Points on an ellipse in a tilted plane: their principal components are its axes. */
  private static List<float[]> ellipse(int points) {
    double[] longAxis = {2.0 / 3, 2.0 / 3, 1.0 / 3};
    double[] shortAxis = {-2.0 / 3, 1.0 / 3, 2.0 / 3};
    List<float[]> vectors = new ArrayList<>();
    for (int i = 0; i < points; i++) {
      double angle = 2 * Math.PI * i / points;
      float[] vector = new float[3];
      for (int d = 0; d < 3; d++) {
        vector[d] =
            (float) (5 + 3 * Math.cos(angle) * longAxis[d] + Math.sin(angle) * shortAxis[d]);
      }
      vectors.add(vector);
    }
    return vectors;
  }

  @Test
  void theMapIsThatOfThePrincipalComponents() {
    int points = 24;
    Embeddings.Plane plane = new Embeddings(ellipse(points)).plane();
    assertThat(plane.share()).isCloseTo(1, within(1e-6));
    for (int i = 0; i < points; i++) {
      double angle = 2 * Math.PI * i / points;
      assertThat(Math.abs(plane.points()[i][0])).isCloseTo(Math.abs(Math.cos(angle)), within(1e-4));
      assertThat(Math.abs(plane.points()[i][1]))
          .isCloseTo(Math.abs(Math.sin(angle)) / 3, within(1e-4));
    }
  }

  @Test
  void neighboursAreNearestByCosineAndNeverTheVectorItself() {
    List<float[]> vectors =
        List.of(new float[] {1, 0}, new float[] {10, 1}, new float[] {0, 1}, new float[] {0, 0});
    Embeddings embeddings = new Embeddings(vectors);
    List<Embeddings.Neighbour> near = embeddings.neighbours(2).get(0);
    assertThat(near.stream().map(Embeddings.Neighbour::index)).containsExactly(1, 2);
    assertThat(near.get(0).cosine()).isCloseTo(10 / Math.sqrt(101), within(1e-9));
    assertThat(embeddings.neighbours(9).get(3)).hasSize(3);
  }

  @Test
  void equalVectorsHaveAMapToo() {
    List<float[]> same = IntStream.range(0, 5).mapToObj(i -> new float[] {1, 2}).toList();
    Embeddings.Plane plane = new Embeddings(same).plane();
    assertThat(plane.share()).isZero();
    assertThat(plane.points()[4]).containsExactly(0, 0);
  }
}
