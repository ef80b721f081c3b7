//! The machine on statements of known effect.
