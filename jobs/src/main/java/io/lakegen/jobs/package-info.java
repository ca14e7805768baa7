/**
 * The command line and the Spark driver: options and their checks, input, partitions, the run's
 * output and manifest, progress and summary. One class a job; everything they have in common is in
 * {@link io.lakegen.jobs.JobCommand}.
 */
package io.lakegen.jobs;
