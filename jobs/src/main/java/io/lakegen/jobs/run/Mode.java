package io.lakegen.jobs.run;

/** What a run does with the rows that an output holds already. */
public enum Mode {
  /** They stay; the run does what they leave to do. */
  resume,
  /** They go once the run has committed all of its own. */
  overwrite
}
