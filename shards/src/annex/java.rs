//! The order in which Java's `HashMap` gives its keys back: Debezium lists `data_collections` so.
//!
//! Enters: keys in the order in which they were put. Leaves: the order in which they are iterated.
//! Keeps: `java.util.HashMap` of OpenJDK 8 and later: 16 buckets, doubled beyond three quarters;
//! within a bucket the order of insertion. (Buckets of eight and more keys become trees, whose order
//! differs in the place of one key; that takes eight table names of one bucket.)

/// Indexes into `keys`, in Java's order. Keys are distinct.
pub fn hash_map_order<'k>(keys: impl Iterator<Item = &'k str>) -> Vec<usize> {
    let hashes: Vec<u32> = keys.map(|key| spread(string_hash(key))).collect();
    let mut buckets = 16_usize;
    while hashes.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    // Stable: a doubled bucket keeps the order of what it had.
    order.sort_by_key(|&at| hashes[at] as usize & (buckets - 1));
    order
}

/// `String.hashCode`.
fn string_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

/// `HashMap.hash`.
fn spread(hash: u32) -> u32 {
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_javas() {
        // Goal: the hash of `java.lang.String`. Method: values that its documentation's formula
        // gives, reckoned by hand.
        assert_eq!(string_hash(""), 0);
        assert_eq!(string_hash("a"), 97);
        assert_eq!(string_hash("ab"), 97 * 31 + 98);
        // Known to every Java programmer: these two collide.
        assert_eq!(string_hash("Aa"), string_hash("BB"));
        // Beyond the basic plane: two UTF-16 units.
        assert_eq!(string_hash("\u{1F600}"), 0xD83D * 31 + 0xDE00);
    }

    #[test]
    fn order_is_by_bucket_then_by_insertion() {
        // Goal: iteration order of a small and of a grown map. Method: single letters, whose hash is
        // their code: bucket = code & 15, then & 31 beyond twelve keys; a collision keeps its order.
        let order = |keys: &[&str]| -> Vec<String> {
            let at = hash_map_order(keys.iter().copied());
            at.into_iter().map(|at| keys[at].to_owned()).collect()
        };
        // p = 112 = 7 * 16: bucket 0; a = 97: bucket 1; q = 113: bucket 1.
        assert_eq!(order(&["q", "a", "p"]), ["p", "q", "a"]);
        assert_eq!(order(&["a", "q", "p"]), ["p", "a", "q"]);
        // Thirteen keys: 32 buckets; p = 16, q = 17, a = 1.
        let many = ["q", "p", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"];
        let sorted = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "p", "q"];
        assert_eq!(order(&many), sorted);
    }
}
