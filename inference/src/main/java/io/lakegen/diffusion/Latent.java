package io.lakegen.diffusion;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;

/** A latent image on its way, with what a scheduler remembers of earlier steps. */
final class Latent {
  private final float[] values;
  private final int depth;
  private final Deque<float[]> memory = new ArrayDeque<>();
  private float[] anchor;

  /**
   * A latent before the first step.
   *
   * @param values changed by every step
   */
  Latent(Schedule schedule, float[] values) {
    this.values = values;
    this.depth = schedule.depth();
  }

  /** Its values now. */
  float[] values() {
    return values;
  }

  /**
   * Makes a step.
   *
   * @param clip keeps what is remembered in its range
   * @param output what the model says; where the step has a {@link Schedule.Range}, as many numbers
   *     more
   * @param noise standard normal numbers; not read where the step is not {@link Schedule.Mix#noisy}
   */
  void advance(Schedule.Step step, Clip clip, float[] output, float[] noise) {
    remember(step.memory(), clip, output);
    moveAnchor(step.anchor());
    Schedule.Mix mix = step.next();
    float[] start = anchor == null ? values : anchor;
    double[] next = new double[values.length];
    for (int i = 0; i < next.length; i++) {
      next[i] = mix.latent() * values[i] + mix.anchor() * start[i] + mix.output() * output[i];
    }
    addMemories(next, mix.memory());
    if (mix.noisy()) {
      for (int i = 0; i < next.length; i++) {
        double scale = step.range() == null ? 1 : step.range().deviation(output[next.length + i]);
        next[i] += mix.noise() * scale * noise[i];
      }
    }
    for (int i = 0; i < next.length; i++) {
      values[i] = (float) next[i];
    }
  }

  private void remember(Schedule.Memory form, Clip clip, float[] output) {
    float[] newest = memory.size() < depth ? new float[values.length] : memory.pollLast();
    if (newest == null) {
      return; // nothing is ever remembered
    }
    for (int i = 0; i < newest.length; i++) {
      newest[i] = (float) (form.latent() * values[i] + form.output() * output[i]);
    }
    clip.apply(newest);
    memory.addFirst(newest);
  }

  private void moveAnchor(Schedule.Anchor form) {
    if (form.isLatent()) {
      anchor = values.clone();
    } else if (!form.isKept()) {
      double[] moved = new double[values.length];
      for (int i = 0; i < moved.length; i++) {
        moved[i] = form.anchor() * anchor[i];
      }
      addMemories(moved, form.memory());
      for (int i = 0; i < moved.length; i++) {
        anchor[i] = (float) moved[i];
      }
    }
  }

  private void addMemories(double[] sum, double[] factors) {
    Iterator<float[]> newestFirst = memory.iterator();
    for (double factor : factors) {
      float[] one = newestFirst.next();
      for (int i = 0; i < sum.length; i++) {
        sum[i] += factor * one[i];
      }
    }
  }
}
