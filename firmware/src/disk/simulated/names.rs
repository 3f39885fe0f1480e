//! The names on the disk, and how they change.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    Folder,
    File(usize),
}

/// A change of names that no sync has made durable yet.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Added(PathBuf, Node),
    Renamed(PathBuf, PathBuf, Node),
    Removed(PathBuf),
}

impl Change {
    /// The path that it is about; a sync of the folder of this path makes it durable.
    pub(super) fn place(&self) -> &Path {
        match self {
            Change::Added(path, _) | Change::Removed(path) | Change::Renamed(_, path, _) => path,
        }
    }
}

/// All names. Paths are ordered by their components, so what is in a folder stands behind it.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(BTreeMap<PathBuf, Node>);

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<Node> {
        self.0.get(path).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Added(path, node) => drop(self.0.insert(path.clone(), *node)),
            Change::Removed(path) => drop(self.0.remove(path)),
            Change::Renamed(from, to, node) => {
                self.0.remove(from);
                self.0.insert(to.clone(), *node);
                let below: Vec<_> = self.below(from).map(Path::to_owned).collect();
                for path in below {
                    let node = self.0.remove(&path).unwrap();
                    self.0.insert(to.join(path.strip_prefix(from).unwrap()), node);
                }
            }
        }
    }

    /// The files, with their numbers.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, usize)> {
        self.0.iter().filter_map(|(path, node)| match node {
            Node::Folder => None,
            Node::File(id) => Some((path.as_path(), *id)),
        })
    }

    /// What is in a folder.
    pub(super) fn children<'n>(&'n self, folder: &'n Path) -> impl Iterator<Item = &'n Path> {
        let mut next = self.below(folder).next();
        std::iter::from_fn(move || {
            let child = next?;
            // Behind all that is in it: no component is greater than this one.
            let last = child.join("\u{10FFFF}");
            next = self.behind(&last).next().filter(|path| path.starts_with(folder));
            Some(child)
        })
    }

    /// What is in a folder and in its folders.
    fn below<'n>(&'n self, folder: &'n Path) -> impl Iterator<Item = &'n Path> {
        self.behind(folder)
            .take_while(move |path| path.starts_with(folder))
    }

    fn behind(&self, path: &Path) -> impl Iterator<Item = &Path> {
        self.0
            .range::<Path, _>((Bound::Excluded(path), Bound::Unbounded))
            .map(|(path, _)| path.as_path())
    }

    /// Forgets what is in no folder.
    pub(super) fn drop_unreachable(&mut self) {
        let mut folders = Vec::<PathBuf>::new();
        self.0.retain(|path, node| {
            // In this order the folders that a path may be in are those just before it.
            while folders.last().is_some_and(|folder| !path.starts_with(folder)) {
                folders.pop();
            }
            let reached = path.parent() == folders.last().map(PathBuf::as_path);
            if reached && *node == Node::Folder {
                folders.push(path.clone());
            }
            reached
        });
    }

    /// Gives each file another number.
    pub(super) fn renumber(&mut self, mut number: impl FnMut(usize) -> usize) {
        for node in self.0.values_mut() {
            if let Node::File(id) = node {
                *id = number(*id);
            }
        }
    }
}
