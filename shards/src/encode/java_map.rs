//! The order in which Java's `HashMap` tells its entries: Debezium prints maps in it (ENVELOPE
//! section 0), and who compares texts compares it too.
//!
//! Enters: hash codes in the order of insertion. Leaves: the same, in the map's order. Keeps: no
//! memory. A bucket of nine keys in a table of 64 and more becomes a tree in Java, whose order is
//! not told here: then the order of insertion stands within the bucket.

/// Default capacity of a map.
pub(crate) const CAPACITY: u32 = 16;
/// A chain that is as long as this when a key is added to it makes a small table grow.
const CHAIN_MAX: usize = 8;
/// A table from this size on does not grow for a long chain.
const TREE_CAPACITY_MIN: u32 = 64;

/// Entries that are sorted by insertion.
const INSERTION_MAX: usize = 64;

/// `String.hashCode` of UTF-8 text; stray bytes count as U+FFFD.
pub(crate) fn string_hash(text: impl Iterator<Item = u8>) -> u32 {
    let mut hash = 0_u32;
    let mut unit = |unit: u32| hash = hash.wrapping_mul(31).wrapping_add(unit);
    let (mut point, mut left) = (0_u32, 0);
    for byte in text {
        match byte {
            0x80..0xC0 if left > 0 => {
                (point, left) = (point << 6 | u32::from(byte & 0x3F), left - 1);
                if left > 0 {
                    continue;
                }
                match point.checked_sub(0x1_0000) {
                    None => unit(point),
                    Some(high) => {
                        unit(0xD800 + (high >> 10));
                        unit(0xDC00 + (high & 0x3FF));
                    }
                }
            }
            0xC0..0xE0 => (point, left) = (u32::from(byte & 0x1F), 1),
            0xE0..0xF0 => (point, left) = (u32::from(byte & 0x0F), 2),
            0xF0..0xF8 => (point, left) = (u32::from(byte & 0x07), 3),
            0..0x80 => unit(u32::from(byte)),
            _ => unit(0xFFFD),
        }
    }
    hash
}

/// What a map makes of a hash code.
pub(crate) fn spread(hash: u32) -> u32 {
    hash ^ hash >> 16
}

/// Capacity of `new HashMap<>(entries)` at its first entry.
pub(crate) fn capacity_for(entries: usize) -> u32 {
    u32::try_from(entries).unwrap_or(1 << 30).clamp(1, 1 << 30).next_power_of_two()
}

/// Sorts entries, given in order of insertion with their spread hash codes, into the order of a map
/// that begins with `capacity` buckets.
pub(crate) fn sort<T>(entries: &mut [T], capacity: u32, hash: impl Fn(&T) -> u32) {
    let mut capacity = capacity;
    for done in 0..entries.len() {
        if capacity < TREE_CAPACITY_MIN {
            let bucket = |entry: &T| hash(entry) & (capacity - 1);
            let mine = entries.get(done).map(&bucket);
            let before = entries.iter().take(done);
            if before.filter(|entry| Some(bucket(entry)) == mine).count() >= CHAIN_MAX {
                capacity *= 2;
            }
        }
        if done + 1 > capacity as usize * 3 / 4 && capacity < 1 << 30 {
            capacity *= 2;
        }
    }
    // Insertion keeps equal buckets in order and wants no memory; maps of a few keys are the rule.
    if entries.len() <= INSERTION_MAX {
        for end in 1..entries.len() {
            let mut at = end;
            while at > 0 {
                let bucket = |i: usize| entries.get(i).map(|entry| hash(entry) & (capacity - 1));
                if bucket(at - 1) <= bucket(at) {
                    break;
                }
                entries.swap(at - 1, at);
                at -= 1;
            }
        }
    } else {
        entries.sort_by_key(|entry| hash(entry) & (capacity - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(keys: &[String], capacity: u32) -> Vec<String> {
        let mut keys = keys.to_vec();
        sort(&mut keys, capacity, |key| spread(string_hash(key.bytes())));
        keys
    }

    #[test]
    fn strings_in_the_order_of_a_java_map() {
        // Goal: the order of java.util.HashMap. Method: hash codes of the joined key set that Java 17
        // gave for maps of these sizes, at and around every growth of the table.
        for (count, wanted) in [
            (1, 3_241_020),
            (5, 1_872_353_240),
            (12, -632_895_929),
            (13, 176_451_269),
            (14, -1_169_169_795),
            (24, -339_361_864),
            (25, 1_516_765_645),
            (26, -1_766_063_888),
            (48, -1_836_148_617),
            (49, -876_345_067),
            (60, -1_572_499_033),
            (96, 1_637_632_213),
            (97, 1_470_124_503),
            (100, -1_820_241_211),
            (200, -2_097_261_266_i32),
        ] {
            let keys: Vec<String> = (0..count).map(|i| format!("k{}é", i * 7919 % 1000)).collect();
            let joined: String =
                order(&keys, CAPACITY).iter().map(|key| format!("{key} ")).collect();
            assert_eq!(string_hash(joined.bytes()).cast_signed(), wanted, "{count}");
        }
    }

    #[test]
    fn hash_codes_of_any_text() {
        // Goal: String.hashCode over UTF-16 units. Method: Rust's own UTF-16, and stray bytes.
        for text in ["", "a", "Aa", "BB", "é", "日本", "𝄞x", "\u{FFFF}"] {
            let wanted = text
                .encode_utf16()
                .fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
            assert_eq!(string_hash(text.bytes()), wanted, "{text}");
        }
        string_hash([0xFF, 0xC3, b'a', 0xF0, 0x90].into_iter());
    }

    #[test]
    fn capacities() {
        // Goal: small maps with a capacity asked for. Method: sizes that Java's tableSizeFor gives.
        assert_eq!([0, 1, 2, 3, 4, 5, 64].map(capacity_for), [1, 1, 2, 4, 4, 8, 64]);
        // Nine keys in one bucket make a table of 16 grow, and again: by their fifth bit then.
        let keys: Vec<u32> = (0..10).map(|i| i * 16).collect();
        let mut sorted = keys.clone();
        sort(&mut sorted, CAPACITY, |key| *key);
        assert_eq!(sorted, [0, 32, 64, 96, 128, 16, 48, 80, 112, 144]);
    }
}
