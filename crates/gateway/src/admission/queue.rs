//! Who waits, and in which order.
//!
//! Requests of one client and class for one model and one list of candidates form a
//! **lane**: they want the same, so only the first of a lane is ever looked at. Lanes for
//! the same model and candidates form a **bucket**, ordered by their heads; when a bucket's
//! head finds its backends full, no other in it needs to be asked. A lane whose client has
//! all that it may have is **parked** until the client gets room, and costs nothing
//! meanwhile. So one step costs O(log n) of what waits, however much that is.
//!
//! The order is the time of arrival, for a batch request a while later: interactive ones
//! go before it until it has waited that while, and no later one ever does.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use slab::Slab;

use super::{
    Ms,
    entry::{Class, Entry, NONE, Order, State, index},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    lanes: Slab<Lane>,
    lane_of: FxHashMap<(u32, u32, Class), u32>,
    buckets: Slab<Bucket>,
    bucket_of: FxHashMap<(u32, u32), u32>,
    /// Buckets with a lane that is not parked.
    open: Vec<u32>,
    /// Lanes by the client that they wait for.
    parked: FxHashMap<u32, Vec<u32>>,
    due: BTreeSet<(Ms, u32)>,
    /// How many wait, by class.
    waiting: [u32; 3],
    /// Number of the present walk: what carries it was passed over.
    walk: u64,
}

#[derive(Clone, Debug)]
struct Lane {
    bucket: u32,
    client: u32,
    class: Class,
    head: u32,
    tail: u32,
    parked: bool,
    passed: u64,
}

#[derive(Clone, Debug)]
struct Bucket {
    group: u32,
    model: u32,
    /// Lanes that are not parked, by their heads.
    heads: BTreeMap<Order, u32>,
    /// All lanes, parked ones too.
    lanes: u32,
    passed: u64,
    open_at: u32,
}

// === impl Queue ===

