//! The schedule of a replay, drawn from a seed before anything starts: who is there with which
//! devices, who says what and when, who leaves and comes back, and every fault.
//!
//! The rules of coming and going are applied here, so that what is left to do is to do it: a leave of
//! somebody outside and a join of somebody inside are dropped, a line of somebody outside stands
//! behind the join for which it waits. Where no join follows (somebody took a nickname that had left),
//! one is put in front of the line. Second devices are chosen in [`devices`], faults in [`faults`].
//! Deliberately not here: processes, sockets and clocks.

mod devices;
mod faults;

use std::time::Duration;

use fastrand::Rng;
use sha2::{Digest, Sha256};
use tidings_model::MessageId;
use tidings_protocol_identity::UserName;

use crate::day::{self, Day, Person};

/// How long a replay takes where no speed is given.
pub(crate) const DURATION: Duration = Duration::from_secs(600);

/// How long the beginning of a day takes where no speed is given: with set-up and check, a minute.
pub(crate) const DURATION_OF_BEGINNING: Duration = Duration::from_secs(40);

/// People who leave and come back on a day whose log tells of nobody who does.
const ABSENT_PEOPLE: usize = 10;

/// People who stay throughout and are offline for the first half.
const OFFLINE_PEOPLE: usize = 2;

/// All that will happen.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The members, those of a pair beside each other.
    pub(crate) members: Vec<Member>,
    /// The devices: the first one of each member, in their order, then the second ones.
    pub(crate) devices: Vec<Device>,
    /// What is said, in the order in which each sender types it.
    pub(crate) lines: Vec<Line>,
    /// What is done, by time.
    pub(crate) steps: Vec<Step>,
}

/// A person with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) user_name: UserName,
    pub(crate) display_name: String,
    /// Whether the group is made with them; others come by an add.
    pub(crate) is_there_from_start: bool,
    /// Whether their client has no connection until [`Act::GoOnline`].
    pub(crate) is_offline_at_first: bool,
}

/// A client with a database of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) member: usize,
    pub(crate) arrival: Arrival,
}

/// How a device comes to its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It makes the account.
    First,
    /// It is linked before the first line.
    FromStart,
    /// It is linked by [`Act::Link`].
    Later,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sender: usize,
    /// The sender's device that it is typed on.
    pub(crate) device: usize,
    pub(crate) text: String,
    pub(crate) message_id: MessageId,
}

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// When, from the beginning on.
    pub(crate) at: Duration,
    pub(crate) act: Act,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// A line is handed to its sender's client.
    Say { line: usize },
    /// Somebody leaves the group.
    Leave { member: usize },
    /// The owner adds somebody.
    Join { member: usize },
    /// Somebody who was offline at first connects.
    GoOnline { member: usize },
    /// A second device is linked.
    Link { device: usize },
    /// The server's process is killed, and started again after a while.
    KillServer { down_for: Duration },
    /// The process of a device's client is killed, and started again.
    KillClients { device: usize },
    /// The same, and what the device knows of its group is gone when it starts again.
    LoseState { device: usize },
    /// One of the connections is cut.
    CutConnection { choice: u64 },
}

/// What differs between replays of one day.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) seed: u64,
    /// How many times as fast as the day; `None`: it takes `duration`.
    pub(crate) speed: Option<f64>,
    pub(crate) duration: Duration,
    pub(crate) sealing: Sealing,
}

/// Whether what is said is encrypted end to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sealing {
    /// It is.
    Sealed,
    /// The server can read it.
    Open,
}

impl Plan {
    /// Plans one group of all who speak that day.
    pub(crate) fn group(day: &Day, pace: Pace) -> Self {
        let mut random = Rng::with_seed(pace.seed);
        let scale = Scale::of(day, pace);
        let mut plan = Self::of_members(members_of(day));
        for happening in &day.happenings {
            let member = happening.person;
            let act = match &happening.act {
                day::Act::Says(text) => plan.add_line(pace.seed, member, happening.line, text),
                day::Act::Joins => Act::Join { member },
                day::Act::Leaves => Act::Leave { member },
            };
            plan.steps.push(Step { at: scale.apply(happening.at), act });
        }
        let is_quiet = !plan.steps.iter().any(|step| step.act.is_coming_or_going());
        plan.choose_offline(&mut random);
        if is_quiet {
            plan.make_up_absences(&mut random);
        }
        plan.settle_membership();
        plan.bring_online();
        plan.add_second_devices(&mut random);
        plan.add_faults(&mut random, pace.sealing);
        plan
    }

