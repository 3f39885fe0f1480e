//! Who sends what, and when.

use std::collections::VecDeque;
use std::time::Duration;

use dicom_dictionary_std::uids;
use rand::RngExt as _;

use super::HOUR;
use super::world::{Deed, World};
use crate::dicom::Uid;
use crate::spool;
use crate::study::evidence::Announced;

/// An image of the simulated hospital.
#[derive(Debug, Clone)]
pub(super) struct Image {
    study: String,
    series: String,
    sop: String,
    /// (0020,1208), if it states one.
    study_instances: Option<u32>,
}

impl Image {
    /// What its C-STORE command announces.
    pub(super) fn command(&self) -> spool::Announced {
        spool::Announced {
            sop_class: uid(uids::MR_IMAGE_STORAGE),
            sop_instance: uid(&self.sop),
            transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
            source: "MR".to_owned(),
        }
    }

    /// Its data set, Explicit VR Little Endian.
    pub(super) fn data_set(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut put = |group: u16, element: u16, vr: &[u8; 2], value: &str, padding: u8| {
            bytes.extend(group.to_le_bytes());
            bytes.extend(element.to_le_bytes());
            bytes.extend(vr);
            let length = value.len().next_multiple_of(2);
            bytes.extend((length as u16).to_le_bytes());
            bytes.extend(value.as_bytes());
            bytes.extend((value.len()..length).map(|_| padding));
        };
        put(0x0008, 0x0016, b"UI", uids::MR_IMAGE_STORAGE, 0);
        put(0x0008, 0x0018, b"UI", &self.sop, 0);
        put(0x0020, 0x000D, b"UI", &self.study, 0);
        put(0x0020, 0x000E, b"UI", &self.series, 0);
        if let Some(count) = self.study_instances {
            put(0x0020, 0x1208, b"IS", &count.to_string(), b' ');
        }
        bytes
    }
}

/// Images that a scanner wants to get rid of in one association.
pub(super) struct Visit {
    images: VecDeque<Image>,
    /// Of them, what was not taken.
    refused: Vec<Image>,
    /// Images after which the connection breaks.
    breaks_after: Option<usize>,
}

impl Visit {
    fn new(images: &[Image], breaks_after: Option<usize>) -> Self {
        Self {
            images: images.iter().cloned().collect(),
            refused: Vec::new(),
            breaks_after,
        }
    }

    /// The image that is next.
    pub(super) fn image(&self) -> &Image {
        &self.images[0]
    }

    /// Whether all were offered.
    pub(super) fn is_over(&self) -> bool {
        self.images.is_empty()
    }

    /// Whether the connection breaks now.
    pub(super) fn breaks_off(&self) -> bool {
        self.breaks_after == Some(0)
    }

    /// The next image was taken, or not.
    pub(super) fn answered(&mut self, taken: bool) {
        if let Some(image) = self.images.pop_front()
            && !taken
        {
            self.refused.push(image);
        }
        self.breaks_after = self.breaks_after.map(|after| after.saturating_sub(1));
    }

    /// Another visit with all that was not taken, if anything is left.
    pub(super) fn again(self) -> Option<Self> {
        let images = self
            .refused
            .into_iter()
            .chain(self.images)
            .collect::<VecDeque<_>>();
        (!images.is_empty()).then_some(Self {
            images,
            refused: Vec::new(),
            breaks_after: None,
        })
    }
}

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap_or_else(|error| unreachable!("{text} {error}"))
}

/// Everything that will be done about one study, within this time.
pub(super) fn plan(world: &mut World, number: usize, within: Duration) {
    let study = format!("1.2.{number}");
    let sizes: Vec<u32> = (0..world.chance.random_range(1..=2))
        .map(|_| world.chance.random_range(1..=4))
        .collect();
    let total: u32 = sizes.iter().sum();
    // Most state nothing, some the truth, some too much, some too little.
    let study_instances = match world.chance.random_range(0..10) {
        0..6 => None,
        6..8 => Some(total),
        8 => Some(total + 3),
        _ => Some(total.saturating_sub(1)),
    };
    let mut images = Vec::new();
    for (series, size) in sizes.iter().enumerate() {
        images.extend((0..*size).map(|n| Image {
            study: study.clone(),
            series: format!("{study}.{series}"),
            sop: format!("{study}.{series}.{n}"),
            study_instances,
        }));
    }
    let at = world.moment(within);
    let first = images.len() - usize::from(images.len() > 1 && world.per_cent(5));
    let breaks_after = world
        .per_cent(8)
        .then(|| world.chance.random_range(0..first.max(1)));
    world.plan_at(at, Deed::Call(Visit::new(&images[..first], breaks_after)));
    if first < images.len() {
        let rest = Visit::new(&images[first..], None);
        if world.per_cent(50) {
            world.untimely.insert(uid(&study), rest);
        } else {
            let late = at + world.moment(6 * HOUR);
            world.plan_at(late, Deed::Call(rest));
        }
    }
    if world.per_cent(10) {
        let repeated = at + world.moment(HOUR);
        world.plan_at(repeated, Deed::Call(Visit::new(&images, None)));
    }
    if world.per_cent(10) {
        let series = sizes.iter().enumerate();
        let announced = Announced {
            study: uid(&study),
            series: series
                .map(|(n, size)| (uid(&format!("{study}.{n}")), *size))
                .collect(),
            finished: world.per_cent(80),
        };
        let said = at + world.moment(Duration::from_secs(60));
        world.plan_at(said, Deed::Announce(announced));
    }
}
