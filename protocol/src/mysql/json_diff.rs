//! Changes of a JSON document (`binlog_row_value_options = PARTIAL_JSON`), laid over the document.
//!
//! ```text
//!  change     operation 1: 0 REPLACE, 1 INSERT, 2 REMOVE | path lenenc | document lenenc, not of REMOVE
//!  path       $ ( .name | ."name" | [n] | [last] | [last-n] )*
//! ```
//! (MySQL `sql/json_diff.cc`, `Json_diff_vector`, `apply_json_diffs`.)
//!
//! Enters: a binary document and its changes. Leaves: the text that the changed document has in a
//! whole image. Keeps: only containers on a path are taken apart; a change that does not fit its
//! document is an error, as it is to the server; what is taken apart is bounded by the bytes given.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::json::{Container, DEPTH_MAX, TextSink, Walk, string, value};
use super::packet::lenenc_bytes;
use crate::cursor::{Cursor, WireError};

/// Prints the document as `changes` leave it.
pub fn changed_to_text<S: TextSink>(
    document: &[u8],
    changes: &[u8],
    sink: &mut S,
) -> Result<(), WireError> {
    let bytes = document.len().saturating_add(changes.len());
    let mut walk = Walk { depth: 0, bytes };
    // An empty document is the JSON null of a column that was never set.
    let mut root = if document.is_empty() { Node::Raw(4, &[0]) } else { Node::of(document)? };
    let mut c = Cursor::new(changes);
    while !c.is_empty() {
        let offset = c.offset();
        let operation = c.u8()?;
        let path = lenenc_bytes(&mut c)?;
        let new = match operation {
            0 | 1 => Some(Node::of(lenenc_bytes(&mut c)?)?),
            2 => None,
            _ => return Err(WireError::Invalid { offset, what: "JSON change" }),
        };
        let misfit = WireError::Invalid { offset, what: "JSON change of another document" };
        apply(&mut root, operation, path, new, &mut walk, misfit)?;
    }
    // The bytes of tables that were taken apart are spent; what is printed is counted anew.
    let mut walk = Walk { depth: 0, bytes };
    print(&root, &mut walk, sink)
}

/// A value: bytes as they are, or a container that was taken apart.
enum Node<'a> {
    Raw(u8, &'a [u8]),
    Object(Vec<(Cow<'a, [u8]>, Node<'a>)>),
    Array(Vec<Node<'a>>),
}

impl<'a> Node<'a> {
    fn of(document: &'a [u8]) -> Result<Self, WireError> {
        let wanted = WireError::Truncated { offset: 0, wanted: 1 };
        document.split_first().map(|(&kind, body)| Self::Raw(kind, body)).ok_or(wanted)
    }

    /// Takes a container apart; a scalar stays.
    fn expand(&mut self, walk: &mut Walk) -> Result<(), WireError> {
        let &mut Self::Raw(kind @ 0..=3, body) = self else { return Ok(()) };
        let mut elements = Container::open(kind, body)?;
        let object = elements.object;
        let (mut members, mut values) = (Vec::new(), Vec::new());
        match object {
            true => members.reserve_exact(elements.left()),
            false => values.reserve_exact(elements.left()),
        }
        while let Some(element) = elements.next()? {
            walk.spend(element.bytes)?;
            let node = Self::Raw(element.kind, element.body);
            match object {
                true => members.push((Cow::Borrowed(element.key), node)),
                false => values.push(node),
            }
        }
        *self = if object { Self::Object(members) } else { Self::Array(values) };
        Ok(())
    }

    /// The value that a leg leads to.
    fn child(&mut self, leg: &Leg, walk: &mut Walk) -> Result<Option<&mut Self>, WireError> {
        self.expand(walk)?;
        Ok(match (self, leg) {
            (Self::Object(members), Leg::Member(name)) => {
                members.iter_mut().find(|(key, _)| key == name).map(|(_, node)| node)
            }
            (Self::Array(values), leg) => leg.index(values.len()).and_then(|i| values.get_mut(i)),
            // The server takes a scalar, or an object, for an array of one.
            (node, leg) => (leg.index(1) == Some(0)).then_some(node),
        })
    }
}

/// One step of a path.
enum Leg<'a> {
    Member(Cow<'a, [u8]>),
    Cell(usize),
    /// So many before the last cell.
    FromLast(usize),
}

impl Leg<'_> {
    fn index(&self, len: usize) -> Option<usize> {
        match self {
            Self::Member(_) => None,
            Self::Cell(i) => Some(*i),
            Self::FromLast(i) => len.checked_sub(i.checked_add(1)?),
        }
    }
}

