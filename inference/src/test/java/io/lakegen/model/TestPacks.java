package io.lakegen.model;

import ai.djl.Device;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

/** Packs for tests: the fixtures, changed copies of them, and small ones that hold no model. */
public final class TestPacks {
  private static final ObjectMapper JSON = new ObjectMapper();

  /**
   * {@code LAKEGEN_TEST_DEVICE=gpu} has the models of the fixtures on the first GPU, where there is
   * one.
   */
  private static final boolean ON_GPU = "gpu".equals(System.getenv("LAKEGEN_TEST_DEVICE"));

  private TestPacks() {}

  /** The device that tests load a pack on. */
  public static Device device(ModelPack pack) {
    return ON_GPU
            && pack.spec().engine() == PackSpec.EngineName.PyTorch
            && pack.spec().dtype() != PackSpec.Dtype.float16_weights
        ? Device.gpu(0)
        : Device.cpu();
  }

  /** Every fixture that is a model pack. */
  public static List<Path> fixtures() {
    try (Stream<Path> folders = Files.list(fixtureRoot())) {
      return folders
          .map(folder -> folder.resolve("pack"))
          .filter(Files::isDirectory)
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The pack of a fixture. */
  public static Path fixture(String name) {
    return fixtureRoot().resolve(name).resolve("pack");
  }

  private static Path fixtureRoot() {
    try {
      return Path.of(TestPacks.class.getResource("/fixtures").toURI());
    } catch (URISyntaxException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A copy of a fixture's pack whose golden.json is changed. */
  static Path copyWithGolden(String fixture, Path target, Consumer<ObjectNode> change)
      throws IOException {
    try (Stream<Path> files = Files.list(fixture(fixture))) {
      for (Path file : files.toList()) {
        Files.copy(file, target.resolve(file.getFileName()));
      }
    }
    Path golden = target.resolve(GoldenCheck.FILE);
    ObjectNode content = (ObjectNode) JSON.readTree(golden.toFile());
    change.accept(content);
    JSON.writeValue(golden.toFile(), content);
    seal(target, (ObjectNode) JSON.readTree(target.resolve(PackJson.FILE).toFile()));
    return target;
  }

  /** A well-formed pack of three files, none of which is a model. */
  static Path withoutModel(Path folder) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("model.pt"), "graph ".repeat(10_000));
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    Files.writeString(folder.resolve(GoldenCheck.FILE), "{}");
    seal(folder, spec());
    return folder;
  }

  /** The least that a {@code feature-extraction} pack says of itself. */
  static ObjectNode spec() {
    try {
      return (ObjectNode)
          JSON.readTree(
              """
              {
                "format": 2,
                "tasks": {
                  "feature-extraction": {"pooling": "mean", "normalize": true, "dimension": 8}
                },
                "family": "bert",
                "engine": "PyTorch",
                "dtype": "float32",
                "graphs": {"model": "model.pt"},
                "sha256": {
                  "model.pt": "%1$s",
                  "tokenizer.json": "%1$s",
                  "golden.json": "%1$s"
                },
                "tokenizer": {"file": "tokenizer.json", "maxLength": 128},
                "source": {"id": "test", "revision": "1", "licence": "Apache-2.0"}
              }
              """
                  .formatted("0".repeat(64)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes {@code pack.json} with the digests of the files that lie in the folder. */
  private static void seal(Path folder, ObjectNode spec) throws IOException {
    ObjectNode digests = (ObjectNode) spec.path("sha256");
    for (String file : List.copyOf(names(digests))) {
      digests.put(file, sha256(Files.readAllBytes(folder.resolve(file))));
    }
    JSON.writeValue(folder.resolve(PackJson.FILE).toFile(), spec);
  }

  private static List<String> names(JsonNode node) {
    return node.properties().stream().map(java.util.Map.Entry::getKey).toList();
  }

  static String sha256(byte[] content) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
