/**
 * Runs a {@link io.lakegen.task.ModelTask} over a stream of rows: windows sorted by length, batches
 * by cost, preparation beside inference, errors kept to their rows, out of memory answered by
 * smaller batches. Knows nothing of Spark.
 */
package io.lakegen.scoring;
