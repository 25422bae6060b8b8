#include "families/rocksdb/options.h"

#include <rocksdb/table.h>

namespace qk::families {
namespace {

void set_one_thread(rocksdb::Options* o) {
  o->max_background_jobs = 1;
  o->max_subcompactions = 1;
  o->max_file_opening_threads = 1;
  o->max_open_files = 32;  // tables, of which 10 are set aside; more are opened and closed in turn
  o->compression = rocksdb::kNoCompression;
  o->bottommost_compression = rocksdb::kNoCompression;
  o->compression_opts.parallel_threads = 1;
  o->stats_dump_period_sec = 0;
  o->stats_persist_period_sec = 0;
  o->max_bgerror_resume_count = 0;
  o->enable_thread_tracking = false;
  o->allow_concurrent_memtable_write = false;
  o->enable_write_thread_adaptive_yield = false;
  o->avoid_flush_during_shutdown = true;  // a flush at close would be waited for
  o->avoid_flush_during_recovery = true;
}

// Sizes that RocksDB would act upon are out of reach; the engine counts bytes itself.
void set_no_decisions_of_its_own(rocksdb::Options* o) {
  o->write_buffer_size = size_t{32} << 30;
  o->max_total_wal_size = uint64_t{1} << 40;
  o->max_write_buffer_number = 4;
  o->arena_block_size = 4096;
  o->level0_slowdown_writes_trigger = 1 << 20;
  o->level0_stop_writes_trigger = 1 << 20;
  o->soft_pending_compaction_bytes_limit = 0;
  o->hard_pending_compaction_bytes_limit = 0;
}

void set_plain_files(rocksdb::Options* o) {
  o->allow_mmap_reads = false;
  o->allow_mmap_writes = false;
  o->use_direct_reads = false;
  o->use_direct_io_for_flush_and_compaction = false;
  o->bytes_per_sync = 0;
  o->wal_bytes_per_sync = 0;
  o->recycle_log_file_num = 0;
  o->manual_wal_flush = false;
  o->advise_random_on_open = false;
  o->allow_fallocate = false;
}

}  // namespace

rocksdb::Options make_rocksdb_options(const RocksOptions& options, RocksEnv* env) {
  rocksdb::Options o;
  o.env = env;
  o.info_log = null_rocksdb_logger();
  o.info_log_level = rocksdb::InfoLogLevel::FATAL_LEVEL;
  o.db_host_id = "qksim";
  set_one_thread(&o);
  set_no_decisions_of_its_own(&o);
  set_plain_files(&o);

  // Torn tails were cut before RocksDB opens; whatever it still finds is damage.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  o.paranoid_checks = true;
  o.verify_sst_unique_id_in_manifest = true;
  o.skip_stats_update_on_db_open = true;

  o.num_levels = 3;
  o.level0_file_num_compaction_trigger = options.compaction_files;
  o.max_bytes_for_level_base = 8 * options.flush_bytes;
  o.target_file_size_base = 4 * options.flush_bytes;
  o.table_cache_numshardbits = 0;

  // Without a cache every read verifies a checksum, and memory follows what is open.
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.block_size = 16 << 10;
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return o;
}

}  // namespace qk::families
