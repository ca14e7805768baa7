package io.lakegen.jobs.show;

import io.lakegen.image.ImageDecoder;
import io.lakegen.image.RgbImage;
import io.lakegen.image.Thumbnail;
import io.lakegen.task.RowException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Row;

/** Pictures of rows, small enough for a page of many. */
final class Pictures {
  private static final int SIDE = 256;

  /** A file that is no larger goes into the page as it is. */
  private static final int SMALL_FILE = 12_000;

  /** Pictures of one row's list. */
  private static final int MOST = 4;

  private static final int MAX_FILE = 32 << 20;

  private final Configuration conf;
  private final List<String> input;

  /**
   * A picture for a page.
   *
   * @param data it, or a smaller one, as a {@code data:} URI
   * @param about its size, for people
   */
  record Picture(String data, String about) {}

  /**
   * @param input the job's, which relative paths start at
   */
  @SuppressWarnings("MissingSummary")
  Pictures(Configuration conf, List<String> input) {
    this.conf = conf;
    this.input = input;
  }

  /** The pictures in a row's column; none where it holds none, or they cannot be read. */
  List<Picture> pictures(Row row, ShownColumn column) {
    Object value = row.getAs(column.name());
    Stream<byte[]> files =
        switch (column.kind()) {
          case IMAGE -> Stream.ofNullable((byte[]) value);
          case IMAGES -> Values.list(value).stream().limit(MOST).map(i -> (byte[]) i);
          case PATH -> value == null ? Stream.of() : read(value.toString()).stream();
          default -> Stream.of();
        };
    return files.flatMap(f -> picture(f).stream()).toList();
  }

  private static Optional<Picture> picture(byte[] file) {
    try {
      RgbImage image = ImageDecoder.decode(file, SIDE, SIDE);
      boolean asItIs = file.length <= SMALL_FILE && (isPng(file) || isJpeg(file));
      byte[] shown = asItIs ? file : Thumbnail.jpeg(image, SIDE);
      return Optional.of(
          new Picture(
              "data:image/"
                  + (isPng(shown) ? "png" : "jpeg")
                  + ";base64,"
                  + Base64.getEncoder().encodeToString(shown),
              about(image, file.length)));
    } catch (RowException e) {
      return Optional.empty();
    }
  }

  /** What a file is, for people. */
  static String about(byte[] file) {
    try {
      return about(ImageDecoder.decode(file, 1, 1), file.length);
    } catch (RowException e) {
      return Values.size(file.length) + ", " + e.getMessage();
    }
  }

  private static String about(RgbImage image, int bytes) {
    return String.format(
        Locale.ROOT,
        "%d × %d, %s",
        image.originalWidth(),
        image.originalHeight(),
        Values.size(bytes));
  }

  private static boolean isPng(byte[] file) {
    return file.length > 1 && file[0] == (byte) 0x89 && file[1] == 'P';
  }

  private static boolean isJpeg(byte[] file) {
    return file.length > 1 && file[0] == (byte) 0xFF && file[1] == (byte) 0xD8;
  }

  private Optional<byte[]> read(String name) {
    try {
      Path path = new Path(name);
      if (!path.isAbsolute() && !input.isEmpty()) {
        path = new Path(new Path(input.get(0)), path);
      }
      FileSystem fs = path.getFileSystem(conf);
      if (fs.getFileStatus(path).getLen() > MAX_FILE) {
        return Optional.empty();
      }
      try (InputStream in = fs.open(path)) {
        return Optional.of(in.readAllBytes());
      }
    } catch (IOException | RuntimeException e) {
      // The input may have gone since, or be out of reach from here.
      return Optional.empty();
    }
  }
}
