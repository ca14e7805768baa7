/** The task {@code decode}. */
package io.lakegen.task.decode;
