package io.lakegen.task;

import java.io.Serializable;

/**
 * A column that a task reads, by the options of one run.
 *
 * @param name by which {@link RowInput} gives it: an argument's name, or one that the task made up
 * @param kind what the column must hold
 * @param column the column's name
 * @param option the option that names the column, for messages
 */
public record Input(String name, Argument.Kind kind, String column, String option)
    implements Serializable {}
