/**
 * Binds tasks to Spark's rows: a partition's rows in, the same rows with the task's columns, an
 * error and their lineage out. Works on Spark's internal rows, so that input columns pass through
 * byte for byte.
 */
package io.lakegen.spark;
