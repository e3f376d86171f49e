//! The connection's life: when to connect, when to wait and how long, and when to give up on silence.
//!
//! It knows nothing of what travels. [`Link::advance`] is called after everything that happened and
//! says what to do; the deadline for the next call is [`Link::poll_timeout`].

use std::time::Duration;

use tidings_model::Monotonic;

use crate::entropy::Entropy;
use crate::limits::{
    BACK_OFF_MAX, BACK_OFF_MIN, BACKGROUND_LINGER, CONNECT_TIMEOUT, DEAD_AFTER, PING_INTERVAL,
};
use crate::transport::Lifecycle;

/// Where the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// None, and none is wanted or possible.
    Off,
    /// The next attempt is at this time.
    Waiting { until: Monotonic },
    /// An attempt is under way, and is given up at this time.
    Connecting { deadline: Monotonic },
    /// Open, and the session is being made; given up at this time.
    Greeting { deadline: Monotonic },
    /// A session lives.
    Up,
}

/// What the transport has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkAction {
    Connect,
    Disconnect,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Link {
    phase: Phase,
    network: bool,
    awake: bool,
    on_call: bool,
    /// Since when the app is in the background.
    background: Option<Monotonic>,
    failures: u32,
    /// Why the last connection or attempt ended.
    last_end: String,
    heard_at: Monotonic,
    ping_at: Monotonic,
    /// The server stops and asked to come back after a random part of this span.
    spread: Option<Duration>,
}

