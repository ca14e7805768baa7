package io.lakegen.spark.sql;

import static org.assertj.core.api.Assertions.assertThat;

import io.lakegen.spark.ExecutorModels;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.api.java.UDF1;
import org.apache.spark.sql.types.DataTypes;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Queries of every kind: their rows must be those of the same query with a plain function, and the
 * model must see no row more than it has to.
 */
class QueryPlanTest {
  static final String PACK =
      Path.of("../inference/src/test/resources/fixtures/bert/pack").toAbsolutePath().toString();

  private static SparkSession spark;

  @TempDir static Path folder;

  @BeforeAll
  static void start() {
    spark = session(folder);
    spark
        .range(0, 100, 1, 3)
        .selectExpr("id", "if(id % 25 = 24, null, concat('t', id)) text", "cast(id % 10 as int) g")
        .write()
        .parquet(folder + "/t");
    spark.read().parquet(folder + "/t").createOrReplaceTempView("t");
    spark.range(0, 25, 1, 2).selectExpr("id", "concat('!t', id) k").write().parquet(folder + "/s");
    spark.read().parquet(folder + "/s").createOrReplaceTempView("s");
    spark
        .table("t")
        .selectExpr("id", "text", "cast(g as string) p")
        .write()
        .partitionBy("p")
        .parquet(folder + "/pt");
    spark
        .read()
        .schema("id bigint, text string, p string")
        .parquet(folder + "/pt")
        .createOrReplaceTempView("pt");
    spark.table("pt").write().partitionBy("p").format("parquet").saveAsTable("ptc");
    spark
        .udf()
        .register(
            "plain_shout",
            (UDF1<String, String>) s -> s == null ? null : "!" + s,
            DataTypes.StringType);
  }

  static SparkSession session(Path folder) {
    return SparkSession.builder()
        .master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "3")
        .config("spark.sql.extensions", TestExtensions.class.getName())
        .config("spark.sql.warehouse.dir", folder.resolve("warehouse").toString())
        .config("spark.lakegen.default.shout", "tiny")
        .config("spark.lakegen.models.tiny", PACK)
        .getOrCreate();
  }

  @AfterAll
  static void stop() {
    spark.stop();
    ExecutorModels.close();
  }

  static List<Arguments> cases() throws IOException {
    try (InputStream in = QueryPlanTest.class.getResourceAsStream("/sql-cases.txt")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#") && !line.isBlank())
          .flatMap(
              line -> {
                String[] parts = line.split("\\|", 3);
                return Stream.of("true", "false")
                    .map(
                        aqe ->
                            Arguments.of(
                                parts[0].strip(), aqe, parts[1].strip(), parts[2].strip()));
              })
          .toList();
    }
  }

  @ParameterizedTest(name = "{0}, AQE {1}")
  @MethodSource("cases")
  void rowsAreRightAndNoneIsScoredInVain(String name, String aqe, String seen, String query) {
    spark.conf().set("spark.sql.adaptive.enabled", aqe);
    List<String> expected = rows(query.replace("ai_shout", "plain_shout"));
    long before = Shout.SEEN.get();

    List<String> found = rows(query);

    if (query.contains("limit") && !query.contains("order by")) {
      assertThat(found).hasSameSizeAs(expected);
    } else {
      assertThat(found).isEqualTo(expected);
    }
    assertThat(String.valueOf(Shout.SEEN.get() - before)).as(name + " AQE " + aqe).isEqualTo(seen);
  }

  private static List<String> rows(String query) {
    Stream<String> rows = Arrays.stream((Row[]) spark.sql(query).collect()).map(String::valueOf);
    return (query.contains("order by") ? rows : rows.sorted()).toList();
  }
}
