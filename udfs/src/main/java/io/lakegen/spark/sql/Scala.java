package io.lakegen.spark.sql;

import java.util.ArrayList;
import java.util.List;
import scala.collection.Iterable;
import scala.collection.immutable.Seq;
import scala.collection.immutable.Vector$;
import scala.jdk.javaapi.CollectionConverters;

/** Scala's collections, as Spark's plans want them. */
final class Scala {
  private Scala() {}

  static <T> Seq<T> seq(List<? extends T> list) {
    return Vector$.MODULE$.from(CollectionConverters.<T>asScala(new ArrayList<T>(list)));
  }

  static <T> List<T> list(Iterable<? extends T> items) {
    List<T> list = new ArrayList<>();
    scala.collection.Iterator<? extends T> iterator = items.iterator();
    while (iterator.hasNext()) {
      list.add(iterator.next());
    }
    return list;
  }

  static <T> Seq<T> append(Iterable<? extends T> items, List<? extends T> more) {
    List<T> all = list(items);
    all.addAll(more);
    return seq(all);
  }

  static <T> Seq<T> none() {
    return seq(List.of());
  }

  /** Scala's sequences are covariant, which Java's compiler cannot know. */
  @SuppressWarnings("unchecked")
  static <T> Seq<T> widen(Seq<? extends T> items) {
    return (Seq<T>) items;
  }

  /** Throws what Java's compiler takes for a checked exception, as Scala's code does. */
  @SuppressWarnings({"unchecked", "TypeParameterUnusedInFormals"})
  static <E extends Throwable> E raise(Throwable failure) throws E {
    throw (E) failure;
  }
}
