/** The task {@code sample}. */
package io.lakegen.task.sample;
