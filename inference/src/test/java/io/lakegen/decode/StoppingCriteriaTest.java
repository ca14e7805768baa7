package io.lakegen.decode;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.decode.DecodedSequence.FinishReason;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class StoppingCriteriaTest {
  private static final Fixture GPT2 = Fixture.load("gpt2");

  @Test
  void findsStopTextsThatSpanTokensAndCharactersThatSpanTokens() {
    StoppingCriteria stopping =
        new StoppingCriteria(List.of(), List.of("né\n", "湖"), GPT2.model().tokenizer());
    for (String text : List.of("a cherné\nand", "the 湖 lies")) {
      long[] ids = GPT2.model().tokenizer().encode(text).getIds();
      DecodeRow row =
          new DecodeRow.Group(new DecodeRequest<>(new long[] {1}, 100, 0, null), 0, 0).rows.get(0);
      List<FinishReason> reasons = new ArrayList<>();
      for (long id : ids) {
        reasons.add(stopping.reason(row, id));
        row.append(id, 0);
      }
      String before = text.contains("湖") ? "the 湖" : "a cherné\n";
      int complete = GPT2.model().tokenizer().encode(before).getIds().length;
      assertThat(reasons.indexOf(FinishReason.stop)).isEqualTo(complete - 1);
    }
  }

  @Test
  void neverEndsInHalfACharacter() {
    long[] ids = GPT2.model().tokenizer().encode("ok 湖").getIds();
    for (int cut = ids.length; cut > ids.length - 3; cut--) {
      DecodedSequence sequence =
          new DecodedSequence(Arrays.copyOf(ids, cut), FinishReason.length, 0, 0);
      assertThat(SequenceText.of(sequence, List.of(), GPT2.model().tokenizer()))
          .isEqualTo(cut == ids.length ? "ok 湖" : "ok ");
    }
  }
}
