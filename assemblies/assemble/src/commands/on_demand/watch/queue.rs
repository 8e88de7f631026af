//! What waits to be run. It delivers at least once and, where that is asked for, twice and in any order.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use assembly::trigger::event::Start;
use serde_json::Value;

/// A task to be run for an event.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The key, for people.
    pub(super) key: String,
    /// The event.
    pub(super) event: Value,
    /// What the task is told.
    pub(super) start: Start,
}

impl Job {
    /// For an event.
    pub(super) fn new(key: &str, event: Value, start: Start) -> Self {
        Self {
            key: key.to_owned(),
            event,
            start,
        }
    }
}

/// The queue between the folder and the workers.
#[derive(Debug)]
pub(super) struct Queue {
    inside: Mutex<Inside>,
    news: Condvar,
    duplicate: f64,
    reorder: bool,
}

#[derive(Debug)]
struct Inside {
    jobs: VecDeque<Job>,
    /// Taken and not yet done.
    busy: usize,
    is_closed: bool,
    chance: u64,
}

impl Queue {
    /// An empty one.
    pub(super) fn new(duplicate: f64, reorder: bool, seed: u64) -> Self {
        Self {
            inside: Mutex::new(Inside {
                jobs: VecDeque::new(),
                busy: 0,
                is_closed: false,
                chance: seed,
            }),
            news: Condvar::new(),
            duplicate,
            reorder,
        }
    }

    /// Puts a job in, perhaps twice.
    pub(super) fn put(&self, job: Job) {
        let mut inside = self.inside();
        if inside.chance() < self.duplicate {
            inside.jobs.push_back(job.clone());
        }
        inside.jobs.push_back(job);
        self.news.notify_all();
    }

    /// Waits for a job; none when the queue is closed.
    pub(super) fn take(&self) -> Option<Job> {
        let mut inside = self.inside();
        loop {
            if inside.is_closed {
                return None;
            }
            let at = match inside.jobs.len() {
                many @ 2.. if self.reorder => inside.below(many),
                _ => 0,
            };

            if let Some(job) = inside.jobs.remove(at) {
                inside.busy += 1;
                return Some(job);
            }

            inside = self
                .news
                .wait(inside)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A job that was taken has come to its end.
    pub(super) fn done(&self) {
        self.inside().busy -= 1;
    }

    /// Whether nothing waits and nothing runs.
    pub(super) fn is_idle(&self) -> bool {
        let inside = self.inside();
        inside.jobs.is_empty() && inside.busy == 0
    }

    /// Lets nobody have anything any more.
    pub(super) fn close(&self) {
        self.inside().is_closed = true;
        self.news.notify_all();
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// The next number of a sequence that a seed decides (Steele and others, "SplitMix64").
    fn next(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to less than 1.
    fn chance(&mut self) -> f64 {
        let thousandths = u32::try_from(self.next() % 1_000_000).unwrap_or_default();
        f64::from(thousandths) / 1e6
    }

    fn below(&mut self, many: usize) -> usize {
        let many = u64::try_from(many).unwrap_or(1);
        usize::try_from(self.next() % many).unwrap_or_default()
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

    fn delivered(queue: &Queue, count: usize) -> Vec<String> {
        (0..count).filter_map(|_| Some(queue.take()?.key)).collect()
    }

    #[test]
    fn delivers_in_order_and_once_unless_told_otherwise() {
        let queue = Queue::new(0.0, false, 1);
        for key in ["a", "b", "c"] {
            queue.put(job(key));
        }
        assert_eq!(delivered(&queue, 3), ["a", "b", "c"]);
        assert!(!queue.is_idle());
        (0..3).for_each(|_| queue.done());
        assert!(queue.is_idle());
        queue.close();
        assert!(queue.take().is_none());
    }

    #[test]
    fn delivers_twice_and_in_any_order_where_that_is_asked_for() {
        let queue = Queue::new(1.0, true, 7);
        let keys = ["a", "b", "c", "d", "e"];
        for key in keys {
            queue.put(job(key));
        }

        let all = delivered(&queue, 10);
        let in_order: Vec<&str> = keys.iter().flat_map(|key| [*key; 2]).collect();
        assert_ne!(all, in_order);
        let mut sorted = all.clone();

        sorted.sort();
        assert_eq!(sorted, in_order);
    }
}
