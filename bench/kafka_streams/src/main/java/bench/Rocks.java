package bench;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

/** One block cache for all stores, bloom filters, roomy memtables. */
public final class Rocks implements RocksDBConfigSetter {
  private static final LRUCache CACHE = new LRUCache(256L << 20);
  private static final BloomFilter BLOOM = new BloomFilter(10, false);

  @Override
  public void setConfig(String store, Options options, Map<String, Object> configs) {
    BlockBasedTableConfig table = (BlockBasedTableConfig) options.tableFormatConfig();
    table.setBlockCache(CACHE);
    table.setFilterPolicy(BLOOM);
    table.setBlockSize(4096);
    options.setTableFormatConfig(table);
    options.setWriteBufferSize(32L << 20);
    options.setMaxWriteBufferNumber(3);
    options.setCompressionType(CompressionType.NO_COMPRESSION);
  }

  @Override
  public void close(String store, Options options) {}
}
