//! The goal of a catch-up.
//!
//! Enters: the WAL's end at the start. Leaves: the point at which it counts as reached. Keeps
//! HAZARDS H4: on an idle server the WAL's end may stand behind a page header that the walsender
//! never passes.

/// WAL pages; `XLOG_BLCKSZ` of every released build.
const PAGE_BYTES: u64 = 8192;
/// Header of a page (`SizeOfXLogShortPHD`), and of the first page of a segment
/// (`SizeOfXLogLongPHD`), `access/xlog_internal.h`.
const PAGE_HEADERS: [u64; 2] = [24, 40];

/// The position that a reader must reach to have everything that was committed at `insert_lsn`
/// (`pg_current_wal_insert_lsn()`): a place just behind a page header counts as the page's start,
/// for nothing stands between them (HAZARDS H4).
pub fn goal(insert_lsn: u64) -> u64 {
    let within = insert_lsn % PAGE_BYTES;
    if PAGE_HEADERS.contains(&within) { insert_lsn - within } else { insert_lsn }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h04_a_goal_behind_a_page_header_is_the_page() {
        // Goal: the live case of H4: insert LSN 0/13000028, keepalives stay at 0/13000000.
        assert_eq!(goal(0x1300_0028), 0x1300_0000);
        assert_eq!(goal(0x1300_2018), 0x1300_2000);
        assert_eq!(goal(0x1300_2030), 0x1300_2030);
        assert_eq!(goal(0x1300_2000), 0x1300_2000);
    }
}
