//! Groups of the log: how they begin, end, wait and roll back, and where each leaves us.
//!
//! Enters: the events that open and end groups. Leaves: begin, commit, rollback, prepare and so on
//! at the router, each with what moved. Keeps: our place moves after the router has taken the group,
//! so that a refused one is read again.

use std::sync::Arc;

use penstock_protocol::mysql::ddl::XaVerb;
use penstock_protocol::mysql::event::{EventHeader, XaPrepare, ty};
use penstock_protocol::mysql::group::{
    Alter, FL_COMPLETED_XA, FL_PREPARED_XA, FL_STANDALONE, GroupStart,
};
use penstock_protocol::position::{Gtid, PositionDelta};
use penstock_shards::hop::TxnOrigin;
use penstock_shards::router::{GroupId, RouterError};
use penstock_shards::spill::SpillError;

use super::events::Log;
use super::place::{Gtids, Place};
use super::{Reader, errors};
use crate::error::{Error, Result};
use crate::source::context::router_error;

/// An open group.
pub(super) struct Group {
    pub(super) gtid: Option<Gtid>,
    pub(super) commit_us: i64,
    /// That is the GTID event's time, not that of some event's head.
    pub(super) dated: bool,
    /// Where its first event starts.
    pub(super) file: Arc<str>,
    pub(super) start: u64,
    /// Bytes of its events so far, to notice a wrap of 32-bit offsets.
    pub(super) bytes: u64,
    /// BEGIN, XA START or (MariaDB) a GTID event that is not alone was read.
    pub(super) begun: bool,
    pub(super) xa: bool,
    /// Of what Debezium calls a transaction: where its begin stands, and the time in that event's
    /// head.
    pub(super) begin: Option<(u64, i64)>,
    /// The router has it.
    pub(super) routed: bool,
    pub(super) alter: Alter,
    pub(super) server_id: u32,
    pub(super) thread: Option<u32>,
    /// Statements so far that may change tables.
    pub(super) statements: u32,
}

impl Reader {
    /// Makes the router open the group, at its first frame.
    pub(super) fn open_group(&mut self, log: &mut Log, header: &EventHeader) -> Result<()> {
        if log.group.is_none() {
            log.group = Some(Group::anonymous(log, header));
        }
        let streams = log.server.groups_never_roll_back();
        let group = log.group.as_mut().expect("invariant: made just above");
        if std::mem::replace(&mut group.routed, true) {
            return Ok(());
        }
        if let (Some((position, us)), false) = (group.begin, group.xa) {
            // Debezium tells the time of a GTID event in both records, else that of each event.
            let us = if group.commit_us == 0 { us } else { group.commit_us };
            self.ctx.router.mark_begin(position, us);
        }
        if group.commit_us == 0 {
            group.commit_us = i64::from(header.timestamp) * 1_000_000;
            group.dated = false;
        }
        let hold = group.begun && (group.xa || !streams || log.unverified);
        let (id, origin, commit_us) = (group.id(), group.origin(), group.commit_us);
        self.ctx.router.begin(origin, commit_us, hold, id).map_err(router_error)
    }

    pub(super) fn commit(&mut self, log: &mut Log, header: &EventHeader) -> Result<()> {
        let metadata = self.ctx.source.provide_transaction_metadata;
        if metadata && log.group.as_ref().is_some_and(|g| g.begin.is_some() && !g.xa) {
            // Also without a row of ours it is a transaction with a BEGIN and an END.
            self.open_group(log, header)?;
        }
        let Some(group) = log.group.take() else { return Ok(()) };
        if !group.dated {
            self.ctx.router.mark_end(i64::from(header.timestamp) * 1_000_000);
        }
        log.query = None;
        let delta = self.delta(log, &group, header);
        if group.routed {
            self.ctx.router.commit(delta.clone()).map_err(refused)?;
        } else {
            self.ctx.router.advance(delta.clone());
        }
        self.arrived(&group, &delta);
        Ok(())
    }

    pub(super) fn rollback(&mut self, log: &mut Log, header: &EventHeader) -> Result<()> {
        let Some(group) = log.group.take() else { return Ok(()) };
        log.query = None;
        let delta = self.delta(log, &group, header);
        if group.routed {
            self.ctx.router.rollback(delta.clone()).map_err(refused)?;
        } else {
            self.ctx.router.advance(delta.clone());
        }
        self.arrived(&group, &delta);
        Ok(())
    }

