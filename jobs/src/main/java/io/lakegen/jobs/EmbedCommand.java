package io.lakegen.jobs;

import io.lakegen.model.PackSpec;
import io.lakegen.spark.EmbedRows;
import io.lakegen.spark.RowTask;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.sql.types.StructType;
import picocli.CommandLine.Command;

/** The job {@code embed}: a vector for every text. */
@Command(
    name = "embed",
    description = "Embeds a text column: adds the columns embedding, token_count and truncated.",
    sortOptions = false,
    mixinStandardHelpOptions = true)
final class EmbedCommand extends JobCommand {
  @Override
  Set<String> packTasks() {
    return Set.of("feature-extraction");
  }

  @Override
  SortedMap<String, Object> params() {
    return new TreeMap<>(java.util.Map.of("column", common.column));
  }

  @Override
  void checkOptions(Problems problems) {}

  @Override
  RowTask<?, ?, ?> task(StructType schema, PackSpec pack, Problems problems) {
    int ordinal = TextColumn.ordinal(schema, common.column, problems);
    return ordinal < 0 ? null : new EmbedRows(ordinal);
  }
}
