//! GTID sets of MySQL (tags included) and GTID lists of MariaDB.
//!
//! Enters: the servers' text, binary encodings of events. Leaves: sets, their text, the encoding
//! that COM_BINLOG_DUMP_GTID takes. Keeps: intervals sorted, disjoint and not adjacent; a number
//! is 1 to 2^63-2.
//!
//! ```text
//! untagged: | n, 8 | uuid, 16 | intervals, 8 | start, 8 | end (exclusive), 8 | … |
//! tagged:   | 1 , n, 6 , 1 | uuid, 16 | tag length * 2, 1 | tag | intervals, 8 | … |
//! ```
//! `sql/rpl_gtid_set.cc`, `Gtid_set::encode` (the tagged form: MySQL 8.3 and later).

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use crate::cursor::{Cursor, WireError};
use crate::position::Gtid;

/// Greatest number of a GTID, exclusive.
const NUMBER_END: u64 = i64::MAX as u64;

/// Why a text is no GTID set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GtidTextError {
    /// Offset of the part that cannot be read.
    pub offset: usize,
}

impl fmt::Display for GtidTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a GTID set at offset {}", self.offset)
    }
}

impl core::error::Error for GtidTextError {}

/// Who numbers: a server's uuid and a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Source {
    uuid: [u8; 16],
    tag: Arc<str>,
}

/// `start..end`.
type Interval = (u64, u64);

/// A MySQL GTID set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    sources: BTreeMap<Source, Vec<Interval>>,
}

impl GtidSet {
    /// Parses the server's text (`uuid:1-5:7,uuid2:tag:1`); blanks and line ends are allowed.
    pub fn parse(text: &str) -> Result<Self, GtidTextError> {
        let mut set = Self::default();
        let mut offset = 0;
        for part in text.split(',') {
            if !part.trim().is_empty() {
                set.parse_source(part).ok_or(GtidTextError { offset })?;
            }
            offset += part.len() + 1;
        }
        Ok(set)
    }

    fn parse_source(&mut self, part: &str) -> Option<()> {
        let mut fields = part.split(':').map(str::trim);
        let uuid = parse_uuid(fields.next()?)?;
        let mut tag: Arc<str> = "".into();
        let mut any = false;
        for field in fields {
            if field.starts_with(|ch: char| ch.is_ascii_digit()) {
                let (first, last) = field.split_once('-').unwrap_or((field, field));
                let start = first.trim().parse::<u64>().ok()?;
                let end = last.trim().parse::<u64>().ok()?.checked_add(1)?;
                if start == 0 || end > NUMBER_END {
                    return None;
                }
                // An empty interval (`7-3`) is allowed and means nothing.
                if start < end {
                    self.add_interval(Source { uuid, tag: tag.clone() }, (start, end));
                }
                any = true;
            } else {
                tag = parse_tag(field)?;
            }
        }
        any.then_some(())
    }

    /// True without any GTID.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Adds one GTID; MariaDB's are not for this set and are ignored.
    pub fn add(&mut self, gtid: &Gtid) {
        if let Gtid::MySql { uuid, tag, number } = gtid
            && (1..NUMBER_END).contains(number)
        {
            let source = Source { uuid: *uuid, tag: tag.clone() };
            self.add_interval(source, (*number, number + 1));
        }
    }

    /// True if the GTID is in the set.
    pub fn contains_gtid(&self, gtid: &Gtid) -> bool {
        let Gtid::MySql { uuid, tag, number } = gtid else { return false };
        let list = self.sources.get(&Source { uuid: *uuid, tag: tag.clone() });
        list.is_some_and(|list| list.iter().any(|&(start, end)| (start..end).contains(number)))
    }

    /// Adds every GTID of `other`.
    pub fn union(&mut self, other: &Self) {
        for (source, list) in &other.sources {
            for &interval in list {
                self.add_interval(source.clone(), interval);
            }
        }
    }

    /// Takes every GTID of `other` out.
    pub fn subtract(&mut self, other: &Self) {
        for (source, holes) in &other.sources {
            let Some(list) = self.sources.get_mut(source) else { continue };
            for &(start, end) in holes {
                *list =
                    list.iter().flat_map(|&(a, b)| [(a, b.min(start)), (a.max(end), b)]).collect();
                list.retain(|&(a, b)| a < b);
            }
            if list.is_empty() {
                self.sources.remove(source);
            }
        }
    }

