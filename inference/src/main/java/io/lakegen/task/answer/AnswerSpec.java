package io.lakegen.task.answer;

import io.lakegen.model.PackSection;
import java.util.OptionalInt;

/**
 * The section {@code question-answering} of a pack.
 *
 * @param cls the token at the start of every sequence whose score stands for "there is no answer";
 *     empty where the tokenizer has none
 */
record AnswerSpec(OptionalInt cls) {
  static AnswerSpec read(PackSection section) {
    section.keys("cls");
    return new AnswerSpec(section.tokenId("cls"));
  }
}
