//! Network faults of a task, applied to the connections that cross its boundary.
//!
//! On Fargate the kernel drops and delays packets (iptables and netem). Here the runner forwards the bytes and
//! applies the faults: a blackholed port stays silent, latency delays every chunk that leaves the task, and a
//! lost chunk is delayed until TCP would have retransmitted it. As on Fargate, latency and loss affect traffic
//! that leaves the task, and a blackhole also affects traffic between its containers
//! ([`packet_filter`](super::packet_filter)).

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::packet_filter::PacketFilter;

/// The direction of a connection, seen from the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Into the task.
    Ingress,
    /// Out of the task.
    Egress,
}

/// An IP address or a block of addresses: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("`{text}` is not an IP address or CIDR block");
        let (address, bits) = text
            .split_once('/')
            .map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let max_bits = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(max_bits), |bits| bits.parse().map_err(|_| error()))?;
        if bits > max_bits {
            return Err(error());
        }
        Ok(Self { address, bits })
    }
}

impl Cidr {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                // Widened to u64: a shift by 32, for /0, would overflow a u32.
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

/// A rule that drops the traffic of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlackholeRule {
    pub(crate) traffic: Traffic,
    pub(crate) port: u16,
    pub(crate) except: Vec<Cidr>,
}

/// Delay or loss of chunks that leave the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Impairment {
    pub(crate) kind: ImpairmentKind,
    /// The percentage of connections affected.
    pub(crate) flows: u8,
    pub(crate) to: Vec<Cidr>,
    pub(crate) except: Vec<Cidr>,
}

/// The kind of an impairment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImpairmentKind {
    Latency {
        delay: Duration,
        jitter: Duration,
    },
    /// The percentage of chunks lost.
    Loss(u8),
}

/// The network faults of one task.
#[derive(Debug, Default)]
pub struct NetworkFaults {
    /// Whether any fault is active: the fast path for tasks without faults.
    any: AtomicBool,
    active: Mutex<ActiveFaults>,
    changed: Notify,
    rng: Rng,
    /// The filter inside the task's network, if it has its own.
    pub(super) packet_filter: OnceLock<PacketFilter>,
}

#[derive(Debug, Default)]
struct ActiveFaults {
    blackholes: Vec<BlackholeRule>,
    impairment: Option<Impairment>,
}

/// A connection across the boundary.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) traffic: Traffic,
    pub(crate) port: u16,
    /// The address of the end outside of the task.
    pub(crate) peer: IpAddr,
    /// 0 to 99; an impairment of n percent affects connections below n.
    pub(crate) percentile: u8,
}

impl NetworkFaults {
    /// Changes the active faults and wakes up every waiting connection.
    fn change<T>(
        &self,
        act: impl FnOnce(&mut Vec<BlackholeRule>, &mut Option<Impairment>) -> T,
    ) -> T {
        let mut active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let ActiveFaults {
            blackholes,
            impairment,
        } = &mut *active;
        let result = act(blackholes, impairment);
        self.any.store(
            !blackholes.is_empty() || impairment.is_some(),
            Ordering::Relaxed,
        );
        drop(active);
        self.changed.notify_waiters();
        result
    }

    /// Starts a blackhole; returns false if there is one for this port and direction. Blocks until it is in effect.
    pub(crate) fn start_blackhole(&self, blackhole: BlackholeRule) -> bool {
        let is_new = self.change(|blackholes, _| {
            let is_new = !blackholes
                .iter()
                .any(|rule| rule.traffic == blackhole.traffic && rule.port == blackhole.port);
            if is_new {
                blackholes.push(blackhole);
            }
            is_new
        });

        self.update_packet_filter();
        is_new
    }

    /// Stops a blackhole. Blocks until it is no longer in effect.
    pub(crate) fn stop_blackhole(&self, traffic: Traffic, port: u16) {
        self.change(|blackholes, _| {
            blackholes.retain(|rule| rule.traffic != traffic || rule.port != port);
        });
        self.update_packet_filter();
    }

