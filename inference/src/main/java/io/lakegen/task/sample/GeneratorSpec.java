package io.lakegen.task.sample;

import io.lakegen.model.PackSection;

/**
 * The section of a pack that generates images of random latents.
 *
 * @param latent numbers of a latent
 * @param classes classes that an image can be of; 1 where the generator takes none
 * @param truncation whether the generator takes a truncation psi itself
 */
record GeneratorSpec(int latent, int classes, boolean truncation) {
  static GeneratorSpec read(PackSection section) {
    section.keys("latent", "classes", "truncation");
    return new GeneratorSpec(
        section.positive("latent"), section.positive("classes"), section.bool("truncation"));
  }

  boolean takesLabels() {
    return classes > 1;
  }
}
