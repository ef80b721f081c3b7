//! Waiting that ends when the pipeline is asked to stop.
//!
//! Enters: a future that may be dropped. Leaves: its output, or `None` at a stop.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use crate::runtime::{sleep, watch};

/// The future's output; `None`: asked to stop before it was ready.
pub async fn until<T>(
    stop: &mut watch::Receiver<bool>,
    future: impl Future<Output = T>,
) -> Option<T> {
    if stop.get() {
        return None;
    }
    let stopped = pin!(stop.wait_for(|stop| *stop));
    match select(pin!(future), stopped).await {
        Either::Left((output, _)) => Some(output),
        // Nobody can ask for a stop any more: the pipeline is gone.
        Either::Right(_) => None,
    }
}

/// Sleeps; false: asked to stop.
pub async fn rest(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    until(stop, sleep(time)).await.is_some()
}

/// Seconds before the n-th try in a row (from 0): 1, 2, 4 … 60.
pub fn backoff(tries: u32) -> Duration {
    Duration::from_secs(1u64.checked_shl(tries).map_or(60, |s| s.clamp(1, 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        // Goal: 1, 2, 4 … 60 s, for ever. Method: the first and far ones.
        let seconds = [0, 1, 2, 5, 6, 63, 64, u32::MAX].map(|n| backoff(n).as_secs());
        assert_eq!(seconds, [1, 2, 4, 32, 60, 60, 60, 60]);
    }
}
