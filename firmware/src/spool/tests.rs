//! Power cuts and failing disks: a recorded workload is cut at every single operation, and after each cut
//! everything that was acknowledged must be there, byte for byte.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::time::Instant;

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::*;
use crate::dicom::dataset::storable;
use crate::disk::simulated::{Faults, SimulatedDisk};

const ROOT: &str = "/data";
/// Outcomes of each cut that are looked at.
const OUTCOMES: u64 = 3;

/// An image on its way, and a content that tells it from others with its UIDs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Image {
    study: u8,
    series: u8,
    number: u8,
    content: u8,
}

/// One thing that a sender does.
#[derive(Debug, Clone)]
enum Deed {
    Store(Image),
    /// The association breaks in the middle of the data set.
    BreakOff(Image),
}

impl Image {
    fn identity(&self) -> Identity {
        let uid = |text: String| Uid::parse(&text).unwrap();
        Identity {
            sop_class: uid(uids::MR_IMAGE_STORAGE.to_owned()),
            sop_instance: uid(format!("1.2.{}.{}.{}", self.study, self.series, self.number)),
            study: uid(format!("1.2.{}", self.study)),
            series: uid(format!("1.2.{}.{}", self.study, self.series)),
        }
    }

    fn announced(&self) -> Announced {
        let identity = self.identity();
        Announced {
            sop_class: identity.sop_class,
            sop_instance: identity.sop_instance,
            transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned(),
            source: "MR1".to_owned(),
        }
    }

    fn data_set(&self) -> Vec<u8> {
        let identity = self.identity();
        let uid = |tag, uid: &Uid| DataElement::new(tag, VR::UI, uid.as_str());
        let pixels = PrimitiveValue::U8(vec![self.content; 300].into());
        let object = InMemDicomObject::from_element_iter([
            uid(tags::SOP_CLASS_UID, &identity.sop_class),
            uid(tags::SOP_INSTANCE_UID, &identity.sop_instance),
            uid(tags::STUDY_INSTANCE_UID, &identity.study),
            uid(tags::SERIES_INSTANCE_UID, &identity.series),
            DataElement::new(tags::PIXEL_DATA, VR::OB, pixels),
        ]);
        let mut bytes = Vec::new();
        let syntax = storable(uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap();
        object.write_dataset_with_ts(&mut bytes, syntax).unwrap();
        bytes
    }
}

/// What senders do: images of several studies, some twice, some with another content, some broken off.
fn deeds(seed: u64) -> Vec<Deed> {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    let mut deeds = Vec::new();
    for study in 0..2 {
        for series in 0..2 {
            for number in 0..4 {
                let image = Image {
                    study,
                    series,
                    number,
                    content: 7,
                };
                deeds.push(Deed::Store(image.clone()));
                match chance.random_range(0..6) {
                    0 => deeds.push(Deed::Store(image)),
                    1 => deeds.push(Deed::Store(Image { content: 8, ..image })),
                    2 => deeds.push(Deed::BreakOff(image)),
                    _ => {}
                }
            }
        }
    }
    deeds.shuffle(&mut chance);
    deeds
}

fn open(disk: &SimulatedDisk) -> io::Result<Spool> {
    let limits = SpoolLimits {
        object_bytes: 1 << 20,
        free_bytes: 1 << 20,
    };
    let mut spool = Spool::open(Arc::new(disk.clone()), Path::new(ROOT), limits)?;
    spool.check_every = Duration::ZERO;
    Ok(spool)
}

fn store(spool: &Spool, image: &Image) -> Result<StoreOutcome, StoreError> {
    let mut incoming = spool.receive(image.announced())?;
    for part in image.data_set().chunks(200) {
        incoming.write(part)?;
    }
    Ok(incoming.store()?.outcome)
}

/// Does it all; what was acknowledged until the power went.
fn work(disk: &SimulatedDisk, deeds: &[Deed]) -> Vec<Image> {
    let mut acknowledged = Vec::new();
    let Ok(spool) = open(disk) else {
        return acknowledged;
    };
    for deed in deeds {
        match deed {
            Deed::Store(image) => {
                if store(&spool, image).is_ok() {
                    acknowledged.push(image.clone());
                }
            }
            Deed::BreakOff(image) => {
                if let Ok(mut incoming) = spool.receive(image.announced()) {
                    let _ = incoming.write(&image.data_set()[..100]);
                }
            }
        }
    }
    acknowledged
}

/// The data sets on the disk, by image identity; those of conflicts too.
fn present(disk: &SimulatedDisk, spool: &Spool) -> io::Result<BTreeMap<String, BTreeSet<Vec<u8>>>> {
    let mut found: BTreeMap<String, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for under in ["spool", "conflicts"] {
        let under = Path::new(ROOT).join(under);
        for study in spool.list(&under, Uid::parse).unwrap() {
            for series in spool.list(&under.join(study.as_str()), Uid::parse).unwrap() {
                let folder = under.join(study.as_str()).join(series.as_str());
                for name in disk.list(&folder).unwrap() {
                    let (mut file, _) = open_data_set(disk.open(&folder.join(&name))?)?;
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes)?;
                    let name = name.into_string().unwrap();
                    let sop = name.trim_end_matches(".dcm");
                    // The number of a conflict follows the UID, which here has five components.
                    let sop = sop.splitn(6, '.').take(5).collect::<Vec<_>>().join(".");
                    found.entry(sop).or_default().insert(bytes);
                }
            }
        }
    }
    Ok(found)
}