impl Queue {
    pub(super) fn len(&self) -> u32 {
        self.waiting.iter().sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn of_class(&self, class: Class) -> u32 {
        self.waiting[class as usize]
    }

    /// Somebody waits for the same who is not waiting for room of his own client.
    pub(super) fn line_before(&self, group: u32, model: u32) -> bool {
        self.bucket_of
            .get(&(group, model))
            .is_some_and(|bucket| !self.buckets[*bucket as usize].heads.is_empty())
    }

    pub(super) fn next_deadline(&self) -> Option<(Ms, u32)> {
        self.due.first().copied()
    }

    /// Puts an entry into line, by its order.
    pub(super) fn push(&mut self, entries: &mut Slab<Entry>, key: u32) {
        let entry = entries[key as usize];
        self.due.insert((entry.deadline, key));
        self.waiting[entry.class as usize] += 1;
        let bucket = self.bucket(entry.group, entry.model);
        let lane = match self.lane_of.get(&(bucket, entry.client, entry.class)) {
            Some(lane) => *lane,
            None => {
                let lane = index(self.lanes.insert(Lane {
                    bucket,
                    client: entry.client,
                    class: entry.class,
                    head: NONE,
                    tail: NONE,
                    parked: false,
                    passed: 0,
                }));
                self.lane_of.insert((bucket, entry.client, entry.class), lane);
                self.buckets[bucket as usize].lanes += 1;
                lane
            }
        };
        // Later ones come later; only a retry may have to go before others.
        let mut after = self.lanes[lane as usize].tail;
        while after != NONE && entries[after as usize].order > entry.order {
            after = entries[after as usize].prev;
        }
        let old_head = self.lanes[lane as usize].head;
        let before = if after == NONE { old_head } else { entries[after as usize].next };
        {
            let entry = &mut entries[key as usize];
            (entry.lane, entry.prev, entry.next) = (lane, after, before);
            entry.state = State::Waiting;
        }
        match after {
            NONE => self.lanes[lane as usize].head = key,
            after => entries[after as usize].next = key,
        }
        match before {
            NONE => self.lanes[lane as usize].tail = key,
            before => entries[before as usize].prev = key,
        }
        if after == NONE && !self.lanes[lane as usize].parked {
            if old_head != NONE {
                self.hide(bucket, entries[old_head as usize].order);
            }
            self.show(bucket, entry.order, lane);
        }
    }

    /// Takes an entry out of line. True if it was the first of its lane.
    pub(super) fn remove(&mut self, entries: &mut Slab<Entry>, key: u32) -> bool {
        let Entry { lane: at, prev, next, order, deadline, class, .. } = entries[key as usize];
        self.due.remove(&(deadline, key));
        self.waiting[class as usize] -= 1;
        let lane = &mut self.lanes[at as usize];
        match prev {
            NONE => lane.head = next,
            prev => entries[prev as usize].next = next,
        }
        match next {
            NONE => lane.tail = prev,
            next => entries[next as usize].prev = prev,
        }
        let entry = &mut entries[key as usize];
        (entry.lane, entry.prev, entry.next) = (NONE, NONE, NONE);
        if prev != NONE {
            return false;
        }
        let (bucket, parked, head) = (lane.bucket, lane.parked, lane.head);
        if !parked {
            self.hide(bucket, order);
            if head != NONE {
                self.show(bucket, entries[head as usize].order, at);
            }
        }
        if head == NONE {
            self.close(at);
        }
        true
    }

    /// Begins a walk over those who may be next.
    pub(super) fn walk(&mut self) {
        self.walk += 1;
    }

    /// The first in line of those that were not passed over in this walk.
    pub(super) fn next(&self) -> Option<(Order, u32)> {
        let mut best: Option<(Order, u32)> = None;
        for bucket in &self.open {
            let bucket = &self.buckets[*bucket as usize];
            if bucket.passed == self.walk {
                continue;
            }
            for (order, lane) in &bucket.heads {
                if best.is_some_and(|(best, _)| best < *order) {
                    break;
                }
                let lane = &self.lanes[*lane as usize];
                if lane.passed != self.walk {
                    best = Some((*order, lane.head));
                    break;
                }
            }
        }
        best
    }

    /// Nobody who wants the same as this one is asked again in this walk.
    pub(super) fn pass_bucket(&mut self, entry: &Entry) {
        let bucket = self.lanes[entry.lane as usize].bucket;
        self.buckets[bucket as usize].passed = self.walk;
    }

    /// Neither is its lane.
    pub(super) fn pass_lane(&mut self, entry: &Entry) {
        self.lanes[entry.lane as usize].passed = self.walk;
    }

    /// Its lane waits for its client.
    pub(super) fn park(&mut self, entries: &Slab<Entry>, key: u32) {
        let at = entries[key as usize].lane;
        let lane = &mut self.lanes[at as usize];
        if lane.parked {
            return;
        }
        lane.parked = true;
        let (bucket, client, head) = (lane.bucket, lane.client, lane.head);
        self.hide(bucket, entries[head as usize].order);
        self.parked.entry(client).or_default().push(at);
    }

    /// The client may have got room: its lanes stand in line again. True if it had any.
    pub(super) fn unpark(&mut self, entries: &Slab<Entry>, client: u32) -> bool {
        if self.parked.is_empty() {
            return false;
        }
        let Some(lanes) = self.parked.remove(&client) else { return false };
        for at in lanes {
            let lane = &mut self.lanes[at as usize];
            lane.parked = false;
            let (bucket, order) = (lane.bucket, entries[lane.head as usize].order);
            self.show(bucket, order, at);
        }
        true
    }

    /// Every client may have got room.
    pub(super) fn unpark_all(&mut self, entries: &Slab<Entry>) {
        let mut clients: Vec<u32> = self.parked.keys().copied().collect();
        // In one order, whatever the table's: the same calls give the same answers.
        clients.sort_unstable();
        for client in clients {
            self.unpark(entries, client);
        }
    }

    fn bucket(&mut self, group: u32, model: u32) -> u32 {
        *self.bucket_of.entry((group, model)).or_insert_with(|| {
            let heads = BTreeMap::new();
            index(self.buckets.insert(Bucket {
                group,
                model,
                heads,
                lanes: 0,
                passed: 0,
                open_at: NONE,
            }))
        })
    }

    fn show(&mut self, at: u32, order: Order, lane: u32) {
        let bucket = &mut self.buckets[at as usize];
        bucket.heads.insert(order, lane);
        if bucket.open_at == NONE {
            bucket.open_at = index(self.open.len());
            self.open.push(at);
        }
    }

    fn hide(&mut self, at: u32, order: Order) {
        let bucket = &mut self.buckets[at as usize];
        bucket.heads.remove(&order);
        if bucket.heads.is_empty() && bucket.open_at != NONE {
            let place = std::mem::replace(&mut bucket.open_at, NONE);
            self.open.swap_remove(place as usize);
            if let Some(moved) = self.open.get(place as usize) {
                self.buckets[*moved as usize].open_at = place;
            }
        }
    }

    /// Forgets an empty lane, and its bucket with its last lane.
    fn close(&mut self, at: u32) {
        let lane = self.lanes.remove(at as usize);
        self.lane_of.remove(&(lane.bucket, lane.client, lane.class));
        if lane.parked
            && let Some(lanes) = self.parked.get_mut(&lane.client)
        {
            lanes.retain(|other| *other != at);
            if lanes.is_empty() {
                self.parked.remove(&lane.client);
            }
        }
        let bucket = &mut self.buckets[lane.bucket as usize];
        bucket.lanes -= 1;
        if bucket.lanes == 0 {
            let bucket = self.buckets.remove(lane.bucket as usize);
            self.bucket_of.remove(&(bucket.group, bucket.model));
        }
    }
}

#[cfg(test)]
impl Queue {
    /// Every list agrees with every other.
    pub(super) fn check(&self, entries: &Slab<Entry>) -> Result<(), String> {
        let mut seen = 0;
        for (at, lane) in &self.lanes {
            let (mut key, mut before) = (lane.head, NONE);
            let mut order = None;
            while key != NONE {
                let entry = &entries[key as usize];
                if entry.lane != index(at) || entry.prev != before || order > Some(entry.order) {
                    return Err(format!("{} stands wrongly in its lane", entry.id));
                }
                order = Some(entry.order);
                seen += 1;
                (before, key) = (key, entry.next);
            }
            if lane.tail != before || before == NONE {
                return Err("a lane ends wrongly".into());
            }
            let head = entries[lane.head as usize].order;
            let shown = self.buckets[lane.bucket as usize].heads.get(&head) == Some(&index(at));
            let parked = self.parked.get(&lane.client).is_some_and(|all| all.contains(&index(at)));
            if shown == lane.parked || parked != lane.parked {
                return Err(format!("a lane is shown {shown} and parked {parked}"));
            }
        }
        let open = self.buckets.iter().filter(|(_, bucket)| !bucket.heads.is_empty()).count();
        let all = [seen, self.due.len(), self.len() as usize];
        if open != self.open.len() || all != [seen; 3] || self.lanes.len() != self.lane_of.len() {
            return Err(format!("{open} of {} open, {all:?} wait", self.open.len()));
        }
        Ok(())
    }
}
