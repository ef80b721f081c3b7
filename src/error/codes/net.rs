//! Codes of connections: addresses, TLS, time-outs.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "net-host",
        title: "whether a host of the source takes connections",
        means: "Every host that the configuration names is reached once, also those that are kept \
                for a failover.",
        mend: "Compare host and port with the configuration, and try from this machine: nc -vz HOST \
               PORT. The database must listen on that address, not on 127.0.0.1 only.",
    },
    Code {
        code: "net-unreachable",
        title: "a server cannot be reached, or the connection broke",
        means: "No connection to the source's address could be made in time, or an open one ended. \
                It is tried again after 1, 2, 4 … 60 seconds, for ever.",
        mend: "Check `source.host` and `source.port`, that the server runs and listens there, name \
               resolution, and the firewalls between.",
    },
];
