package io.lakegen.model;

import java.io.BufferedInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/**
 * Reads of an ONNX file which other files it names, without loading it: a tensor may have its
 * values in another file ({@code TensorProto.external_data}, key {@code location}), and a path
 * there could lead anywhere. Field numbers are those of {@code onnx.proto} (ONNX 1.17, opset 22);
 * values are skipped, so that gigabytes of weights cost nothing.
 */
final class OnnxFile {
  /** Protobuf's own limit. */
  private static final int MOST_NESTED = 100;

  private static final int LONGEST_TEXT = 4096;

  /** Messages that hold tensors, however deep. */
  private enum Message {
    MODEL,
    TRAINING,
    FUNCTION,
    GRAPH,
    NODE,
    ATTRIBUTE,
    SPARSE_TENSOR,
    TENSOR,
    ENTRY
  }

  /** The fields by which they hold one another. */
  private static final Map<Message, Map<Long, Message>> FIELDS =
      Map.of(
          Message.MODEL,
          Map.of(7L, Message.GRAPH, 20L, Message.TRAINING, 25L, Message.FUNCTION),
          Message.TRAINING,
          Map.of(1L, Message.GRAPH, 2L, Message.GRAPH),
          Message.FUNCTION,
          Map.of(7L, Message.NODE, 11L, Message.ATTRIBUTE),
          Message.GRAPH,
          Map.of(1L, Message.NODE, 5L, Message.TENSOR, 15L, Message.SPARSE_TENSOR),
          Message.NODE,
          Map.of(5L, Message.ATTRIBUTE),
          Message.ATTRIBUTE,
          Map.of(
              5L,
              Message.TENSOR,
              6L,
              Message.GRAPH,
              10L,
              Message.TENSOR,
              11L,
              Message.GRAPH,
              22L,
              Message.SPARSE_TENSOR,
              23L,
              Message.SPARSE_TENSOR),
          Message.SPARSE_TENSOR,
          Map.of(1L, Message.TENSOR, 2L, Message.TENSOR),
          Message.TENSOR,
          Map.of(13L, Message.ENTRY),
          Message.ENTRY,
          Map.of());

  private final InputStream in;
  private final Set<String> locations = new LinkedHashSet<>();
  private long position;

  private OnnxFile(InputStream in) {
    this.in = in;
  }

  /**
   * The files that tensors of a graph lie in, as the graph spells them.
   *
   * @throws MalformedException if the file is no protobuf message
   */
  static Set<String> externalData(Path file) throws IOException {
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file), 1 << 16)) {
      OnnxFile onnx = new OnnxFile(in);
      onnx.message(Message.MODEL, Files.size(file), 0);
      return onnx.locations;
    } catch (EOFException e) {
      throw new MalformedException("the file ends in the middle of a value");
    }
  }

  /** A file that is no ONNX model. */
  static final class MalformedException extends IOException {
    private static final long serialVersionUID = 1L;

    MalformedException(String message) {
      super(message);
    }
  }

  private void message(Message type, long end, int depth) throws IOException {
    if (depth > MOST_NESTED) {
      throw new MalformedException("messages are nested more than " + MOST_NESTED + " deep");
    }
    String key = null;
    String value = null;
    while (position < end) {
      // More than 32 bits, and readers would differ in which field they see.
      long tag = varint(5);
      if (tag >>> 32 != 0 || tag >>> 3 == 0) {
        throw new MalformedException("field tag " + tag + " at byte " + position);
      }
      long field = tag >>> 3;
      switch ((int) (tag & 7)) {
        case 0 -> varint(10);
        case 1 -> skip(8, end);
        case 5 -> skip(4, end);
        case 2 -> {
          long length = varint(10);
          if (length < 0 || length > end - position) {
            throw new MalformedException(
                "a value of " + length + " bytes at byte " + position + " runs past its message");
          }
          Message child = FIELDS.get(type).get(field);
          if (child != null) {
            message(child, position + length, depth + 1);
          } else if (type == Message.ENTRY && field == 1) {
            key = text(length);
          } else if (type == Message.ENTRY && field == 2) {
            value = text(length);
          } else {
            skip(length, end);
          }
        }
        default -> throw new MalformedException("wire type " + (tag & 7) + " at byte " + position);
      }
    }
    if (position != end) {
      throw new MalformedException("a value runs past its message, which ends at byte " + end);
    }
    if ("location".equals(key)) {
      locations.add(value == null ? "" : value);
    }
  }

  private String text(long length) throws IOException {
    if (length > LONGEST_TEXT) {
      throw new MalformedException("a text of " + length + " bytes at byte " + position);
    }
    byte[] bytes = in.readNBytes((int) length);
    if (bytes.length < length) {
      throw new EOFException();
    }
    position += length;
    return new String(bytes, StandardCharsets.UTF_8);
  }

  private void skip(long length, long end) throws IOException {
    if (length > end - position) {
      throw new MalformedException("a value at byte " + position + " runs past its message");
    }
    in.skipNBytes(length);
    position += length;
  }

  private long varint(int mostBytes) throws IOException {
    long value = 0;
    for (int i = 0; i < mostBytes; i++) {
      int b = in.read();
      if (b < 0) {
        throw new EOFException();
      }
      position++;
      value |= (b & 0x7FL) << (7 * i);
      if (b < 0x80) {
        return value;
      }
    }
    throw new MalformedException("a number of more than " + mostBytes + " bytes at " + position);
  }
}
