package io.lakegen.task.classify;

import io.lakegen.encoder.DualSpec;
import io.lakegen.encoder.EncoderData;
import io.lakegen.encoder.PictureTask;
import io.lakegen.encoder.TextEncoderTask;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Argument.Kind;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;

/**
 * The task {@code classify}: a label for every text, pair of texts, or image.
 *
 * @param reads what the model reads; both before it is known
 */
public record Classify(Kind reads) implements TaskDefinition {
  static final String TEXTS = "text-classification";
  static final String IMAGES = "image-classification";
  static final String TEXT = "text";

  static final Argument PAIR =
      Argument.optional(
          "text_pair",
          Kind.TEXT,
          "text-pair-column",
          "Column of second texts: the model classifies pairs, such as premise and hypothesis.");

  static final Option<Integer> TOP_K =
      Option.ofInt(
              "top-k",
              null,
              "Add the column scores with the N best labels; all of them where the model has no"
                  + " more.")
          .where("1 or more", n -> n >= 1);

  static final Option<List<String>> LABELS =
      Option.ofTexts(
          "labels",
          "LABELS",
          "The labels to choose from, with commas between them, for a model that compares images"
              + " with texts.");

  static final Option<String> LABEL_TEMPLATE =
      Option.ofText(
              "label-template",
              "This is a photo of {}.",
              "TEXT",
              "What such a model is told of a label, which stands for {}.")
          .where("a text that holds {}", text -> text.contains("{}"));

  private static final Map<Kind, TaskData> DATA =
      Map.of(
          Kind.TEXT, data(Kind.TEXT),
          Kind.IMAGE, data(Kind.IMAGE),
          Kind.TEXT_OR_IMAGE, data(Kind.TEXT_OR_IMAGE));

  /** The task before its model is known. */
  public Classify() {
    this(Kind.TEXT_OR_IMAGE);
  }

  private static TaskData data(Kind reads) {
    boolean images = reads == Kind.IMAGE;
    return EncoderData.of(
        reads,
        "classify",
        "Classifies texts, pairs of texts, or images, as the model does: the best label and its"
            + " score.",
        List.of(TEXTS, IMAGES, DualSpec.PACK_TASK),
        List.of(Argument.required(images ? PictureTask.IMAGE : TEXT, reads, TEXT), PAIR),
        List.of(TOP_K, LABELS, LABEL_TEMPLATE));
  }

  @Override
  public TaskData data() {
    return DATA.get(reads);
  }

  @Override
  public TaskDefinition with(PackSpec pack, boolean images) {
    return new Classify(pack.tasks().contains(TEXTS) ? Kind.TEXT : Kind.IMAGE);
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result("label", Result.Type.TEXT, "the best label"),
                new Result(
                    "score",
                    Result.Type.FLOAT,
                    "its probability, or the value itself of a regression model")));
    if (options.get(TOP_K) != null) {
      results.add(
          new Result("scores", Result.Type.SCORES, "with --top-k: labels and scores, best first"));
    }
    if (reads != Kind.IMAGE) {
      results.addAll(TextEncoderTask.results());
    }
    return results;
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    boolean any = pack.tasks().contains(DualSpec.PACK_TASK);
    boolean images = any || pack.tasks().contains(IMAGES);
    if (images && options.has(PAIR.column())) {
      problems.add(
          PAIR.column().name(), options.get(PAIR.column()), "none; this model classifies images");
    }
    if (any) {
      PictureTask.check(pack, "image", problems);
      PackSpec.require("tokenizer", pack.tokenizer(), problems);
      DualSpec.read(pack.section(DualSpec.PACK_TASK, problems));
      checkLabels(options, problems);
      return;
    }
    if (images) {
      PictureTask.check(pack, "model", problems);
      LabelSpec.read(pack.section(IMAGES, problems));
    } else {
      TextEncoderTask.check(pack, problems);
      LabelSpec.read(pack.section(TEXTS, problems));
    }
    for (Option<?> option : List.of(LABELS, LABEL_TEMPLATE)) {
      if (options.has(option)) {
        problems.add(option.name(), options.get(option), "none; this model has labels of its own");
      }
    }
  }

  private static void checkLabels(OptionValues options, Problems problems) {
    List<String> labels = labels(options);
    if (labels.isEmpty()) {
      problems.add(LABELS.name(), "missing", LABELS + " with the labels to choose from");
    } else if (labels.contains("") || new HashSet<>(labels).size() < labels.size()) {
      problems.add(LABELS.name(), labels, "labels that differ, none of them empty");
    }
  }

  /** The labels that were asked for. */
  static List<String> labels(OptionValues options) {
    return options.get(LABELS).stream()
        .flatMap(text -> Arrays.stream(text.split(",", -1)))
        .map(String::strip)
        .toList();
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    PackSpec pack = model.pack().spec();
    if (pack.tasks().contains(TEXTS)) {
      return new TextClassifier(model, options);
    }
    return pack.tasks().contains(IMAGES)
        ? new ImageClassifier(model, options)
        : new ZeroShotClassifier(model, options);
  }
}
