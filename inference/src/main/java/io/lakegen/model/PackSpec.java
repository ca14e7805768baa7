package io.lakegen.model;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import io.lakegen.problem.InvalidArgumentsException;
import io.lakegen.problem.Problem;
import io.lakegen.problem.Problems;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.Function;

/**
 * What {@code pack.json} (format 2) says of a model: which graphs it has, how its inputs are made
 * and how its outputs are read.
 *
 * @param sections what a task alone needs to know, by Hugging Face's names of pipelines, such as
 *     {@code feature-extraction}: every task that the model serves has a section
 * @param family architecture, such as {@code bert} or {@code gpt2}
 * @param engine DJL engine that runs the graphs
 * @param dtype arithmetic of the weights
 * @param graphs role to file name
 * @param sha256 file name to lower-case hex digest, for every file of the pack but {@code
 *     pack.json}
 * @param tokenizer present where the task reads or writes text
 * @param image present where the task reads images
 * @param cache present where a graph uses the slot cache
 * @param generation token ids and context length for decoding
 * @param source where the weights come from
 */
public record PackSpec(
    JsonNode sections,
    String family,
    EngineName engine,
    Dtype dtype,
    Map<String, String> graphs,
    Map<String, String> sha256,
    Optional<Tokenizer> tokenizer,
    Optional<Image> image,
    Optional<Cache> cache,
    Optional<Generation> generation,
    Source source) {

  public PackSpec {
    graphs = Map.copyOf(graphs);
    sha256 = Map.copyOf(sha256);
    Objects.requireNonNull(source, "source");
  }

  /**
   * Checks that there are kernels for it on a device.
   *
   * @throws InvalidArgumentsException if there are none
   */
  void requireRunsOn(Device device) {
    if (dtype == Dtype.float16_weights && device.isGpu()) {
      throw new InvalidArgumentsException(
          List.of(new Problem("device", device.toString(), "cpu for a pack in " + dtype)));
    }
  }

  /** Tasks that the model serves. */
  public Set<String> tasks() {
    return new PackSection("", sections, new Problems()).names();
  }

  /**
   * What a task alone needs to know.
   *
   * @param problems get what is wrong with it
   */
  public PackSection section(String task, Problems problems) {
    return new PackSection("tasks." + task + ".", sections.path(task), problems);
  }

  /**
   * A task's section that was checked before.
   *
   * @throws io.lakegen.problem.InvalidArgumentsException if it is wrong all the same
   */
  public <T> T section(String task, Function<PackSection, T> reader) {
    Problems problems = new Problems();
    T value = reader.apply(section(task, problems));
    problems.throwIfAny();
    return value;
  }

  /** Adds a problem if a pack lacks a section that a task needs. */
  public static void require(String section, Optional<?> value, Problems problems) {
    if (value.isEmpty()) {
      problems.add("model: " + section, "missing", "a pack with the section " + section);
    }
  }

  /** DJL engines a pack can ask for, by DJL's own names. */
  public enum EngineName {
    PyTorch,
    OnnxRuntime
  }

  /**
   * Arithmetic of a pack, by PyTorch's names. Whatever it is, graphs take and return float32 unless
   * FLOAT16 is said.
   */
  public enum Dtype {
    float32,
    bfloat16,
    float16,
    /** Weights in float16 under arithmetic in float32, by kernels that CPUs alone have. */
    float16_weights,
    int8
  }

  /**
   * The tokenizer of a model.
   *
   * @param file the {@code tokenizer.json} of Hugging Face tokenizers
   * @param maxLength longest input in tokens, special tokens included
   * @param chatTemplate a user message's frame, with {@code {prompt}} where the message goes
   */
  public record Tokenizer(String file, int maxLength, Optional<String> chatTemplate) {}

  /**
   * Size in pixels and normalisation (per channel, of values in 0..1) of the model's image input.
   */
  public record Image(int height, int width, List<Double> mean, List<Double> std) {
    public Image {
      mean = List.copyOf(mean);
      std = List.copyOf(std);
    }
  }

  /**
   * Shape of the slot cache {@code [layers, 2, batch, heads, slots, headDim]}.
   *
   * @param heads key/value heads
   * @param prefix slots that the encoder fills before the first token (GIT's visual tokens), else 0
   * @param commonPrefix whether the decoder reads keys and values that all rows share from one
   *     place
   */
  public record Cache(int layers, int heads, int headDim, int prefix, boolean commonPrefix) {}

  /**
   * Token ids that steer decoding.
   *
   * @param eos ids that end a sequence; may be empty
   * @param maxLength the model's context in tokens
   * @param suppress ids that are never generated
   */
  public record Generation(
      OptionalInt bos,
      List<Integer> eos,
      OptionalInt pad,
      OptionalInt decoderStart,
      OptionalInt forcedBos,
      OptionalInt forcedEos,
      List<Integer> suppress,
      int maxLength) {
    public Generation {
      eos = List.copyOf(eos);
      suppress = List.copyOf(suppress);
    }
  }

  /** Origin and licence (SPDX identifier or name) of the weights. */
  public record Source(String id, String revision, String licence) {}
}
