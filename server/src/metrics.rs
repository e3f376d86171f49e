//! What an operator's dashboard shows: counters and gauges by their Prometheus names, and whether the
//! server is ready. No names, no addresses, no ids of people.

use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tidings_messaging::Gauges;
use tidings_model::Refusal;

/// The label of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabel {
    refusal: &'static str,
}

/// All metrics, and the readiness that follows from them.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_shed: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) requests: Counter,
    pub(crate) events: Counter,
    pub(crate) log_mismatches: Counter,
    pub(crate) read_failures: Counter,
    /// What waits for the observer of groups.
    pub(crate) judgements_waiting: Gauge,
    pub(crate) commit_operations: Histogram,
    pub(crate) commit_seconds: Histogram,
    refusals: Family<RefusalLabel, Counter>,
    sessions: Gauge,
    live_sessions: Gauge,
    accounts: Gauge,
    conversations: Gauge,
    pending: Gauge,
    pending_bytes: Gauge,
    storage_full: Gauge,
    has_full_disk: AtomicBool,
    is_draining: AtomicBool,
}

impl Metrics {
    /// Registers all metrics.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("tidings");
        let mut metrics = Self {
            registry: Registry::default(),
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_shed: Counter::default(),
            handshakes_failed: Counter::default(),
            requests: Counter::default(),
            events: Counter::default(),
            log_mismatches: Counter::default(),
            read_failures: Counter::default(),
            judgements_waiting: Gauge::default(),
            commit_operations: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            refusals: Family::default(),
            sessions: Gauge::default(),
            live_sessions: Gauge::default(),
            accounts: Gauge::default(),
            conversations: Gauge::default(),
            pending: Gauge::default(),
            pending_bytes: Gauge::default(),
            storage_full: Gauge::default(),
            has_full_disk: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        };
        metrics.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "build",
            "The program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        for (name, help, gauge) in [
            ("connections", "Open connections, with or without a session", &self.connections),
            ("sessions", "Sessions, live or not yet", &self.sessions),
            ("live_sessions", "Sessions that have resumed", &self.live_sessions),
            ("accounts_in_memory", "Accounts in memory", &self.accounts),
            ("conversations_in_memory", "Conversations in memory", &self.conversations),
            ("pending_operations", "Operations and queries at the store", &self.pending),
            ("judgements_waiting", "Requests at the observer of groups", &self.judgements_waiting),
            ("storage_full", "1 while the disk is full", &self.storage_full),
        ] {
            registry.register(name, help, gauge.clone());
        }
        registry.register_with_unit(
            "pending",
            "Payloads of operations at the store",
            Unit::Bytes,
            self.pending_bytes.clone(),
        );
        for (name, help, counter) in [
            ("connections_accepted", "Connections accepted", &self.connections_accepted),
            ("connections_shed", "Connections closed because of a limit", &self.connections_shed),
            ("handshakes_failed", "Connections that became no session", &self.handshakes_failed),
            ("requests", "Requests to the core", &self.requests),
            ("events", "Events to sessions", &self.events),
            ("log_mismatches", "Cursors that fit no log", &self.log_mismatches),
            ("read_failures", "Queries that the store could not answer", &self.read_failures),
        ] {
            registry.register(name, help, counter.clone());
        }
        registry.register("refusals", "Requests refused", self.refusals.clone());
        registry.register(
            "commit_operations",
            "Operations that shared a commit",
            self.commit_operations.clone(),
        );
        registry.register_with_unit(
            "commit",
            "From an operation's submission to its outcome on disk",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
    }

    /// Takes over the core's own numbers.
    pub(crate) fn observe(&self, gauges: &Gauges) {
        let set = |gauge: &Gauge, value: usize| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&self.sessions, gauges.sessions);
        set(&self.live_sessions, gauges.live_sessions);
        set(&self.accounts, gauges.accounts);
        set(&self.conversations, gauges.conversations);
        set(&self.pending, gauges.pending);
        set(&self.pending_bytes, gauges.pending_bytes);
    }

    /// Counts a refusal by its name.
    pub(crate) fn note_refusal(&self, refusal: &Refusal) {
        self.refusals.get_or_create(&RefusalLabel { refusal: refusal.name() }).inc();
    }

    /// The disk is full.
    pub(crate) fn note_full_disk(&self) {
        if !self.has_full_disk.swap(true, Ordering::Relaxed) {
            tracing::error!("the disk is full: nothing is stored until there is room");
            self.storage_full.set(1);
        }
    }

    /// The disk has room again.
    pub(crate) fn note_room_on_disk(&self) {
        if self.has_full_disk.swap(false, Ordering::Relaxed) {
            tracing::info!("the disk has room again");
            self.storage_full.set(0);
        }
    }

    /// Whether the disk was found full, and not found otherwise since.
    pub(crate) fn has_full_disk(&self) -> bool {
        self.has_full_disk.load(Ordering::Relaxed)
    }

    /// The server stops: no more connections should come.
    pub(crate) fn note_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Why the server should get no more connections; `None`: it is ready.
    pub(crate) fn unready(&self) -> Option<&'static str> {
        if self.is_draining.load(Ordering::Relaxed) {
            Some("the server stops")
        } else if self.has_full_disk() {
            Some("the disk is full")
        } else {
            None
        }
    }

    /// The metrics in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_the_disk_and_the_end() {
        let metrics = Metrics::new();
        assert_eq!(metrics.unready(), None);
        metrics.note_full_disk();
        assert_eq!(metrics.unready(), Some("the disk is full"));
        assert!(metrics.text().contains("tidings_storage_full 1"));
        metrics.note_room_on_disk();
        assert_eq!(metrics.unready(), None);
        metrics.note_draining();
        assert_eq!(metrics.unready(), Some("the server stops"));
    }

    #[test]
    fn refusals_are_counted_by_name() {
        let metrics = Metrics::new();
        metrics.note_refusal(&Refusal::NotFound);
        metrics.note_refusal(&Refusal::NotFound);
        assert!(metrics.text().contains("tidings_refusals_total{refusal=\"NOT_FOUND\"} 2"));
    }
}
