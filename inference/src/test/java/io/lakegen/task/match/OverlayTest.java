package io.lakegen.task.match;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.image.CloseImages;
import io.lakegen.image.RgbImage;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class OverlayTest {
  private static RgbImage grey(int height, int width) {
    byte[] pixels = new byte[3 * height * width];
    Arrays.fill(pixels, (byte) 100);
    return new RgbImage(pixels, height, width, height, width);
  }

  private static int[] at(RgbImage image, int y, int x) {
    int first = 3 * (y * image.width() + x);
    return new int[] {
      image.pixels()[first] & 0xFF,
      image.pixels()[first + 1] & 0xFF,
      image.pixels()[first + 2] & 0xFF
    };
  }

  /** The colours of matplotlib.cm.jet at 0, 0.5 and 1: (0, 0, .5), (.49, 1, .48), (.5, 0, 0). */
  @Test
  void theHottestPlaceHasTheColoursEndAndTheColdestIsThePictureItself() {
    float[] map = {0.25f, 0.25f, 0.25f, 0.25f, 0.25f, 0.75f};

    RgbImage found = CloseImages.decode(Overlay.png(grey(20, 60), map, 2, 3));

    assertThat(found.height()).isEqualTo(20);
    assertThat(found.width()).isEqualTo(60);
    assertThat(at(found, 0, 0)).containsExactly(100, 100, 100);
    assertThat(at(found, 19, 59)).containsExactly(128, 0, 0);
    assertThat(at(found, 0, 59)).containsExactly(100, 100, 100);
    assertThat(at(found, 19, 0)).containsExactly(100, 100, 100);
  }

  @Test
  void valuesBetweenAreInterpolated() {
    RgbImage found = CloseImages.decode(Overlay.png(grey(1, 3), new float[] {0, 1}, 1, 2));

    // Value 0.5: green (0.5, 1, 0.5), opaque by 0.5 to the power of 0.7.
    double opacity = Math.pow(0.5, 0.7);
    assertThat(at(found, 0, 1))
        .containsExactly(
            (int) Math.round(100 + opacity * (127.5 - 100)),
            (int) Math.round(100 + opacity * (255 - 100)),
            (int) Math.round(100 + opacity * (127.5 - 100)));
  }

  @Test
  void aMapOfOneValueLeavesThePictureAsItIs() {
    RgbImage picture = grey(5, 4);
    assertThat(CloseImages.decode(Overlay.png(picture, new float[4], 2, 2)).pixels())
        .isEqualTo(picture.pixels());
  }

  @Test
  void largePicturesShrinkAndSmallOnesStay() {
    RgbImage small = Overlay.shrink(grey(40, 10), 20);
    assertThat(small.height()).isEqualTo(20);
    assertThat(small.width()).isEqualTo(5);
    assertThat(Overlay.shrink(grey(40, 10), 60).height()).isEqualTo(40);
    assertThat(Overlay.shrink(grey(1, 100), 20).height()).isEqualTo(1);
  }
}
