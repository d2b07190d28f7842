package bench;

import org.apache.avro.specific.SpecificRecordBase;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/** The topology of the reference work; the processor API costs less than the DSL. */
final class Work {
  private static final Serde<String> KEY = Serdes.String();

  private Work() {}

  static Topology topology(String prefix) {
    Deserializer<String> keyIn = KEY.deserializer();
    Serializer<String> keyOut = KEY.serializer();
    RecordSerde<Reserve> reserve = new RecordSerde<>(1, Reserve.class);
    RecordSerde<PaymentRequest> request = new RecordSerde<>(2, PaymentRequest.class);
    RecordSerde<PaymentResult> result = new RecordSerde<>(3, PaymentResult.class);
    RecordSerde<ReservationEvent> event = new RecordSerde<>(4, ReservationEvent.class);

    Topology topology = new Topology();
    // ReserveStep and SettleStep share their tables: one sub-topology over co-partitioned inputs
    topology.addSource("commands", keyIn, reserve, prefix + "reservation-commands");
    topology.addSource("results", keyIn, result, prefix + "payment-results");
    topology.addProcessor("reserve", ReserveStep::new, "commands");
    topology.addProcessor("settle", SettleStep::new, "results");
    topology.addStateStore(table("availability", new HeldSerde()), "reserve", "settle");
    topology.addStateStore(table("reservations", 5, Reservation.class), "reserve", "settle");
    topology.addSink("to-requests", prefix + "payment-requests", keyOut, request, "reserve");
    topology.addSink(
        "to-events", prefix + "reservation-events", keyOut, event, "reserve", "settle");

    topology.addSource("requests", keyIn, request, prefix + "payment-requests");
    topology.addProcessor("pay", PayStep::new, "requests");
    topology.addSink("to-results", prefix + "payment-results", keyOut, result, "pay");

    topology.addSource("events", keyIn, event, prefix + "reservation-events");
    topology.addProcessor("show", ShowStep::new, "events");
    topology.addStateStore(table("mypage", 6, Row.class), "show");
    return topology;
  }

  private static <T extends SpecificRecordBase> StoreBuilder<KeyValueStore<String, T>> table(
      String name, int id, Class<T> type) {
    return table(name, new RecordSerde<>(id, type));
  }

  /** Without the record cache: keys rarely repeat, and it gains nothing here. */
  private static <V> StoreBuilder<KeyValueStore<String, V>> table(String name, Serde<V> values) {
    return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), KEY, values)
        .withCachingDisabled();
  }
}
