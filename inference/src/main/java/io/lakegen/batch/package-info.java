/**
 * Runs a {@link io.lakegen.task.Task} over a stream of rows: windows sorted by cost, batches that
 * keep to the budget, preparation beside inference, errors kept to their rows, out of memory
 * answered by smaller batches.
 */
package io.lakegen.batch;
