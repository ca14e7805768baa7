/** The task {@code encode}. */
package io.lakegen.task.encode;
