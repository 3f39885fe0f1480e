//! Work that is shared among threads.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::findings::{Fault, Reason};

/// Does these jobs on so many threads, each of which takes the next one that is left; answers in the order of jobs.
///
/// # Errors
/// Those of `work`; `network_failed` when a thread panics.
pub(crate) fn share<T: Send>(
    threads: usize,
    jobs: usize,
    work: impl Fn(usize) -> Result<T, Reason> + Sync,
) -> Result<Vec<T>, Reason> {
    let next = AtomicUsize::new(0);
    let take = || {
        let jobs =
            std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|job| *job < jobs);
        jobs.map(|job| Ok((job, work(job)?))).collect()
    };
    let mut done: Vec<(usize, T)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(jobs)).map(|_| scope.spawn(take)).collect();
        let mut parts: Vec<Result<Vec<_>, Reason>> = vec![take()];
        parts.extend(
            others
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err(panicked()))),
        );
        parts.into_iter().collect::<Result<Vec<_>, _>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    done.sort_by_key(|(job, _)| *job);
    Ok(done.into_iter().map(|(_, output)| output).collect())
}

fn panicked() -> Reason {
    Reason::new("network_failed", Fault::Us, "a thread of the inference panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_answers_are_in_order() {
        for (threads, jobs) in [(1, 5), (3, 100), (8, 2), (2, 0)] {
            let counted = AtomicUsize::new(0);
            let work = |job: usize| {
                counted.fetch_add(1, Ordering::Relaxed);
                Ok(job * 10)
            };
            let answers = share(threads, jobs, work).unwrap();
            assert_eq!(answers, (0..jobs).map(|job| job * 10).collect::<Vec<_>>());
            assert_eq!(counted.into_inner(), jobs);
        }
    }

    #[test]
    fn a_job_that_fails_or_panics_fails_the_whole() {
        let failing = |job: usize| match job {
            7 => Err(Reason::new("seven", Fault::Us, "")),
            _ => Ok(()),
        };
        assert_eq!(share(2, 20, failing).unwrap_err().code, "seven");
        // On another thread than the caller's: the caller waits for it and lives.
        let caller = std::thread::current().id();
        let panicking = |_: usize| {
            assert_eq!(std::thread::current().id(), caller, "on purpose");
            std::thread::sleep(std::time::Duration::from_millis(50));
            Ok(())
        };
        assert_eq!(share(2, 20, panicking).unwrap_err().code, "network_failed");
    }
}
