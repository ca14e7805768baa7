/** Tasks over text: embedding, and the decoding loop that every generating task shares. */
package io.lakegen.task.text;