    /// What is in `self` and not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        rest.subtract(other);
        rest
    }

    /// True if every GTID of `other` is in `self`.
    pub fn contains(&self, other: &Self) -> bool {
        other.minus(self).is_empty()
    }

    fn add_interval(&mut self, source: Source, (mut start, mut end): Interval) {
        let list = self.sources.entry(source).or_default();
        // The log adds at the end: the common case touches only the last interval.
        if let Some(last) = list.last_mut()
            && last.1 == start
        {
            last.1 = end;
            return;
        }
        let from = list.partition_point(|&(_, b)| b < start);
        let to = list.partition_point(|&(a, _)| a <= end);
        if let (Some(first), Some(last)) = (list.get(from), to.checked_sub(1).map(|i| list[i]))
            && from < to
        {
            start = start.min(first.0);
            end = end.max(last.1);
        }
        list.splice(from..to.max(from), [(start, end)]);
    }

    /// The encoding of COM_BINLOG_DUMP_GTID: tagged only if a tag is in the set, so that servers
    /// that know no tags are served too.
    pub fn encode(&self) -> Vec<u8> {
        let tagged = self.sources.keys().any(|source| !source.tag.is_empty());
        let count = self.sources.len() as u64;
        let head = if tagged { 1 << 56 | count << 8 | 1 } else { count };
        let mut out = head.to_le_bytes().to_vec();
        for (source, list) in &self.sources {
            out.extend_from_slice(&source.uuid);
            if tagged {
                let len = u8::try_from(source.tag.len()).expect("invariant: tags have 32 bytes");
                out.push(len << 1);
                out.extend_from_slice(source.tag.as_bytes());
            }
            out.extend_from_slice(&(list.len() as u64).to_le_bytes());
            for (start, end) in list {
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&end.to_le_bytes());
            }
        }
        out
    }

    /// Parses the binary encoding (the body of a Previous_gtids event).
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut c = Cursor::new(bytes);
        let head = c.u64_le()?;
        let (tagged, count) = match head >> 56 {
            0 => (false, head),
            1 => (true, head << 8 >> 16),
            _ => return Err(WireError::Invalid { offset: 7, what: "GTID set format" }),
        };
        let mut set = Self::default();
        for _ in 0..count {
            let uuid = c.array::<16>()?;
            let tag = if tagged {
                let len = usize::from(c.u8()? >> 1);
                let offset = c.offset();
                let text = core::str::from_utf8(c.bytes(len)?).ok();
                match text {
                    Some("") => "".into(),
                    Some(text) => {
                        parse_tag(text).ok_or(WireError::Invalid { offset, what: "GTID tag" })?
                    }
                    None => return Err(WireError::Invalid { offset, what: "GTID tag" }),
                }
            } else {
                "".into()
            };
            let source = Source { uuid, tag };
            for _ in 0..c.u64_le()? {
                let offset = c.offset();
                let (start, end) = (c.u64_le()?, c.u64_le()?);
                if start == 0 || start >= end || end > NUMBER_END {
                    return Err(WireError::Invalid { offset, what: "GTID interval" });
                }
                set.add_interval(source.clone(), (start, end));
            }
        }
        Ok(set)
    }
}

impl fmt::Display for GtidSet {
    /// As MySQL writes it, without line ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last: Option<&[u8; 16]> = None;
        for (source, list) in &self.sources {
            if last != Some(&source.uuid) {
                if last.is_some() {
                    f.write_char(',')?;
                }
                write_uuid(f, &source.uuid)?;
                last = Some(&source.uuid);
            }
            if !source.tag.is_empty() {
                write!(f, ":{}", source.tag)?;
            }
            for &(start, end) in list {
                write!(f, ":{start}")?;
                if end - start > 1 {
                    write!(f, "-{}", end - 1)?;
                }
            }
        }
        Ok(())
    }
}

