package io.lakegen.decode;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SlotSizesTest {
  @ParameterizedTest
  @CsvSource({
    "1, 32",
    "33, 64",
    "192, 192",
    "193, 512",
    "512, 512",
    "513, 544",
    "704, 704",
    "705, 1024"
  })
  void theLastBlockIsShortOrWhole(int used, int slots) {
    assertThat(new SlotSizes(0, true).view(used)).isEqualTo(slots);
    assertThat(new SlotSizes(0, false).view(used)).isEqualTo((used + 31) / 32 * 32);
  }

  @ParameterizedTest
  @CsvSource({
    "0, 0, 8, 32",
    "0, 25, 25, 32",
    "0, 191, 190, 192",
    "0, 10, 200, 512",
    "17, 9, 10, 64"
  })
  void aRowHasRoomForItsPaddedPrompt(int prefix, int prompt, int cached, int slots) {
    assertThat(new SlotSizes(prefix, true).capacity(prompt, cached)).isEqualTo(slots);
  }
}
