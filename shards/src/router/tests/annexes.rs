//! Records beside rows in the router: order, groups that end in any way, lost connections.

use super::*;
use crate::annex::{Annex, AnnexKind, Message, SchemaChange};

fn change(ddl: &str) -> Annex {
    Annex::SchemaChange(Box::new(SchemaChange { ddl: Some(ddl.into()), ..Default::default() }))
}

fn message(prefix: &str) -> Annex {
    Annex::Message(Message {
        database: String::new(),
        prefix: prefix.into(),
        content: Vec::new(),
        transactional: true,
        position: 5,
    })
}

/// Everything in order, as text: bodies of rows, `<ddl>`, `(prefix)`, `<3` for a heartbeat, each
/// with its `Seq`. One shard.
fn told(router: &mut Router) -> Vec<String> {
    let mut told = Vec::new();
    for (_, batch) in drain(router).batches {
        for frame in &batch.frames {
            let FrameHead { kind, offset, len, .. } = frame.head;
            let seq = batch.txns[frame.txn as usize].seq;
            assert!(frame.head.kind != FrameKind::Annex || len == 0);
            let text = if kind == FrameKind::Annex {
                match &*batch.annexes[offset as usize] {
                    Annex::SchemaChange(change) => format!("<{}>", change.ddl.as_deref().unwrap()),
                    Annex::Message(message) => format!("({})", message.prefix),
                    _ => "<3".to_owned(),
                }
            } else {
                let data = batch.segment.as_ref().unwrap().data();
                let body = &data[offset as usize..(offset + len) as usize];
                String::from_utf8(body.to_vec()).unwrap()
            };
            told.push(format!("{seq} {text}"));
        }
    }
    told
}

#[test]
fn alone_it_is_a_transaction_of_its_own() {
    // Goal: outside of groups a record is whole at once, with a commit point; method: a schema
    // change and a heartbeat between two transactions.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.begin(origin(), 0, false, id(1)).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    router.commit(lsn(10)).unwrap();
    router.annex(change("x"), origin(), 3).unwrap();
    router.heartbeat();
    assert_eq!(router.whole(), Seq(3));
    router.flush().unwrap();
    let drained = drain(&mut router);
    let [(_, batch)] = &drained.batches[..] else { panic!("one batch") };
    assert_eq!((batch.through, batch.txns[1].commit_us), (Seq(3), 3));
    let kinds: Vec<_> = batch.frames.iter().map(|f| AnnexKind::of(f.head.table)).collect();
    assert_eq!(kinds, [None, Some(AnnexKind::SchemaChange), Some(AnnexKind::Heartbeat)]);
    let [point] = &drained.points[..] else { panic!("one point") };
    assert_eq!((point.seq, point.delta.clone()), (Seq(3), Some(lsn(10))));
}

#[test]
fn l05_in_a_held_group_it_waits_for_the_end() {
    // Goal: a record in a group that may roll back leaves with the group, in its place, in memory
    // and spilled; a heartbeat does not wait. Method: one group with both bounds.
    for bound in [1 << 20, 1] {
        let mut router = router(1, &Spill::default(), bound);
        router.begin(origin(), 0, true, id(1)).unwrap();
        give(&mut router, 0, &[b"a"]).unwrap();
        router.annex(change("x"), origin(), 0).unwrap();
        router.heartbeat();
        give(&mut router, 0, &[b"b"]).unwrap();
        router.annex(change("y"), origin(), 0).unwrap();
        router.flush().unwrap();
        assert_eq!(told(&mut router), ["1 <3"], "bound {bound}");
        router.commit(lsn(10)).unwrap();
        router.flush().unwrap();
        assert_eq!(told(&mut router), ["2 a", "2 <x>", "2 b", "2 <y>"], "bound {bound}");
    }
}

#[test]
fn a_held_group_of_records_alone_is_routed() {
    // Goal: a group without rows that holds a record has a `Seq`; method: commit, then rollback
    // (no rollback takes a schema change back), then a lost connection (it comes again).
    let mut router = router(1, &Spill::default(), 1 << 20);
    let open = |router: &mut Router| {
        router.begin(origin(), 0, true, id(1)).unwrap();
        router.annex(change("x"), origin(), 0).unwrap();
    };
    open(&mut router);
    router.commit(lsn(10)).unwrap();
    open(&mut router);
    router.rollback(lsn(20)).unwrap();
    open(&mut router);
    router.interrupted().unwrap();
    router.flush().unwrap();
    assert_eq!(told(&mut router), ["1 <x>", "2 <x>"]);
}

#[test]
fn a_streaming_group_that_comes_again_tells_nothing_twice() {
    // Goal: after a lost connection records already routed are passed over, the rest follows, and
    // a heartbeat in between has the group's number. Method: cut after two records, come again;
    // then come again as another group.
    let mut router = router(1, &Spill::default(), 1 << 20);
    router.begin(origin(), 0, false, id(1)).unwrap();
    router.annex(message("one"), origin(), 0).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    router.annex(message("two"), origin(), 0).unwrap();
    router.interrupted().unwrap();
    router.heartbeat();
    let alone = router.annex(message("none"), origin(), 0);
    assert_eq!(alone, Err(RouterError::AnotherGroup));
    router.flush().unwrap();
    assert_eq!(told(&mut router), ["1 (one)", "1 a", "1 (two)", "1 <3"]);
    assert_eq!(router.whole(), Seq(0), "not before its end");
    router.begin(origin(), 0, false, id(1)).unwrap();
    router.annex(message("one"), origin(), 0).unwrap();
    give(&mut router, 0, &[b"a"]).unwrap();
    router.annex(message("two"), origin(), 0).unwrap();
    router.annex(message("three"), origin(), 0).unwrap();
    router.commit(lsn(10)).unwrap();
    router.flush().unwrap();
    assert_eq!(told(&mut router), ["1 (three)"]);
    assert_eq!(router.whole(), Seq(1));

    router.begin(origin(), 0, false, id(2)).unwrap();
    router.annex(message("long"), origin(), 0).unwrap();
    router.interrupted().unwrap();
    router.begin(origin(), 0, false, id(2)).unwrap();
    let other = router.annex(message("longer"), origin(), 0);
    assert_eq!(other, Err(RouterError::AnotherGroup));
}

#[test]
fn h05_bytes_of_records_count_until_they_have_left() {
    // Goal: a flood of large messages is seen in `pending_bytes`; method: before and after a drain.
    let mut router = router(2, &Spill::default(), 1 << 20);
    router.annex(message(&"x".repeat(1000)), origin(), 0).unwrap();
    assert_eq!(router.pending_bytes(), 1000);
    router.flush().unwrap();
    drain(&mut router);
    assert_eq!(router.pending_bytes(), 0);
}
