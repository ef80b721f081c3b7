//! The seam of the fused row path: a walker in `protocol` reads cells, a visitor in `shards`
//! writes them, with static dispatch and no cell list between (`RowVisitor` is monomorphised and
//! inlined into the walk). `NULL`, "absent from this image" and "unchanged TOAST" are three states.
//!
//! Methods get the column's index in `TableSchema::columns`. Spans are given as
//! (`seg`, `at`, `len`) and not as a sub-slice so that a visitor can load 8 or 16 bytes at once
//! past a cell's end without unsafe code; `at + len <= seg.len()` is the walker's promise.

/// Receives one row, cell by cell, in column order.
pub trait RowVisitor {
    /// SQL NULL.
    fn null(&mut self, col: usize);
    /// The column is not in this row image (`binlog_row_image`, replica identity).
    fn absent(&mut self, col: usize);
    /// PostgreSQL: unchanged TOAST value.
    fn unchanged(&mut self, col: usize);
    /// Boolean.
    fn bool(&mut self, col: usize, value: bool);
    /// Signed integer of any width.
    fn int(&mut self, col: usize, value: i64);
    /// Unsigned integer of any width (also BIT, SET masks, ENUM indexes).
    fn uint(&mut self, col: usize, value: u64);
    /// Single precision.
    fn float(&mut self, col: usize, value: f32);
    /// Double precision.
    fn double(&mut self, col: usize, value: f64);
    /// A decimal that fits: `unscaled / 10^scale`.
    fn decimal(&mut self, col: usize, unscaled: i64, scale: u32);
    /// Any decimal, as text (`-12.50`), with as many fractional digits as its scale.
    fn decimal_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// Character data in the column's character set.
    fn text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// Binary data.
    fn bytes(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// A value of a MariaDB COMPRESSED column, as the log has it (`mysql::packed`).
    fn packed(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// Days since 1970-01-01.
    fn date(&mut self, col: usize, days: i32);
    /// Microseconds since midnight, or a signed duration.
    fn time(&mut self, col: usize, micros: i64);
    /// Zone-less timestamp, microseconds since 1970-01-01T00:00:00 read as UTC.
    fn datetime(&mut self, col: usize, micros: i64);
    /// Instant, microseconds since the epoch.
    fn timestamp(&mut self, col: usize, micros: i64);
    /// A zero or zero-part date or timestamp (MySQL): null, default or epoch by Debezium's rule.
    fn zero_date(&mut self, col: usize);
    /// MySQL's binary JSON document.
    fn json_binary(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
    /// JSON as text (PostgreSQL; MySQL snapshots).
    fn json_text(&mut self, col: usize, seg: &[u8], at: usize, len: usize);
}
