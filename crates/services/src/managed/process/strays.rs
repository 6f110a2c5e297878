//! Those of a start who left its group: a worker in a session of its own would
//! outlive a stop, and hold its VRAM.
//!
//! Whoever is told to end must surely be part of the service. What a person starts
//! from within it, a browser or a job in a terminal, is not: it has another program,
//! a terminal, or went away from one that had left already.

use std::{fs, path::PathBuf};

use super::Stat;

/// Those outside the group of `first` who surely belong to it, for as long as it lives: its
/// end cuts the line of descent. Blocks.
pub fn strays(first: Stat) -> Vec<Stat> {
    among(first, &Stat::all().collect::<Vec<_>>(), &same_program)
}

fn among(first: Stat, all: &[Stat], same_program: &dyn Fn(Stat, Stat) -> bool) -> Vec<Stat> {
    let mut ours = vec![first];
    let mut next = 0;
    while let Some(&parent) = ours.get(next) {
        next += 1;
        // An older child than its parent is one of a number that changed hands meanwhile.
        let children = all.iter().filter(|child| {
            child.parent == parent.pid && child.started >= parent.started && child.lives()
        });
        for &child in children {
            let left = || {
                parent.group == first.group
                    && (child.terminal == 0 || child.session == first.session)
                    && same_program(parent, child)
            };
            let known = ours.iter().any(|one| one.pid == child.pid);
            if !known && (child.group == parent.group || left()) {
                ours.push(child);
            }
        }
    }
    ours.retain(|one| one.group != first.group);
    ours
}

fn same_program(one: Stat, other: Stat) -> bool {
    program(one).is_some_and(|of_one| program(other) == Some(of_one))
}

fn program(stat: Stat) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{}/exe", stat.pid)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32, group: i32, session: i32, terminal: i32) -> Stat {
        Stat { pid, state: b'S', parent, group, session, terminal, started: 100 }
    }

    #[test]
    fn only_those_are_taken_who_surely_belong_to_the_service() {
        let first = process(10, 1, 10, 5, 0);
        let all = [
            first,
            process(11, 10, 10, 5, 0),
            // A worker in a session of its own, and its helper, whatever that runs.
            process(20, 11, 20, 20, 0),
            process(21, 20, 20, 20, 0),
            // A job that the worker sent away; a terminal, and what runs in it.
            process(30, 20, 30, 30, 0),
            process(40, 10, 40, 40, 34816),
            process(41, 40, 41, 40, 34816),
            process(42, 41, 42, 42, 0),
            // A browser; somebody else's; one that has ended.
            process(50, 10, 50, 50, 0),
            process(60, 1, 60, 5, 0),
            Stat { state: b'Z', ..process(70, 10, 70, 70, 0) },
            // Its parent's number was another's when it was started.
            Stat { started: 99, ..process(80, 10, 80, 80, 0) },
        ];
        let program = |stat: Stat| [21, 50].contains(&stat.pid);
        let found = among(first, &all, &|one, other| program(one) == program(other));
        assert_eq!(found.iter().map(|stat| stat.pid).collect::<Vec<_>>(), [20, 21]);
    }
}
