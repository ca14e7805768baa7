package io.lakegen.task.answer;

/**
 * An answer.
 *
 * @param start first character in the context, counted in code points
 * @param end the character behind the last, likewise
 */
record FoundAnswer(String text, double score, int start, int end) {}
