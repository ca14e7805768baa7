/** Latent diffusion: the pipeline from noise to image, and the schedulers, one class a family. */
package io.lakegen.diffusion;
