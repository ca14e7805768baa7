package io.lakegen.task.match;

import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.index.NDIndex;
import ai.djl.ndarray.types.Shape;
import io.lakegen.encoder.PictureInput;
import io.lakegen.image.RgbImage;
import io.lakegen.model.Graph;
import io.lakegen.model.LoadedModel;
import io.lakegen.task.OptionValues;
import io.lakegen.task.RowException;
import io.lakegen.task.RowInput;
import io.lakegen.task.Task;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Scores and heat maps of BLIP's models for image-text retrieval, as transformers' {@code
 * BlipForImageTextRetrieval} and LAVIS' {@code compute_gradcam} make them. A picture that several
 * rows of a batch have is encoded once.
 */
final class Matcher implements Task<Matcher.Pair, Matcher.Matched> {
  /** libtorch keeps memory for every new shape. */
  private static final int LENGTH_STEP = 16;

  private final LoadedModel model;
  private final PictureInput pictures;
  private final Graph encoder;
  private final Graph graph;
  private final MatchSpec spec;
  private final int maxLength;
  private final boolean heatMap;
  private final int overlay;

  /**
   * A row as the model sees it.
   *
   * @param file the image file
   * @param pixels see {@link PictureInput#pixels}
   * @param text its tokens' ids, special tokens included
   * @param words with heat maps: the words of the text
   * @param picture with overlays: the decoded picture, else null
   */
  record Pair(
      PictureInput.Content file,
      float[] pixels,
      String text,
      long[] ids,
      List<Word> words,
      RgbImage picture) {}

  /**
   * What the model says of a row.
   *
   * @param maps with heat maps: one for each word
   */
  record Matched(float itm, float itc, List<float[]> maps, Pair pair) {}

  /** A matcher over a loaded pack, which stays the caller's to close. */
  Matcher(LoadedModel model, OptionValues options) {
    this.model = model;
    this.pictures = new PictureInput(model);
    this.heatMap = options.get(Match.HEAT_MAP);
    this.overlay = options.get(Match.OVERLAY) == null ? 0 : options.get(Match.OVERLAY);
    this.encoder = model.graph("encoder");
    this.graph = model.graph(heatMap ? "heat_map" : "match");
    this.spec = model.pack().spec().section(Match.PACK_TASK, MatchSpec::read);
    this.maxLength = model.pack().spec().tokenizer().orElseThrow().maxLength();
  }

  @Override
  public Pair prepare(RowInput row) throws RowException {
    String text = row.text(Match.TEXT);
    Encoding encoding = model.encode(text.length(), tokenizer -> tokenizer.encode(text));
    if (encoding.exceedMaxLength()) {
      throw RowException.prepare(
          "text_too_long", "the text has more tokens than the model reads (" + maxLength + ")");
    }
    byte[] file = row.bytes(Match.IMAGE);
    RgbImage rgb = pictures.decode(file, overlay);
    return new Pair(
        new PictureInput.Content(file),
        pictures.pixels(rgb),
        text,
        encoding.getIds(),
        heatMap ? Word.of(text, encoding) : List.of(),
        overlay > 0 ? Overlay.shrink(rgb, overlay) : null);
  }

  @Override
  public int size(Pair pair) {
    return spec.imageTokens() + pair.ids().length;
  }

  @Override
  public int cost(Pair pair) {
    return spec.imageTokens() + length(pair);
  }