    pub(super) fn savepoint(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        name: &str,
    ) -> Result<()> {
        if log.server.groups_never_roll_back() && !log.group.as_ref().is_some_and(|g| g.xa) {
            return Ok(());
        }
        self.open_group(log, header)?;
        self.ctx.router.savepoint(name.as_bytes()).map_err(router_error)
    }

    pub(super) fn rollback_to(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        name: &str,
    ) -> Result<()> {
        if !log.group.as_ref().is_some_and(|group| group.routed) {
            return Ok(());
        }
        let at = log.at(header);
        self.ctx.router.rollback_to(name.as_bytes()).map_err(|e| router_error(e).at(at))
    }

    // -------------------------------------------------------------------------------------- XA

    pub(super) fn xa(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        verb: XaVerb,
        xid: &[u8],
    ) -> Result<()> {
        match verb {
            XaVerb::Start => {
                if let Some(group) = &mut log.group {
                    (group.begun, group.xa) = (true, true);
                }
                Ok(())
            }
            XaVerb::End | XaVerb::Prepare => Ok(()),
            XaVerb::Commit | XaVerb::Rollback => {
                let Some(mut group) = log.group.take() else { return Ok(()) };
                if group.commit_us == 0 {
                    group.commit_us = i64::from(header.timestamp) * 1_000_000;
                }
                let delta = self.delta(log, &group, header);
                let done = if verb == XaVerb::Commit {
                    let (origin, commit_us) = (group.origin(), group.commit_us);
                    self.ctx.router.commit_prepared(xid, origin, commit_us, delta.clone())
                } else {
                    match self.ctx.router.rollback_prepared(xid, delta.clone()) {
                        // Prepared before our time: nothing of it was ever ours.
                        Err(RouterError::UnknownXid) => {
                            self.ctx.router.advance(delta.clone());
                            Ok(())
                        }
                        other => other,
                    }
                };
                done.map_err(|e| unknown_xid(e, log, header))?;
                self.arrived(&group, &delta);
                Ok(())
            }
        }
    }

    /// Every XA group is parked, one without captured rows too: its end must be known again.
    pub(super) fn xa_prepare(
        &mut self,
        log: &mut Log,
        header: &EventHeader,
        xa: &XaPrepare,
    ) -> Result<()> {
        if xa.one_phase {
            return self.commit(log, header);
        }
        if let Some(group) = &mut log.group {
            (group.begun, group.xa) = (true, true);
        }
        self.open_group(log, header)?;
        let Some(group) = log.group.take() else { return Ok(()) };
        log.query = None;
        let delta = self.delta(log, &group, header);
        self.ctx.router.prepare(&xa.xid, delta.clone()).map_err(refused)?;
        self.arrived(&group, &delta);
        Ok(())
    }

    // ------------------------------------------------------------------------------- positions

    /// The position behind a group.
    pub(super) fn delta(&self, log: &mut Log, group: &Group, end: &EventHeader) -> PositionDelta {
        // Offsets have 32 bits: a group that passes 4 GiB makes them meaningless in this file.
        if group.start + group.bytes > u64::from(u32::MAX)
            || end.end_log_pos != 0 && u64::from(end.end_log_pos) < group.start
        {
            log.wrapped = true;
        }
        let at = match end.end_log_pos {
            0 => None,
            _ if log.wrapped => None,
            pos => Some((log.file.clone(), u64::from(pos))),
        };
        // A position without GTIDs stays without: a set that begins here would be a lie.
        let counts = self.place.as_ref().is_some_and(|place| place.gtids != Gtids::None);
        let gtids = group.gtid.iter().filter(|_| counts).cloned().collect();
        PositionDelta::Binlog { at, gtids }
    }

    /// Our place if the open group ends with this event.
    pub(super) fn place_behind(&self, log: &Log, end: &EventHeader) -> Place {
        let mut place = self.place.clone().expect("invariant: streaming has a place");
        if end.end_log_pos != 0 && !log.wrapped {
            (place.file, place.pos) = (log.file.clone(), end.end_log_pos.into());
        }
        if let Some(gtid) = log.group.as_ref().and_then(|group| group.gtid.as_ref())
            && place.gtids != Gtids::None
        {
            place.gtids.add(gtid);
        }
        place
    }

