//! Codes of the command line.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "usage-bad-log-filter",
        title: "the log filter cannot be read",
        means: "--log or the variable RUST_LOG chooses what is logged: a level, or a list of parts \
                with a level each. This one is neither.",
        mend: "Write for example --log debug, or --log warn,penstock=debug.",
    },
    Code {
        code: "usage-one-pipeline",
        title: "the command is about one pipeline",
        means: "Setting or deleting an offset is done to one pipeline at a time, so that a folder \
                given by mistake changes nothing.",
        mend: "Give the TOML file of that pipeline.",
    },
    Code {
        code: "usage-unknown-topic",
        title: "help knows neither a command nor a code of that name",
        means: "penstock help explains commands and the codes of errors and findings.",
        mend: "Copy the code from the brackets of the message: error[CODE].",
    },
];