    /// Updates the filter between containers. It ignores directions: egress of one container is ingress of another.
    fn update_packet_filter(&self) {
        let Some(packet_filter) = self.packet_filter.get() else {
            return;
        };
        // All traffic between containers has this address.
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ports: BTreeSet<u16> = {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            (active.blackholes.iter())
                .filter(|rule| !rule.except.iter().any(|cidr| cidr.contains(loopback)))
                .map(|rule| rule.port)
                .collect()
        };
        // Without nft and iptables, blackholes apply at the boundary only.
        let _ = packet_filter.apply(&ports);
    }

    pub(crate) fn has_blackhole(&self, traffic: Traffic, port: u16) -> bool {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        (active.blackholes.iter()).any(|rule| rule.traffic == traffic && rule.port == port)
    }

    /// Starts an impairment; returns false if one is active. Latency and loss exclude each other.
    pub(crate) fn start_impairment(&self, new: Impairment) -> bool {
        self.change(|_, impairment| {
            let is_new = impairment.is_none();
            if is_new {
                *impairment = Some(new);
            }
            is_new
        })
    }

    /// Stops the impairment if it is of this kind: packet loss or latency.
    pub(crate) fn stop_impairment(&self, loss: bool) {
        self.change(|_, impairment| {
            drop(impairment.take_if(|active| active.is_loss() == loss));
        });
    }

    pub(crate) fn has_impairment(&self, loss: bool) -> bool {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        (active.impairment.as_ref()).is_some_and(|impairment| impairment.is_loss() == loss)
    }

    /// Returns a random number from 0 to 99 for a new connection.
    pub(crate) fn percentile(&self) -> u8 {
        self.rng.percentile()
    }

    /// Waits as long as a chunk of this connection is held back. `leaves`: it leaves the task.
    pub(crate) async fn pass(&self, flow: Flow, leaves: bool) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);

            // Registered before the check, so that a change between check and wait is not missed.
            changed.as_mut().enable();
            if !self.is_blackholed(flow) {
                break;
            }
            changed.await;
        }

        let delay = self.delay(flow).filter(|_| leaves);
        if let Some(delay) = delay {
            sleep(delay).await;
        }
    }

    fn is_blackholed(&self, flow: Flow) -> bool {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        (active.blackholes.iter())
            .filter(|rule| rule.traffic == flow.traffic && rule.port == flow.port)
            .any(|rule| !rule.except.iter().any(|cidr| cidr.contains(flow.peer)))
    }

    fn delay(&self, flow: Flow) -> Option<Duration> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let impairment = active.impairment.as_ref()?;
        let is_in = |cidrs: &[Cidr]| cidrs.iter().any(|cidr| cidr.contains(flow.peer));
        if flow.percentile >= impairment.flows
            || !is_in(&impairment.to)
            || is_in(&impairment.except)
        {
            return None;
        }

        match &impairment.kind {
            ImpairmentKind::Latency { delay, jitter } => {
                // Uniform in delay ± jitter, as netem without a distribution.
                let spread = jitter
                    .saturating_mul(2)
                    .mul_f64(f64::from(self.rng.percentile()) / 99.0);
                Some((*delay + spread).saturating_sub(*jitter))
            }
            ImpairmentKind::Loss(percent) => {
                // Each retransmission is lost with the same probability; the timeout doubles each time.
                let losses = (0..RETRIES).take_while(|_| self.rng.percentile() < *percent);
                let delay: Duration = losses
                    .map(|attempt| RETRANSMISSION_TIMEOUT * 2_u32.pow(attempt))
                    .sum();
                Some(delay).filter(|delay| !delay.is_zero())
            }
        }
    }
}

impl Impairment {
    fn is_loss(&self) -> bool {
        matches!(self.kind, ImpairmentKind::Loss(_))
    }
}

/// A random number generator for faults, not for secrets: Marsaglia, "Xorshift RNGs" (2003).
#[derive(Debug)]
struct Rng(AtomicU64);

impl Default for Rng {
    fn default() -> Self {
        // A xorshift generator stays at zero forever; `| 1` avoids that seed.
        Self(AtomicU64::new(
            RandomState::new().build_hasher().finish() | 1,
        ))
    }
}

