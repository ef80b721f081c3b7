//! Events of binlog files to records: what the reader and a shard do, in one place and without a
//! server.
//!
//! Enters: files. Leaves: records, in the order of the log. Keeps: every row event as logged, also
//! of transactions that roll back and of system versioning's history; names and keys from the log,
//! else from the DDL that stands in it, else `@1`, `@2`, … and no key.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use penstock_protocol::cursor::WireError;
use penstock_protocol::frame::{FrameHead, FrameKind, SnapshotMarker, TableId};
use penstock_protocol::mysql::event::{
    self, Checksum, EventHeader, FLAG_IGNORABLE, FormatDescription, Query, RowsHead, ty,
};
use penstock_protocol::mysql::group::GroupStart;
use penstock_protocol::mysql::handshake::version_numbers;
use penstock_protocol::mysql::payload::PayloadHead;
use penstock_protocol::mysql::table_map::TableMap;
use penstock_protocol::schema::{SourceKind, TableName, TableSchema};
use penstock_shards::batch::Batch;
use penstock_shards::encode::options::{Connector, EncodeOptions};
use penstock_shards::encode::{Encoded, JsonEncoder, Resume, RowEncoder};
use penstock_shards::history::{Catalogue, Server, Statement, collation};
use penstock_shards::hop::{Frame, TxnHead, TxnOrigin};
use penstock_shards::limits::ROW_BYTES_MAX;
use penstock_shards::segment::Segment;
use penstock_shards::seq::Seq;

use super::blocks::{LogFile, Piece, damaged};
use super::columns;
use super::output::Output;
use crate::error::{Error, Result};
use crate::runtime::clock;
use crate::source::mysql::events::is_idle_type;
use crate::source::mysql::history::statement_text;
use crate::source::mysql::inflate;

/// Largest window of a compressed transaction, as a power of two; the decoder takes as much memory.
const WINDOW_LOG_MAX: u32 = 27;

/// All files of one log.
pub(super) struct Decoder {
    out: Output,
    server: Option<Known>,
    /// Of the file that is read: its base name.
    file: Arc<str>,
    checksum: Checksum,
    /// By the log's own numbers, which are a file's.
    maps: HashMap<u64, TableId>,
    seq: u64,
    group: Group,
    batch: Batch,
    /// Event types of which was said that they are not shown.
    told: HashSet<u8>,
}

/// What is known once the first format description was read.
struct Known {
    mariadb: bool,
    catalogue: Catalogue,
    /// Rises with every statement that changes tables.
    generation: u64,
    tables: HashMap<TableName, Shown>,
    encoder: JsonEncoder,
}

/// A table as it is shown.
struct Shown {
    id: TableId,
    version: u32,
    /// The TABLE_MAP without the table's number, and the catalogue's state, that it was made of.
    made_of: (Vec<u8>, u64),
}

/// The open transaction.
#[derive(Default)]
struct Group {
    gtid: Option<Arc<str>>,
    /// 0: not told.
    commit_us: i64,
    thread: Option<u32>,
    head: Option<Arc<TxnHead>>,
}

impl Decoder {
    pub(super) fn new(out: Output) -> Self {
        Self {
            out,
            server: None,
            file: "".into(),
            checksum: Checksum::Off,
            maps: HashMap::new(),
            seq: 0,
            group: Group::default(),
            batch: Batch::default(),
            told: HashSet::new(),
        }
    }

    /// Shows all files. The last one may end inside of an event; one before it may not.
    pub(super) fn files(&mut self, paths: &[PathBuf]) -> Result<()> {
        for (n, path) in paths.iter().enumerate() {
            let mut file = LogFile::open(path)?;
            let cut = self.file(&mut file, path)?;
            if let (Some(at), true) = (cut, n + 1 < paths.len()) {
                return Err(damaged("its last event is cut off").at(file.place(at)));
            }
        }
        Ok(())
    }

