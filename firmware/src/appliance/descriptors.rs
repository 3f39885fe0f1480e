//! File descriptors: as many as the system gives.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{DESCRIPTORS_PER_ASSOCIATION, OTHER_DESCRIPTORS};

/// Raises our soft limit to the hard one, and says how many connections without an association fit
/// beside so many associations: as many as wanted, or fewer.
pub(super) fn waiting(wanted: usize, associations: usize) -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit on open files cannot be raised");
            current
        }
    };
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    let fitting = beside(limit, associations);
    if fitting < wanted {
        tracing::warn!(
            limit,
            fitting,
            "the system gives fewer file descriptors than limits.waiting needs"
        );
    }
    wanted.min(fitting)
}

fn beside(limit: usize, associations: usize) -> usize {
    let taken = OTHER_DESCRIPTORS + associations * DESCRIPTORS_PER_ASSOCIATION;
    // Even a system that gives too few lets one in after the other.
    limit.saturating_sub(taken).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn associations_keep_their_descriptors() {
        assert_eq!(beside(1024, 32), 1024 - 128 - 96);
        assert_eq!(beside(64, 32), 1);
        assert_eq!(beside(usize::MAX, 1), usize::MAX - 131);
    }
}
