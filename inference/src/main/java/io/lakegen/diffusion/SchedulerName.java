package io.lakegen.diffusion;

import java.util.Arrays;
import java.util.Optional;

/** Schedulers, by the names of diffusers' classes. */
public enum SchedulerName {
  DDIMScheduler,
  EulerDiscreteScheduler,
  EulerAncestralDiscreteScheduler,
  DPMSolverMultistepScheduler,
  LCMScheduler;

  /** The scheduler of a class of diffusers, if it is here. */
  public static Optional<SchedulerName> of(Object className) {
    return Arrays.stream(values()).filter(n -> n.name().equals(className)).findFirst();
  }

  /** Whether steps can be spaced by Karras et al. (arXiv 2206.00364, equation 5). */
  public boolean takesKarrasSigmas() {
    return this == EulerDiscreteScheduler || this == DPMSolverMultistepScheduler;
  }

  Schedule schedule(SchedulerConfig config, int count, int begin) {
    return switch (this) {
      case DDIMScheduler -> Ddim.schedule(config, count, begin);
      case EulerDiscreteScheduler, EulerAncestralDiscreteScheduler ->
          Euler.schedule(config, count, begin);
      case DPMSolverMultistepScheduler -> DpmSolverMultistep.schedule(config, count, begin);
      case LCMScheduler -> Lcm.schedule(config, count, begin);
    };
  }
}
