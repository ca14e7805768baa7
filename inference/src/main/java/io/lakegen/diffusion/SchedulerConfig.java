package io.lakegen.diffusion;

import io.lakegen.problem.Problems;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * How a model was trained to remove noise, and how its steps are spaced: diffusers' {@code
 * scheduler_config.json}, with the defaults of the scheduler's class for missing keys.
 *
 * @param alphasCumprod share of the image's variance that is left after each training timestep
 * @param clip keeps a predicted image in its range
 * @param finalAlphaCumprod the share before the first training timestep
 * @param solverOrder UniPC: earlier answers that a step looks at, and its own
 * @param variance of the noise of steps
 * @param stochastic DPM-Solver++ over the stochastic equation
 * @param flow trained by flow matching: an image and its noise are mixed, their shares sum to 1
 * @param shift flow matching: how far levels are moved towards the noise, 1 for not at all
 * @param originalInferenceSteps LCM: steps of its distillation
 * @param timestepScaling LCM: sharpness of its boundary condition
 */
public record SchedulerConfig(
    SchedulerName name,
    double[] alphasCumprod,
    Prediction prediction,
    Spacing spacing,
    int stepsOffset,
    boolean karrasSigmas,
    Clip clip,
    Variance variance,
    double finalAlphaCumprod,
    int solverOrder,
    boolean stochastic,
    boolean flow,
    double shift,
    int originalInferenceSteps,
    double timestepScaling) {

  /** What the model says of a noisy latent. */
  public enum Prediction {
    epsilon,
    v_prediction,
    sample,
    flow_prediction
  }

  /** Which training timesteps the steps take (arXiv 2305.08891, table 2). */
  public enum Spacing {
    leading,
    trailing,
    linspace
  }

  /** What the variance of a step's noise is made of; fixed_small_log is fixed_small. */
  public enum Variance {
    fixed_small,
    fixed_small_log,
    fixed_large,
    learned_range
  }

  /** Keys that change the arithmetic, with the values for which it is the one written here. */
  private static final Map<String, List<Object>> ONLY =
      Map.ofEntries(
          Map.entry("rescale_betas_zero_snr", List.of(false)),
          Map.entry("use_exponential_sigmas", List.of(false)),
          Map.entry("use_beta_sigmas", List.of(false)),
          Map.entry("use_lu_lambdas", List.of(false)),
          Map.entry("use_dynamic_shifting", List.of(false)),
          Map.entry("euler_at_final", List.of(false)),
          Map.entry("interpolation_type", List.of("linear")),
          Map.entry("timestep_type", List.of("discrete")),
          Map.entry("final_sigmas_type", List.of("zero")),
          Map.entry("skip_prk_steps", List.of(true)),
          Map.entry("predict_x0", List.of(true)),
          Map.entry("disable_corrector", List.of(List.of())),
          Map.entry("lower_order_final", List.of(true)),
          Map.entry("invert_sigmas", List.of(false)),
          Map.entry("stochastic_sampling", List.of(false)),
          Map.entry("shift_terminal", List.of()),
          Map.entry("lambda_min_clipped", List.of()),
          Map.entry("sigma_min", List.of()),
          Map.entry("sigma_max", List.of()));

  /**
   * Reads a configuration.
   *
   * @param name scheduler to use, whatever {@code _class_name} says
   * @param karrasSigmas use Karras sigmas even if the configuration does not
   * @param problems get every key whose value has no meaning here
   */
  public static SchedulerConfig of(
      SchedulerName name, Map<String, Object> config, boolean karrasSigmas, Problems problems) {
    Reader reader = new Reader(config, problems);
    ONLY.forEach(reader::only);
    boolean lcm = name == SchedulerName.LCMScheduler;
    boolean ddim = name == SchedulerName.DDIMScheduler;
    boolean pndm = name == SchedulerName.PNDMScheduler;
    boolean heun = name == SchedulerName.HeunDiscreteScheduler;
    boolean single = name == SchedulerName.DPMSolverSDEScheduler;
    boolean unipc = name == SchedulerName.UniPCMultistepScheduler;
    boolean multistep = name == SchedulerName.DPMSolverMultistepScheduler;
    boolean flow = flow(reader, name);
    boolean ddpm = name == SchedulerName.DDPMScheduler;
    boolean unclip = name == SchedulerName.UnCLIPScheduler;
    int timesteps = reader.whole("num_train_timesteps", 1000, 1);
    String betas = lcm ? "scaled_linear" : unclip ? "squaredcos_cap_v2" : "linear";
    double[] alphasCumprod = alphasCumprod(reader, timesteps, betas, lcm || heun || single);
    boolean stochastic = false;
    int order = 2;
    if (multistep) {
      reader.only("solver_type", List.of("midpoint"));
      reader.only("solver_order", List.of(2));
      reader.only("algorithm_type", List.of("dpmsolver++", "sde-dpmsolver++"));
      stochastic = reader.text("algorithm_type", "").equals("sde-dpmsolver++");
    } else if (unipc) {
      // diffusers takes the names of DPM-Solver's types for bh2.
      reader.only("solver_type", List.of("bh2", "midpoint", "heun", "logrho"));
      reader.only("solver_order", List.of(2, 1, 3));
      order = reader.whole("solver_order", 2, 1);
    } else if (unclip) {
      reader.only("beta_schedule", List.of("squaredcos_cap_v2"));
    }
    if (!ddpm) {
      reader.only("thresholding", List.of(false));
    }
    if (!ddpm && !unclip) {
      reader.only("variance_type", List.of());
    }
    return new SchedulerConfig(
        name,
        alphasCumprod,
        prediction(reader, name, flow),
        reader.choice(
            "timestep_spacing", ddim || ddpm || lcm || pndm ? Spacing.leading : Spacing.linspace),
        reader.whole("steps_offset", 0, 0),
        karras(reader, name, karrasSigmas, flow),
        clip(reader, name),
        ddpm || unclip
            ? reader.choice("variance_type", Variance.fixed_small)
            : Variance.fixed_small,
        reader.flag("set_alpha_to_one", !pndm) ? 1 : alphasCumprod[0],
        order,
        stochastic,
        flow,
        reader.number("shift", reader.number("flow_shift", 1)),
        reader.whole("original_inference_steps", 50, 1),
        reader.number("timestep_scaling", 10));
  }

  private static Clip clip(Reader reader, SchedulerName name) {
    if (name == SchedulerName.DDPMScheduler && reader.flag("thresholding", false)) {
      return new Clip(
          reader.number("sample_max_value", 1), reader.number("dynamic_thresholding_ratio", 0.995));
    }
    boolean clips =
        switch (name) {
          case DDIMScheduler, DDPMScheduler, UnCLIPScheduler -> reader.flag("clip_sample", true);
          case LCMScheduler, HeunDiscreteScheduler -> reader.flag("clip_sample", false);
          default -> false;
        };
    return clips ? new Clip(reader.number("clip_sample_range", 1), 0) : Clip.NONE;
  }

  /**
   * Whether a model was trained by flow matching: it is known by its own scheduler, whichever runs.
   */
  private static boolean flow(Reader reader, SchedulerName name) {
    String flowMatch = SchedulerName.FlowMatchEulerDiscreteScheduler.name();
    boolean flow =
        name.name().equals(flowMatch)
            || reader.text("_class_name", "").equals(flowMatch)
            || reader.flag("use_flow_sigmas", false);
    if (flow && !name.takesFlow()) {
      reader.problems.add(
          "scheduler", name, SchedulerName.withFlow() + "; the model was trained by flow matching");
    }
    return flow;
  }

  private static boolean karras(Reader reader, SchedulerName name, boolean asked, boolean flow) {
    boolean karras = name.takesKarrasSigmas() && (asked || reader.flag("use_karras_sigmas", false));
    if (karras && flow) {
      reader.problem("use_karras_sigmas", true, "false; the model was trained by flow matching");
    }
    return karras;
  }

  private static Prediction prediction(Reader reader, SchedulerName name, boolean flow) {
    Prediction prediction =
        reader.choice("prediction_type", flow ? Prediction.flow_prediction : Prediction.epsilon);
    if (prediction == Prediction.flow_prediction && !flow) {
      reader.problem("prediction_type", prediction, "one of the others, without use_flow_sigmas");
    }
    Prediction missing =
        switch (name) {
          case PNDMScheduler, DPMSolverSDEScheduler -> Prediction.sample;
          case UnCLIPScheduler -> Prediction.v_prediction;
          default -> null;
        };
    if (prediction == missing) {
      reader.problem(
          "prediction_type",
          prediction,
          "epsilon or " + (missing == Prediction.sample ? "v_prediction" : "sample"));
    }
    return prediction;
  }

  /** The image's share of the variance at a timestep, or before the first one. */
  double alphaCumprod(int timestep) {
    return timestep >= 0 ? alphasCumprod[timestep] : finalAlphaCumprod;
  }

  /** Training timesteps. */
  int trainTimesteps() {
    return alphasCumprod.length;
  }

  /** Most steps that an image can be made in. */
  public int maxSteps() {
    return name == SchedulerName.LCMScheduler ? originalInferenceSteps : trainTimesteps() - 1;
  }

  /** Least steps that an image can be made in. */
  public int minSteps() {
    return name == SchedulerName.UnCLIPScheduler ? 2 : 1;
  }

  /** In the precision in which diffusers makes them. */
  private static double[] alphasCumprod(Reader reader, int count, String usual, boolean latent) {
    String schedule = reader.text("beta_schedule", usual);
    double start = reader.number("beta_start", latent ? 0.00085 : 0.0001);
    double end = reader.number("beta_end", latent ? 0.012 : 0.02);
    double[] betas = new double[count];
    Object trained = reader.config.get("trained_betas");
    if (trained instanceof List<?> list && list.size() == count) {
      Arrays.setAll(betas, i -> ((Number) list.get(i)).doubleValue());
    } else if (trained != null) {
      reader.problem("trained_betas", "a list", count + " numbers");
    } else if (schedule.equals("linear")) {
      Arrays.setAll(betas, i -> between(start, end, i, count));
    } else if (schedule.equals("scaled_linear")) {
      Arrays.setAll(betas, i -> Math.pow(between(Math.sqrt(start), Math.sqrt(end), i, count), 2));
    } else if (schedule.equals("squaredcos_cap_v2")) {
      Arrays.setAll(betas, i -> cosineBeta(i, count));
    } else {
      reader.problem("beta_schedule", schedule, "linear, scaled_linear or squaredcos_cap_v2");
    }
    double[] products = new double[count];
    double product = 1;
    for (int i = 0; i < count; i++) {
      product *= 1f - (float) betas[i];
      products[i] = (float) product;
    }
    return products;
  }

  private static double between(double start, double end, int i, int count) {
    return count == 1 ? start : start + (end - start) * i / (count - 1);
  }

  /** Beta of a timestep by a cosine schedule (arXiv 2102.09672, equation 17). */
  static double cosineBeta(int timestep, int count) {
    double after = cosine((timestep + 1.0) / count);
    return Math.min(1 - after / cosine((double) timestep / count), 0.999);
  }

  private static double cosine(double t) {
    return Math.pow(Math.cos((t + 0.008) / 1.008 * Math.PI / 2), 2);
  }

  /** Collects what is wrong. */
  private static final class Reader {
    private final Map<String, Object> config;
    private final Problems problems;

    Reader(Map<String, Object> config, Problems problems) {
      this.config = config;
      this.problems = problems;
    }

    void problem(String key, Object found, String expected) {
      problems.add("scheduler: " + key, found, expected);
    }

    void only(String key, List<Object> values) {
      Object value = config.get(key);
      if (value != null && !values.contains(value)) {
        problem(key, value, values.isEmpty() ? "none" : values.get(0).toString());
      }
    }

    int whole(String key, int otherwise, int least) {
      double value = number(key, otherwise);
      if (value != Math.rint(value) || value < least || value > Integer.MAX_VALUE) {
        problem(key, config.get(key), "a whole number, " + least + " or more");
        return otherwise;
      }
      return (int) value;
    }

    double number(String key, double otherwise) {
      Object value = config.get(key);
      if (value == null || value instanceof Number) {
        return value == null ? otherwise : ((Number) value).doubleValue();
      }
      problem(key, value, "a number");
      return otherwise;
    }

    boolean flag(String key, boolean otherwise) {
      Object value = config.get(key);
      if (value == null || value instanceof Boolean) {
        return value == null ? otherwise : (Boolean) value;
      }
      problem(key, value, "true or false");
      return otherwise;
    }

    String text(String key, String otherwise) {
      Object value = config.get(key);
      return value == null ? otherwise : value.toString();
    }

    <E extends Enum<E>> E choice(String key, E otherwise) {
      String value = text(key, otherwise.name());
      for (E constant : otherwise.getDeclaringClass().getEnumConstants()) {
        if (constant.name().equals(value)) {
          return constant;
        }
      }
      problem(key, value, Arrays.toString(otherwise.getDeclaringClass().getEnumConstants()));
      return otherwise;
    }
  }
}
