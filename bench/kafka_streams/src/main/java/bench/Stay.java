package bench;

/** What is made of a stay. */
final class Stay {
  private Stay() {}

  /** What the keys of its nights in the table availability begin with. */
  static String stem(String resortId, String roomType) {
    return resortId + "/" + roomType + "/";
  }

  static Reservation reservation(Reserve command, ReservationStatus status) {
    return new Reservation(
        command.getCommandId(),
        command.getReservationId(),
        command.getCustomerId(),
        command.getResortId(),
        command.getRoomType(),
        command.getCheckIn(),
        command.getNights(),
        command.getRooms(),
        command.getPersons(),
        command.getNeeds(),
        command.getPrice(),
        command.getCurrency(),
        command.getAt(),
        status);
  }

  static ReservationEvent event(
      Reservation reservation, EventKind kind, String reason, String ticket) {
    return new ReservationEvent(
        reservation.getReservationId(),
        reservation.getCustomerId(),
        reservation.getResortId(),
        reservation.getRoomType(),
        kind,
        reason,
        ticket,
        reservation.getCheckIn(),
        reservation.getNights(),
        reservation.getPrice(),
        reservation.getAt());
  }
}
