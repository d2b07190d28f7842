package bench;

import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Stands in for a payment gateway. */
final class PayStep implements Processor<String, PaymentRequest, String, PaymentResult> {
  private static final int DECLINED_OF = 10;

  private final CRC32 crc = new CRC32();
  private ProcessorContext<String, PaymentResult> context;

  @Override
  public void init(ProcessorContext<String, PaymentResult> context) {
    this.context = context;
  }

  @Override
  public void process(Record<String, PaymentRequest> record) {
    PaymentRequest request = record.value();
    crc.reset();
    crc.update(request.getReservationId().getBytes(StandardCharsets.UTF_8));
    boolean declined = crc.getValue() % DECLINED_OF == 0;
    PaymentResult result =
        new PaymentResult(
            request.getReservationId(),
            request.getResortId(),
            "p-" + request.getReservationId(),
            declined ? PaymentStatus.DECLINED : PaymentStatus.APPROVED,
            request.getAmount(),
            request.getCurrency(),
            request.getAt());
    context.forward(new Record<>(request.getResortId(), result, record.timestamp()));
  }
}
