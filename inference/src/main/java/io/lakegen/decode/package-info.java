/**
 * Text from language models: the decoding loop with its slot cache, samplers, beam search and
 * logits processors, which every task that generates text shares.
 */
package io.lakegen.decode;
