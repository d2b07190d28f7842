package bench;

import org.apache.avro.io.BinaryDecoder;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** The rooms held: Held.avsc has one field and therefore the bytes of a plain int. */
final class HeldSerde implements Serde<Integer>, Serializer<Integer>, Deserializer<Integer> {
  private static final int ID = 7;

  @Override
  public byte[] serialize(String topic, Integer value) {
    return value == null ? null : Framing.write(ID, out -> out.writeInt(value));
  }

  @Override
  public Integer deserialize(String topic, byte[] data) {
    return data == null ? null : Framing.read(ID, data, BinaryDecoder::readInt);
  }

  @Override
  public Serializer<Integer> serializer() {
    return this;
  }

  @Override
  public Deserializer<Integer> deserializer() {
    return this;
  }

  @Override
  public void configure(java.util.Map<String, ?> configs, boolean isKey) {}

  @Override
  public void close() {}
}
