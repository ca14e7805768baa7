package io.lakegen.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class OnnxFileTest {
  @TempDir Path temp;

  /** A field of wire type 2: a message, text or bytes. */
  static byte[] field(int number, byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    int length = Arrays.stream(parts).mapToInt(p -> p.length).sum();
    varint(out, (number << 3) | 2);
    varint(out, length);
    Arrays.stream(parts).forEach(out::writeBytes);
    return out.toByteArray();
  }

  private static void varint(ByteArrayOutputStream out, long value) {
    long rest = value;
    while (rest > 0x7F) {
      out.write((int) ((rest & 0x7F) | 0x80));
      rest >>>= 7;
    }
    out.write((int) rest);
  }

  private static byte[] text(int number, String text) {
    return field(number, text.getBytes(StandardCharsets.UTF_8));
  }

  /** A TensorProto whose values lie in a file. */
  private static byte[] tensor(String location) {
    return join(
        new byte[] {0x08, 0x02, 0x10, 0x01},
        field(9, new byte[300]),
        field(13, text(1, "offset"), text(2, "0")),
        field(13, text(1, "location"), text(2, location)),
        new byte[] {0x70, 0x01});
  }

  private static byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    Arrays.stream(parts).forEach(out::writeBytes);
    return out.toByteArray();
  }

  /** A ModelProto whose graph has one tensor with external data. */
  static byte[] model(String location) {
    return join(new byte[] {0x08, 0x0A}, field(7, field(5, tensor(location))));
  }

  private List<String> locations(byte[] content) throws IOException {
    return List.copyOf(OnnxFile.externalData(Files.write(temp.resolve("m.onnx"), content)));
  }

  @Test
  void theFixturesNeedNoOtherFile() throws IOException {
    for (String name : List.of("bert-onnx", "bert-classification-onnx")) {
      Path file = TestPacks.fixture(name).resolve("model.onnx");
      assertThat(OnnxFile.externalData(file)).isEmpty();
      // The walk did see the tensors: cut off within their values, the file is broken.
      byte[] content = Files.readAllBytes(file);
      assertThatThrownBy(() -> locations(Arrays.copyOf(content, content.length / 2)))
          .isInstanceOf(OnnxFile.MalformedException.class)
          .hasMessageContaining("runs past its message");
    }
  }

  @Test
  void findsExternalDataWhereverATensorCanStand() throws IOException {
    byte[] inSubgraph = field(6, field(5, tensor("subgraph")));
    byte[] attributes =
        join(
            field(5, field(5, tensor("attribute"))),
            field(5, field(10, tensor("attribute list"))),
            field(5, inSubgraph),
            field(5, field(11, field(5, tensor("subgraph list")))),
            field(5, field(22, field(1, tensor("sparse attribute")))),
            field(5, field(23, field(2, tensor("sparse attribute list")))));
    byte[] graph =
        join(
            field(5, tensor("initializer")),
            field(15, field(1, tensor("sparse values")), field(2, tensor("sparse indices"))),
            field(1, attributes));
    byte[] model =
        join(
            field(7, graph),
            field(20, field(1, field(5, tensor("training"))), field(2, field(5, tensor("step")))),
            field(
                25,
                field(7, field(5, field(5, tensor("function")))),
                field(11, field(5, tensor("function attribute")))),
            field(7, field(5, tensor("second graph"))));
    assertThat(locations(model))
        .containsExactly(
            "initializer",
            "sparse values",
            "sparse indices",
            "attribute",
            "attribute list",
            "subgraph",
            "subgraph list",
            "sparse attribute",
            "sparse attribute list",
            "training",
            "step",
            "function",
            "function attribute",
            "second graph");
  }

  @Test
  void keyAndValueMayComeInAnyOrder() throws IOException {
    byte[] entry = field(13, text(2, "later"), text(1, "location"));
    assertThat(locations(field(7, field(5, entry)))).containsExactly("later");
    assertThat(locations(field(7, field(5, field(13, text(1, "location")))))).containsExactly("");
  }

  @Test
  void whatIsNoProtobufMessageIsMalformed() {
    byte[] deep = tensor("x");
    for (int i = 0; i < 60; i++) {
      deep = field(1, field(5, field(6, deep)));
    }
    byte[] nested = field(7, deep);
    assertThatThrownBy(() -> locations(nested))
        .isInstanceOf(OnnxFile.MalformedException.class)
        .hasMessage("messages are nested more than 100 deep");
    assertThatThrownBy(() -> locations("PK\3\4 a zip file".getBytes(StandardCharsets.UTF_8)))
        .isInstanceOf(OnnxFile.MalformedException.class);
    assertThatThrownBy(() -> locations(new byte[] {(byte) 0x80}))
        .hasMessage("the file ends in the middle of a value");
    assertThatThrownBy(() -> locations(new byte[] {0x3B})).hasMessage("wire type 3 at byte 1");
    // The 33rd bit: some readers would drop it and see field 7.
    assertThatThrownBy(
            () -> locations(new byte[] {(byte) 0xBA, (byte) 0x80, (byte) 0x80, (byte) 0x80, 0x10}))
        .hasMessageStartingWith("field tag 4294967354 at byte");
    assertThatThrownBy(() -> locations(new byte[] {0x3A, 5, 0}))
        .hasMessage("a value of 5 bytes at byte 2 runs past its message");
    assertThatThrownBy(() -> locations(new byte[] {0x3A, 1, 0x2A}))
        .hasMessage("the file ends in the middle of a value");
  }

  /** An ONNX pack of a graph and, listed or not, a file of weights. */
  private Path pack(byte[] graph, String graphName) throws IOException {
    Path folder = TestPacks.withoutModel(temp.resolve("pack"));
    Files.delete(folder.resolve("model.pt"));
    Files.write(folder.resolve(graphName), graph);
    Files.writeString(folder.resolve("weights.bin"), "weights");
    Files.writeString(folder.resolve("unlisted.bin"), "weights");
    ObjectNode spec = TestPacks.spec();
    spec.put("engine", "OnnxRuntime");
    spec.withObject("/graphs").put("model", graphName);
    ObjectNode digests = spec.putObject("sha256");
    for (String file : List.of(graphName, "weights.bin", "tokenizer.json", "golden.json")) {
      digests.put(file, TestPacks.sha256(Files.readAllBytes(folder.resolve(file))));
    }
    new ObjectMapper().writeValue(folder.resolve("pack.json").toFile(), spec);
    return folder;
  }

  private ModelPack fetch(Path folder) throws IOException {
    return new PackStore(temp.resolve("cache")).fetch(folder.toString(), new Configuration());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "../../etc/passwd",
        "/etc/passwd",
        "unlisted.bin",
        "./weights.bin",
        "sub/../weights.bin",
        "pack.json",
        "",
        // How ONNX Runtime marks values that lie at an address of its own memory.
        "*/_ORT_MEM_ADDR_/*"
      })
  void externalDataThatThePackDoesNotListIsRefused(String location) throws IOException {
    Path folder = pack(model(location), "model.onnx");
    assertThatThrownBy(() -> fetch(folder))
        .isInstanceOf(InvalidPackException.class)
        .hasMessage(
            "model pack "
                + folder
                + ": graphs.model: model.onnx has external data in '"
                + location
                + "' (expected: external data in a file listed under sha256 only)");
  }

  @Test
  void listedExternalDataIsFine() throws IOException {
    assertThat(fetch(pack(model("weights.bin"), "model.onnx")).file("weights.bin")).exists();
  }

  @Test
  void aGraphThatIsNoOnnxModelIsRefused() throws IOException {
    Path folder = pack(new byte[] {0x3A, 5, 0}, "model.onnx");
    assertThatThrownBy(() -> fetch(folder))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageEndingWith(
            "graphs.model: model.onnx: a value of 5 bytes at byte 2 runs past its message"
                + " (expected: an ONNX model)");
    Path other = pack(model("weights.bin"), "model.ORT");
    assertThatThrownBy(() -> fetch(other))
        .isInstanceOf(InvalidPackException.class)
        .hasMessageEndingWith("graphs.model: model.ORT (expected: a graph in ONNX format)");
  }
}
