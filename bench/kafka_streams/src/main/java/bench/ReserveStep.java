package bench;

import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/** Holds the rooms and asks for the payment; sold out in one night is sold out. */
final class ReserveStep implements Processor<String, Reserve, String, Object> {
  private static final int CAPACITY = 20;
  private static final int LONGEST_STAY = 32;
  private static final AtomicBoolean STARTED = new AtomicBoolean();

  private final String[] keys = new String[LONGEST_STAY];
  private final int[] held = new int[LONGEST_STAY];
  private ProcessorContext<String, Object> context;
  private KeyValueStore<String, Integer> availability;
  private KeyValueStore<String, Reservation> reservations;

  @Override
  public void init(ProcessorContext<String, Object> context) {
    this.context = context;
    availability = context.getStateStore("availability");
    reservations = context.getStateStore("reservations");
  }

  @Override
  public void process(Record<String, Reserve> record) {
    if (STARTED.compareAndSet(false, true)) {
      Main.say("FIRST", "");
    }
    Reserve command = record.value();
    boolean free = hold(command);
    ReservationStatus status = free ? ReservationStatus.PENDING : ReservationStatus.CANCELLED;
    Reservation reservation = Stay.reservation(command, status);
    reservations.put(command.getReservationId(), reservation);
    if (free) {
      PaymentRequest request =
          new PaymentRequest(
              command.getReservationId(),
              command.getResortId(),
              command.getCustomerId(),
              command.getPrice(),
              command.getCurrency(),
              command.getAt());
      context.forward(
          new Record<>(command.getReservationId(), request, record.timestamp()), "to-requests");
    } else {
      ReservationEvent event = Stay.event(reservation, EventKind.CANCELLED, "SOLD_OUT", "");
      context.forward(
          new Record<>(command.getCustomerId(), event, record.timestamp()), "to-events");
    }
  }

  /** Takes the rooms in every night, or in none. */
  private boolean hold(Reserve command) {
    String stem = Stay.stem(command.getResortId(), command.getRoomType());
    int nights = command.getNights();
    for (int i = 0; i < nights; i++) {
      keys[i] = stem + (command.getCheckIn() + i);
      Integer rooms = availability.get(keys[i]);
      held[i] = (rooms == null ? 0 : rooms) + command.getRooms();
      if (held[i] > CAPACITY) {
        return false;
      }
    }
    for (int i = 0; i < nights; i++) {
      availability.put(keys[i], held[i]);
    }
    return true;
  }
}