fn apply<'a>(
    root: &mut Node<'a>,
    operation: u8,
    path: &'a [u8],
    new: Option<Node<'a>>,
    walk: &mut Walk,
    misfit: WireError,
) -> Result<(), WireError> {
    let mut legs = parse_path(path)?;
    let Some(last) = legs.pop() else {
        let (0, Some(new)) = (operation, new) else { return Err(misfit) };
        *root = new;
        return Ok(());
    };
    let mut parent = root;
    for leg in &legs {
        parent = parent.child(leg, walk)?.ok_or(misfit)?;
    }
    parent.expand(walk)?;
    match (operation, new) {
        (0, Some(new)) => *parent.child(&last, walk)?.ok_or(misfit)? = new,
        (1, Some(new)) => return insert(parent, last, new).ok_or(misfit),
        _ => match (parent, &last) {
            (Node::Object(members), Leg::Member(name)) => {
                let at = members.iter().position(|(key, _)| key == name).ok_or(misfit)?;
                members.remove(at);
            }
            (Node::Array(values), leg) => {
                let at = leg.index(values.len()).filter(|&at| at < values.len());
                values.remove(at.ok_or(misfit)?);
            }
            _ => return Err(misfit),
        },
    }
    Ok(())
}

/// A new member, in the order of keys (shorter ones first), or a new cell before the one named.
fn insert<'a>(parent: &mut Node<'a>, leg: Leg<'a>, new: Node<'a>) -> Option<()> {
    match (parent, leg) {
        (Node::Object(members), Leg::Member(name)) => {
            let order = |key: &[u8]| key.len().cmp(&name.len()).then_with(|| key.cmp(&*name));
            let at = members.iter().position(|(key, _)| order(key).is_ge());
            let at = at.unwrap_or(members.len());
            if members.get(at).is_some_and(|(key, _)| *key == name) {
                return None;
            }
            members.insert(at, (name, new));
        }
        (Node::Array(values), leg @ (Leg::Cell(_) | Leg::FromLast(_))) => {
            let at = leg.index(values.len()).unwrap_or(0).min(values.len());
            values.insert(at, new);
        }
        _ => return None,
    }
    Some(())
}

fn print<S: TextSink>(node: &Node, walk: &mut Walk, sink: &mut S) -> Result<(), WireError> {
    if sink.is_full() {
        return Err(WireError::Invalid { offset: 0, what: "JSON document size" });
    }
    walk.depth += 1;
    match node {
        Node::Raw(kind, body) => {
            walk.depth -= 1;
            return value(*kind, body, walk, sink);
        }
        Node::Object(members) => {
            for (i, (key, node)) in members.iter().enumerate() {
                sink.put(if i == 0 { b"{" } else { b"," });
                string(key, sink);
                sink.put(b":");
                print(node, walk, sink)?;
            }
            sink.put(if members.is_empty() { b"{}" } else { b"}" });
        }
        Node::Array(values) => {
            for (i, node) in values.iter().enumerate() {
                sink.put(if i == 0 { b"[" } else { b"," });
                print(node, walk, sink)?;
            }
            sink.put(if values.is_empty() { b"[]" } else { b"]" });
        }
    }
    walk.depth -= 1;
    Ok(())
}

// ------------------------------------------------------------------------------------- paths

fn parse_path(path: &[u8]) -> Result<Vec<Leg<'_>>, WireError> {
    let invalid = |offset| WireError::Invalid { offset, what: "JSON path" };
    let mut legs = Vec::new();
    let Some((b'$', mut rest)) = path.split_first() else { return Err(invalid(0)) };
    while let Some((&sign, after)) = rest.split_first() {
        let offset = path.len() - rest.len();
        let leg = match (sign, after.first()) {
            (b'.', Some(b'"')) => quoted(&after[1..]),
            (b'.', _) => {
                let len = after.iter().position(|b| b".[".contains(b)).unwrap_or(after.len());
                let (name, next) = after.split_at(len);
                (len > 0).then_some((Leg::Member(Cow::Borrowed(name)), next))
            }
            (b'[', _) => cell(after),
            _ => None,
        };
        let (leg, next) = leg.filter(|_| legs.len() < DEPTH_MAX).ok_or(invalid(offset))?;
        legs.push(leg);
        rest = next;
    }
    Ok(legs)
}

/// `n]`, `last]`, `last-n]`, and what follows.
fn cell(text: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    let len = text.iter().position(|&b| b == b']')?;
    let (text, next) = (core::str::from_utf8(&text[..len]).ok()?.trim(), &text[len + 1..]);
    let leg = match text.strip_prefix("last") {
        None => Leg::Cell(text.parse().ok()?),
        Some("") => Leg::FromLast(0),
        Some(back) => Leg::FromLast(back.trim().strip_prefix('-')?.trim().parse().ok()?),
    };
    Some((leg, next))
}