impl Rng {
    fn percentile(&self) -> u8 {
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

        // The high bits are the better ones of a xorshift generator.
        u8::try_from((word >> 32) % 100).unwrap_or(0)
    }
}

/// The initial retransmission timeout of Linux (TCP_RTO_MIN); it doubles with each attempt.
const RETRANSMISSION_TIMEOUT: Duration = Duration::from_millis(200);
const RETRIES: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(peer: &str, percentile: u8) -> Flow {
        Flow {
            traffic: Traffic::Egress,
            port: 5432,
            peer: peer.parse().unwrap(),
            percentile,
        }
    }

    #[test]
    fn a_cidr_contains_the_addresses_with_its_prefix() {
        let block: Cidr = "10.1.0.0/16".parse().unwrap();
        assert!(block.contains("10.1.2.3".parse().unwrap()));
        assert!(!block.contains("10.2.0.1".parse().unwrap()));
        // Families never match each other, even with /0.
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("1.2.3.4".parse().unwrap()) && !all.contains("::1".parse().unwrap()));
        let six: Cidr = "::/0".parse().unwrap();
        assert!(six.contains("2001:db8::1".parse().unwrap()));
        for invalid in ["10.0.0.0/33", "ten", "", "10.0.0.0/", "::/129"] {
            assert!(invalid.parse::<Cidr>().is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_blackhole_drops_its_port_and_direction_but_not_the_exceptions() {
        let faults = NetworkFaults::default();
        let blackhole = BlackholeRule {
            traffic: Traffic::Egress,
            port: 5432,
            except: vec!["10.0.0.1".parse().unwrap()],
        };

        assert!(faults.start_blackhole(blackhole.clone()) && !faults.start_blackhole(blackhole));
        assert!(faults.is_blackholed(flow("10.0.0.2", 0)));
        assert!(!faults.is_blackholed(flow("10.0.0.1", 0)));
        // Another port, and the other direction.
        assert!(!faults.is_blackholed(Flow {
            port: 5433,
            ..flow("10.0.0.2", 0)
        }));
        assert!(!faults.is_blackholed(Flow {
            traffic: Traffic::Ingress,
            ..flow("10.0.0.2", 0)
        }));
        faults.stop_blackhole(Traffic::Egress, 5432);
        assert!(!faults.is_blackholed(flow("10.0.0.2", 0)));
    }

    #[test]
    fn latency_stays_within_jitter_and_affects_its_percentage_of_connections() {
        let faults = NetworkFaults::default();
        let ms = Duration::from_millis;
        let kind = ImpairmentKind::Latency {
            delay: ms(100),
            jitter: ms(20),
        };
        let impairment = Impairment {
            kind,
            flows: 50,
            to: vec!["0.0.0.0/0".parse().unwrap()],
            except: vec![],
        };

        assert!(faults.start_impairment(impairment));
        for _ in 0..1000 {
            let delay = faults.delay(flow("10.0.0.1", 49)).unwrap();
            assert!((ms(80)..=ms(120)).contains(&delay), "{delay:?}");
        }

        // 50 percent affects the percentiles 0 to 49.
        assert_eq!(faults.delay(flow("10.0.0.1", 50)), None);
        faults.stop_impairment(true);
        assert!(faults.has_impairment(false), "stopping loss keeps latency");
        faults.stop_impairment(false);
        assert_eq!(faults.delay(flow("10.0.0.1", 0)), None);
    }

    #[test]
    fn loses_about_the_requested_percentage() {
        let faults = NetworkFaults::default();
        let impairment = Impairment {
            kind: ImpairmentKind::Loss(30),
            flows: 100,
            to: vec!["0.0.0.0/0".parse().unwrap()],
            except: vec![],
        };

        faults.start_impairment(impairment);
        let lost = (0..10_000)
            .filter(|_| faults.delay(flow("10.0.0.1", 7)).is_some())
            .count();
        // More than ten standard deviations (46) to either side: no random failures.
        assert!((2_500..3_500).contains(&lost), "{lost} of 10,000");
    }
}
