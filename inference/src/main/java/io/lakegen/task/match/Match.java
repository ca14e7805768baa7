package io.lakegen.task.match;

import io.lakegen.image.Thumbnail;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import io.lakegen.task.Argument;
import io.lakegen.task.Budget;
import io.lakegen.task.Option;
import io.lakegen.task.OptionValues;
import io.lakegen.task.Result;
import io.lakegen.task.Task;
import io.lakegen.task.TaskData;
import io.lakegen.task.TaskDefinition;
import java.util.ArrayList;
import java.util.List;

/** The task {@code match}: how well a picture and a text of the same row fit. */
public record Match() implements TaskDefinition {
  static final String IMAGE = "image";
  static final String TEXT = "text";
  static final String PACK_TASK = "image-text-matching";
  static final List<String> GRAPHS = List.of("encoder", "match", LoadedModel.PREPROCESS);

  static final Option<Boolean> HEAT_MAP =
      Option.flag(
          "heat-map",
          "Add the columns words, maps, map_height and map_width: where in the picture the model"
              + " sees each word of the text. The pack must have been exported for it.");

  static final Option<Integer> OVERLAY =
      Option.ofInt(
              "overlay",
              null,
              "With --heat-map: add the column overlays, a PNG for each word whose longest side has"
                  + " N pixels at most.")
          .where("1 to " + Thumbnail.MAX_SIDE + " pixels", n -> n >= 1 && n <= Thumbnail.MAX_SIDE);

  private static final TaskData DATA =
      new TaskData(
          "match",
          "Matches pictures with texts: how well the two of a row fit, and where in the picture the"
              + " words of the text are. Pictures are a column of images, or of the paths of image"
              + " files.",
          List.of(PACK_TASK),
          List.of(
              Argument.required(IMAGE, Argument.Kind.IMAGE, "image"),
              new Argument(
                  TEXT,
                  Argument.Kind.TEXT,
                  Option.ofColumn("text-column", "text", "Column of the texts."))),
          List.of(HEAT_MAP, OVERLAY),
          new Budget.Unit(
              "tokens of pictures and texts in a batch, padding counted", 8_192, 65_536),
          256,
          1);

  @Override
  public TaskData data() {
    return DATA;
  }

  @Override
  public List<Result> results(OptionValues options) {
    List<Result> results =
        new ArrayList<>(
            List.of(
                new Result(
                    "itm_score",
                    Result.Type.FLOAT,
                    "probability that the text is about the picture, by the matching head, which"
                        + " sees both together"),
                new Result(
                    "itc_score",
                    Result.Type.FLOAT,
                    "cosine of the picture's and the text's embedding, made apart from each other:"
                        + " -1 to 1")));
    if (options.get(HEAT_MAP)) {
      results.add(
          new Result(
              "words",
              Result.Type.TEXTS,
              "with --heat-map: the words of the text, in their order"));
      results.add(
          new Result(
              "maps",
              Result.Type.VECTORS,
              "with --heat-map: for each word a map of map_height rows of map_width values, one for"
                  + " each patch of the picture: its Grad-CAM, 0 or more, the mean of the word's"
                  + " tokens"));
      results.add(new Result("map_height", Result.Type.INT, "with --heat-map: rows of a map"));
      results.add(new Result("map_width", Result.Type.INT, "with --heat-map: columns of a map"));
    }
    if (options.get(OVERLAY) != null) {
      results.add(
          new Result(
              "overlays",
              Result.Type.IMAGES,
              "with --overlay: for each word a PNG of the picture under the word's map: clear at"
                  + " its least value, then blue, green, and red at its largest"));
    }
    return results;
  }

  @Override
  public void check(OptionValues options, Problems problems) {
    if (options.get(OVERLAY) != null && !options.get(HEAT_MAP)) {
      problems.add(OVERLAY.name(), options.get(OVERLAY), "--heat-map with it");
    }
  }

  @Override
  public void check(OptionValues options, PackSpec pack, Problems problems) {
    PackSpec.require("image", pack.image(), problems);
    PackSpec.require("tokenizer", pack.tokenizer(), problems);
    MatchSpec spec = MatchSpec.read(pack.section(PACK_TASK, problems));
    List<String> graphs = new ArrayList<>(GRAPHS);
    if (spec.heatMap().isPresent()) {
      graphs.add("heat_map");
    } else if (options.get(HEAT_MAP)) {
      problems.add(
          HEAT_MAP.name(),
          true,
          "a pack with heat maps; export the model again, with --heat-map-layer N");
    }
    if (!pack.graphs().keySet().containsAll(graphs)) {
      problems.add("model: graphs", pack.graphs().keySet(), "graphs of the roles " + graphs);
    }
  }

  @Override
  public Task<?, ?> open(LoadedModel model, OptionValues options, Budget budget) {
    return new Matcher(model, options);
  }
}
