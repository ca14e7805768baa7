/** Encoders of the BERT kind: texts in, values for every token or text out. */
package io.lakegen.encoder;
