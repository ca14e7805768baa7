package io.lakegen.task.diffusion;

/** Schedulers, by the names of diffusers' classes. */
public enum SchedulerName {
  /** Denoising diffusion implicit models (arXiv 2010.02502), eta 0. */
  DDIMScheduler,
  /** Euler steps of the probability flow (arXiv 2206.00364, algorithm 2, without churn). */
  EulerDiscreteScheduler,
  /** Euler steps that add noise after each (k-diffusion's ancestral sampling). */
  EulerAncestralDiscreteScheduler,
  /** DPM-Solver++ (arXiv 2211.01095), second order, multistep. */
  DPMSolverMultistepScheduler,
  /** Latent consistency models (arXiv 2310.04378). */
  LCMScheduler;

  /** Whether steps can be spaced by Karras et al. (arXiv 2206.00364, equation 5). */
  public boolean takesKarrasSigmas() {
    return this == EulerDiscreteScheduler || this == DPMSolverMultistepScheduler;
  }
}
