package bench;

import org.apache.avro.specific.SpecificData;
import org.apache.avro.specific.SpecificDatumReader;
import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serializer;

/** Generated records, by the custom coders that Avro generates with them. */
final class RecordSerde<T extends SpecificRecordBase>
    implements Serde<T>, Serializer<T>, Deserializer<T> {
  private final int id;
  private final ThreadLocal<SpecificDatumReader<T>> readers;

  RecordSerde(int id, Class<T> type) {
    this.id = id;
    SpecificData model = SpecificData.getForClass(type);
    this.readers =
        ThreadLocal.withInitial(
            () -> {
              SpecificDatumReader<T> reader = new SpecificDatumReader<>(model);
              reader.setSchema(model.getSchema(type));
              return reader;
            });
  }

  @Override
  public byte[] serialize(String topic, T value) {
    return value == null ? null : Framing.write(id, value::customEncode);
  }

  @Override
  public T deserialize(String topic, byte[] data) {
    return data == null ? null : Framing.read(id, data, in -> readers.get().read(null, in));
  }

  @Override
  public Serializer<T> serializer() {
    return this;
  }

  @Override
  public Deserializer<T> deserializer() {
    return this;
  }

  @Override
  public void configure(java.util.Map<String, ?> configs, boolean isKey) {}

  @Override
  public void close() {}
}
