/**
 * What every model task has in common: one row prepared on the CPU, a batch of rows inferred on the
 * device, one outcome a row. The tasks themselves are in {@code text}, {@code vision} and {@code
 * diffusion}. Knows nothing of Spark.
 */
package io.lakegen.task;