/// A MariaDB position: the last GTID of each domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidList {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl GtidList {
    /// Parses `domain-server-seq,…`; of several of one domain the last one counts.
    pub fn parse(text: &str) -> Result<Self, GtidTextError> {
        let mut list = Self::default();
        for gtid in parse_mariadb(text)? {
            list.add(&gtid);
        }
        Ok(list)
    }

    /// Moves its domain to this GTID; MySQL's are ignored.
    pub fn add(&mut self, gtid: &Gtid) {
        if let Gtid::MariaDb { domain, server, seq } = *gtid {
            self.domains.insert(domain, (server, seq));
        }
    }

    /// (domain, server, seq), by domain.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> {
        self.domains.iter().map(|(&domain, &(server, seq))| (domain, server, seq))
    }

    /// (server, seq) of a domain.
    pub fn get(&self, domain: u32) -> Option<(u32, u64)> {
        self.domains.get(&domain).copied()
    }

    /// True without any domain.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// True if every domain of `goal` is at its sequence number or beyond (strict mode: numbers of
    /// a domain only rise).
    pub fn reached(&self, goal: &Self) -> bool {
        goal.iter().all(|(domain, _, seq)| self.get(domain).is_some_and(|(_, at)| at >= seq))
    }
}

impl fmt::Display for GtidList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (domain, server, seq)) in self.iter().enumerate() {
            write!(f, "{}{domain}-{server}-{seq}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Parses MariaDB's comma-separated GTIDs in their order (`gtid_binlog_state` has several of one
/// domain, one a server).
pub fn parse_mariadb(text: &str) -> Result<Vec<Gtid>, GtidTextError> {
    let mut list = Vec::new();
    let mut offset = 0;
    for part in text.split(',') {
        if !part.trim().is_empty() {
            let mut fields = part.trim().split('-');
            let parsed = (|| {
                let domain = fields.next()?.parse().ok()?;
                let server = fields.next()?.parse().ok()?;
                let seq = fields.next()?.parse().ok()?;
                fields.next().is_none().then_some(Gtid::MariaDb { domain, server, seq })
            })();
            list.push(parsed.ok_or(GtidTextError { offset })?);
        }
        offset += part.len() + 1;
    }
    Ok(list)
}

impl fmt::Display for Gtid {
    /// `uuid:n`, `uuid:tag:n` or `domain-server-seq`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql { uuid, tag, number } => {
                write_uuid(f, uuid)?;
                if !tag.is_empty() {
                    write!(f, ":{tag}")?;
                }
                write!(f, ":{number}")
            }
            Self::MariaDb { domain, server, seq } => write!(f, "{domain}-{server}-{seq}"),
        }
    }
}

/// Parses a uuid with or without dashes.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits = text.bytes().filter(|&b| b != b'-');
    let mut uuid = [0; 16];
    let mut count = 0;
    for digit in digits {
        let value = char::from(digit).to_digit(16)?;
        let slot = uuid.get_mut(count / 2)?;
        *slot = *slot << 4 | u8::try_from(value).ok()?;
        count += 1;
    }
    (count == 32).then_some(uuid)
}

