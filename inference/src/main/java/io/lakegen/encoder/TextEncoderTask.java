package io.lakegen.encoder;

import ai.djl.huggingface.tokenizers.Encoding;
import io.lakegen.encoder.TextGraph.Output;
import io.lakegen.encoder.TextGraph.Sequence;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Budget;
import io.lakegen.task.Result;
import io.lakegen.task.RowException;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.List;

/**
 * A task over the graph {@code model} of a pack, which takes token ids, a mask and, if it has a
 * third input, token types, each int64 {@code [batch, length]} with padding on the right. Its
 * budget counts tokens.
 */
public abstract class TextEncoderTask<O> implements Task<TextEncoderTask.Tokens, O> {
  /**
   * On CPUs small batches stay in the caches, and which is the fastest depends on the model, its
   * dtype and the machine; a GPU wants the thousands that fill it.
   */
  static final Budget.Unit BUDGET =
      new Budget.Unit(
          "tokens in a batch, padding counted", 512, 65_536, List.of(256L, 512L, 1_024L, 2_048L));

  static final int WINDOW_ROWS = 8192;

  static final int MIN_TASK_ROWS = 32;

  /** Stays the caller's to close. */
  protected final LoadedModel model;

  private final TextGraph graph;

  /**
   * A text, or a pair of them, as the model reads it.
   *
   * @param source what it was made of: equal sources have equal tokens
   * @param ids token ids, special tokens included
   * @param types which of a pair's texts a token belongs to
   * @param truncated whether there were more tokens than the model reads
   */
  public record Tokens(Object source, long[] ids, long[] types, boolean truncated) {}

  /**
   * A task on a loaded model.
   *
   * @param inputNames the graph's inputs in their order where it is TorchScript; an ONNX graph
   *     names its own
   */
  protected TextEncoderTask(LoadedModel model, List<String> inputNames) {
    this(model, "model", inputNames);
  }

  /**
   * A task on a graph of a loaded model.
   *
   * @param role of the graph in the pack
   * @param inputNames see {@link TextGraph}
   */
  protected TextEncoderTask(LoadedModel model, String role, List<String> inputNames) {
    this.model = model;
    this.graph = new TextGraph(model, role, inputNames);
  }

  /** The columns that tell how a text was read. */
  public static List<Result> results() {
    return List.of(
        new Result(
            "token_count",
            Result.Type.INT,
            "of texts: tokens given to the model, special tokens included"),
        new Result(
            "truncated",
            Result.Type.BOOLEAN,
            "of texts: whether the text had more tokens than the model takes"));
  }

  /** Checks whether a pack has what an encoder needs. */
  public static void check(PackSpec pack, Problems problems) {
    check(pack, "model", problems);
  }

  /** Checks whether a pack has a tokenizer and the graph of a role. */
  public static void check(PackSpec pack, String role, Problems problems) {
    if (pack.tokenizer().isEmpty()) {
      problems.add("model: tokenizer", "missing", "a pack with a tokenizer");
    }
    if (!pack.graphs().containsKey(role)) {
      problems.add("model: graphs", pack.graphs().keySet(), "a graph of the role " + role);
    }
  }

  /**
   * The tokens of a text.
   *
   * @param pair second text of a pair; null for none
   * @throws RowException if there are none
   */
  protected final Tokens tokenize(String text, String pair) throws RowException {
    Encoding encoding =
        pair == null
            ? model.encode(text.length(), tokenizer -> tokenizer.encode(text))
            : model.encode(
                text.length() + pair.length(), tokenizer -> tokenizer.encode(text, pair));
    if (encoding.getIds().length == 0) {
      throw RowException.prepare(
          "no_tokens", "the text has no token of the model's vocabulary (expected: at least one)");
    }
    return new Tokens(
        pair == null ? text : List.of(text, pair),
        encoding.getIds(),
        encoding.getTypeIds(),
        encoding.exceedMaxLength());
  }

  @Override
  public final int size(Tokens tokens) {
    return tokens.ids().length;
  }

  @Override
  public final int cost(Tokens tokens) {
    return graph.paddedLength(tokens.ids().length);
  }

  @Override
  public final Object identity(Tokens tokens) {
    return tokens.source();
  }

  @Override
  public void check() throws IOException {
    model.check();
  }

  /** Runs the graph on rows of any length. */
  protected final Output run(List<Tokens> batch) {
    return run(batch, (output, mask) -> output);
  }

  /** Runs the graph on rows of any length; a reduction stands for the first output. */
  protected final Output run(List<Tokens> batch, TextGraph.Reduction reduction) {
    return graph.run(batch.stream().map(t -> new Sequence(t.ids(), t.types())).toList(), reduction);
  }
}
