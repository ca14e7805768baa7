/** The command line, made of the definitions of tasks and the options of jobs. */
package io.lakegen.jobs.cli;
