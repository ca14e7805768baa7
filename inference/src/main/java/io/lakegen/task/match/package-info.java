/**
 * The task {@code match}: pictures and texts of the same row, and where a text's words are seen.
 */
package io.lakegen.task.match;
