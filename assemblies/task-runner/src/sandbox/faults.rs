//! Faults of a task's network, put where its connections lead in and out.
//!
//! On Fargate packets are dropped and held up by the kernel (iptables and netem). Here the runner carries the
//! bytes and does it to them: a port behind a black hole stays silent, latency holds up every piece that
//! leaves the task, and a piece that is lost comes after TCP would have sent it again. As on Fargate, latency and
//! loss are for what leaves the task; a black hole is for what containers say to each other, too ([`super::wall`]).

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::wall::Wall;

/// Where a connection leads, seen from the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Into it.
    Ingress,
    /// Out of it.
    Egress,
}

/// An address, or all that begin like it: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let failure = || format!("`{text}` is no address and no block of addresses");
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| failure())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| failure()))?;
        if bits > most {
            return Err(failure());
        }
        Ok(Self { address, bits })
    }
}

impl Network {
    fn has(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u64::from(own.to_bits() ^ other.to_bits());
                differ >> (32 - u64::from(self.bits)) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128 - u32::from(self.bits)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A port that nothing comes through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlackHole {
    pub(crate) traffic: Traffic,
    pub(crate) port: u16,
    pub(crate) except: Vec<Network>,
}

/// Pieces that leave the task come later, or are lost at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) what: What,
    /// Of every hundred connections, so many.
    pub(crate) flows: u8,
    pub(crate) to: Vec<Network>,
    pub(crate) except: Vec<Network>,
}

/// What happens to a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Latency {
        delay: Duration,
        jitter: Duration,
    },
    /// Of every hundred pieces, so many.
    Loss(u8),
}

/// The faults of one task.
#[derive(Debug, Default)]
pub struct Faults {
    any: AtomicBool,
    set: Mutex<Set>,
    changed: Notify,
    chance: Chance,
    /// Where the task has a network of its own.
    pub(super) wall: OnceLock<Wall>,
}

#[derive(Debug, Default)]
struct Set {
    holes: Vec<BlackHole>,
    trouble: Option<Trouble>,
}

/// One connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) traffic: Traffic,
    pub(crate) port: u16,
    /// Who is at its end outside of the task.
    pub(crate) peer: IpAddr,
    /// 0 to 99: which of a hundred it is.
    pub(crate) lot: u8,
}

impl Faults {
    /// Changes what is wrong; everything under way hears of it.
    fn change<T>(&self, act: impl FnOnce(&mut Vec<BlackHole>, &mut Option<Trouble>) -> T) -> T {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let Set { holes, trouble } = &mut *set;
        let done = act(holes, trouble);
        self.any
            .store(!holes.is_empty() || trouble.is_some(), Ordering::Relaxed);
        drop(set);
        self.changed.notify_waiters();
        done
    }

    /// Says whether there was none of the kind yet. Holds the thread up until the kernel has heard of it.
    pub(crate) fn start_hole(&self, hole: BlackHole) -> bool {
        let is_new = self.change(|holes, _| {
            let is_new = !holes
                .iter()
                .any(|one| one.traffic == hole.traffic && one.port == hole.port);
            if is_new {
                holes.push(hole);
            }
            is_new
        });

        self.wall_up();
        is_new
    }

    /// The same, the other way.
    pub(crate) fn stop_hole(&self, traffic: Traffic, port: u16) {
        self.change(|holes, _| holes.retain(|one| one.traffic != traffic || one.port != port));
        self.wall_up();
    }

    /// Between containers, whichever way a hole is for: what leaves one arrives at another one.
    fn wall_up(&self) {
        let Some(wall) = self.wall.get() else { return };
        let own = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports: BTreeSet<u16> = {
            let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
            let holes = set.holes.iter();
            let holes = holes.filter(|one| !one.except.iter().any(|network| network.has(own)));
            holes.map(|one| one.port).collect()
        };
        // A machine without the means has holes at the border only.
        let _ = wall.stand(&ports);
    }

    pub(crate) fn has_hole(&self, traffic: Traffic, port: u16) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.holes
            .iter()
            .any(|one| one.traffic == traffic && one.port == port)
    }

    /// Says whether there was no trouble yet.
    pub(crate) fn start_trouble(&self, new: Trouble) -> bool {
        self.change(|_, trouble| {
            let is_new = trouble.is_none();
            if is_new {
                *trouble = Some(new);
            }
            is_new
        })
    }

    pub(crate) fn stop_trouble(&self, loss: bool) {
        self.change(|_, trouble| {
            drop(trouble.take_if(|one| matches!(one.what, What::Loss(_)) == loss));
        });
    }

    pub(crate) fn has_trouble(&self, loss: bool) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.trouble
            .as_ref()
            .is_some_and(|one| matches!(one.what, What::Loss(_)) == loss)
    }

    /// A number of 0 to 99 for a new connection.
    pub(crate) fn lot(&self) -> u8 {
        self.chance.of_hundred()
    }

    /// Waits as long as a piece of this connection has to.
    pub(crate) async fn pass(&self, flow: Flow, leaves: bool) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);

            // Before looking: a change between the look and the wait must not be missed.
            changed.as_mut().enable();
            if !self.swallows(flow) {
                break;
            }
            changed.await;
        }

        let late = self.late(flow).filter(|_| leaves);
        if let Some(late) = late {
            sleep(late).await;
        }
    }

    fn swallows(&self, flow: Flow) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let mut holes = set
            .holes
            .iter()
            .filter(|one| one.traffic == flow.traffic && one.port == flow.port);
        holes.any(|one| !one.except.iter().any(|network| network.has(flow.peer)))
    }

    fn late(&self, flow: Flow) -> Option<Duration> {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = set.trouble.as_ref()?;
        let is_in = |networks: &[Network]| networks.iter().any(|network| network.has(flow.peer));
        if flow.lot >= trouble.flows || !is_in(&trouble.to) || is_in(&trouble.except) {
            return None;
        }

        match &trouble.what {
            What::Latency { delay, jitter } => {
                // Evenly between the two ends, as netem without a distribution.
                let spread = jitter
                    .saturating_mul(2)
                    .mul_f64(f64::from(self.chance.of_hundred()) / 99.0);
                Some((*delay + spread).saturating_sub(*jitter))
            }
            What::Loss(percent) => {
                let lost = (0..RETRIES).take_while(|_| self.chance.of_hundred() < *percent);
                let waits: Duration = lost.map(|times| AGAIN * 2_u32.pow(times)).sum();
                Some(waits).filter(|waits| !waits.is_zero())
            }
        }
    }
}

