//! When something is written.
//!
//! Whoever reads at the other end of a connection sleeps until something comes. Written as soon
//! as it is ready, each piece wakes that program, which reads it and sleeps again before the
//! next is there: on a machine with few cores each time a change from one program to another.
//! So a question and a whole answer wait until every request that is ready now has been looked
//! at, and what they have to say goes out in one go.
//!
//! That costs no look more: hyper wakes a task that has taken a body anyway. Pieces of a stream
//! do not wait, and nothing waits for what is not ready yet.

use std::{future::poll_fn, mem, task::Poll};

/// Behind all tasks that are ready now.
pub async fn comes() {
    let mut waited = false;
    poll_fn(|cx| {
        if mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::task::LocalSet;

    #[tokio::test]
    async fn all_that_are_ready_are_read_before_the_first_is_written() {
        let told: &RefCell<String> = Box::leak(Box::default());
        let all = LocalSet::new();
        for name in ["a", "b", "c"] {
            all.spawn_local(async move {
                told.borrow_mut().push_str(name);
                super::comes().await;
                told.borrow_mut().push_str(&name.to_uppercase());
            });
        }
        all.await;
        assert_eq!(*told.borrow(), "abcABC");
    }
}
