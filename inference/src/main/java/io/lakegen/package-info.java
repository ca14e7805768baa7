/** Models and what they do with rows. Knows nothing of Spark. */
package io.lakegen;
