package io.lakegen.jobs.run;

import java.io.Serializable;
import java.nio.ByteBuffer;
import org.apache.spark.SparkEnv;
import org.apache.spark.serializer.SerializerInstance;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * Results of Spark tasks as bytes of Java's serialisation: Spark takes {@code spark.serializer} for
 * results, and Kryo knows no records.
 */
final class TaskResult {
  private TaskResult() {}

  static <T extends Serializable> byte[] write(T value) {
    ClassTag<T> type = ClassTag$.MODULE$.apply(value.getClass());
    ByteBuffer bytes = serializer().serialize(value, type);
    byte[] copy = new byte[bytes.remaining()];
    bytes.get(copy);
    return copy;
  }

  static <T extends Serializable> T read(byte[] bytes, Class<T> type) {
    ClassTag<T> tag = ClassTag$.MODULE$.apply(type);
    return serializer().deserialize(ByteBuffer.wrap(bytes), type.getClassLoader(), tag);
  }

  private static SerializerInstance serializer() {
    return SparkEnv.get().closureSerializer().newInstance();
  }
}
