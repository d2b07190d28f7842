package bench;

import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.errors.SerializationException;

/**
 * Confluent's framing, a zero and the schema's id before the Avro binary, over buffers that are
 * used again. Source and sink nodes share one serde between threads, so each thread has its own.
 */
final class Framing {
  private static final int HEAD = 5;
  private static final ThreadLocal<Framing> OF_THREAD = ThreadLocal.withInitial(Framing::new);

  private final Buffer buffer = new Buffer();
  private final BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(buffer, null);
  private BinaryDecoder decoder;

  interface Encode {
    void to(BinaryEncoder encoder) throws IOException;
  }

  interface Decode<T> {
    T from(BinaryDecoder decoder) throws IOException;
  }

  private Framing() {}

  static byte[] write(int id, Encode value) {
    Framing framing = OF_THREAD.get();
    framing.buffer.start(id);
    try {
      value.to(framing.encoder);
    } catch (IOException e) {
      throw new SerializationException(e);
    }
    return framing.buffer.copy();
  }

  static <T> T read(int id, byte[] data, Decode<T> value) {
    if (data.length < HEAD || data[0] != 0 || idOf(data) != id) {
      throw new SerializationException("no record of schema id " + id);
    }
    Framing framing = OF_THREAD.get();
    framing.decoder =
        DecoderFactory.get().binaryDecoder(data, HEAD, data.length - HEAD, framing.decoder);
    try {
      return value.from(framing.decoder);
    } catch (IOException e) {
      throw new SerializationException(e);
    }
  }

  private static int idOf(byte[] data) {
    return (data[1] & 255) << 24 | (data[2] & 255) << 16 | (data[3] & 255) << 8 | (data[4] & 255);
  }

  /** Grows to the largest record and stays so. */
  private static final class Buffer extends OutputStream {
    private byte[] bytes = new byte[512];
    private int used;

    void start(int id) {
      bytes[0] = 0;
      bytes[1] = (byte) (id >>> 24);
      bytes[2] = (byte) (id >>> 16);
      bytes[3] = (byte) (id >>> 8);
      bytes[4] = (byte) id;
      used = HEAD;
    }

    byte[] copy() {
      return Arrays.copyOf(bytes, used);
    }

    @Override
    public void write(int b) {
      if (used == bytes.length) {
        bytes = Arrays.copyOf(bytes, used * 2);
      }
      bytes[used++] = (byte) b;
    }

    @Override
    public void write(byte[] b, int off, int len) {
      if (used + len > bytes.length) {
        bytes = Arrays.copyOf(bytes, Math.max(used + len, bytes.length * 2));
      }
      System.arraycopy(b, off, bytes, used, len);
      used += len;
    }
  }
}
