package bench;

import java.time.Duration;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;

/** One worker. Its environment: BOOTSTRAP, PREFIX, STATE_DIR, COMMIT_MS, THREADS, INSTANCE_ID. */
public final class Main {
  private Main() {}

  /** Prints a mark with the time, for whoever measures. */
  static synchronized void say(String word, String rest) {
    System.out.println(word + " " + System.currentTimeMillis() + rest);
    System.out.flush();
  }

  public static void main(String[] args) throws InterruptedException {
    String prefix = env("PREFIX", "bench-");
    int commitMs = Integer.parseInt(env("COMMIT_MS", "100"));
    KafkaStreams streams = new KafkaStreams(Work.topology(prefix), settings(prefix, commitMs));
    CountDownLatch done = new CountDownLatch(1);
    streams.setUncaughtExceptionHandler(
        e -> {
          e.printStackTrace();
          return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
    streams.setStateListener(
        (now, before) -> {
          say("STATE", " " + now);
          if (now == KafkaStreams.State.ERROR || now == KafkaStreams.State.NOT_RUNNING) {
            done.countDown();
          }
        });
    Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
    streams.start();
    done.await();
  }

  private static Properties settings(String prefix, int commitMs) {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, prefix + "app");
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, env("BOOTSTRAP", "127.0.0.1:9092"));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, env("STATE_DIR", "state"));
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, commitMs);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, env("THREADS", "1"));
    settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 0);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Rocks.class);
    settings.put(StreamsConfig.POLL_MS_CONFIG, Math.max(1, Math.min(100, commitMs / 2)));
    settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5000);
    consumers(settings);
    producers(settings, commitMs);
    return settings;
  }

  private static void consumers(Properties settings) {
    // static membership: a restart takes its tasks back at once, and not after 45 s
    settings.put(
        StreamsConfig.consumerPrefix(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG),
        env("INSTANCE_ID", "w0"));
    settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
    settings.put(
        StreamsConfig.mainConsumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    settings.put(
        StreamsConfig.restoreConsumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 20000);
    settings.put(
        StreamsConfig.restoreConsumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG),
        4 << 20);
  }

  private static void producers(Properties settings, int commitMs) {
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 256 << 10);
    settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128 << 20);
    settings.put(
        StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), Math.min(100, commitMs));
  }

  private static String env(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }
}