    /// The router has the group: our place is behind it. Only now, so that a refused one is read
    /// again after a reconnect.
    pub(super) fn arrived(&mut self, group: &Group, delta: &PositionDelta) {
        let (Some(place), PositionDelta::Binlog { at, .. }) = (&mut self.place, delta) else {
            return;
        };
        if let Some((file, pos)) = at {
            (place.file, place.pos) = (file.clone(), *pos);
        }
        if let Some(gtid) = &group.gtid {
            place.gtids.add(gtid);
        }
    }
}

impl Group {
    /// A group without an event of its own at its start.
    pub(super) fn anonymous(log: &Log, header: &EventHeader) -> Self {
        Self {
            gtid: None,
            commit_us: 0,
            dated: true,
            file: log.file.clone(),
            start: log.start_of(header),
            bytes: header.len.into(),
            begun: false,
            xa: false,
            begin: None,
            routed: false,
            alter: Alter::No,
            server_id: header.server_id,
            thread: None,
            statements: 0,
        }
    }

    pub(super) fn id(&self) -> GroupId {
        match &self.gtid {
            Some(gtid) => GroupId::Gtid(gtid.clone()),
            None => GroupId::Binlog(self.file.clone(), self.start),
        }
    }

    /// The source block of a schema change: without thread and query, as Debezium has it.
    pub(super) fn origin_of_statement(&self) -> TxnOrigin {
        TxnOrigin::Binlog {
            gtid: self.gtid.as_ref().map(|gtid| gtid.to_string().into()),
            file: self.file.clone(),
            server_id: self.server_id,
            thread: None,
            query: None,
        }
    }

    pub(super) fn origin(&self) -> TxnOrigin {
        TxnOrigin::Binlog {
            gtid: self.gtid.as_ref().map(|gtid| gtid.to_string().into()),
            file: self.file.clone(),
            server_id: self.server_id,
            thread: self.thread,
            query: None,
        }
    }
}

/// What `Group::begin` says of the event that begins it.
pub(super) fn begin_of(log: &Log, header: &EventHeader) -> (u64, i64) {
    (log.start_of(header), i64::from(header.timestamp) * 1_000_000)
}

pub(super) fn start_group(log: &mut Log, header: &EventHeader, body: &[u8]) -> Result<()> {
    if log.group.is_some() {
        let what = "a transaction begins before the one before it has ended";
        return Err(Error::fatal("my-log-order", what)
            .at(log.at(header))
            .hint("the log is damaged here, or a proxy drops events: take a new snapshot"));
    }
    let start = GroupStart::parse(header, body).map_err(errors::broken)?;
    let mariadb = header.ty == ty::MARIADB_GTID;
    // Debezium takes the commit time from GTID events alone.
    // MariaDB's GTID event stands for BEGIN, and for XA START.
    let begun = mariadb && start.flags & (FL_STANDALONE | FL_COMPLETED_XA) == 0;
    let us = if start.gtid.is_some() { start.commit_us } else { 0 };
    log.group = Some(Group {
        commit_us: i64::try_from(us).unwrap_or_default(),
        begun,
        xa: start.flags & FL_PREPARED_XA != 0,
        begin: begun.then(|| begin_of(log, header)),
        alter: start.alter,
        gtid: start.gtid,
        ..Group::anonymous(log, header)
    });
    Ok(())
}

/// A router's refusal; without room to spill, the group is read again later (HAZARDS H11).
fn refused(e: RouterError) -> Error {
    match e {
        RouterError::Spill(SpillError::Full) => {
            Error::transient("my-spill-full", "no room to spill a transaction in the state folder")
                .hint("make room in the state folder: nothing is lost")
        }
        e => router_error(e),
    }
}

fn unknown_xid(e: RouterError, log: &Log, header: &EventHeader) -> Error {
    if e != RouterError::UnknownXid {
        return refused(e);
    }
    Error::fatal(
        "my-xa-unknown",
        "an XA transaction is committed whose rows lie before this pipeline's position",
    )
    .at(log.at(header))
    .hint(
        "take a new snapshot (remove the state folder); with GRANT XA_RECOVER_ADMIN ON *.* TO the \
         user its start waits for prepared transactions",
    )
}
