/**
 * What is wrong with arguments, packs and columns, as values that every stage of a check adds to.
 */
package io.lakegen.problem;
