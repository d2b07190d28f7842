package bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Keeps the customer's row. */
final class ShowStep implements Processor<String, ReservationEvent, Void, Void> {
  private KeyValueStore<String, Row> mypage;

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    mypage = context.getStateStore("mypage");
  }

  @Override
  public void process(Record<String, ReservationEvent> record) {
    ReservationEvent event = record.value();
    Row row =
        new Row(
            event.getReservationId(),
            event.getCustomerId(),
            event.getResortId(),
            event.getRoomType(),
            event.getKind() == EventKind.ISSUED ? RowKind.ISSUED : RowKind.CANCELLED,
            event.getReason(),
            event.getTicket(),
            event.getCheckIn(),
            event.getNights(),
            event.getAmount(),
            event.getAt());
    mypage.put(event.getCustomerId() + "/" + event.getReservationId(), row);
  }
}
