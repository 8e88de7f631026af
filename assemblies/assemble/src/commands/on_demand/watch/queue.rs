//! The queue of tasks to run. Delivers at least once and, if asked to, twice and in random order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use assembly::trigger::event::Start;
use serde_json::Value;

/// A task to run for an event.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The object's key, for messages.
    pub(super) key: String,
    /// The event.
    pub(super) event: Value,
    /// The container and its overrides.
    pub(super) start: Start,
}

impl Job {
    /// Creates a job for an event.
    pub(super) fn new(key: &str, event: Value, start: Start) -> Self {
        Self {
            key: key.to_owned(),
            event,
            start,
        }
    }
}

/// The queue between the directory and the workers.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    duplicate: f64,
    reorder: bool,
}

#[derive(Debug)]
struct State {
    jobs: VecDeque<Job>,
    /// Jobs taken and not finished.
    busy: usize,
    is_closed: bool,
    random: u64,
}

impl Queue {
    /// Creates an empty queue.
    pub(super) fn new(duplicate: f64, reorder: bool, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                busy: 0,
                is_closed: false,
                random: seed,
            }),
            changed: Condvar::new(),
            duplicate,
            reorder,
        }
    }

    /// Adds a job, sometimes twice.
    pub(super) fn put(&self, job: Job) {
        let mut state = self.lock();
        if state.next_fraction() < self.duplicate {
            state.jobs.push_back(job.clone());
        }
        state.jobs.push_back(job);
        self.changed.notify_all();
    }

    /// Waits for a job. Returns `None` once the queue is closed.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            let at = match state.jobs.len() {
                count @ 2.. if self.reorder => state.next_below(count),
                _ => 0,
            };

            if let Some(job) = state.jobs.remove(at) {
                state.busy += 1;
                return Some(job);
            }

            state = self
                .changed
                .wait(state)
                // A panic of another worker leaves the state consistent.
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that a job taken from the queue is finished.
    pub(super) fn finish(&self) {
        self.lock().busy -= 1;
    }

    /// Returns whether no job is queued or running.
    pub(super) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.jobs.is_empty() && state.busy == 0
    }

    /// Makes every `take` return `None`, also for queued jobs.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the next number of the seeded sequence (SplitMix64; Steele, Lea and Flood, OOPSLA 2014).
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to but not including 1.
    fn next_fraction(&mut self) -> f64 {
        let millionths = u32::try_from(self.next() % 1_000_000).unwrap_or_default();
        f64::from(millionths) / 1e6
    }

    fn next_below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(1);
        usize::try_from(self.next() % limit).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(key: &str) -> Job {
        let start = Start {
            container: "app".to_owned(),
            variables: Vec::new(),
            overrides: Value::Null,
            characters: 0,
        };
        Job::new(key, Value::Null, start)
    }

    fn take_keys(queue: &Queue, count: usize) -> Vec<String> {
        (0..count).filter_map(|_| Some(queue.take()?.key)).collect()
    }

    #[test]
    fn delivers_in_order_and_once_by_default() {
        let queue = Queue::new(0.0, false, 1);
        for key in ["a", "b", "c"] {
            queue.put(job(key));
        }
        assert_eq!(take_keys(&queue, 3), ["a", "b", "c"]);
        // Taken but unfinished jobs keep the queue busy.
        assert!(!queue.is_idle());
        (0..3).for_each(|_| queue.finish());
        assert!(queue.is_idle());
        queue.close();
        assert!(queue.take().is_none());
    }

    #[test]
    fn delivers_twice_and_in_random_order_if_asked() {
        let queue = Queue::new(1.0, true, 7);
        let keys = ["a", "b", "c", "d", "e"];
        for key in keys {
            queue.put(job(key));
        }

        let all = take_keys(&queue, 10);
        let in_order: Vec<&str> = keys.iter().flat_map(|key| [*key; 2]).collect();
        assert_ne!(all, in_order);
        let mut sorted = all.clone();

        sorted.sort();
        assert_eq!(sorted, in_order);
    }
}
