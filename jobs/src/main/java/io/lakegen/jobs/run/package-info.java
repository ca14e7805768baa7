/**
 * Runs jobs: {@link io.lakegen.jobs.run.Jobs} checks a {@link io.lakegen.jobs.run.JobSpec}, scores
 * the input, reconciles the counts and commits the output.
 */
package io.lakegen.jobs.run;
