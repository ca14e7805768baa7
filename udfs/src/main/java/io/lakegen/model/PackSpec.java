package io.lakegen.model;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What {@code pack.json} (format 1) says of a model: which graphs it has, how its inputs are made
 * and how its outputs are read.
 *
 * @param task Hugging Face pipeline name, such as {@code feature-extraction}
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
 * @param embedding present for {@code feature-extraction}
 * @param scheduler diffusers' {@code scheduler_config.json}, present for {@code text-to-image}
 * @param latents present for {@code text-to-image}
 * @param source where the weights come from
 */
public record PackSpec(
    String task,
    String family,
    EngineName engine,
    Dtype dtype,
    Map<String, String> graphs,
    Map<String, String> sha256,
    Optional<Tokenizer> tokenizer,
    Optional<Image> image,
    Optional<Cache> cache,
    Optional<Generation> generation,
    Optional<Embedding> embedding,
    Map<String, Object> scheduler,
    Optional<Latents> latents,
    Source source) {

  public PackSpec {
    graphs = Map.copyOf(graphs);
    sha256 = Map.copyOf(sha256);
    scheduler = Map.copyOf(scheduler);
    Objects.requireNonNull(source, "source");
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
   */
  public record Cache(int layers, int heads, int headDim, int prefix) {}

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

  /** How hidden states become one vector of {@code dimension} values. */
  public record Embedding(Pooling pooling, boolean normalize, int dimension) {}

  /** Pooling over the tokens of a text, as sentence-transformers defines it. */
  public enum Pooling {
    mean,
    cls,
    max,
    lastToken
  }

  /**
   * The latent space of a diffusion model.
   *
   * @param channels channels of a latent
   * @param scale pixels per latent along each side
   * @param multiple sides of a latent image are multiples of this, since the model halves them
   * @param scalingFactor what latents are divided by before decoding
   */
  public record Latents(int channels, int scale, int multiple, double scalingFactor) {}

  /** Origin and licence (SPDX identifier or name) of the weights. */
  public record Source(String id, String revision, String licence) {}
}
