/**
 * What a task is: its {@link io.lakegen.task.TaskDefinition definition}, which is data, and the
 * {@link io.lakegen.task.Task} that it opens on a loaded model. Every task has a package of its own
 * below this one; {@link io.lakegen.Tasks} lists them.
 */
package io.lakegen.task;
