//! Codes of connections: addresses, TLS, time-outs.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[Code {
    code: "net-unreachable",
    title: "a server cannot be reached, or the connection broke",
    means: "No connection to the source's address could be made in time, or an open one ended. \
                It is tried again after 1, 2, 4 … 60 seconds, for ever.",
    mend: "Check `source.host` and `source.port`, that the server runs and listens there, name \
               resolution, and the firewalls between.",
}];
