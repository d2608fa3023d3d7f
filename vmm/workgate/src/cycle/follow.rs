//! What the trace tells of the device that is cycled. Bounded, whatever the guest writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use trace::ring::Step;
use trace::{Counted, Event, Kind};

/// Services followed at a time, and requests.
const MAX_FOLLOWED: usize = 65_536;
/// Figures of one census.
const MAX_FIGURES: usize = 1024;

/// The figures of a census.
pub type Figures = BTreeMap<(Counted, String), u64>;

/// How long things took in a pass, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests measured.
    pub count: u64,
    /// Half of them took no longer.
    pub half: u64,
    /// 99 of 100 took no longer.
    pub p99: u64,
}

/// Follows the trace.
pub struct Follow {
    group: Vec<u32>,
    /// Machine time of plan time 0.
    pub zero: Option<u64>,
    /// Services of the group that are attached or not freed yet, with their classes.
    alive: BTreeMap<u32, String>,
    /// Classes of services that are not attached yet.
    classes: HashMap<u32, String>,
    /// Who has which provider open: (provider, client).
    opens: BTreeSet<(u32, u32)>,
    /// Requests that came back right, by slot.
    pub done: BTreeMap<u32, u64>,
    /// Services of the group that have started.
    pub started: u64,
    issued: HashMap<u64, u64>,
    taken: Vec<u64>,
    coming: Figures,
    /// The last complete census.
    pub figures: Figures,
    /// Complete ones.
    pub censuses: u64,
    /// The last step that the guest made, its IOReturn and what it says.
    pub stepped: Option<(u32, u64, String)>,
    /// The kernel panicked.
    pub panicked: bool,
}

impl Follow {
    /// For the devices in these slots.
    pub fn new(group: &[u32]) -> Self {
        Self {
            group: group.to_vec(),
            zero: None,
            alive: BTreeMap::new(),
            classes: HashMap::new(),
            opens: BTreeSet::new(),
            done: BTreeMap::new(),
            started: 0,
            issued: HashMap::new(),
            taken: Vec::new(),
            coming: Figures::new(),
            figures: Figures::new(),
            censuses: 0,
            stepped: None,
            panicked: false,
        }
    }

    /// Looks at the next event.
    pub fn event(&mut self, event: &Event) {
        match event.kind {
            Kind::Ready => _ = self.zero.get_or_insert(event.time),
            Kind::Panic => self.panicked = true,
            Kind::Census => self.counted(event),
            Kind::CensusEnd => {
                self.figures = std::mem::take(&mut self.coming);
                self.censuses += 1;
            }
            Kind::Class if self.classes.len() < MAX_FOLLOWED => {
                self.classes.insert(event.object, event.text_str().to_owned());
            }
            Kind::Open if event.arg != 0 && self.opens.len() < MAX_FOLLOWED => {
                self.opens.insert((event.other, event.object));
            }
            Kind::Close => _ = self.opens.remove(&(event.other, event.object)),
            Kind::Free => self.freed(event.object),
            _ if self.group.contains(&event.slot) => self.of_group(event),
            _ => {}
        }
    }

    fn of_group(&mut self, event: &Event) {
        match event.kind {
            Kind::Attach if self.alive.len() < MAX_FOLLOWED => {
                let class = self.classes.remove(&event.object).unwrap_or_default();
                self.alive.entry(event.object).or_insert(class);
            }
            Kind::Started if event.arg != 0 => self.started += 1,
            Kind::IoIssue if self.issued.len() < MAX_FOLLOWED => {
                self.issued.insert(event.arg, event.time);
            }
            Kind::IoDone | Kind::IoOffline | Kind::IoError | Kind::IoCorrupt => self.returned(event),
            Kind::Stepped => {
                self.stepped = Some((event.other, event.arg, event.text_str().to_owned()));
            }
            _ => {}
        }
    }

    fn counted(&mut self, event: &Event) {
        let Ok(counted) = Counted::try_from(event.other) else { return };
        if self.coming.len() < MAX_FIGURES {
            self.coming.insert((counted, event.text_str().to_owned()), event.arg);
        }
    }

    fn freed(&mut self, object: u32) {
        self.alive.remove(&object);
        self.classes.remove(&object);
        self.opens.retain(|(provider, client)| *provider != object && *client != object);
    }

