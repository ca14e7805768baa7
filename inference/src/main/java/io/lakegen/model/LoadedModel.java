package io.lakegen.model;

import ai.djl.Device;
import ai.djl.huggingface.tokenizers.Encoding;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.ndarray.NDManager;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * A pack's graphs and tokenizer on one device, proven by the golden inputs. Thread-safe; shared by
 * all tasks of a JVM through {@link ModelPool}, which closes it.
 */
public final class LoadedModel implements AutoCloseable {
  /** Role of the graph that makes a model's input of a picture's bytes. */
  public static final String PREPROCESS = "preprocess";

  private static final int ONE_AT_A_TIME = 1 << 18;
  private static final Object LARGE = new Object();

  private final ModelPack pack;
  private final Device device;
  private final Map<String, Graph> graphs = new LinkedHashMap<>();
  private final Map<Object, Object> shared = new ConcurrentHashMap<>();
  private HuggingFaceTokenizer tokenizer;
  private HuggingFaceTokenizer wholeTokenizer;

  private LoadedModel(ModelPack pack, Device device) {
    this.pack = pack;
    this.device = device;
  }

  /**
   * Loads every graph of a pack and runs the golden inputs through them.
   *
   * @param threads threads that one operation of the engine may use on a CPU; the PyTorch engine
   *     takes the first value that the JVM asks for
   * @throws InvalidPackException if the model answers otherwise than the reference implementation
   * @throws IOException if a file cannot be read, is no graph of its engine, or was changed since
   *     its digest was checked
   */
  public static LoadedModel load(ModelPack pack, Device device, int threads) throws IOException {
    pack.spec().requireRunsOn(device);
    Devices.configureEngines(threads);
    LoadedModel model = new LoadedModel(pack, device);
    try {
      pack.requireUnchanged();
      for (Map.Entry<String, String> graph : pack.spec().graphs().entrySet()) {
        model.graphs.put(
            graph.getKey(),
            Graph.load(
                pack.file(graph.getValue()),
                deviceOf(graph.getKey(), device),
                pack.spec().engine(),
                threads));
      }
      if (pack.spec().tokenizer().isPresent()) {
        PackSpec.Tokenizer spec = pack.spec().tokenizer().get();
        model.tokenizer = tokenizer(pack, spec, spec.maxLength(), true);
      }
      // TorchScript is code: what was put in a file's place while the engine read it must not run.
      pack.requireUnchanged();
      model.check();
    } catch (IOException | RuntimeException | Error e) {
      model.close();
      throw e;
    }
    return model;
  }

  private static HuggingFaceTokenizer tokenizer(
      ModelPack pack, PackSpec.Tokenizer spec, int maxLength, boolean truncates)
      throws IOException {
    // Without it DJL would cut every text at 512 tokens.
    return HuggingFaceTokenizer.builder(Map.of("modelMaxLength", Integer.toString(maxLength)))
        .optTokenizerPath(pack.file(spec.file()))
        .optTruncation(truncates)
        .optMaxLength(maxLength)
        .optPadding(false)
        .build();
  }

  /**
   * Where a graph of the role is on a model's device. Pictures are resized on the CPU, by the
   * threads that prepare rows: CUDA has no such kernel for bytes, and of what is left less travels.
   */
  static Device deviceOf(String role, Device device) {
    return role.equals(PREPROCESS) ? Device.cpu() : device;
  }

  /**
   * Runs the golden inputs on the device again: tells a broken device from a bad row.
   *
   * @throws InvalidPackException if an answer is wrong
   */
  public void check() throws IOException {
    GoldenCheck.run(this);
  }

  /** The pack this model was loaded from. */
  public ModelPack pack() {
    return pack;
  }

  /** The device the graphs are on, but for {@value #PREPROCESS}. */
  public Device device() {
    return device;
  }

  /**
   * The graph of a role.
   *
   * @throws IllegalArgumentException if the pack has none
   */
  public Graph graph(String role) {
    Graph graph = graphs.get(role);
    if (graph == null) {
      throw new IllegalArgumentException(
          "graph: " + role + " (expected: one of " + graphs.keySet() + ")");
    }
    return graph;
  }

  /** True if the pack has a graph of this role. */
  public boolean hasGraph(String role) {
    return graphs.containsKey(role);
  }

  /**
   * The tokenizer; truncates at the pack's {@code maxLength}, adds special tokens, does not pad.
   * Thread-safe.
   *
   * @throws IllegalStateException if the pack has none
   */
  public HuggingFaceTokenizer tokenizer() {
    if (tokenizer == null) {
      throw new IllegalStateException("tokenizer: missing (expected: a pack with a tokenizer)");
    }
    return tokenizer;
  }

  /**
   * Calls the tokenizer for a text from anywhere. Large texts go one at a time: tokenizers take
   * native memory of some 350 times a text's size while they work.
   *
   * @param characters of the text
   */
  public Encoding encode(int characters, Function<HuggingFaceTokenizer, Encoding> call) {
    if (characters <= ONE_AT_A_TIME) {
      return call.apply(tokenizer());
    }
    synchronized (LARGE) {
      return call.apply(tokenizer());
    }
  }

  /**
   * The tokens of a pair of texts, special tokens included, of whatever length.
   *
   * @throws IllegalStateException if the pack has no tokenizer
   */
  public Encoding encodeWhole(String text, String pair) {
    HuggingFaceTokenizer whole = wholeTokenizer();
    return encode(text.length() + pair.length(), truncating -> whole.encode(text, pair));
  }

  private synchronized HuggingFaceTokenizer wholeTokenizer() {
    if (wholeTokenizer == null) {
      tokenizer();
      try {
        wholeTokenizer =
            tokenizer(pack, pack.spec().tokenizer().orElseThrow(), Integer.MAX_VALUE, false);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
    return wholeTokenizer;
  }

  /**
   * An object that belongs to this model and is made once, such as a task that all threads share;
   * it must own nothing that has to be closed, but for arrays of a {@link #newManager}, which end
   * with the model at the latest.
   */
  public <T> T shared(Object key, Class<T> type, Supplier<T> maker) {
    return type.cast(shared.computeIfAbsent(key, k -> maker.get()));
  }

  /** A new manager on the device for the arrays of one call; the caller closes it. */
  public NDManager newManager() {
    return graphs.values().iterator().next().manager().newSubManager(device);
  }

  @Override
  public void close() {
    graphs.values().forEach(Graph::close);
    if (tokenizer != null) {
      tokenizer.close();
    }
    synchronized (this) {
      if (wholeTokenizer != null) {
        wholeTokenizer.close();
      }
    }
  }
}