/// What is wrong after a cut, if anything.
fn loss(after: &SimulatedDisk, acknowledged: &[Image], deeds: &[Deed]) -> Option<String> {
    let spool = match open(after) {
        Ok(spool) => spool,
        Err(error) => return Some(format!("the spool does not open: {error}")),
    };
    let found = match present(after, &spool) {
        Ok(found) => found,
        Err(error) => return Some(format!("a file on the disk is no DICOM file: {error}")),
    };
    let sent: BTreeMap<String, BTreeSet<Vec<u8>>> = deeds.iter().fold(BTreeMap::new(), |mut sent, deed| {
        let (Deed::Store(image) | Deed::BreakOff(image)) = deed;
        sent.entry(image.identity().sop_instance.to_string())
            .or_insert_with(BTreeSet::new)
            .insert(image.data_set());
        sent
    });
    for image in acknowledged {
        let uid = image.identity().sop_instance.to_string();
        if !found
            .get(&uid)
            .is_some_and(|contents| contents.contains(&image.data_set()))
        {
            return Some(format!("{image:?} was acknowledged and is lost"));
        }
    }
    for (uid, contents) in &found {
        if !contents.is_subset(&sent[uid]) {
            return Some(format!("{uid} holds what nobody sent"));
        }
    }
    if !after.list(&spool.incoming).unwrap().is_empty() {
        return Some("something is left of what was never acknowledged".to_owned());
    }
    // Senders send again what they have no acknowledgement for; then all is there.
    for deed in deeds {
        if let Deed::Store(image) = deed {
            store(&spool, image).unwrap();
        }
    }
    let found = present(after, &spool).unwrap();
    let missing = |deed: &&Deed| match deed {
        Deed::Store(image) => !found[image.identity().sop_instance.as_str()].contains(&image.data_set()),
        Deed::BreakOff(_) => false,
    };
    deeds
        .iter()
        .find(missing)
        .map(|deed| format!("{deed:?} cannot be stored after the cut"))
}