    /// What is still in memory goes out.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.out.flush()
    }

    /// One file; where its last event is cut off, if it is.
    fn file(&mut self, file: &mut LogFile, path: &Path) -> Result<Option<u64>> {
        let name = path.file_name().unwrap_or_default();
        self.file = name.to_string_lossy().into();
        self.maps.clear();
        loop {
            let (segment, places, at) = match file.poll()? {
                Piece::Events { segment, places, at } => (segment, places, at),
                Piece::End => return Ok(None),
                Piece::Cut(at) => return Ok(Some(at)),
            };
            for place in places {
                let position = at + place.start as u64;
                let shown = self.event(&segment, place.start, place.len(), position);
                shown.map_err(|error| match error.at {
                    Some(_) => error,
                    None => error.at(file.place(position)),
                })?;
            }
        }
    }

    fn event(
        &mut self,
        segment: &Arc<Segment>,
        at: usize,
        len: usize,
        position: u64,
    ) -> Result<()> {
        let raw = segment.data().get(at..at + len).unwrap_or_default();
        let header = EventHeader::parse(raw).map_err(broken)?;
        if header.ty == ty::FORMAT_DESCRIPTION {
            return self.format(raw);
        }
        if self.checksum == Checksum::Crc32 && !event::crc_matches(raw) {
            return Err(damaged("a checksum is wrong"));
        }
        let body = event::body(raw, self.checksum).map_err(broken)?;
        if header.ty == ty::TRANSACTION_PAYLOAD {
            return self.payload(body, position);
        }
        let body = at + event::HEADER_BYTES..at + event::HEADER_BYTES + body.len();
        self.plain_event(&header, segment, body, position)
    }

    /// The events of a compressed transaction, one after another, inflated as a stream. All stand
    /// where the one around them does.
    fn payload(&mut self, body: &[u8], position: u64) -> Result<()> {
        let head = PayloadHead::parse(body).map_err(broken)?;
        let packed = body.get(head.len..).unwrap_or_default();
        let mut events: Box<dyn Read> = if head.zstd {
            let mut inflated = zstd::Decoder::with_buffer(packed).map_err(unpacked)?;
            inflated.window_log_max(WINDOW_LOG_MAX).map_err(unpacked)?;
            Box::new(inflated)
        } else {
            Box::new(packed)
        };
        let mut left = head.inflated;
        while left > 0 {
            let mut event = Vec::new();
            let front = event::HEADER_BYTES as u64;
            (&mut events).take(front).read_to_end(&mut event).map_err(unpacked)?;
            let header = EventHeader::parse(&event).map_err(broken)?;
            let len = u64::from(header.len);
            if len < front || len > left || len > ROW_BYTES_MAX as u64 {
                return Err(damaged("a compressed transaction holds an event of a wrong length"));
            }
            (&mut events).take(len - front).read_to_end(&mut event).map_err(unpacked)?;
            if event.len() as u64 != len || header.ty == ty::TRANSACTION_PAYLOAD {
                return Err(damaged("a compressed transaction holds what it may not"));
            }
            left -= len;
            let end = event.len();
            let segment = Segment::freeze(event, end, None);
            self.plain_event(&header, &segment, event::HEADER_BYTES..end, position)?;
        }
        Ok(())
    }

    /// An event whose body, without checksum, stands at `place`.
    fn plain_event(
        &mut self,
        header: &EventHeader,
        segment: &Arc<Segment>,
        place: Range<usize>,
        position: u64,
    ) -> Result<()> {
        let body = segment.data().get(place.clone()).unwrap_or_default();
        match header.ty {
            ty::WRITE_ROWS_V1..=ty::DELETE_ROWS_V1
            | ty::WRITE_ROWS..=ty::DELETE_ROWS
            | ty::PARTIAL_UPDATE_ROWS => self.rows(header, header.ty, segment, place, position),
            ty::MARIADB_WRITE_ROWS_COMPRESSED_V1..=ty::MARIADB_DELETE_ROWS_COMPRESSED => {
                let (code, plain) = inflate::rows(header.ty, body).map_err(broken)?;
                let len = plain.len();
                let plain = Segment::freeze(plain, len, None);
                self.rows(header, code, &plain, 0..len, position)
            }
            ty::TABLE_MAP => self.table_map(body),
            ty::GTID | ty::ANONYMOUS_GTID | ty::GTID_TAGGED | ty::MARIADB_GTID => {
                let start = GroupStart::parse(header, body).map_err(broken)?;
                self.group = Group {
                    gtid: start.gtid.map(|gtid| gtid.to_string().into()),
                    commit_us: i64::try_from(start.commit_us).unwrap_or(0),
                    ..Group::default()
                };
                Ok(())
            }
            ty::QUERY | ty::EXECUTE_LOAD_QUERY => self.query(header.ty, body),
            ty::MARIADB_QUERY_COMPRESSED => {
                let plain = inflate::query(body).map_err(broken)?;
                self.query(ty::QUERY, &plain)
            }
            ty::XID | ty::XA_PREPARE => {
                self.group = Group::default();
                Ok(())
            }
            ty::ROTATE => Ok(()),
            other => {
                self.tell(other, header.flags & FLAG_IGNORABLE != 0);
                Ok(())
            }
        }
    }

    /// The first of a file, and in a relay log its source's behind it: the last one counts.
    fn format(&mut self, raw: &[u8]) -> Result<()> {
        let format = FormatDescription::parse(raw).map_err(broken)?;
        self.checksum = format.checksum;
        let mariadb = format.server_version.to_ascii_lowercase().contains("mariadb");
        if let Some(known) = &self.server {
            if known.mariadb == mariadb {
                return Ok(());
            }
            let what = "the files are of MySQL and of MariaDB: they cannot be one log";
            return Err(Error::usage("decode-two-logs", what).hint("decode them one by one"));
        }
        let version = version_numbers(&format.server_version);
        let (kind, connector) = match mariadb {
            true => (SourceKind::MariaDb, Connector::MariaDb),
            false => (SourceKind::MySql, Connector::MySql),
        };
        self.server = Some(Known {
            mariadb,
            catalogue: Catalogue::new(Server { mariadb, version, fold_names: false }),
            generation: 0,
            tables: HashMap::new(),
            encoder: JsonEncoder::new(EncodeOptions::new("decode", connector), kind),
        });
        Ok(())
    }

    fn known(&mut self) -> Result<&mut Known> {
        self.server.as_mut().ok_or_else(|| damaged("no format description stands at its beginning"))
    }

    fn query(&mut self, code: u8, body: &[u8]) -> Result<()> {
        let query = Query::parse(code, body).map_err(broken)?;
        let known = self.known()?;
        let mariadb = known.mariadb;
        match query.sql {
            b"BEGIN" => {}
            b"COMMIT" | b"ROLLBACK" => self.group.head = None,
            sql => {
                let sql = statement_text(sql, &query.vars);
                let database = String::from_utf8_lossy(query.database);
                let of = Statement::of(&sql, &database, &query.vars);
                let statement = Statement { error: query.error, ..of };
                known.suppose_database(&database, statement.collation_server);
                if !known.catalogue.apply(&statement).is_empty() {
                    known.generation += 1;
                }
            }
        }
        if !mariadb {
            self.group.thread = Some(query.thread_id);
        }
        Ok(())
    }

    fn table_map(&mut self, body: &[u8]) -> Result<()> {
        let known = self.known()?;
        let kind = if known.mariadb { SourceKind::MariaDb } else { SourceKind::MySql };
        let map = TableMap::parse(kind, body).map_err(broken)?;
        let name = TableName {
            database: map.database.clone(),
            schema: String::new(),
            table: map.table.clone(),
        };
        let made_of = (body.get(6..).unwrap_or_default(), known.generation);
        let count = u32::try_from(known.tables.len()).unwrap_or(u32::MAX);
        let shown = known.tables.entry(name.clone()).or_insert_with(|| Shown {
            id: TableId(count),
            version: 0,
            made_of: (Vec::new(), u64::MAX),
        });
        if (shown.made_of.0.as_slice(), shown.made_of.1) != made_of {
            shown.made_of = (made_of.0.to_vec(), made_of.1);
            shown.version += 1;
            let definition = known.catalogue.table(&name).map(Arc::as_ref);
            let (columns, key) = columns::shown(&map, definition, known.mariadb);
            known.encoder.handle_schema(Arc::new(TableSchema {
                table: shown.id,
                version: shown.version,
                name,
                columns,
                key,
                identity: Vec::new(),
                replica_identity: b'f',
                period: None,
            }));
        }
        let id = shown.id;
        self.maps.insert(map.table_id, id);
        Ok(())
    }

    fn rows(
        &mut self,
        header: &EventHeader,
        code: u8,
        segment: &Segment,
        place: Range<usize>,
        position: u64,
    ) -> Result<()> {
        let body = segment.data().get(place.clone()).unwrap_or_default();
        let head = RowsHead::parse(body).map_err(broken)?;
        // A number that stands for no table: only its end-of-statement flag means something.
        if head.table_id == 0xff_ffff {
            return Ok(());
        }
        let Some(&table) = self.maps.get(&head.table_id) else {
            let what = format!("rows of table number {} without its TABLE_MAP", head.table_id);
            return Err(damaged(&what));
        };
        let number = |n: usize| u32::try_from(n).map_err(|_| too_long());
        let frame = Frame {
            head: FrameHead {
                kind: match code {
                    ty::WRITE_ROWS_V1 | ty::WRITE_ROWS => FrameKind::Insert,
                    ty::DELETE_ROWS_V1 | ty::DELETE_ROWS => FrameKind::Delete,
                    _ => FrameKind::Update,
                },
                marker: SnapshotMarker::Streaming,
                format: code,
                table,
                offset: number(place.start)?,
                len: number(place.len())?,
                position,
            },
            txn: 0,
        };
        let txn = self.txn(header);
        self.encode(segment, &frame, &txn)
    }

    /// The head of the open transaction, made when its first row comes.
    fn txn(&mut self, header: &EventHeader) -> Arc<TxnHead> {
        let group = &mut self.group;
        if let Some(head) = &group.head {
            return head.clone();
        }
        self.seq += 1;
        let of_header = i64::from(header.timestamp) * 1_000_000;
        let head = Arc::new(TxnHead {
            seq: Seq(self.seq),
            commit_us: if group.commit_us == 0 { of_header } else { group.commit_us },
            origin: TxnOrigin::Binlog {
                gtid: group.gtid.clone(),
                file: self.file.clone(),
                server_id: header.server_id,
                thread: group.thread,
                query: None,
            },
            id: None,
        });
        group.head = Some(head.clone());
        head
    }

    fn encode(&mut self, segment: &Segment, frame: &Frame, txn: &Arc<TxnHead>) -> Result<()> {
        let Some(known) = &mut self.server else { return Ok(()) };
        let now_us = clock::now_us();
        let mut resume = Resume::default();
        loop {
            let batch = &mut self.batch;
            let encoded = known.encoder.encode(segment, frame, txn, now_us, &mut resume, batch);
            // Rows before the broken one are whole.
            self.out.batch(&self.batch, &known.encoder)?;
            self.batch.clear();
            match encoded {
                Ok(Encoded::Done) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    return Err(Error::fatal("decode-row", error.reason)
                        .hint("the records before this place are whole"));
                }
            }
        }
    }

    /// Says once of a type that it is not shown, if it may hold rows.
    fn tell(&mut self, code: u8, ignorable: bool) {
        let quiet = is_idle_type(code) || ignorable;
        if !quiet && self.told.insert(code) {
            let what = if code == ty::INCIDENT { "events may be lost here" } else { "is unknown" };
            tracing::warn!(file = %self.file, "the log holds an event of type {code}: {what}");
        }
    }
}

impl Known {
    /// A database whose CREATE is not in the files has the server's defaults: a guess that only
    /// `decode` may make.
    fn suppose_database(&mut self, name: &str, collation_server: Option<u16>) {
        if name.is_empty() || self.catalogue.databases().any(|(known, _)| known == name) {
            return;
        }
        let collation = collation_server.and_then(collation::collation_of);
        let collation = collation.unwrap_or("utf8mb4_general_ci");
        let charset = collation::charset_of(collation).unwrap_or("utf8mb4");
        self.catalogue.put_database(name, charset, collation);
    }
}

fn broken(error: WireError) -> Error {
    damaged(&error.to_string())
}

fn unpacked(_: io::Error) -> Error {
    damaged("a compressed transaction cannot be inflated")
}

fn too_long() -> Error {
    damaged("an event of 4 GiB")
}
