//! Rings, mailboxes, watches and the segment pool, across threads.

use std::sync::Arc;
use std::time::Duration;

use penstock_shards::limits::{ROW_BYTES_MAX, SEGMENT_SLACK};

use super::super::ring::{Closed, PushError};
use super::super::segments::{Pool, TooLarge};
use super::super::*;
use super::{backends, core, on_each};

/// Goal: between two cores every item arrives, in order, whatever ring size and pauses. Method:
/// rings of 1, 2 and 64 items, with the sides taking turns at being slow.
#[test]
fn rings_lose_no_item_and_no_wakeup() {
    const ITEMS: u64 = 20_000;
    for backend in backends() {
        for capacity in [1, 2, 64] {
            let (left, right) = (core(backend), core(backend));
            let (mut producer, mut consumer) = ring::channel(capacity);
            let sent = left.spawn(move || async move {
                for i in 0..ITEMS {
                    producer.push(i).await.unwrap();
                    if i % 97 == 0 {
                        yield_now().await;
                    }
                }
            });
            let received = right.spawn(move || async move {
                let mut next = 0;
                while let Some(i) = consumer.pop().await {
                    assert_eq!(i, next);
                    next += 1;
                    if i % 89 == 0 {
                        yield_now().await;
                    }
                }
                next
            });
            assert_eq!(received.join(), Ok(ITEMS));
            assert_eq!(sent.join(), Ok(()));
            left.join();
            right.join();
        }
    }
}

/// Goal: both ends of a ring on one core work too. Method: as above, on one core.
#[test]
fn rings_work_within_one_core() {
    on_each(|| async {
        let (mut producer, mut consumer) = ring::channel(2);
        let sender = spawn_local(async move {
            for i in 0..1000 {
                producer.push(i).await.unwrap();
            }
        });
        for i in 0..1000 {
            assert_eq!(consumer.pop().await, Some(i));
        }
        assert_eq!(consumer.pop().await, None);
        sender.await;
    });
}

/// Goal: an end that goes wakes the other, and nothing is kept for nobody. Method: drop each end
/// while the other waits; count references of an item left behind.
#[test]
fn ring_ends_hear_each_other_go() {
    on_each(|| async {
        let (mut producer, consumer) = ring::channel(1);
        let item = Arc::new(());
        producer.try_push(item.clone()).unwrap();
        assert_eq!(producer.try_push(item.clone()), Err(PushError::Full(item.clone())));
        let waiting = {
            let item = item.clone();
            spawn_local(async move { producer.push(item).await })
        };
        yield_now().await;
        drop(consumer);
        assert_eq!(waiting.await, Err(Closed(item.clone())));
        assert_eq!(Arc::strong_count(&item), 1);

        let (producer, mut consumer) = ring::channel::<u8>(1);
        let waiting = spawn_local(async move { consumer.pop().await });
        yield_now().await;
        drop(producer);
        assert_eq!(waiting.await, None);
    });
}

/// Goal: a mailbox takes from threads and cores at once, each sender's items in order. Method: two
/// blocking threads and two cores into a mailbox of three.
#[test]
fn mailboxes_keep_each_senders_order() {
    const ITEMS: u32 = 3000;
    for backend in backends() {
        let (home, far) = (core(backend), core(backend));
        let (sender, mut receiver) = mailbox(3);
        let threads: Vec<_> = (0..2u32)
            .map(|who| {
                let sender = sender.clone();
                std::thread::spawn(move || {
                    for i in 0..ITEMS {
                        sender.send_blocking((who, i)).unwrap();
                    }
                })
            })
            .collect();
        for (who, core) in [(2u32, &home), (3, &far)] {
            let sender = sender.clone();
            drop(core.spawn(move || async move {
                for i in 0..ITEMS {
                    sender.send((who, i)).await.unwrap();
                }
            }));
        }
        drop(sender);
        let received = home.spawn(move || async move {
            let mut next = [0; 4];
            while let Some((who, i)) = receiver.recv().await {
                assert_eq!(next[who as usize], i);
                next[who as usize] += 1;
            }
            next
        });
        assert_eq!(received.join(), Ok([ITEMS; 4]));
        for thread in threads {
            thread.join().unwrap();
        }
        home.join();
        far.join();
    }
}

/// Goal: a receiver that goes drops what it did not take (HAZARDS H9 needs that) and frees who
/// waits. Method: an item in the box and one outside.
#[test]
fn h09_a_gone_receiver_drops_its_items() {
    let (sender, receiver) = mailbox(1);
    let item = Arc::new(());
    sender.try_send(item.clone()).unwrap();
    assert_eq!(sender.try_send(item.clone()), Err(PushError::Full(item.clone())));
    let waiting = {
        let (sender, item) = (sender.clone(), item.clone());
        std::thread::spawn(move || sender.send_blocking(item))
    };
    drop(receiver);
    assert_eq!(waiting.join().unwrap(), Err(Closed(item.clone())));
    assert!(sender.is_closed());
    assert_eq!(Arc::strong_count(&item), 1);
}

/// Goal: a watcher sees the last value and hears that setters are gone. Method: set, clone, drop.
#[test]
fn watches_give_the_last_value() {
    on_each(|| async {
        let (sender, mut receiver) = watch::channel(1);
        assert!(!receiver.has_changed());
        sender.set(2);
        sender.set(3);
        assert!(receiver.changed().await);
        assert_eq!(receiver.get(), 3);
        let late = timeout(Duration::from_millis(5), receiver.changed()).await;
        assert_eq!(late, Err(Elapsed));
        let far = std::thread::spawn(move || sender.set(9));
        assert_eq!(receiver.wait_for(|&v| v == 9).await, Some(9));
        far.join().unwrap();
        assert!(!receiver.changed().await);
        assert_eq!(receiver.wait_for(|&v| v == 1).await, None);
    });
}

/// Goal: a pool hands out no more than its buffers, waits for one, and loses none whether frozen
/// or dropped. Method: drain it, wait, let go from another thread.
#[test]
fn h05_segments_wait_and_come_home() {
    on_each(|| async {
        let pool = Pool::new(2, 100);
        let (a, b) = (pool.take().await, pool.take().await);
        assert_eq!(a.len(), 100 + SEGMENT_SLACK);
        assert!(pool.try_take().is_none());
        assert_eq!(pool.out(), 2);
        let frozen = b.freeze(7);
        assert_eq!(frozen.data().len(), 7);
        let far = std::thread::spawn(move || drop(frozen));
        let c = pool.take().await;
        far.join().unwrap();
        drop(a);
        drop(c);
        assert_eq!(pool.out(), 0);
    });
}

/// Goal: one oversize buffer at a time, within the bound. Method: a second waits for the first.
#[test]
fn h05_oversize_buffers_come_one_at_a_time() {
    on_each(|| async {
        let pool = Pool::new(1, 100);
        let big = pool.take_oversize(1000).await.ok().unwrap();
        assert_eq!(big.capacity(), 1000);
        let second = timeout(Duration::from_millis(5), pool.take_oversize(2000)).await;
        assert!(second.is_err());
        let small = pool.take_oversize(100).await.ok().unwrap();
        assert_eq!(small.capacity(), 100);
        drop(big.freeze(1000));
        assert_eq!(pool.take_oversize(2000).await.ok().unwrap().capacity(), 2000);
        let refused = pool.take_oversize(ROW_BYTES_MAX + 1).await.err();
        assert_eq!(refused, Some(TooLarge { bytes: ROW_BYTES_MAX + 1 }));
    });
}
