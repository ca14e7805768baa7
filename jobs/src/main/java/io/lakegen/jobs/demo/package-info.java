/** Hidden commands of {@code ./lakegen demo}: what jobs wrote, shown to a person. */
package io.lakegen.jobs.demo;