/// A name in quotes, with JSON's escapes, and what follows.
fn quoted(text: &[u8]) -> Option<(Leg<'_>, &[u8])> {
    let mut end = 0;
    let mut plain = true;
    loop {
        match text.get(end)? {
            b'"' => break,
            b'\\' => (plain, end) = (false, end + 2),
            _ => end += 1,
        }
    }
    let (name, next) = (&text[..end], &text[end + 1..]);
    if plain {
        return Some((Leg::Member(Cow::Borrowed(name)), next));
    }
    let mut out = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            out.push(byte);
            rest = after;
            continue;
        }
        let (&escape, after) = after.split_first()?;
        rest = after;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let (digits, after) = after.split_first_chunk::<4>()?;
                let code = u32::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
                let mut text = String::new();
                text.push(char::from_u32(code)?);
                out.extend_from_slice(text.as_bytes());
                rest = after;
            }
            other => out.push(other),
        }
    }
    Some((Leg::Member(Cow::Owned(out)), next))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use proptest::prelude::*;

    /// `{"a":1,"b":[1,2],"cc":"x"}`
    const DOCUMENT: &[u8] = &[
        0, 3, 0, 52, 0, 25, 0, 1, 0, 26, 0, 1, 0, 27, 0, 2, 0, 5, 1, 0, 2, 29, 0, 12, 39, 0, b'a',
        b'b', b'c', b'c', 2, 0, 10, 0, 5, 1, 0, 5, 2, 0, 1, b'x', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    /// The number 9.
    const NINE: &[u8] = &[5, 9, 0];

    fn change(operation: u8, path: &str, new: Option<&[u8]>) -> Vec<u8> {
        let mut out = vec![operation, path.len() as u8];
        out.extend_from_slice(path.as_bytes());
        if let Some(new) = new {
            out.push(new.len() as u8);
            out.extend_from_slice(new);
        }
        out
    }

    fn changed(changes: &[Vec<u8>]) -> Result<String, WireError> {
        let mut out = Vec::new();
        changed_to_text(DOCUMENT, &changes.concat(), &mut out)?;
        Ok(String::from_utf8(out).expect("UTF-8"))
    }

    #[test]
    fn each_operation() {
        // Goal: the text of a whole image after each change. Method: one document, by hand.
        for (changes, want) in [
            (vec![], r#"{"a":1,"b":[1,2],"cc":"x"}"#),
            (vec![change(0, "$.a", Some(NINE))], r#"{"a":9,"b":[1,2],"cc":"x"}"#),
            (vec![change(1, "$.c", Some(NINE))], r#"{"a":1,"b":[1,2],"c":9,"cc":"x"}"#),
            (vec![change(1, "$.\"a\\\"b\"", Some(NINE))], r#"{"a":1,"b":[1,2],"cc":"x","a\"b":9}"#),
            (vec![change(1, "$.b[1]", Some(NINE))], r#"{"a":1,"b":[1,9,2],"cc":"x"}"#),
            (vec![change(1, "$.b[7]", Some(NINE))], r#"{"a":1,"b":[1,2,9],"cc":"x"}"#),
            (vec![change(0, "$.b[last]", Some(NINE))], r#"{"a":1,"b":[1,9],"cc":"x"}"#),
            (
                vec![change(2, "$.b[0]", None), change(2, "$.b[0]", None)],
                r#"{"a":1,"b":[],"cc":"x"}"#,
            ),
            (vec![change(2, "$.a", None), change(2, "$.cc", None)], r#"{"b":[1,2]}"#),
            (vec![change(0, "$", Some(NINE))], "9"),
        ] {
            assert_eq!(changed(&changes).expect(want), want);
        }
    }

    #[test]
    fn a_change_that_does_not_fit_is_an_error() {
        // Goal: never a guess. Method: paths that lead nowhere, paths and operations that are none.
        for bad in [
            change(0, "$.z", Some(NINE)),
            change(1, "$.a", Some(NINE)),
            change(1, "$.b.c", Some(NINE)),
            change(1, "$", Some(NINE)),
            change(2, "$", None),
            change(2, "$.b[2]", None),
            change(2, "$.a.b", None),
            change(3, "$.a", None),
            change(0, "a", Some(NINE)),
            change(0, "$.", Some(NINE)),
            change(0, "$.b[x]", Some(NINE)),
            change(0, "$.b[1", Some(NINE)),
            change(0, "$.\"a", Some(NINE)),
            change(0, "$.a", Some(&[])),
        ] {
            assert!(changed(core::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        let good = change(0, "$.b[1]", Some(NINE));
        for cut in 1..good.len() {
            assert!(changed(&[good[..cut].to_vec()]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn containers_that_overlap_cannot_be_taken_apart_for_ever() {
        // Goal: memory bounded by the input. Method: an array that holds itself, and a path through it.
        let cycle = [2u8, 1, 0, 7, 0, 2, 4, 0];
        let path = format!("${}", "[0]".repeat(100));
        let mut out = Vec::new();
        assert!(changed_to_text(&cycle, &change(0, &path[..99], Some(NINE)), &mut out).is_err());
    }

    proptest! {
        #[test]
        fn noise_never_panics(document: Vec<u8>, changes: Vec<u8>, path in "[$.\"\\[\\]a-z0-9\\\\]{0,20}") {
            // Goal: hostile changes end. Method: noise, and noise as a path of a real document.
            let _ = changed_to_text(&document, &changes, &mut Vec::new());
            let _ = changed(&[change(0, &path, Some(NINE))]);
            let _ = changed_to_text(DOCUMENT, &changes, &mut Vec::new());
        }
    }
}
