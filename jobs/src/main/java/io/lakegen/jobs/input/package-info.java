/**
 * What a job reads: finding files, reading them into rows, cutting the rows into partitions, and
 * binding a task's inputs to columns.
 */
package io.lakegen.jobs.input;
