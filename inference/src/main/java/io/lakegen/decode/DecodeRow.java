package io.lakegen.decode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** One row of the batch: a sequence or, in a beam search, one beam. Not thread-safe. */
final class DecodeRow {
  final Group group;

  /** Its row of the slot cache while it is live. */
  int index;

  /** Tokens whose keys and values are in the cache. */
  int cached;

  /** Sum of the new tokens' raw log-probabilities. */
  double logProbability;

  /**
   * Sum of the new tokens' processed log-probabilities, in the reference's precision; beams only.
   */
  float score;

  private final int promptSize;
  private long[] tokens;
  private int size;

  /** Rows that live and end together: one sequence, or all beams of a prompt. */
  static final class Group {
    final DecodeRequest<?> request;

    /** Place of the request among all requests. */
    final int number;

    /** Place of the sequence among those of its request; numbers its random stream. */
    final int sequence;

    /** What all prompts of the job begin with, if this one does; null for nothing. */
    PrefixStore.Kept common;

    /** What the prompt, behind that, shares with others of its call; null for nothing. */
    SharedPrefix shared;

    /** Whether kept prefixes may be used. */
    boolean sharing;

    /** The beginning of its own tokens that is copied when the group joins; null for none. */
    PrefixStore.Kept kept;

    /** Beams, best first. */
    final List<DecodeRow> rows = new ArrayList<>();

    /** Finished sequences, best first; those of a beam search may still be displaced. */
    final List<DecodedSequence> finished = new ArrayList<>();

    boolean done;

    Group(DecodeRequest<?> request, int number, int sequence) {
      this.request = request;
      this.number = number;
      this.sequence = sequence;
      this.rows.add(new DecodeRow(this));
    }

    /** Tokens that the rows read from the common prefix: the first that they hold has slot 0. */
    int commonTokens() {
      return common == null ? 0 : common.length();
    }

    /** The prompt's tokens behind the common prefix. */
    long[] ownTokens() {
      long[] tokens = request.tokens();
      return Arrays.copyOfRange(tokens, commonTokens(), tokens.length);
    }
  }

  private DecodeRow(Group group) {
    this.group = group;
    this.promptSize = group.request.tokens().length;
    this.size = promptSize;
    this.tokens = Arrays.copyOf(group.request.tokens(), promptSize + 16);
  }

  /** A row with the same sequence, without a place in the batch. */
  DecodeRow copy() {
    DecodeRow copy = new DecodeRow(group);
    copy.tokens = tokens.clone();
    copy.size = size;
    copy.cached = cached;
    copy.logProbability = logProbability;
    copy.score = score;
    return copy;
  }

  void append(long token, double tokenLogProbability) {
    if (size == tokens.length) {
      tokens = Arrays.copyOf(tokens, size * 2);
    }
    tokens[size++] = token;
    logProbability += tokenLogProbability;
  }

  /** Prompt and new tokens. */
  int size() {
    return size;
  }

  /** Tokens whose keys and values are copied when the row joins. */
  int keptTokens() {
    return group.kept == null ? 0 : group.kept.length();
  }

  /** Tokens that it has to compute when it joins. */
  int uncached() {
    return size - 1 - group.commonTokens() - keptTokens();
  }

  long token(int position) {
    return tokens[position];
  }

  int generated() {
    return size - promptSize;
  }

  long[] newTokens() {
    return Arrays.copyOfRange(tokens, promptSize, size);
  }
}