    /// Plans pairs of people (an even number) who share out the lines of that day; nobody leaves.
    pub(crate) fn pairs(day: &Day, people: usize, pace: Pace) -> Self {
        let mut random = Rng::with_seed(pace.seed);
        let scale = Scale::of(day, pace);
        let members = (0..people).filter_map(|number| {
            let name = format!("pair.{}.{}", number / 2, number % 2);
            Some(Member {
                user_name: UserName::parse(&name).ok()?,
                display_name: name,
                is_there_from_start: true,
                is_offline_at_first: false,
            })
        });
        let mut plan = Self::of_members(members.collect());
        let mut order: Vec<usize> = (0..people).collect();
        random.shuffle(&mut order);
        let mut senders = order.into_iter().cycle();
        for happening in &day.happenings {
            if let day::Act::Says(text) = &happening.act
                && let Some(sender) = senders.next()
            {
                let act = plan.add_line(pace.seed, sender, happening.line, text);
                plan.steps.push(Step { at: scale.apply(happening.at), act });
            }
        }
        plan.choose_offline(&mut random);
        plan.bring_online();
        plan.add_second_devices(&mut random);
        plan.add_faults(&mut random, pace.sealing);
        plan
    }

    /// A plan in which nothing happens yet. A member's first device has the member's number.
    fn of_members(members: Vec<Member>) -> Self {
        let first = |member| Device { member, arrival: Arrival::First };
        let devices = (0..members.len()).map(first).collect();
        Self { members, devices, lines: Vec::new(), steps: Vec::new() }
    }

    fn add_line(&mut self, seed: u64, sender: usize, line: usize, text: &str) -> Act {
        let message_id = message_id(seed, line);
        self.lines.push(Line { sender, device: sender, text: text.to_owned(), message_id });
        Act::Say { line: self.lines.len() - 1 }
    }

    /// Chooses who is offline for the first half: of those who are there from the start and never
    /// leave, preferably some who speak in that half, so that their outbox has something to keep.
    fn choose_offline(&mut self, random: &mut Rng) {
        let half = self.time_of_line(0.5);
        let mut candidates: Vec<usize> =
            (0..self.members.len()).filter(|member| self.stays_throughout(*member)).collect();
        random.shuffle(&mut candidates);
        candidates.sort_by_key(|member| {
            let speaks = self.steps.iter().any(|step| {
                step.at < half
                    && matches!(step.act, Act::Say { line } if self.lines[line].sender == *member)
            });
            !speaks
        });
        for member in candidates.into_iter().take(OFFLINE_PEOPLE) {
            self.members[member].is_offline_at_first = true;
        }
    }

    /// Brings those who were offline back at the half.
    fn bring_online(&mut self) {
        let at = self.time_of_line(0.5);
        let offline =
            (0..self.members.len()).filter(|member| self.members[*member].is_offline_at_first);
        let steps = offline.map(|member| Step { at, act: Act::GoOnline { member } });
        self.steps.extend(steps.collect::<Vec<_>>());
        self.sort();
    }

    /// Lets some people leave and come back, on a day whose log tells of nobody who does.
    fn make_up_absences(&mut self, random: &mut Rng) {
        let mut candidates: Vec<usize> = (0..self.members.len())
            .filter(|member| !self.members[*member].is_offline_at_first)
            .collect();
        random.shuffle(&mut candidates);
        let end = self.end().as_secs_f64();
        for member in candidates.into_iter().take(ABSENT_PEOPLE) {
            let leaves = end * (0.1 + 0.5 * random.f64());
            let returns = leaves + end * (0.05 + 0.3 * random.f64());
            for (at, act) in [(leaves, Act::Leave { member }), (returns, Act::Join { member })] {
                self.steps.push(Step { at: Duration::from_secs_f64(at), act });
            }
        }
        self.sort();
    }