fn parse_tag(text: &str) -> Option<Arc<str>> {
    let first = text.bytes().next()?;
    let good = text.len() <= 32
        && (first.is_ascii_alphabetic() || first == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    good.then(|| text.to_ascii_lowercase().into())
}

fn write_uuid(f: &mut fmt::Formatter<'_>, uuid: &[u8; 16]) -> fmt::Result {
    for (i, byte) in uuid.iter().enumerate() {
        write!(f, "{}{byte:02x}", if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" })?;
    }
    Ok(())
}

/// A uuid in the servers' text form.
pub fn uuid_text(uuid: &[u8; 16]) -> String {
    Gtid::MySql { uuid: *uuid, tag: "".into(), number: 0 }
        .to_string()
        .trim_end_matches(":0")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use proptest::prelude::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "77d1902c-01da-11f1-9a41-908d6e5f6e8d";

    fn set(text: &str) -> GtidSet {
        GtidSet::parse(text).unwrap()
    }

    #[test]
    fn text_is_normalised_as_the_server_does() {
        // Goal: order, merging, tags, blanks. Method: texts in the forms MySQL prints and takes.
        for (given, want) in [
            ("".into(), "".into()),
            (format!("{A}:3:1-2:5-7"), format!("{A}:1-3:5-7")),
            (format!("{B}:1,\n{A}:1-4"), format!("{A}:1-4,{B}:1")),
            (format!("{A}:1-13:MyTag:1:3"), format!("{A}:1-13:mytag:1:3")),
            (format!("{A}:mytag:1,{A}:1"), format!("{A}:1:mytag:1")),
            (format!("{}:9-3:1", A.to_uppercase()), format!("{A}:1")),
        ] {
            assert_eq!(set(&given).to_string(), want);
        }
        for bad in
            ["x:1", "3e11fa47-71ca-11e1-9e33-c80aa9429562", &format!("{A}:0"), &format!("{A}:1:")]
        {
            assert!(GtidSet::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(GtidSet::parse(&format!("{A}:1,x:1")), Err(GtidTextError { offset: 39 }));
    }

    #[test]
    fn set_algebra() {
        // Goal: contains, minus, union at interval borders and with tags. Method: small sets.
        let all = set(&format!("{A}:1-10:t:1-3"));
        assert!(all.contains(&set(&format!("{A}:2-10"))));
        assert!(!all.contains(&set(&format!("{A}:10-11"))));
        assert!(!all.contains(&set(&format!("{A}:u:1"))));
        assert!(!all.contains(&set(&format!("{B}:1"))));
        let rest = all.minus(&set(&format!("{A}:1:4-5:10:t:1-3")));
        assert_eq!(rest.to_string(), format!("{A}:2-3:6-9"));
        let mut back = rest;
        back.union(&set(&format!("{A}:1:4-5:10:t:1-3")));
        assert_eq!(back, all);
        let gtid = Gtid::MySql { uuid: parse_uuid(A).unwrap(), tag: "t".into(), number: 3 };
        assert!(all.contains_gtid(&gtid));
        assert_eq!(gtid.to_string(), format!("{A}:t:3"));
    }

    #[test]
    fn encodings() {
        // Goal: the tagged head only when needed; hostile counts end. Method: bytes by hand.
        let plain = set(&format!("{A}:1-5")).encode();
        assert_eq!(plain[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            plain[24..48],
            [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]
        );
        let tagged = set(&format!("{A}:1:ab:2")).encode();
        assert_eq!(tagged[..8], [1, 2, 0, 0, 0, 0, 0, 1]);
        assert_eq!(tagged[24], 0);
        assert_eq!(tagged[24 + 1 + 24 + 16..][..3], [4, b'a', b'b']);
        assert!(GtidSet::decode(&[255, 255, 255, 255, 255, 255, 255, 0]).is_err());
        assert!(GtidSet::decode(&[0, 0, 0, 0, 0, 0, 0, 9]).is_err());
    }

    #[test]
    fn mariadb_lists() {
        // Goal: last of a domain counts, goals are per domain. Method: texts of the server.
        let list = GtidList::parse("1-7-4, 0-3371-5,0-2-9").unwrap();
        assert_eq!(list.to_string(), "0-2-9,1-7-4");
        assert!(list.reached(&GtidList::parse("0-3371-9").unwrap()));
        assert!(!list.reached(&GtidList::parse("2-1-1").unwrap()));
        assert!(GtidList::parse("0-1").is_err() && GtidList::parse("0-1-2-3").is_err());
    }

    proptest! {
        #[test]
        fn sets_round_trip_and_behave_like_sets(
            ones in prop::collection::vec((0u8..2, 0usize..2, 1u64..40), 0..60),
            others in prop::collection::vec((0u8..2, 0usize..2, 1u64..40), 0..60),
        ) {
            // Goal: text and binary round trips, add, minus, contains. Method: against BTreeSet.
            use alloc::collections::BTreeSet;
            let build = |list: &[(u8, usize, u64)]| {
                let mut set = GtidSet::default();
                for &(uuid, tag, number) in list {
                    set.add(&Gtid::MySql { uuid: [uuid; 16], tag: ["", "x"][tag].into(), number });
                }
                set
            };
            let (a, b) = (build(&ones), build(&others));
            prop_assert_eq!(&GtidSet::parse(&a.to_string()).unwrap(), &a);
            prop_assert_eq!(&GtidSet::decode(&a.encode()).unwrap(), &a);
            let (sa, sb): (BTreeSet<_>, BTreeSet<_>) =
                (ones.into_iter().collect(), others.into_iter().collect());
            let minus: Vec<_> = sa.difference(&sb).copied().collect();
            prop_assert_eq!(a.minus(&b), build(&minus));
            prop_assert_eq!(a.contains(&b), sb.is_subset(&sa));
        }

        #[test]
        fn hostile_sets_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text: String) {
            // Goal: no panic. Method: noise.
            let _ = GtidSet::decode(&bytes);
            let _ = GtidSet::parse(&text);
            let _ = GtidList::parse(&text);
        }
    }
}