    fn returned(&mut self, event: &Event) {
        let since = self.issued.remove(&event.arg);
        if event.kind != Kind::IoDone {
            return;
        }
        *self.done.entry(event.slot).or_default() += 1;
        if let Some(since) = since.filter(|_| self.taken.len() < MAX_FOLLOWED) {
            self.taken.push(event.time.saturating_sub(since));
        }
    }

    /// Requests of the device in `slot` that came back right.
    pub fn done_in(&self, slot: u32) -> u64 {
        self.done.get(&slot).copied().unwrap_or(0)
    }

    /// Machine time at which the oldest request of the group was issued that has not come back.
    pub fn oldest(&self) -> Option<u64> {
        self.issued.values().min().copied()
    }

    /// Services of the group that are not freed, as `class#id`.
    pub fn alive(&self) -> Vec<String> {
        self.alive.iter().map(|(id, class)| format!("{class}#{id}")).collect()
    }

    /// Whether all services of the group are freed.
    pub fn is_gone(&self) -> bool {
        self.alive.is_empty()
    }

    /// Providers that are open, in all of the machine.
    pub fn open(&self) -> u64 {
        self.opens.len() as u64
    }

    /// Whether the guest has made `step`: what it returned, and what it says about it.
    pub fn take_step(&mut self, step: Step) -> Option<(u64, String)> {
        let (_, code, text) = self.stepped.take_if(|(number, ..)| *number == step as u32)?;
        Some((code, text))
    }

    /// How long the requests took that came back since the last [`Self::take_taken`].
    pub fn taken(&self) -> Taken {
        let mut taken = self.taken.clone();
        taken.sort_unstable();
        let rank = |part: usize| (taken.len() * part).div_ceil(100).saturating_sub(1);
        let at = |part: usize| taken.get(rank(part)).copied().unwrap_or(0);
        Taken { count: taken.len() as u64, half: at(50), p99: at(99) }
    }

    /// The same, and begins anew.
    pub fn take_taken(&mut self) -> Taken {
        let taken = self.taken();
        self.taken.clear();
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Kind, object: u32, other: u32) -> Event {
        Event::new(kind).object(object).other(other).slot(1)
    }

    #[test]
    fn a_stack_is_gone_when_all_of_it_is_freed() {
        let mut follow = Follow::new(&[1]);
        for event in [
            event(Kind::Class, 7, 0).text("EduDriver"),
            event(Kind::Attach, 6, 1),
            event(Kind::Attach, 7, 6),
            event(Kind::Open, 7, 6).arg(1),
            event(Kind::Open, 8, 6).arg(0),
            event(Kind::Attach, 9, 1).slot(2),
            event(Kind::Free, 6, 0),
        ] {
            follow.event(&event);
        }
        assert_eq!((follow.alive(), follow.open()), (vec!["EduDriver#7".to_owned()], 0));
        follow.event(&event(Kind::Free, 7, 0));
        assert!(follow.is_gone());
    }

    #[test]
    fn a_census_counts_when_it_is_complete() {
        let mut follow = Follow::new(&[1]);
        let figure = |n| Event::new(Kind::Census).other(1).arg(n).text("EduDriver");
        follow.event(&figure(3));
        follow.event(&Event::new(Kind::Census).other(99).arg(5).text("nonsense"));
        assert!(follow.figures.is_empty());
        follow.event(&Event::new(Kind::CensusEnd));
        follow.event(&figure(4));
        let key = (Counted::Instances, "EduDriver".to_owned());
        assert_eq!((follow.figures.len(), follow.figures[&key], follow.censuses), (1, 3, 1));
    }

    #[test]
    fn requests_are_measured_from_issue_to_return() {
        let mut follow = Follow::new(&[1]);
        for n in 0..100 {
            let mut issue = event(Kind::IoIssue, 9, 0).arg(n);
            issue.time = 1_000;
            let mut done = event(if n == 5 { Kind::IoOffline } else { Kind::IoDone }, 9, 0).arg(n);
            done.time = 1_000 + n;
            follow.event(&issue);
            assert_eq!(follow.oldest(), Some(1_000));
            follow.event(&done);
        }
        assert_eq!(follow.oldest(), None);
        assert_eq!(follow.done_in(1), 99);
        let Taken { count, half, p99 } = follow.take_taken();
        assert_eq!(count, 99);
        assert!((49..=51).contains(&half) && (97..=99).contains(&p99), "{half} {p99}");
        assert_eq!(follow.take_taken(), Taken::default());
    }
}
