/**
 * Model packs and the devices they run on: reading and checking {@code pack.json}, fetching a pack
 * once per node, loading its graphs once per JVM and device, and proving on that device that they
 * answer as the reference implementation did.
 *
 * <p>Knows nothing of Spark, of tasks or of rows.
 */
package io.lakegen.model;