/// Why the device allows no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    NoNetwork,
    Background,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Off,
            network: true,
            awake: true,
            on_call: false,
            background: None,
            failures: 0,
            last_end: String::new(),
            heard_at: Monotonic::default(),
            ping_at: Monotonic::default(),
            spread: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn last_end(&self) -> &str {
        &self.last_end
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Greeting { .. } | Phase::Up)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// What on the device stands against a connection.
    pub(crate) fn hindrance(&self, now: Monotonic) -> Option<Hindrance> {
        if !self.network || !self.awake {
            return Some(Hindrance::NoNetwork);
        }
        let in_background = |since: Monotonic| now >= since.plus(BACKGROUND_LINGER);
        (!self.on_call && self.background.is_some_and(in_background))
            .then_some(Hindrance::Background)
    }

    pub(crate) fn handle_lifecycle(&mut self, now: Monotonic, lifecycle: Lifecycle) {
        match lifecycle {
            Lifecycle::NetworkUp => self.network = true,
            Lifecycle::NetworkDown => self.network = false,
            Lifecycle::Sleep => self.awake = false,
            Lifecycle::Wake => self.awake = true,
            Lifecycle::Foreground => self.background = None,
            Lifecycle::Background => self.background = self.background.or(Some(now)),
            Lifecycle::CallStarted => self.on_call = true,
            Lifecycle::CallEnded => self.on_call = false,
        }
        if matches!(lifecycle, Lifecycle::NetworkUp | Lifecycle::Wake | Lifecycle::Foreground) {
            self.hurry(now);
        }
    }

    /// Makes the next attempt come at once.
    pub(crate) fn hurry(&mut self, now: Monotonic) {
        if let Phase::Waiting { .. } = self.phase {
            self.failures = 0;
            self.phase = Phase::Waiting { until: now };
        }
    }

    pub(crate) fn opened(&mut self, now: Monotonic) {
        if let Phase::Connecting { deadline } = self.phase {
            self.phase = Phase::Greeting { deadline };
        }
        self.heard(now);
        self.ping_at = now.plus(PING_INTERVAL);
    }

    pub(crate) fn heard(&mut self, now: Monotonic) {
        self.heard_at = now;
    }

    pub(crate) fn session_lives(&mut self) {
        self.phase = Phase::Up;
        self.failures = 0;
        self.last_end.clear();
    }

    pub(crate) fn going_away(&mut self, spread: Duration) {
        self.spread = Some(spread);
    }

    /// The connection or the attempt ended; the next one comes after a wait.
    pub(crate) fn lost(&mut self, now: Monotonic, reason: &str, entropy: &mut Entropy) {
        let was_up = self.is_up();
        self.last_end = reason.to_owned();
        let wait = match self.spread.take() {
            Some(spread) => part_of(spread, entropy),
            // The first attempt after a live connection spreads a crowd that lost it together.
            None if was_up => part_of(BACK_OFF_MIN, entropy),
            None => {
                let doubled = BACK_OFF_MIN.saturating_mul(1 << self.failures.min(10));
                let most = doubled.min(BACK_OFF_MAX);
                self.failures = self.failures.saturating_add(1);
                most / 2 + part_of(most / 2, entropy)
            }
        };
        self.phase = Phase::Waiting { until: now.plus(wait) };
    }

    /// Puts the link to rest without an attempt to come.
    pub(crate) fn rest(&mut self) {
        self.phase = Phase::Off;
        self.spread = None;
    }

    /// Whether a ping is due; the next one is due an interval later.
    pub(crate) fn take_ping(&mut self, now: Monotonic) -> bool {
        let due = self.is_open() && now >= self.ping_at;
        if due {
            self.ping_at = now.plus(PING_INTERVAL);
        }
        due
    }

    /// Brings the next ping forward.
    pub(crate) fn ping_within(&mut self, now: Monotonic, span: Duration) {
        self.ping_at = self.ping_at.min(now.plus(span));
    }

    /// Decides what the transport has to do. `wanted`: somebody has a use for a connection.
    pub(crate) fn advance(
        &mut self,
        now: Monotonic,
        wanted: bool,
        entropy: &mut Entropy,
    ) -> Option<LinkAction> {
        let permitted = wanted && self.hindrance(now).is_none();
        match self.phase {
            Phase::Off if permitted => self.connect(now),
            Phase::Off => None,
            Phase::Waiting { .. } if !permitted => {
                self.rest();
                None
            }
            Phase::Waiting { until } if now >= until => self.connect(now),
            Phase::Waiting { .. } => None,
            Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::Up if !permitted => {
                self.rest();
                Some(LinkAction::Disconnect)
            }
            Phase::Connecting { deadline } | Phase::Greeting { deadline } if now >= deadline => {
                self.lost(now, "the server does not answer", entropy);
                Some(LinkAction::Disconnect)
            }
            Phase::Up if now >= self.heard_at.plus(DEAD_AFTER) => {
                self.lost(now, "the server fell silent", entropy);
                Some(LinkAction::Disconnect)
            }
            Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::Up => None,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Monotonic> {
        let phase = match self.phase {
            Phase::Off => None,
            Phase::Waiting { until } => Some(until),
            // Nothing is pinged before a session lives.
            Phase::Connecting { deadline } | Phase::Greeting { deadline } => Some(deadline),
            Phase::Up => Some(self.ping_at.min(self.heard_at.plus(DEAD_AFTER))),
        };
        let lingers = self.phase != Phase::Off && !self.on_call;
        let background =
            self.background.filter(|_| lingers).map(|since| since.plus(BACKGROUND_LINGER));
        [phase, background].into_iter().flatten().min()
    }

    fn connect(&mut self, now: Monotonic) -> Option<LinkAction> {
        self.phase = Phase::Connecting { deadline: now.plus(CONNECT_TIMEOUT) };
        Some(LinkAction::Connect)
    }
}

fn part_of(span: Duration, entropy: &mut Entropy) -> Duration {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX - 1);
    Duration::from_millis(entropy.below(millis + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Monotonic {
        Monotonic::from_start(Duration::from_secs(secs))
    }

    fn entropy(seed: u8) -> Entropy {
        Entropy::new([seed; 32])
    }

    fn up(link: &mut Link, now: Monotonic) {
        assert_eq!(link.advance(now, true, &mut entropy(0)), Some(LinkAction::Connect));
        link.opened(now);
        link.session_lives();
    }

    #[test]
    fn attempts_grow_apart_up_to_a_minute() {
        let mut link = Link::new();
        let mut now = at(0);
        let mut waits = Vec::new();
        for seed in 0..10 {
            assert_eq!(link.advance(now, true, &mut entropy(seed)), Some(LinkAction::Connect));
            link.lost(now, "refused", &mut entropy(seed));
            let Phase::Waiting { until } = link.phase() else { panic!("it waits") };
            waits.push(until.since(now));
            now = until;
        }
        for (wait, most) in waits.iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60, 60]) {
            let most = Duration::from_secs(most);
            assert!(*wait >= most / 2 && *wait <= most, "{wait:?} of {most:?}");
        }
    }

    #[test]
    fn network_that_returns_is_used_at_once() {
        let mut link = Link::new();
        link.advance(at(0), true, &mut entropy(0));
        for seed in 0..6 {
            link.lost(at(0), "refused", &mut entropy(seed));
        }
        link.handle_lifecycle(at(1), Lifecycle::NetworkDown);
        assert_eq!(link.advance(at(1), true, &mut entropy(0)), None);
        assert_eq!(link.phase(), Phase::Off);
        link.handle_lifecycle(at(2), Lifecycle::NetworkUp);
        assert_eq!(link.advance(at(2), true, &mut entropy(0)), Some(LinkAction::Connect));
    }

    #[test]
    fn greeting_without_an_answer_has_no_timer_but_its_deadline() {
        let mut link = Link::new();
        assert_eq!(link.advance(at(0), true, &mut entropy(0)), Some(LinkAction::Connect));
        link.opened(at(1));
        let deadline = link.poll_timeout();
        assert!(deadline.is_some_and(|deadline| deadline > at(0).plus(PING_INTERVAL)));
        assert_eq!(link.advance(at(25), true, &mut entropy(0)), None);
        assert_eq!(link.poll_timeout(), deadline);
    }

    #[test]
    fn silence_ends_a_connection_after_45_seconds_and_not_before() {
        let mut link = Link::new();
        up(&mut link, at(0));
        assert_eq!(link.advance(at(44), true, &mut entropy(0)), None);
        link.heard(at(44));
        assert_eq!(link.advance(at(88), true, &mut entropy(0)), None);
        assert_eq!(link.advance(at(89), true, &mut entropy(0)), Some(LinkAction::Disconnect));
        assert!(matches!(link.phase(), Phase::Waiting { until } if until <= at(90)));
    }

    #[test]
    fn ping_is_due_every_20_seconds() {
        let mut link = Link::new();
        up(&mut link, at(0));
        assert!(!link.take_ping(at(19)));
        assert!(link.take_ping(at(20)));
        assert!(!link.take_ping(at(39)));
        assert!(link.take_ping(at(40)));
    }

    #[test]
    fn background_keeps_the_connection_for_a_while_and_a_call_keeps_it_longer() {
        let mut link = Link::new();
        up(&mut link, at(0));
        link.handle_lifecycle(at(0), Lifecycle::Background);
        link.handle_lifecycle(at(0), Lifecycle::CallStarted);
        link.heard(at(31));
        assert_eq!(link.advance(at(31), true, &mut entropy(0)), None);
        link.handle_lifecycle(at(31), Lifecycle::CallEnded);
        assert_eq!(link.advance(at(31), true, &mut entropy(0)), Some(LinkAction::Disconnect));
        link.handle_lifecycle(at(32), Lifecycle::Foreground);
        assert_eq!(link.advance(at(32), true, &mut entropy(0)), Some(LinkAction::Connect));
    }

    #[test]
    fn server_that_stops_is_left_in_peace_for_a_part_of_its_spread() {
        let (mut earliest, mut latest) = (u64::MAX, 0);
        for seed in 0..50 {
            let mut link = Link::new();
            up(&mut link, at(0));
            link.going_away(Duration::from_secs(30));
            link.lost(at(0), "the server stops", &mut entropy(seed));
            let Phase::Waiting { until } = link.phase() else { panic!("it waits") };
            let wait = until.since(at(0)).as_secs();
            (earliest, latest) = (earliest.min(wait), latest.max(wait));
        }
        assert!(earliest < 10 && latest > 20 && latest <= 30, "{earliest} to {latest}");
    }

    #[test]
    fn attempt_without_an_answer_is_given_up() {
        let mut link = Link::new();
        link.advance(at(0), true, &mut entropy(0));
        link.opened(at(1));
        assert_eq!(link.advance(at(29), true, &mut entropy(0)), None);
        assert_eq!(link.advance(at(30), true, &mut entropy(0)), Some(LinkAction::Disconnect));
    }
}
