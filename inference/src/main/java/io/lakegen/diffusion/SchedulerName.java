package io.lakegen.diffusion;

import java.util.Arrays;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Schedulers, by the names of diffusers' classes. */
public enum SchedulerName {
  DDIMScheduler,
  DDPMScheduler,
  PNDMScheduler,
  EulerDiscreteScheduler,
  EulerAncestralDiscreteScheduler,
  HeunDiscreteScheduler,
  DPMSolverMultistepScheduler,
  DPMSolverSDEScheduler,
  UniPCMultistepScheduler,
  LCMScheduler,
  FlowMatchEulerDiscreteScheduler,
  UnCLIPScheduler;

  /** The scheduler of a class of diffusers, if it is here. */
  public static Optional<SchedulerName> of(Object className) {
    return Arrays.stream(values()).filter(n -> n.name().equals(className)).findFirst();
  }

  /** Whether steps can be spaced by Karras et al. (arXiv 2206.00364, equation 5). */
  public boolean takesKarrasSigmas() {
    return switch (this) {
      case EulerDiscreteScheduler,
          HeunDiscreteScheduler,
          DPMSolverMultistepScheduler,
          DPMSolverSDEScheduler,
          UniPCMultistepScheduler ->
          true;
      default -> false;
    };
  }

  /** Names of those whose steps can be, for messages. */
  public static String withKarrasSigmas() {
    return names(SchedulerName::takesKarrasSigmas);
  }

  /** Whether it can run models that were trained by flow matching. */
  boolean takesFlow() {
    return this == FlowMatchEulerDiscreteScheduler || this == DPMSolverMultistepScheduler;
  }

  /** Names of those that can, for messages. */
  static String withFlow() {
    return names(SchedulerName::takesFlow);
  }

  private static String names(Predicate<SchedulerName> which) {
    return Arrays.stream(values()).filter(which).map(Enum::name).collect(Collectors.joining(", "));
  }

  Schedule schedule(SchedulerConfig config, int count, int begin) {
    return switch (this) {
      case DDIMScheduler -> Ddim.schedule(config, count, begin);
      case DDPMScheduler -> Ddpm.schedule(config, count, begin);
      case PNDMScheduler -> Pndm.schedule(config, count, begin);
      case EulerDiscreteScheduler, EulerAncestralDiscreteScheduler ->
          Euler.schedule(config, count, begin);
      case HeunDiscreteScheduler -> Heun.schedule(config, count, begin);
      case DPMSolverMultistepScheduler -> DpmSolverMultistep.schedule(config, count, begin);
      case DPMSolverSDEScheduler -> DpmSolverSde.schedule(config, count, begin);
      case UniPCMultistepScheduler -> UniPc.schedule(config, count, begin);
      case LCMScheduler -> Lcm.schedule(config, count, begin);
      case FlowMatchEulerDiscreteScheduler -> FlowMatchEuler.schedule(config, count, begin);
      case UnCLIPScheduler -> UnClip.schedule(config, count, begin);
    };
  }
}
