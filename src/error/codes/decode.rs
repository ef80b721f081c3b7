//! Codes of `penstock decode`.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "decode-damaged",
        title: "a binlog file is damaged",
        means: "What stands at this place cannot be an event: a length that is too small, a wrong \
                checksum, fields that do not fit. The records before it are whole.",
        mend: "Fetch the file again from the server (mysqlbinlog --read-from-remote-server --raw), \
               or decode what comes before and after it from other copies.",
    },
    Code {
        code: "decode-no-binlog",
        title: "the file is no binlog file",
        means: "A binlog file of MySQL or MariaDB begins with the bytes fe 62 69 6e; an encrypted \
                one, which only its server can read, with fd 62 69 6e.",
        mend: "Give the server's files whose names end in a number, binlog.000001 and so on.",
    },
    Code {
        code: "decode-row",
        title: "a row cannot be shown",
        means: "The row does not fit the table's columns, or has a type that this version does not \
                know. The records before it are whole.",
        mend: "If the file is sound (mysqlbinlog reads it), please report it.",
    },
    Code {
        code: "decode-two-logs",
        title: "the files are of MySQL and of MariaDB",
        means: "Several files are decoded as one log, in the order in which they are given.",
        mend: "Decode each server's files by a command of their own.",
    },
    Code {
        code: "decode-unreadable",
        title: "a file cannot be read",
        means: "The system refused to open or to read it; the message has its reason.",
        mend: "Look at the path and at the rights on it.",
    },
];