/// Numbers that nobody has to guess: a generator after Marsaglia, "Xorshift RNGs" (2003).
#[derive(Debug)]
struct Chance(AtomicU64);

impl Default for Chance {
    fn default() -> Self {
        Self(AtomicU64::new(
            RandomState::new().build_hasher().finish() | 1,
        ))
    }
}

impl Chance {
    fn of_hundred(&self) -> u8 {
        let next = |mut word: u64| {
            word ^= word << 13;
            word ^= word >> 7;
            word ^ (word << 17)
        };
        let before = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                Some(next(word))
            });
        let word = next(before.unwrap_or_else(|word| word));

        u8::try_from((word >> 32) % 100).unwrap_or(0)
    }
}

/// Linux waits so long before it sends a piece again (TCP_RTO_MIN), and twice as long each time.
const AGAIN: Duration = Duration::from_millis(200);
const RETRIES: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(peer: &str, lot: u8) -> Flow {
        Flow {
            traffic: Traffic::Egress,
            port: 5432,
            peer: peer.parse().unwrap(),
            lot,
        }
    }

    #[test]
    fn a_block_has_the_addresses_that_begin_like_it() {
        let block: Network = "10.1.0.0/16".parse().unwrap();
        assert!(block.has("10.1.2.3".parse().unwrap()) && !block.has("10.2.0.1".parse().unwrap()));
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.has("1.2.3.4".parse().unwrap()) && !all.has("::1".parse().unwrap()));
        let six: Network = "::/0".parse().unwrap();
        assert!(six.has("2001:db8::1".parse().unwrap()));
        for bad in ["10.0.0.0/33", "ten", "", "10.0.0.0/", "::/129"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hole_swallows_its_port_and_direction_but_not_the_exceptions() {
        let faults = Faults::default();
        let hole = BlackHole {
            traffic: Traffic::Egress,
            port: 5432,
            except: vec!["10.0.0.1".parse().unwrap()],
        };

        assert!(faults.start_hole(hole.clone()) && !faults.start_hole(hole));
        assert!(faults.swallows(flow("10.0.0.2", 0)) && !faults.swallows(flow("10.0.0.1", 0)));
        assert!(!faults.swallows(Flow {
            port: 5433,
            ..flow("10.0.0.2", 0)
        }));
        assert!(!faults.swallows(Flow {
            traffic: Traffic::Ingress,
            ..flow("10.0.0.2", 0)
        }));
        faults.stop_hole(Traffic::Egress, 5432);
        assert!(!faults.swallows(flow("10.0.0.2", 0)));
    }

    #[test]
    fn latency_is_within_its_jitter_and_for_its_share_of_connections() {
        let faults = Faults::default();
        let ms = Duration::from_millis;
        let what = What::Latency {
            delay: ms(100),
            jitter: ms(20),
        };
        let trouble = Trouble {
            what,
            flows: 50,
            to: vec!["0.0.0.0/0".parse().unwrap()],
            except: vec![],
        };

        assert!(faults.start_trouble(trouble));
        for _ in 0..1000 {
            let late = faults.late(flow("10.0.0.1", 49)).unwrap();
            assert!((ms(80)..=ms(120)).contains(&late), "{late:?}");
        }

        assert_eq!(faults.late(flow("10.0.0.1", 50)), None);
        faults.stop_trouble(true);
        assert!(faults.has_trouble(false), "the other kind was stopped");
        faults.stop_trouble(false);
        assert_eq!(faults.late(flow("10.0.0.1", 0)), None);
    }

    #[test]
    fn about_as_many_pieces_are_lost_as_was_asked_for() {
        let faults = Faults::default();
        let trouble = Trouble {
            what: What::Loss(30),
            flows: 100,
            to: vec!["0.0.0.0/0".parse().unwrap()],
            except: vec![],
        };

        faults.start_trouble(trouble);
        let lost = (0..10_000)
            .filter(|_| faults.late(flow("10.0.0.1", 7)).is_some())
            .count();
        assert!((2_500..3_500).contains(&lost), "{lost} of 10,000");
    }
}
