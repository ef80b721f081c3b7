//! Codes of `penstock demo`.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "demo-failed",
        title: "the demo's database server failed",
        means: "The demo runs a private PostgreSQL in a temporary folder. One of its programs \
                could not be started or ended with the error shown.",
        mend: "The message is the server's own. A full /tmp, a machine without memory and \
               containers that forbid another user id are the usual reasons; TMPDIR chooses \
               another folder.",
    },
    Code {
        code: "demo-folder",
        title: "the demo's folder cannot be made",
        means: "The demo writes its configuration and records to a new folder, so that those of \
                an earlier demo are never mixed with them.",
        mend: "Go to a folder that you may write, or name one that does not exist: penstock demo \
               --folder DIR.",
    },
    Code {
        code: "demo-no-postgres",
        title: "there is no PostgreSQL to run the demo on",
        means: "The demo needs the programs postgres, initdb and psql of version 13 or later. It \
                looks in PATH and where the distributions put them, and as root installs them by \
                the system's package manager.",
        mend: "Install the server: sudo apt-get install -y postgresql (Debian, Ubuntu), sudo dnf \
               install postgresql-server (Fedora, Red Hat). It need not be running.",
    },
];
