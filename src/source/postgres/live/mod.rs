//! The reader against real servers, without shards and sinks behind it: a rig takes what the
//! router hands on, makes it "durable" as a test wants, and shows rows as the server spelled them.

mod changes;
mod checks;
mod logins;
mod rig;
mod starts;
mod streamed;
mod trouble;

#[path = "../../../../tests/live/server.rs"]
#[allow(dead_code)]
mod server;