    /// Makes every step one that can be done when its turn comes.
    fn settle_membership(&mut self) {
        let mut is_inside: Vec<bool> =
            self.members.iter().map(|member| member.is_there_from_start).collect();
        let mut waiting: Vec<Vec<Act>> = vec![Vec::new(); self.members.len()];
        let mut settled = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let mut push = |act| settled.push(Step { at: step.at, act });
            match step.act {
                Act::Join { member } if !is_inside[member] => {
                    is_inside[member] = true;
                    push(step.act.clone());
                    waiting[member].drain(..).for_each(push);
                }
                Act::Leave { member } if is_inside[member] => {
                    is_inside[member] = false;
                    push(step.act.clone());
                }
                Act::Say { line } if !is_inside[self.lines[line].sender] => {
                    let member = self.lines[line].sender;
                    if self.steps[index..].iter().any(|later| later.act == Act::Join { member }) {
                        waiting[member].push(step.act.clone());
                    } else {
                        is_inside[member] = true;
                        push(Act::Join { member });
                        push(step.act.clone());
                    }
                }
                Act::Join { .. } | Act::Leave { .. } => {}
                _ => push(step.act.clone()),
            }
        }
        self.steps = settled;
    }

    /// Whether a member is there from the start and never leaves.
    fn stays_throughout(&self, member: usize) -> bool {
        self.members[member].is_there_from_start
            && !self.steps.iter().any(|step| step.act.moves(member))
    }

    fn says(&self) -> impl Iterator<Item = (Duration, usize)> {
        self.steps.iter().filter_map(|step| match step.act {
            Act::Say { line } => Some((step.at, line)),
            _ => None,
        })
    }

    fn index_of_line(&self, part: f64) -> usize {
        let last = self.lines.len().saturating_sub(1);
        // Exact for any number of lines that a log can have, and never negative.
        ((self.lines.len() as f64 * part) as usize).min(last)
    }

    fn time_of_line(&self, part: f64) -> Duration {
        self.says().nth(self.index_of_line(part)).map_or(Duration::ZERO, |(at, _)| at)
    }

    /// When the last step is due.
    pub(crate) fn end(&self) -> Duration {
        self.steps.iter().map(|step| step.at).max().unwrap_or_default()
    }

    fn sort(&mut self) {
        self.steps.sort_by_key(|step| step.at);
    }
}

impl Act {
    fn is_coming_or_going(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::Leave { .. })
    }

    fn moves(&self, who: usize) -> bool {
        matches!(self, Self::Join { member } | Self::Leave { member } if *member == who)
    }
}

/// From the day's times to those of the replay.
struct Scale {
    factor: f64,
}

impl Scale {
    fn of(day: &Day, pace: Pace) -> Self {
        let end = day.happenings.last().map_or(Duration::ZERO, |happening| happening.at);
        let factor = match pace.speed {
            Some(speed) => 1.0 / speed,
            None if end.is_zero() => 1.0,
            None => pace.duration.as_secs_f64() / end.as_secs_f64(),
        };
        Self { factor }
    }

    fn apply(&self, at: Duration) -> Duration {
        at.mul_f64(self.factor)
    }
}

/// Everybody who speaks. Whoever speaks before their first join is there from the start.
fn members_of(day: &Day) -> Vec<Member> {
    let is_there_from_start = |person: usize| {
        let of_person = day.happenings.iter().filter(|happening| happening.person == person);
        let mut acts = of_person.map(|happening| &happening.act);
        !matches!(acts.find(|act| **act != day::Act::Leaves), Some(day::Act::Joins))
    };
    let member = |(index, person): (usize, &Person)| Member {
        user_name: person.user_name.clone(),
        display_name: person.nickname.clone(),
        is_there_from_start: is_there_from_start(index),
        is_offline_at_first: false,
    };
    day.people.iter().enumerate().map(member).collect()
}

