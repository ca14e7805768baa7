package io.lakegen.task.sample;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.lakegen.diffusion.Autoencoder;
import io.lakegen.diffusion.AutoencoderSpec;
import io.lakegen.image.RgbImage;
import io.lakegen.model.LoadedModel;
import io.lakegen.model.PackSpec;
import io.lakegen.problem.Problems;
import java.util.ArrayList;
import java.util.List;

/** What makes images of latents. */
interface ImageMaker {
  /** A request for one image; {@code label} is not read where the model knows no classes. */
  record Request(float[] latent, long label) {}

  /**
   * A finished image.
   *
   * @param score of the discriminator; 0 where none was asked for
   */
  record Made(RgbImage image, float score) {}

  /** Numbers of a latent. */
  int latentSize();

  /** Classes; 1 where the model knows none. */
  int classes();

  /** An image for each request, in order. */
  List<Made> make(List<Request> requests);

  /** Reads a pack's section. */
  static void check(PackSpec pack, Problems problems) {
    if (pack.tasks().contains(Sample.PACK_TASK)) {
      GeneratorSpec.read(pack.section(Sample.PACK_TASK, problems));
    } else {
      AutoencoderSpec.of(pack, problems);
      if (!pack.graphs().containsKey("vae_decoder")) {
        problems.add("model", "a pack without vae_decoder", "one with it");
      }
    }
  }

  /**
   * The one of a pack.
   *
   * @param psi truncation
   * @param score whether the discriminator's score is wanted
   */
  static ImageMaker of(LoadedModel model, double psi, boolean score) {
    PackSpec pack = model.pack().spec();
    return pack.tasks().contains(Sample.PACK_TASK)
        ? new Generator(
            model, pack.section(Sample.PACK_TASK, GeneratorSpec::read), (float) psi, score)
        : new Prior(model, AutoencoderSpec.of(pack), psi);
  }

  /** A GAN. */
  record Generator(LoadedModel model, GeneratorSpec spec, float psi, boolean score)
      implements ImageMaker {
    @Override
    public int latentSize() {
      return spec.latent();
    }

    @Override
    public int classes() {
      return spec.classes();
    }

    @Override
    public List<Made> make(List<Request> requests) {
      int rows = requests.size();
      float[] latents = new float[rows * spec.latent()];
      long[] labels = new long[rows];
      float[] psis = new float[rows];
      for (int row = 0; row < rows; row++) {
        for (int i = 0; i < spec.latent(); i++) {
          // A generator without a truncation of its own is given shorter latents.
          latents[row * spec.latent() + i] =
              requests.get(row).latent()[i] * (spec.truncation() ? 1 : psi);
        }
        labels[row] = requests.get(row).label();
        psis[row] = psi;
      }
      try (NDManager manager = model.newManager()) {
        NDList inputs = new NDList(manager.create(latents, new Shape(rows, spec.latent())));
        if (spec.takesLabels()) {
          inputs.add(manager.create(labels));
        }
        if (spec.truncation()) {
          inputs.add(manager.create(psis));
        }
        NDArray images = model.graph("generator").run(inputs).head();
        float[] scores = new float[rows];
        if (score) {
          NDList seen = new NDList(images);
          if (spec.takesLabels()) {
            seen.add(inputs.get(1));
          }
          scores = model.graph("discriminator").run(seen).head().toFloatArray();
        }
        int height = (int) images.getShape().get(2);
        int width = (int) images.getShape().get(3);
        float[] values = images.toFloatArray();
        List<Made> made = new ArrayList<>(rows);
        for (int row = 0; row < rows; row++) {
          made.add(new Made(Autoencoder.rgb(values, row, height, width), scores[row]));
        }
        return made;
      }
    }
  }

  /** The decoder of a variational autoencoder, over its prior. */
  record Prior(LoadedModel model, AutoencoderSpec spec, double psi) implements ImageMaker {
    private int height() {
      return model.pack().spec().image().orElseThrow().height();
    }

    private int width() {
      return model.pack().spec().image().orElseThrow().width();
    }

    @Override
    public int latentSize() {
      return new Autoencoder(model, spec.latents()).count(height(), width());
    }

    @Override
    public int classes() {
      return 1;
    }

    @Override
    public List<Made> make(List<Request> requests) {
      List<float[]> latents = new ArrayList<>(requests.size());
      for (Request request : requests) {
        float[] latent = request.latent().clone();
        for (int i = 0; i < latent.length; i++) {
          latent[i] *= (float) psi;
        }
        latents.add(latent);
      }
      return new Autoencoder(model, spec.latents())
          .decode(latents, height(), width()).stream().map(i -> new Made(i, 0)).toList();
    }
  }
}
