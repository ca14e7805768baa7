/**
 * {@code lakegen show}: what a job made, for a person to read on the terminal or as a page. A task
 * is known here by its definition, never by its name.
 */
package io.lakegen.jobs.show;
