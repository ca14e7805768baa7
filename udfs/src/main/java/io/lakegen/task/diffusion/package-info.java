/** Latent diffusion: prompts in, images out. */
package io.lakegen.task.diffusion;