/// Cuts the workload at every operation; the first loss, or how many cuts there were.
fn cut_everywhere(seed: u64, faults: Faults) -> Result<u64, String> {
    let deeds = deeds(seed);
    let whole = SimulatedDisk::new(Path::new(ROOT));
    work(&whole, &deeds);
    let operations = whole.operations();
    for cut_at in 1..=operations {
        let disk = SimulatedDisk::new(Path::new(ROOT));
        disk.set_faults(Faults {
            cut_at: Some(cut_at),
            ..faults
        });
        let acknowledged = work(&disk, &deeds);
        assert!(disk.is_off(), "the same workload takes the same operations");
        for outcome in 0..OUTCOMES {
            if let Some(loss) = loss(&disk.after_cut(outcome), &acknowledged, &deeds) {
                return Err(format!("seed {seed}, cut at {cut_at}, outcome {outcome}: {loss}"));
            }
        }
    }
    Ok(operations * OUTCOMES)
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_goes() {
    let mut cuts = 0;
    for seed in 0..6 {
        cuts += cut_everywhere(seed, Faults::default()).unwrap();
    }
    assert!(cuts > 4000, "{cuts} cuts");
}

/// The test above can fail: without the syncs it finds losses.
#[test]
fn without_the_syncs_acknowledged_images_are_lost() {
    for faults in [
        Faults {
            files_unsynced: true,
            ..Faults::default()
        },
        Faults {
            folders_unsynced: true,
            ..Faults::default()
        },
    ] {
        cut_everywhere(0, faults).unwrap_err();
    }
}

/// Whatever operation fails, the image is not acknowledged, nothing is until the disk has passed a check,
/// and then all goes on.
#[test]
fn an_error_of_the_disk_latches_until_a_check_passes() {
    let image = |number| Image {
        study: 0,
        series: 0,
        number,
        content: 7,
    };
    let whole = SimulatedDisk::new(Path::new(ROOT));
    let spool = open(&whole).unwrap();
    whole.set_faults(Faults::default());
    store(&spool, &image(0)).unwrap();
    let operations = whole.operations();
    for error_at in 1..=operations {
        let disk = SimulatedDisk::new(Path::new(ROOT));
        let mut spool = open(&disk).unwrap();
        spool.check_every = Duration::from_secs(3600);
        disk.set_faults(Faults {
            error_at: Some(error_at),
            ..Faults::default()
        });
        assert!(store(&spool, &image(0)).is_err(), "operation {error_at}");
        assert!(spool.trouble().is_some(), "operation {error_at}");
        assert!(matches!(store(&spool, &image(1)), Err(StoreError::Latched(_))));
        spool.check_every = Duration::ZERO;
        assert_eq!(
            store(&spool, &image(0)).unwrap(),
            StoreOutcome::New,
            "operation {error_at}"
        );
        assert_eq!(spool.trouble(), None);
        assert_eq!(
            disk.list(&spool.incoming).unwrap(),
            Vec::<std::ffi::OsString>::new()
        );
    }
}

#[test]
fn a_full_disk_is_no_broken_disk() {
    let image = Image {
        study: 0,
        series: 0,
        number: 0,
        content: 7,
    };
    let disk = SimulatedDisk::new(Path::new(ROOT));
    let spool = open(&disk).unwrap();
    disk.set_free_bytes(1 << 19);
    assert!(matches!(store(&spool, &image), Err(StoreError::NoSpace(_))));
    let mut incoming = {
        disk.set_free_bytes(u64::MAX);
        spool.receive(image.announced()).unwrap()
    };
    disk.set_free_bytes(0);
    incoming.write(&image.data_set()).unwrap();
    assert!(matches!(incoming.store(), Err(StoreError::Io(error)) if health::is_full(&error)));
    assert_eq!(spool.trouble(), None);
    disk.set_free_bytes(u64::MAX);
    assert_eq!(store(&spool, &image).unwrap(), StoreOutcome::New);
}

/// Whenever a study that is done is to go while one of its images comes once more: the disk is not to
/// blame, and what is acknowledged is there.
#[test]
fn a_study_stays_while_one_of_its_images_is_stored_again() {
    let image = Image {
        study: 0,
        series: 0,
        number: 0,
        content: 7,
    };
    let Identity { study, .. } = image.identity();
    let stored_once = || {
        let disk = SimulatedDisk::new(Path::new(ROOT));
        let spool = Arc::new(open(&disk).unwrap());
        store(&spool, &image).unwrap();
        disk.set_faults(Faults::default());
        (disk, spool)
    };
    let (disk, spool) = stored_once();
    store(&spool, &image).unwrap();
    for operation in 1..=disk.operations() {
        let (disk, spool) = stored_once();
        let (go, gone) = (Arc::new(Barrier::new(2)), Arc::clone(&spool));
        let (told, at_once) = (Arc::clone(&go), study.clone());
        let remover = std::thread::spawn(move || {
            told.wait();
            gone.remove(&at_once, |_| true).unwrap()
        });
        disk.meanwhile(operation, move || {
            go.wait();
            // Where a lock keeps it out, it is not waited for.
            let until = Instant::now() + Duration::from_millis(20);
            while !remover.is_finished() && Instant::now() < until {
                std::thread::yield_now();
            }
        });
        let mut incoming = spool.receive(image.announced()).unwrap();
        incoming.write(&image.data_set()).unwrap();
        let stored = incoming.store();
        assert_eq!(spool.trouble(), None, "operation {operation}");
        let stored = stored.unwrap();
        assert!(!spool.remove(&study, |_| true).unwrap(), "operation {operation}");
        assert_eq!(spool.instances(&study).unwrap().len(), 1, "operation {operation}");
        drop(stored);
        assert!(spool.remove(&study, |_| true).unwrap());
    }
}

/// The same for what somebody asks us to commit to.
#[test]
fn a_study_stays_while_it_is_looked_through() {
    let image = Image {
        study: 0,
        series: 0,
        number: 0,
        content: 7,
    };
    let identity = image.identity();
    let disk = SimulatedDisk::new(Path::new(ROOT));
    let spool = Arc::new(open(&disk).unwrap());
    store(&spool, &image).unwrap();
    let wanted = HashSet::from([&identity.sop_instance]);
    disk.set_faults(Faults::default());
    assert_eq!(spool.held(&wanted).unwrap().len(), 1);
    for operation in 1..=disk.operations() {
        let (gone, study) = (Arc::clone(&spool), identity.study.clone());
        disk.set_faults(Faults::default());
        disk.meanwhile(operation, move || {
            gone.remove(&study, |_| true).unwrap();
        });
        let held = spool.held(&wanted).unwrap();
        let there = spool.instances(&identity.study).unwrap();
        assert_eq!(held.len(), there.len(), "operation {operation}");
        assert_eq!(spool.trouble(), None, "operation {operation}");
        store(&spool, &image).unwrap();
    }
}

/// Another association may have named an image a moment ago, and not synced its folder yet: what somebody is told
/// is here is here after a power cut too.
#[test]
fn what_is_held_is_durable() {
    let image = |number| Image {
        study: 0,
        series: 0,
        number,
        content: 7,
    };
    let (earlier, named) = (image(0).identity(), image(1).identity());
    let disk = SimulatedDisk::new(Path::new(ROOT));
    let spool = open(&disk).unwrap();
    store(&spool, &image(0)).unwrap();
    disk.rename(&spool.path(&earlier), &spool.path(&named)).unwrap();
    let held = spool.held(&HashSet::from([&named.sop_instance])).unwrap();
    assert_eq!(held.len(), 1);
    for outcome in 0..20 {
        let after = disk.after_cut(outcome);
        let there = open(&after).unwrap().instances(&named.study).unwrap();
        assert_eq!(there, [(named.series.clone(), named.sop_instance.clone())]);
    }
}

/// Many threads, one folder: what each is told is true, and nobody waits for ever.
#[test]
fn associations_share_the_syncs_of_folders() {
    let disk = SimulatedDisk::new(Path::new(ROOT));
    let spool = open(&disk).unwrap();
    std::thread::scope(|scope| {
        for series in 0..8 {
            let spool = &spool;
            scope.spawn(move || {
                for number in 0..20 {
                    let image = Image {
                        study: 0,
                        series: series / 4,
                        number: number + 20 * (series % 4),
                        content: 7,
                    };
                    assert_eq!(store(spool, &image).unwrap(), StoreOutcome::New);
                }
            });
        }
    });
    assert_eq!(spool.instances(&Uid::parse("1.2.0").unwrap()).unwrap().len(), 160);
    for outcome in 0..20 {
        let after = disk.after_cut(outcome);
        let spool = open(&after).unwrap();
        assert_eq!(spool.instances(&Uid::parse("1.2.0").unwrap()).unwrap().len(), 160);
    }
}