/// The message id of a line of the log: drawn once, and the same each time the line is handed over.
fn message_id(seed: u64, line: usize) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(b"tidings replay v1");
    hash.update(seed.to_be_bytes());
    hash.update((line as u64).to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    MessageId::from_bytes(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) const PACE: Pace =
        Pace { seed: 1, speed: None, duration: DURATION, sealing: Sealing::Sealed };

    fn day(log: &str) -> Day {
        Day::parse(log.as_bytes(), usize::MAX).unwrap()
    }

    fn group(log: &str) -> Plan {
        Plan::group(&day(log), PACE)
    }

    /// A day of `count` lines by `people` people, one each second or so.
    pub(super) fn chatter(people: usize, count: usize) -> Day {
        let line = |index: usize| {
            format!(
                "[{:02}:{:02}] <nick{}> {index}\n",
                index / 3600,
                index / 60 % 60,
                index % people
            )
        };
        day(&(0..count).map(line).collect::<String>())
    }

    /// What somebody does, in order, as text.
    fn acts_of(plan: &Plan, who: usize) -> Vec<String> {
        let act = |step: &Step| match step.act {
            Act::Say { line } if plan.lines[line].sender == who => {
                Some(plan.lines[line].text.clone())
            }
            Act::Leave { member } if member == who => Some("(leaves)".to_owned()),
            Act::Join { member } if member == who => Some("(joins)".to_owned()),
            _ => None,
        };
        plan.steps.iter().filter_map(act).collect()
    }

    pub(super) fn count(plan: &Plan, is_counted: impl Fn(&Act) -> bool) -> usize {
        plan.steps.iter().filter(|step| is_counted(&step.act)).count()
    }

    #[test]
    fn who_speaks_before_their_first_join_is_there_from_the_start() {
        let plan = group(
            "[01:00] <romeo> 1\n=== romeo [a@b]  has joined #v\n=== juliet [a@b]  has joined #v\n\
             [01:00] <juliet> 2\n=== nurse [a@b]  has left #v []\n[01:01] <nurse> 3\n",
        );
        let from_start: Vec<bool> =
            plan.members.iter().map(|member| member.is_there_from_start).collect();
        assert_eq!(from_start, [true, false, true]);
        assert_eq!(acts_of(&plan, 0), ["1"]);
        assert_eq!(acts_of(&plan, 1), ["(joins)", "2"]);
    }

    #[test]
    fn line_of_somebody_outside_waits_for_the_add() {
        let plan = group(
            "[01:00] <romeo> 1\n=== romeo [a@b]  has left #v []\n[01:00] <romeo> 2\n\
             [01:01] <romeo> 3\n[01:01] <juliet> 4\n=== romeo [a@b]  has joined #v\n\
             [01:02] <romeo> 5\n",
        );
        assert_eq!(acts_of(&plan, 0), ["1", "(leaves)", "(joins)", "2", "3", "5"]);
    }

    #[test]
    fn line_that_no_join_follows_brings_its_sender_back() {
        let plan = group(
            "[01:00] <romeo> 1\n=== romeo [a@b]  has quit [x]\n=== romeo [a@b]  has quit [x]\n\
             [01:01] <romeo> 2\n[01:01] <romeo> 3\n",
        );
        assert_eq!(acts_of(&plan, 0), ["1", "(leaves)", "(joins)", "2", "3"]);
    }

    #[test]
    fn ten_people_leave_and_come_back_on_a_day_that_tells_of_nobody_who_does() {
        let plan = Plan::group(&chatter(30, 300), PACE);
        assert_eq!(count(&plan, |act| matches!(act, Act::Leave { .. })), 10);
        assert_eq!(count(&plan, |act| matches!(act, Act::Join { .. })), 10);
        assert_eq!(plan.says().count(), 300);
    }

    #[test]
    fn two_who_stay_throughout_and_speak_are_offline_for_the_first_half() {
        let plan = Plan::group(&chatter(30, 300), PACE);
        let half = plan.time_of_line(0.5);
        let offline: Vec<usize> =
            (0..30).filter(|member| plan.members[*member].is_offline_at_first).collect();
        assert_eq!(offline.len(), 2);
        for member in offline {
            assert!(!acts_of(&plan, member).iter().any(|act| act.starts_with('(')));
            assert!(plan.says().any(|(at, line)| at < half && plan.lines[line].sender == member));
            let online = plan.steps.iter().find(|step| step.act == Act::GoOnline { member });
            assert_eq!(online.map(|step| step.at), Some(half));
        }
    }

    #[test]
    fn one_seed_makes_one_plan_and_another_seed_another() {
        let day = chatter(30, 200);
        let plan = |seed| format!("{:?}", Plan::group(&day, Pace { seed, ..PACE }));
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn lines_take_ten_minutes_or_what_the_speed_says() {
        let day = chatter(10, 2_000);
        let last = |plan: &Plan| plan.says().last().unwrap().0.as_secs_f64();
        assert!((last(&Plan::group(&day, PACE)) - 600.0).abs() < 1.0);
        let fast = Plan::group(&day, Pace { speed: Some(100.0), ..PACE });
        assert!(
            (last(&fast) - day.happenings.last().unwrap().at.as_secs_f64() / 100.0).abs() < 0.1
        );
    }

    #[test]
    fn pairs_share_out_the_lines_and_nobody_leaves() {
        let mut lines: String =
            (0..100).map(|index| format!("[01:00] <nick1> {index}\n")).collect();
        lines.push_str("=== nick1 [a@b]  has left #v []\n");
        let plan = Plan::pairs(&day(&lines), 20, PACE);
        assert_eq!((plan.members.len(), plan.lines.len()), (20, 100));
        for member in 0..20 {
            assert_eq!(plan.lines.iter().filter(|line| line.sender == member).count(), 5);
        }
        assert_eq!(count(&plan, Act::is_coming_or_going), 0);
    }

    #[test]
    fn every_line_has_a_message_id_of_its_own() {
        let plan = Plan::group(&chatter(3, 500), PACE);
        let ids: std::collections::HashSet<MessageId> =
            plan.lines.iter().map(|line| line.message_id).collect();
        assert_eq!(ids.len(), 500);
        assert_ne!(message_id(1, 1), message_id(2, 1));
    }
}
