//! Clocks that are set, leap or stand still.

use plimsoll_core::metric::Metric;

use crate::world::{DAY, HOUR, MINUTE, START, World, gauge};

#[tokio::test]
async fn each_jump_of_the_clock_is_an_epoch_with_a_mark_and_the_later_time_wins() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let mut heard = world.history.marks();
    let value = |v: f64| move |_| vec![gauge(Metric::CpuBusy, "", v)];
    world.seconds(5400, value(10.0)).await; // 0:00 to 1:30
    world.clock.step_wall_ms(HOUR); // to 2:30
    world.seconds(600, value(20.0)).await; // to 2:40
    world.clock.step_wall_ms(-HOUR); // back to 1:40
    world.seconds(3000, value(30.0)).await; // to 2:30
    world.clock.suspend_ms(3 * HOUR); // to 5:30
    world.seconds(600, value(40.0)).await;
    // Back across chunks that are sealed long since, to 1:10.
    world.clock.step_wall_ms(-(4 * HOUR + 30 * MINUTE));
    world.seconds(600, value(50.0)).await;
    world.settle().await;
    let marks = world.reader.marks(START, START + DAY).await.unwrap();
    let mut live: Vec<_> = std::iter::from_fn(|| heard.try_recv().ok()).collect();
    live.sort_by_key(|m| (m.at_ms, m.id));
    assert_eq!(live, marks, "who listens hears other marks than are stored");
    let titles: Vec<&str> = marks.iter().map(|m| m.title.as_str()).collect();
    assert_eq!(titles.len(), 4, "{titles:?}");
    assert!(titles.contains(&"The clock was set forward by 60 min"), "{titles:?}");
    assert!(titles.contains(&"The clock was set back by 60 min"), "{titles:?}");
    assert!(titles.contains(&"The machine slept for 3 h 0 min"), "{titles:?}");
    let at = |minute: i64| START + minute * MINUTE;
    for (px, what) in [(4096u32, "raw"), (120, "10 s"), (10, "1 min")] {
        let mean = async |from: i64, to: i64| {
            let answer = world.query(Metric::CpuBusy, "", at(from), at(to), px).await;
            let mut seen: Vec<f64> =
                answer.series[0].points.mean.iter().flatten().copied().collect();
            seen.dedup();
            seen
        };
        assert_eq!(mean(30, 50).await, [10.0], "{what}");
        // Overwritten by the second jump back.
        assert_eq!(mean(71, 79).await, [50.0], "{what}");
        assert_eq!(mean(82, 88).await, [10.0], "{what}");
        // The later of two that overlap.
        assert_eq!(mean(102, 148).await, [30.0], "{what}");
        assert_eq!(mean(332, 338).await, [40.0], "{what}");
    }
    assert_eq!(world.reader.stats().await.unwrap().epochs, 5);
    world.history.stop().await;
}

#[tokio::test]
async fn a_clock_that_leaps_into_the_future_makes_nothing_old() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.seconds(8000, |_| vec![gauge(Metric::CpuBusy, "", 1.0)]).await;
    world.clock.step_wall_ms(20 * 365 * DAY);
    world.seconds(1000, |_| vec![gauge(Metric::CpuBusy, "", 2.0)]).await;
    world.settle().await;
    assert_eq!(world.reader.stats().await.unwrap().samples, 9000);
    world.history.stop().await;
}
