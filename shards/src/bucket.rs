//! Buckets: a table falls into one of 256 buckets, a bucket belongs to a shard. What must survive
//! a restart with another number of cores is kept per bucket, never per core.
//!
//! Enters: table names. Leaves: bucket, shard, lane. Keeps: (table name) → bucket is a pure
//! function with a generation number; changing it without a barrier loses data (HAZARDS L12), so
//! any change of `table_hash` or of `BUCKETS` must raise `BUCKET_GENERATION`.

use penstock_protocol::schema::TableName;

use crate::limits::BUCKETS;
use crate::seq::ShardId;

/// Generation of the function name → bucket; written with each checkpoint.
pub const BUCKET_GENERATION: u32 = 1;

/// A bucket, 0 to `BUCKETS − 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId(pub u16);

/// Hash of a table's name, generation 1: FNV-1a with 64 bits over
/// `database 0xff schema 0xff table` (0xff stands in no UTF-8 text, so names never run together),
/// then the 64-bit finaliser of MurmurHash3, because FNV alone leaves its high bits poor.
pub fn table_hash(name: &TableName) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for (part, end) in [(&name.database, true), (&name.schema, true), (&name.table, false)] {
        let separator: &[u8] = if end { &[0xff] } else { &[] };
        for &byte in part.as_bytes().iter().chain(separator) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// The bucket of a table, generation 1.
pub fn bucket_of(name: &TableName) -> BucketId {
    BucketId((table_hash(name) % BUCKETS as u64) as u16)
}

/// The lane of a table, of `lanes`, by its `table_hash`: from other bits than the bucket, so that
/// the tables of one shard spread over its lanes.
pub fn lane_of(hash: u64, lanes: u16) -> u16 {
    ((hash / BUCKETS as u64) % u64::from(lanes.max(1))) as u16
}

/// Which shard has which bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketMap {
    shards: u16,
    owners: Vec<ShardId>,
}

impl BucketMap {
    /// Buckets dealt round to `shards` shards (at least one).
    pub fn round_robin(shards: u16) -> Self {
        assert!(shards > 0, "a pipeline has at least one shard");
        let owner = |bucket: usize| ShardId((bucket % usize::from(shards)) as u16);
        Self { shards, owners: (0..BUCKETS).map(owner).collect() }
    }

    /// Shards that it deals to.
    pub fn shards(&self) -> u16 {
        self.shards
    }

    /// The shard of a table.
    pub fn owner(&self, name: &TableName) -> ShardId {
        self.owners[usize::from(bucket_of(name).0)]
    }

    /// Generation of the function behind it.
    pub fn generation(&self) -> u32 {
        BUCKET_GENERATION
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(database: &str, schema: &str, table: &str) -> TableName {
        TableName { database: database.into(), schema: schema.into(), table: table.into() }
    }

    #[test]
    fn l12_the_function_of_a_generation_never_changes() {
        // Goal: generation 1 is frozen; method: names and buckets, reckoned apart.
        assert_eq!(BUCKET_GENERATION, 1);
        let buckets = [
            bucket_of(&name("shop", "", "orders")).0,
            bucket_of(&name("shop", "", "customers")).0,
            bucket_of(&name("app", "public", "orders")).0,
            bucket_of(&name("", "", "")).0,
        ];
        assert_eq!(buckets, FROZEN);
    }

    #[test]
    fn parts_of_a_name_never_run_together() {
        // Goal: (a, bc) and (ab, c) are different tables; method: compare their hashes.
        assert_ne!(table_hash(&name("a", "", "bc")), table_hash(&name("ab", "", "c")));
        assert_ne!(table_hash(&name("a", "b", "c")), table_hash(&name("a", "", "bc")));
    }

    #[test]
    fn buckets_are_dealt_evenly() {
        // Goal: no shard has two buckets more than another; method: count for 1 to 16 shards.
        for shards in 1..=16u16 {
            let map = BucketMap::round_robin(shards);
            let of = |s| map.owners.iter().filter(|o| o.0 == s).count();
            let counts: Vec<usize> = (0..shards).map(of).collect();
            assert_eq!(counts.iter().sum::<usize>(), BUCKETS);
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }

    const FROZEN: [u16; 4] = [223, 11, 160, 37];
}