  private int length(Pair pair) {
    int rounded = (pair.ids().length + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
    return Math.min(maxLength, rounded);
  }

  /** {@inheritDoc} What the model sees is about as large as the file. */
  @Override
  public long inputBytes(RowInput row) {
    return row.length() + pictures.bytes() + 3L * overlay * overlay;
  }

  @Override
  public Object identity(Pair pair) {
    return List.of(pair.file(), pair.text());
  }

  @Override
  public List<Matched> infer(List<Pair> batch) {
    int length = batch.stream().mapToInt(this::length).max().orElseThrow();
    Map<PictureInput.Content, float[]> different = new LinkedHashMap<>();
    batch.forEach(p -> different.putIfAbsent(p.file(), p.pixels()));
    try (NDManager manager = model.newManager()) {
      NDList inputs = texts(manager, batch, length);
      NDList seen = encoder.run(pictures.batch(manager, List.copyOf(different.values())));
      if (different.size() < batch.size()) {
        List<PictureInput.Content> order = List.copyOf(different.keySet());
        NDArray rows =
            manager.create(batch.stream().mapToLong(p -> order.indexOf(p.file())).toArray());
        seen.forEach(s -> inputs.add(s.get(new NDIndex("{}", rows))));
      } else {
        inputs.addAll(seen);
      }
      NDList outputs = graph.run(inputs);
      float[] logits = outputs.get(0).toFloatArray();
      float[] cosines = outputs.get(1).toFloatArray();
      float[] maps = heatMap ? maps(outputs.get(2), batch.size() * length) : null;
      float[] largest = heatMap ? outputs.get(3).toFloatArray() : null;
      List<Matched> results = new ArrayList<>(batch.size());
      for (int i = 0; i < batch.size(); i++) {
        Pair pair = batch.get(i);
        results.add(
            new Matched(
                probability(logits[2 * i], logits[2 * i + 1]),
                cosines[i],
                heatMap ? maps(pair, maps, i * length, largest[i]) : List.of(),
                pair));
      }
      return results;
    }
  }

  private static NDList texts(NDManager manager, List<Pair> batch, int length) {
    long[] ids = new long[batch.size() * length];
    long[] mask = new long[ids.length];
    for (int i = 0; i < batch.size(); i++) {
      long[] row = batch.get(i).ids();
      System.arraycopy(row, 0, ids, i * length, row.length);
      Arrays.fill(mask, i * length, i * length + row.length, 1);
    }
    Shape shape = new Shape(batch.size(), length);
    return new NDList(manager.create(ids, shape), manager.create(mask, shape));
  }

  /** Softmax of the two logits. */
  private static float probability(float other, float match) {
    double probability = 1 / (1 + Math.exp((double) other - match));
    if (Double.isNaN(probability)) {
      throw new IllegalStateException("the model's logits hold NaN (expected: numbers)");
    }
    return (float) probability;
  }

  private float[] maps(NDArray output, int tokens) {
    MatchSpec.HeatMap size = spec.heatMap().orElseThrow();
    float[] maps = output.toFloatArray();
    if (maps.length != tokens * size.height() * size.width()) {
      throw new IllegalStateException(
          "heat maps: "
              + maps.length
              + " values (expected: "
              + tokens * size.height() * size.width()
              + ", the pack's height times width for each token)");
    }
    return maps;
  }

  /**
   * The maps of a row's words.
   *
   * @param maps of all tokens of the batch, relative to their row's largest value
   * @param first the row's first token
   */
  private List<float[]> maps(Pair pair, float[] maps, int first, float largest) {
    MatchSpec.HeatMap size = spec.heatMap().orElseThrow();
    int patches = size.height() * size.width();
    List<float[]> found = new ArrayList<>(pair.words().size());
    for (Word word : pair.words()) {
      float[] map = new float[patches];
      for (int token : word.tokens()) {
        for (int p = 0; p < patches; p++) {
          map[p] += maps[(first + token) * patches + p];
        }
      }
      for (int p = 0; p < patches; p++) {
        map[p] *= largest / word.tokens().size();
      }
      found.add(map);
    }
    return found;
  }

  @Override
  public List<List<Object>> values(Matched matched) {
    List<Object> values = new ArrayList<>(List.of(matched.itm(), matched.itc()));
    if (heatMap) {
      MatchSpec.HeatMap size = spec.heatMap().orElseThrow();
      values.add(matched.pair().words().stream().map(Word::text).toList());
      values.add(matched.maps());
      values.add(size.height());
      values.add(size.width());
      if (overlay > 0) {
        values.add(
            matched.maps().stream()
                .map(m -> Overlay.png(matched.pair().picture(), m, size.height(), size.width()))
                .toList());
      }
    }
    return List.of(values);
  }

  @Override
  public void check() throws IOException {
    model.check();
  }
}
