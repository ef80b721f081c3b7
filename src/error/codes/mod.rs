//! The registry of error and finding codes: `penstock help CODE` prints an entry. One file an area;
//! a test holds that every code used in the sources is registered, once, and none is left over.
//!
//! To add a code: an entry in the file of its area (the prefix before the first `-`).

mod config;
mod decode;
mod demo;
mod my;
mod net;
mod pg;
mod pipeline;
mod runtime;
mod sink;
mod state;
mod tls;
mod usage;

/// What `penstock help CODE` prints. Texts are paragraphs without line breaks (`\` at the end of a
/// source line joins); an empty line (`\n\n`) parts paragraphs. They are wrapped when printed.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// Stable name: area, `-`, words in kebab case.
    pub code: &'static str,
    /// One line, without a full stop.
    pub title: &'static str,
    /// What it means and why it is an error.
    pub means: &'static str,
    /// What to do about it, with statements and commands where there are any.
    pub mend: &'static str,
}

/// All areas: prefix and entries.
pub const AREAS: &[(&str, &[Code])] = &[
    ("config", config::CODES),
    ("decode", decode::CODES),
    ("demo", demo::CODES),
    ("my", my::CODES),
    ("net", net::CODES),
    ("pg", pg::CODES),
    ("pipeline", pipeline::CODES),
    ("runtime", runtime::CODES),
    ("sink", sink::CODES),
    ("state", state::CODES),
    ("tls", tls::CODES),
    ("usage", usage::CODES),
];

/// All entries, area by area.
pub fn all() -> impl Iterator<Item = &'static Code> {
    AREAS.iter().flat_map(|(_, codes)| codes.iter())
}

/// The entry of `code`.
pub fn find(code: &str) -> Option<&'static Code> {
    all().find(|entry| entry.code == code)
}

/// The registered code whose spelling is nearest, if one is near at all.
pub fn nearest(code: &str) -> Option<&'static str> {
    all()
        .map(|entry| (strsim::normalized_damerau_levenshtein(code, entry.code), entry.code))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, code)| code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Source files of the binary's room, the registry itself left out.
    fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("src is readable").path();
            if path.is_dir() && !path.ends_with("codes") {
                sources(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }

    fn source_texts() -> Vec<(PathBuf, String)> {
        let mut paths = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut paths);
        paths.sort();
        let read = |path: PathBuf| {
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            (path, text)
        };
        paths.into_iter().map(read).collect()
    }

    #[test]
    fn every_code_used_is_registered() {
        // Goal: no error whose `help CODE` is silent. Method: find the first arguments of the
        // constructors of Error and Finding in all sources, and every literal that is spelt like
        // a code of an area.
        let prefixes: Vec<&str> = AREAS.iter().map(|(prefix, _)| *prefix).collect();
        let makers = "transient|definite|fatal|usage|ok|warning|failure";
        let made = format!(r#"(?:Error|Finding)::(?:{makers})\(\s*"([^"]+)""#);
        let spelt = format!(r#""((?:{})-[a-z0-9]+(?:-[a-z0-9]+)*)""#, prefixes.join("|"));
        let mut missing = BTreeSet::new();
        for pattern in [made, spelt] {
            let pattern = regex::Regex::new(&pattern).expect("a valid pattern");
            for (path, text) in source_texts() {
                for found in pattern.captures_iter(&text) {
                    if find(&found[1]).is_none() {
                        missing.insert(format!("{} ({})", &found[1], path.display()));
                    }
                }
            }
        }
        assert_eq!(missing, BTreeSet::new(), "add them to src/error/codes/AREA.rs");
    }

    #[test]
    fn every_registered_code_is_used() {
        // Goal: no entry explains what cannot happen. Method: the quoted code occurs in a source
        // file outside of the registry.
        let texts = source_texts();
        let used = |code: &str| texts.iter().any(|(_, text)| text.contains(&format!("\"{code}\"")));
        let unused: Vec<&str> = all().map(|e| e.code).filter(|code| !used(code)).collect();
        assert_eq!(unused, Vec::<&str>::new());
    }

    #[test]
    fn entries_are_well_formed() {
        // Goal: codes are unique, in their area's file, sorted; texts are whole. Method: a walk.
        for (prefix, codes) in AREAS {
            let names: Vec<&str> = codes.iter().map(|entry| entry.code).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "sorted and unique: {names:?}");
            for entry in *codes {
                assert_eq!(entry.code.split('-').next(), Some(*prefix), "{}", entry.code);
                assert!(!entry.title.ends_with('.') && !entry.title.is_empty(), "{}", entry.code);
                for text in [entry.means, entry.mend] {
                    assert!(text.ends_with('.'), "{}: {text}", entry.code);
                    assert!(!text.contains("  "), "{}: stray spaces: {text}", entry.code);
                }
            }
        }
    }

    #[test]
    fn nearest_names_a_near_code_only() {
        // Goal: a slip of the finger is mended, nonsense is not. Method: two words.
        assert_eq!(nearest("config-unknwon-key"), Some("config-unknown-key"));
        assert_eq!(nearest("zebra"), None);
    }
}
