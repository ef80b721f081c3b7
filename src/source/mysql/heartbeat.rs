//! `heartbeat_action_query` on MySQL and MariaDB: its session, and how `check` looks at it.
//!
//! Enters: the statement. Leaves: that it ran, or why not. Keeps: locks are waited for briefly
//! (HAZARDS H3); `check` changes nothing: it has the server prepare the statement, which reads it,
//! resolves its names and looks at the privileges.

use super::connection::{Connection, literal};
use crate::check::Finding;
use crate::config;
use crate::error::Result;

/// A session that runs the statement.
pub struct Session(Connection);

impl Session {
    /// Logs in.
    pub async fn open(source: &config::Source) -> Result<Self> {
        let mut connection = Connection::open(source).await?;
        let sql = "SET SESSION lock_wait_timeout = 5, innodb_lock_wait_timeout = 5";
        connection.query(sql).await?;
        Ok(Self(connection))
    }

    /// Runs it once.
    pub async fn act(&mut self, query: &str) -> Result<()> {
        self.0.query(query).await.map(drop)
    }
}

/// What `check` finds.
pub(super) async fn look(connection: &mut Connection, query: &str) -> Result<Finding> {
    let prepare = format!("PREPARE penstock_heartbeat FROM {}", literal(query));
    Ok(match connection.attempt(&prepare).await? {
        Ok(_) => {
            connection.query("DEALLOCATE PREPARE penstock_heartbeat").await?;
            Finding::ok("my-heartbeat", "heartbeat_action_query is understood")
        }
        Err(refused) => {
            let error = super::errors::refused(&refused, query);
            Finding::failure("my-heartbeat", format!("heartbeat_action_query: {}", error.what))
                .mend("create the table that it writes to, and grant the user what it needs")
        }
    })
}
