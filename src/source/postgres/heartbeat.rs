//! `heartbeat_action_query` on PostgreSQL: its session, and how `check` looks at it.
//!
//! Enters: the statement. Leaves: that it ran, or why not. Keeps: locks are waited for briefly
//! (HAZARDS H3); `check` changes nothing: what it ran is rolled back.

use super::connection::{Connection, Purpose};
use crate::check::Finding;
use crate::config;
use crate::error::Result;

const DOING: &str = "running heartbeat_action_query";

/// A session that runs the statement.
pub struct Session(Connection);

impl Session {
    /// Logs in.
    pub async fn open(source: &config::Source, name: &str) -> Result<Self> {
        let mut connection = Connection::open(source, Purpose::Catalogue, name).await?;
        connection.query(DOING, "SET statement_timeout = '10s'").await?;
        Ok(Self(connection))
    }

    /// Runs it once.
    pub async fn act(&mut self, query: &str) -> Result<()> {
        self.0.query(DOING, query).await.map(drop)
    }
}

/// What `check` finds: it is run and rolled back.
pub(super) async fn look(connection: &mut Connection, query: &str) -> Result<Finding> {
    connection.query(DOING, "BEGIN").await?;
    let ran = connection.try_query(DOING, query).await?;
    connection.query(DOING, "ROLLBACK").await?;
    Ok(match ran {
        Ok(_) => Finding::ok("pg-heartbeat", "heartbeat_action_query runs"),
        Err(refused) => {
            let error = refused.into_error(DOING);
            Finding::failure("pg-heartbeat", error.what)
                .mend("create the table that it writes to, and grant the role what it needs")
        }
    })
}
