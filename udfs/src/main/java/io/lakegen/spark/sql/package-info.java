/** Tasks as functions of Spark SQL. */
package io.lakegen.spark.sql;
