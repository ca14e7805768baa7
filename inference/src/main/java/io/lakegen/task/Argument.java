package io.lakegen.task;

/**
 * Something that a task reads of every row.
 *
 * @param name such as {@code text}; an SQL function's arguments stand in the definition's order
 * @param kind what it holds
 * @param column the option that names its column; an argument whose option has no default is
 *     optional
 */
public record Argument(String name, Kind kind, Option<String> column) {

  /** What an argument holds, and so which columns can be bound to it. */
  public enum Kind {
    /** A string column. */
    TEXT("a column of type string"),
    /**
     * A binary column of image files, a string column of their paths, or structs of both, as in
     * data sets of Hugging Face.
     */
    IMAGE("a column of images (binary), paths (string) or struct<bytes:binary,path:string>"),
    /** A column of arrays of image files, or of their paths. */
    IMAGES("a column of arrays of images (binary) or of paths (string)"),
    /** A column of texts or of images, as the model asks for. */
    TEXT_OR_IMAGE("a column of texts (string) or of images"),
    /** A column of numbers, or of strings that hold numbers. */
    NUMBER("a column of type string or number"),
    /** A column of arrays of numbers. */
    VECTOR("a column of type array<float>, or of other numbers"),
    /** A column whose values can stand in a text. */
    SCALAR("a column of type string, number or boolean");

    private final String columns;

    Kind(String columns) {
      this.columns = columns;
    }

    /** Whether images can be bound. */
    public boolean takesImages() {
      return this == IMAGE || this == TEXT_OR_IMAGE;
    }

    /** The columns that can be bound, for messages. */
    public String columns() {
      return columns;
    }
  }

  /** An argument that every row has, in a column of this name if the user names none. */
  public static Argument required(String name, Kind kind, String defaultColumn) {
    return new Argument(
        name,
        kind,
        Option.ofColumn(
            "column",
            defaultColumn,
            "Input column that the model reads. The lines of a text file get this name."));
  }

  /** An argument that is read where the user names its column. */
  public static Argument optional(String name, Kind kind, String columnOption, String description) {
    return new Argument(name, kind, Option.ofColumn(columnOption, null, description));
  }

  /** Whether every row must have it. */
  public boolean isRequired() {
    return column.byDefault() != null;
  }
}
