package bench;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Issues the ticket, or gives the rooms back. */
final class SettleStep implements Processor<String, PaymentResult, String, ReservationEvent> {
  private ProcessorContext<String, ReservationEvent> context;
  private KeyValueStore<String, Integer> availability;
  private KeyValueStore<String, Reservation> reservations;

  @Override
  public void init(ProcessorContext<String, ReservationEvent> context) {
    this.context = context;
    availability = context.getStateStore("availability");
    reservations = context.getStateStore("reservations");
  }

  @Override
  public void process(Record<String, PaymentResult> record) {
    PaymentResult result = record.value();
    Reservation reservation = reservations.get(result.getReservationId());
    ReservationEvent event;
    if (result.getStatus() == PaymentStatus.APPROVED) {
      reservation.setStatus(ReservationStatus.CONFIRMED);
      event = Stay.event(reservation, EventKind.ISSUED, "", "t-" + reservation.getReservationId());
    } else {
      release(reservation);
      reservation.setStatus(ReservationStatus.CANCELLED);
      event = Stay.event(reservation, EventKind.CANCELLED, "DECLINED", "");
    }
    reservations.put(reservation.getReservationId(), reservation);
    context.forward(new Record<>(reservation.getCustomerId(), event, record.timestamp()));
  }

  private void release(Reservation reservation) {
    String stem = Stay.stem(reservation.getResortId(), reservation.getRoomType());
    for (int i = 0; i < reservation.getNights(); i++) {
      String key = stem + (reservation.getCheckIn() + i);
      availability.put(key, availability.get(key) - reservation.getRooms());
    }
  }
}
