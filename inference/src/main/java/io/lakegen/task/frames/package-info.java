/** The task {@code next-frame}. */
package io.lakegen.task.frames;
