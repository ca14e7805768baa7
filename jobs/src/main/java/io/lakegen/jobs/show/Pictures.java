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
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Row;

/** Pictures of rows, small enough for a page of many. */
final class Pictures {
  private static final int SIDE = 256;

  /** Of the pictures of a list. */
  private static final int SIDE_IN_LIST = 160;

  /** A file that is no larger goes into the page as it is. */
  private static final int SMALL_FILE = 12_000;

  private static final int SMALL_FILE_IN_LIST = 3_000;

  /** Pictures of one row's list. */
  private static final int MOST = 12;

  private static final int MAX_FILE = 32 << 20;

  private final Configuration conf;
  private final Optional<Path> base;

  /**
   * A picture for a page.
   *
   * @param data it, or a smaller one, as a {@code data:} URI
   * @param about its size, for people
   */
  record Picture(String data, String about) {}

  /**
   * @param input the job's; relative paths start at the first one's folder
   */
  @SuppressWarnings("MissingSummary")
  Pictures(Configuration conf, List<String> input) {
    this.conf = conf;
    this.base = input.stream().findFirst().flatMap(i -> folder(i, conf));
  }

  private static Optional<Path> folder(String input, Configuration conf) {
    try {
      Path path = new Path(input);
      FileStatus[] found = path.getFileSystem(conf).globStatus(path);
      return Stream.ofNullable(found)
          .flatMap(Stream::of)
          .findFirst()
          .map(f -> f.isFile() ? f.getPath().getParent() : f.getPath());
    } catch (IOException | RuntimeException e) {
      // The input may have gone since, or be out of reach from here.
      return Optional.empty();
    }
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
    boolean list = column.is(ShownColumn.Kind.IMAGES);
    int side = list ? SIDE_IN_LIST : SIDE;
    int small = list ? SMALL_FILE_IN_LIST : SMALL_FILE;
    return files.flatMap(f -> picture(f, side, small).stream()).toList();
  }

  private static Optional<Picture> picture(byte[] file, int side, int small) {
    try {
      RgbImage image = ImageDecoder.decode(file, side, side);
      boolean asItIs = file.length <= small && (isPng(file) || isJpeg(file));
      byte[] shown = asItIs ? file : Thumbnail.jpeg(image, side);
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
      if (!path.isAbsolute() && base.isPresent()) {
        path = new Path(base.get(), path);
      }
      FileSystem fs = path.getFileSystem(conf);
      if (fs.getFileStatus(path).getLen() > MAX_FILE) {
        return Optional.empty();
      }
      try (InputStream in = fs.open(path)) {
        return Optional.of(in.readAllBytes());
      }
    } catch (IOException | RuntimeException e) {
      return Optional.empty();
    }
  }
}
