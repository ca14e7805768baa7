package io.lakegen.jobs;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import software.amazon.awssdk.awscore.exception.AwsErrorDetails;
import software.amazon.awssdk.core.interceptor.Context;
import software.amazon.awssdk.core.interceptor.ExecutionAttributes;
import software.amazon.awssdk.core.interceptor.ExecutionInterceptor;
import software.amazon.awssdk.core.interceptor.SdkExecutionAttribute;
import software.amazon.awssdk.http.SdkHttpResponse;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Faults of S3 on purpose, in the clients of this JVM whose file system was made with {@link
 * #SETTING}: an attempt of an operation is refused with a status before it is sent, or it is
 * carried out and its answer replaced by a status.
 *
 * <p>{@link #plan} sets them; a child JVM takes them from the system properties {@link
 * #RULES_PROPERTY} and {@link #SEED_PROPERTY}, and appends a line for each fault to the file {@link
 * #LOG_PROPERTY}, if it has one. Thread-safe. The sequence of draws depends on the seed alone, the
 * requests that they hit also on the order of threads.
 */
public final class S3Faults implements ExecutionInterceptor {
  /** Hadoop's property that takes this class's name. */
  public static final String SETTING = "fs.s3a.audit.execution.interceptors";

  public static final String RULES_PROPERTY = "lakegen.s3.faults";
  public static final String SEED_PROPERTY = "lakegen.s3.faults.seed";
  public static final String LOG_PROPERTY = "lakegen.s3.faults.log";

  private static List<Rule> rules = parse(System.getProperty(RULES_PROPERTY, ""));
  private static Random random = new Random(Long.getLong(SEED_PROPERTY, 0));
  private static final Map<String, Integer> INJECTED = new TreeMap<>();

  /** What happens to the request. */
  public enum Kind {
    /** The store never sees it. */
    REFUSED,
    /** The store carries it out and the client is told that it failed. */
    DONE
  }

  /**
   * A fault.
   *
   * @param operation the SDK's name: {@code PutObject}, {@code UploadPart}, {@code
   *     CompleteMultipartUpload}
   * @param kind what happens
   * @param status 500 or 503
   * @param probability of each attempt but the first, which always fails; repetitions included
   * @param most how many times at most; an endless fault is {@code Integer.MAX_VALUE}
   */
  public record Rule(String operation, Kind kind, int status, double probability, int most) {
    private String name() {
      return operation + " " + kind + " " + status;
    }

    /** For {@link #RULES_PROPERTY}, joined with semicolons. */
    @Override
    public String toString() {
      return name() + " " + probability + " " + most;
    }
  }

  /** Sets the rules from here on and forgets what was counted. */
  public static synchronized void plan(long seed, Rule... planned) {
    rules = List.of(planned);
    random = new Random(seed);
    INJECTED.clear();
  }

  /** No faults from here on; the counts stay. */
  public static synchronized void stop() {
    rules = List.of();
  }

  /** How often each rule struck, by operation, kind and status. */
  public static synchronized Map<String, Integer> injected() {
    return Map.copyOf(INJECTED);
  }

  private static List<Rule> parse(String text) {
    return Arrays.stream(text.split(";"))
        .filter(r -> !r.isBlank())
        .map(r -> r.strip().split(" "))
        .map(
            r ->
                new Rule(
                    r[0],
                    Kind.valueOf(r[1]),
                    Integer.parseInt(r[2]),
                    Double.parseDouble(r[3]),
                    Integer.parseInt(r[4])))
        .toList();
  }

  private static synchronized Optional<Rule> strike(Kind kind, ExecutionAttributes attributes) {
    String operation = attributes.getAttribute(SdkExecutionAttribute.OPERATION_NAME);
    for (Rule rule : rules) {
      if (rule.kind() == kind
          && rule.operation().equals(operation)
          && INJECTED.getOrDefault(rule.name(), 0) < rule.most()
          // The first always, so that no test passes without a fault.
          && (!INJECTED.containsKey(rule.name()) || random.nextDouble() < rule.probability())) {
        INJECTED.merge(rule.name(), 1, Integer::sum);
        log(rule);
        return Optional.of(rule);
      }
    }
    return Optional.empty();
  }

  private static void log(Rule rule) {
    String file = System.getProperty(LOG_PROPERTY);
    if (file != null) {
      try {
        Files.writeString(
            Path.of(file),
            rule.name() + "\n",
            StandardOpenOption.CREATE,
            StandardOpenOption.APPEND);
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  private static String code(int status) {
    return status == 503 ? "SlowDown" : "InternalError";
  }

  @Override
  public void beforeTransmission(
      Context.BeforeTransmission context, ExecutionAttributes attributes) {
    strike(Kind.REFUSED, attributes)
        .ifPresent(
            rule -> {
              throw S3Exception.builder()
                  .statusCode(rule.status())
                  .message("injected: " + rule)
                  .awsErrorDetails(
                      AwsErrorDetails.builder()
                          .errorCode(code(rule.status()))
                          .errorMessage("injected")
                          .sdkHttpResponse(
                              SdkHttpResponse.builder().statusCode(rule.status()).build())
                          .build())
                  .build();
            });
  }

  @Override
  public SdkHttpResponse modifyHttpResponse(
      Context.ModifyHttpResponse context, ExecutionAttributes attributes) {
    if (!context.httpResponse().isSuccessful()) {
      return context.httpResponse();
    }
    return strike(Kind.DONE, attributes)
        .map(
            rule ->
                context.httpResponse().toBuilder()
                    .statusCode(rule.status())
                    .removeHeader("Content-Length")
                    .build())
        .orElse(context.httpResponse());
  }

  @Override
  public Optional<InputStream> modifyHttpResponseContent(
      Context.ModifyHttpResponse context, ExecutionAttributes attributes) {
    int status = context.httpResponse().statusCode();
    String operation = attributes.getAttribute(SdkExecutionAttribute.OPERATION_NAME);
    if (!ours(operation, status)) {
      return context.responseBody();
    }
    String body = "<Error><Code>" + code(status) + "</Code><Message>injected</Message></Error>";
    return Optional.of(new ByteArrayInputStream(body.getBytes(StandardCharsets.UTF_8)));
  }

  private static synchronized boolean ours(String operation, int status) {
    return rules.stream()
        .anyMatch(
            r -> r.kind() == Kind.DONE && r.operation().equals(operation) && r.status() == status);
  }
}
