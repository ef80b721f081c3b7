//! Codes of the pipeline itself: what its machines and their wiring say.

use super::Code;

/// Sorted by code.
pub(super) const CODES: &[Code] = &[
    Code {
        code: "pipeline-defect",
        title: "parts of the pipeline disagree",
        means: "A row reached a shard without the schema of its table. This cannot happen unless \
            Penstock itself is wrong; it stopped so that nothing is guessed.",
        mend: "Please report it with the lines before it. Nothing is lost: a new start goes on \
            from the last checkpoint.",
    },
    Code {
        code: "pipeline-ended",
        title: "a part of the pipeline ended before the others",
        means: "This line follows another error, which is the cause, and is printed only if that \
            one could not be had.",
        mend: "Look at the lines before it in the log.",
    },
    Code {
        code: "pipeline-heartbeat",
        title: "the statement of the heartbeat does not answer",
        means: "`heartbeat_action_query` has ten seconds, its login included. The stream goes on; \
                the statement is tried again with the next heartbeat.",
        mend: "Look at what the statement waits for on the source: a lock, or a host that does not \
                answer.",
    },
    Code {
        code: "pipeline-panic",
        title: "a part of the pipeline panicked",
        means: "A task ended in a way that only a defect of Penstock explains. The pipeline \
            stopped; others of the same process go on.",
        mend: "Please report it with the lines before it. Nothing is lost: a new start goes on \
            from the last checkpoint.",
    },
    Code {
        code: "pipeline-position",
        title: "the source's position cannot be kept",
        means: "A position that the source gave, or that the checkpoint holds, cannot be read or \
            does not follow from the one before.",
        mend: "See `penstock offsets show`. If the state was changed by hand, set the offset \
            again with `penstock offsets set`, or delete it and take a new snapshot.",
    },
    Code {
        code: "pipeline-router",
        title: "the log is not what it should be",
        means: "The order of transactions in the log contradicts itself: a commit without a \
            begin, another transaction after a lost connection than before it, or a spilled \
            transaction that cannot be read back. Going on would be a guess.",
        mend: "Start again: the pipeline goes on from its last checkpoint. If it comes again, \
            look at the disk of the state folder, and report it.",
    },
    Code {
        code: "pipeline-row-too-large",
        title: "a row is larger than this build takes",
        means: "One row, encoded, does not fit even in a batch of its own.",
        mend: "Exclude the table or its large column (exclude_tables, exclude_columns).",
    },
    Code {
        code: "pipeline-sink-refuses",
        title: "a sink refuses a record for good",
        means: "The sink answered that a batch can never be delivered. Its text says why.",
        mend: "Mend what the sink says, then start again: the pipeline goes on from its last \
            checkpoint.",
    },
    Code {
        code: "pipeline-sink-silent",
        title: "a sink does not answer",
        means: "A batch was handed to a sink and neither acknowledged nor refused for five \
            minutes. The sink is taken for lost, and the pipeline stops rather than wait for \
            ever.",
        mend: "Look at what the sink writes to (a full or hanging disk, a pipe that nobody \
            reads), then start again.",
    },
    Code {
        code: "pipeline-table",
        title: "a table cannot be captured any further",
        means: "A row of the table cannot be turned into a record with certainty: a column type \
            that this version does not decode, or bytes that are not what the schema says. \
            Penstock never guesses. With on_table_error = \"fail\" (the default) the pipeline \
            stops before that row.",
        mend: "Exclude the table (exclude_tables) or the column (exclude_columns), or set \
            on_table_error = \"stop_table\": then this table stops, recorded in the checkpoint, \
            and the rest goes on.",
    },
];
